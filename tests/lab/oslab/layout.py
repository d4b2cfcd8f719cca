"""Where a lab is: one directory, one block of ports, one profile. Everything else is derived from these three."""

import dataclasses
import json
import os
import pathlib
import shutil
import socket
import tempfile

# Debian's own, which its packages are for.
PYTHON = '/usr/bin/python3'

HERE = pathlib.Path(__file__).resolve().parent.parent

PROFILES = {
    'heat': ('keystone', 'heat'),
    'openstack': ('keystone', 'glance', 'placement', 'nova', 'neutron', 'cinder', 'heat'),
}

# Three, because a member of an anti-affinity group of two can still move then.
COMPUTES = ('compute1', 'compute2', 'compute3')

REGION = 'RegionOne'

# Of every account. Long, so that tests can look for it where no password belongs.
PASSWORD = 'password-of-the-lab'

DEFAULT_DIR = pathlib.Path(tempfile.gettempdir()) / 'vimhost-lab'

# What the packages hold that only their unpacking gives: see `packages`.
SHARE = pathlib.Path('/usr/local/share/vimhost-lab')

# What listens, in the order of the ports.
LISTENERS = ('keystone', 'glance', 'placement', 'nova', 'neutron', 'cinder', 'heat', 'heat-cfn',
             'rabbitmq', 'rabbitmq-peers', 'epmd')
BLOCK = 20
# Below 32768, where Linux takes ports for outgoing connections from.
FIRST_PORT, LAST_PORT = 25000, 32000

# A path of a Unix socket may have 107 bytes; what the lab appends has fewer than 20.
LONGEST_DIR = 85

# Processes of a lab are found by it, also when whoever started them is gone.
MARK = 'VIMHOST_LAB'


class CannotRun(Exception):
    """This machine cannot do it, and why."""


class Failed(Exception):
    """It went wrong, and what."""


def is_free(port):
    """Whether nobody listens on a port of loopback."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(('127.0.0.1', port))
            return True
        except OSError:
            return False


def free_block():
    for first in range(FIRST_PORT, LAST_PORT, BLOCK):
        if all(is_free(first + n) for n in range(len(LISTENERS))):
            return first
    raise Failed('no %d ports in a row are free between %d and %d' % (BLOCK, FIRST_PORT, LAST_PORT))


@dataclasses.dataclass
class Lab:
    dir: pathlib.Path
    profile: str
    first_port: int

    @classmethod
    def load(cls, where):
        """The lab that is or was in a directory."""
        try:
            kept = json.loads((where / 'lab.json').read_text())
            return cls(where, kept['profile'], kept['first_port'])
        except (OSError, ValueError, KeyError) as error:
            raise Failed('there is no lab in %s' % where) from error

    def save(self):
        if len(str(self.dir)) > LONGEST_DIR:
            raise Failed('%s is too long for the Unix sockets in it: at most %d bytes' % (self.dir, LONGEST_DIR))
        for part in (self.etc, self.log, self.run, self.var / 'home', self.var / 'tmp', self.var / 'locks'):
            part.mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o700)
        (self.dir / 'lab.json').write_text(json.dumps({'profile': self.profile, 'first_port': self.first_port}))

    def wipe(self):
        # Only what a lab has made.
        if (self.dir / 'lab.json').is_file():
            shutil.rmtree(self.dir)

    def has(self, service):
        return service in PROFILES[self.profile]

    def port(self, listener):
        return self.first_port + LISTENERS.index(listener)

    def url(self, listener, path=''):
        return 'http://127.0.0.1:%d%s' % (self.port(listener), path)

    def taken_ports(self):
        return [(name, self.port(name)) for name in LISTENERS if not is_free(self.port(name))]

    @property
    def auth_url(self):
        return self.url('keystone', '/v3')

    @property
    def etc(self):
        return self.dir / 'etc'

    @property
    def log(self):
        return self.dir / 'log'

    @property
    def run(self):
        return self.dir / 'run'

    @property
    def var(self):
        return self.dir / 'var'

    @property
    def database_socket(self):
        return self.run / 'database'

    @property
    def control_socket(self):
        return self.run / 'control'

    @property
    def faults(self):
        """The script of faults that the simulated hypervisors follow."""
        return self.dir / 'faults.json'

    @property
    def broker_url(self):
        return 'rabbit://lab:%s@127.0.0.1:%d/' % (PASSWORD, self.port('rabbitmq'))

    def database_url(self, name):
        # The directory is closed to others, so that its owner's socket is the credential.
        return 'mysql+pymysql://root@localhost/%s?unix_socket=%s&charset=utf8' % (name, self.database_socket)

    def environment(self):
        """What every process of the lab sees, and nothing of whoever starts it: no proxies, no other Python."""
        return {
            'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8', 'HOME': str(self.var / 'home'),
            'TMPDIR': str(self.var / 'tmp'), 'PYTHONUNBUFFERED': '1', 'PYTHONPATH': str(HERE / 'plugins'),
            'PYTHONDONTWRITEBYTECODE': '1', 'NO_PROXY': '127.0.0.1,localhost', MARK: str(self.dir),
            'OS_KEYSTONE_CONFIG_FILES': str(self.etc / 'keystone.conf'),
            'OS_PLACEMENT_CONFIG_DIR': str(self.etc / 'placement'),
        }

    def processes(self):
        """Ids of the processes of this lab, whoever their parent is, this one excepted."""
        mark = ('%s=%s' % (MARK, self.dir)).encode()
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if mark in (entry / 'environ').read_bytes().split(b'\0'):
                    found.append(int(entry.name))
            except OSError:
                # It has ended, or is somebody else's.
                continue
        return found
