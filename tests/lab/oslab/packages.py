"""What a lab runs, from Debian's own packages.

Only libraries are installed. The packages that set services up (`nova-api` and the like) ask questions, make accounts and start
daemons; the few files of theirs that are needed (pipelines, default environments) are unpacked instead.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from oslab.layout import SHARE, CannotRun, Failed

DEBIAN = '12'

INSTALLED = (
    'python3-keystone', 'python3-glance', 'python3-placement', 'python3-nova', 'python3-neutron', 'python3-cinder', 'python3-heat',
    # Serves keystone and placement, which bring no server of their own.
    'python3-waitress',
    'python3-openstackclient', 'python3-heatclient', 'python3-pymysql',
    'mariadb-server-core', 'mariadb-client-core', 'rabbitmq-server',
)
UNPACKED = ('glance-common', 'nova-common', 'neutron-common', 'cinder-common', 'heat-common')

POLICY = pathlib.Path('/usr/sbin/policy-rc.d')


def is_debian():
    try:
        release = dict(line.split('=', 1) for line in pathlib.Path('/etc/os-release').read_text().splitlines() if '=' in line)
    except OSError:
        return False
    return release.get('ID') == 'debian' and release.get('VERSION_ID', '').strip('"') == DEBIAN


def installed(package):
    asked = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status}', package], capture_output=True, text=True)
    return asked.stdout == 'installed'


def missing():
    """What has to be installed, and what unpacked."""
    return ([name for name in INSTALLED if not installed(name)], [name for name in UNPACKED if not (SHARE / name).is_dir()])


def versions():
    """The versions of all that writes to a database."""
    asked = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', 'mariadb-server-core', *INSTALLED[:7]],
                           capture_output=True, text=True, check=True)
    return asked.stdout


def require():
    """Fails where a lab cannot be brought up."""
    if not is_debian():
        raise CannotRun('the lab runs Debian %s\'s packages of OpenStack, and this machine has another system' % DEBIAN)
    lacking = sum(missing(), [])
    if lacking:
        raise CannotRun('packages are missing (%s); `cargo xtask lab install` installs them, as root' % ', '.join(lacking))


def check():
    require()
    print('nothing is missing')
    return 0


def run(what, *command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise Failed('%s failed:\n%s' % (what, '\n'.join(done.stdout.splitlines()[-20:])))


def apt_get(what, *arguments, **options):
    run(what, 'apt-get', '-q', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Acquire::Retries=3', *arguments,
        env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'), **options)


@contextlib.contextmanager
def nothing_is_started():
    """Debian's own switch: packages that would start a daemon ask this program first."""
    if POLICY.exists():
        # Somebody has decided already.
        yield
        return
    POLICY.write_text('#!/bin/sh\nexit 101\n')
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def unpack(package):
    with tempfile.TemporaryDirectory() as work:
        # apt downloads as a user of its own, who must get in.
        os.chmod(work, 0o777)
        apt_get('downloading %s' % package, 'download', package, cwd=work)
        archive = next(pathlib.Path(work).glob('*.deb'))
        run('unpacking %s' % package, 'dpkg-deb', '-x', archive, os.path.join(work, package))
        # In one step, so that a directory that is there is whole.
        fresh = SHARE / ('.%s' % package)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(os.path.join(work, package), fresh, symlinks=True)
        fresh.rename(SHARE / package)


def install():
    if not is_debian():
        raise CannotRun('the lab runs Debian %s\'s packages of OpenStack, and this machine has another system' % DEBIAN)
    to_install, to_unpack = missing()
    if not to_install and not to_unpack:
        print('everything is installed')
        return 0
    if os.geteuid() != 0:
        raise CannotRun('installing packages needs root; missing are %s' % ', '.join(to_install + to_unpack))
    try:
        apt_get('apt-get update', '-o', 'APT::Update::Error-Mode=any', 'update')
    except Failed as why:
        # A machine without a network, most likely: nothing of the lab has failed.
        raise CannotRun('Debian\'s package sources cannot be read (%s)' % str(why).splitlines()[-1]) from why
    if to_install:
        print('installing %s' % ' '.join(to_install), flush=True)
        with nothing_is_started():
            apt_get('apt-get install', 'install', '--yes', '--no-install-recommends',
                    '-o', 'Dpkg::Options::=--force-confold', *to_install)
    SHARE.mkdir(parents=True, exist_ok=True)
    for package in to_unpack:
        print('unpacking %s' % package, flush=True)
        unpack(package)
    print('installed')
    return 0
