"""The services' databases: made by their own migrations once, kept packed, and unpacked for the next new lab.

The migrations are most of the time of a first start. Each service has a database of its own, so they run side by side.
"""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

from oslab import packages
from oslab.layout import PASSWORD, REGION, Failed
from oslab.services import launch

# Part of the name of what is kept; another number when what is made here changes.
RECIPE = 1

# By service: its databases, and the migration of each.
SCHEMAS = {
    'keystone': {'keystone': ('keystone-manage', '--config-file', 'keystone.conf', 'db_sync')},
    'placement': {'placement': ('placement-manage', '--config-file', 'placement/placement.conf', 'db', 'sync')},
    'glance': {'glance': ('glance-manage', '--config-file', 'glance.conf', 'db_sync')},
    'neutron': {'neutron': ('neutron-db-manage', '--config-file', 'neutron.conf', '--config-file', 'ml2.conf', 'upgrade', 'heads')},
    'nova': {
        'nova_api': ('nova-manage', '--config-file', 'nova.conf', '--config-file', 'nova-databases.conf', 'api_db', 'sync'),
        # Also of the cell of servers that no host took; its migration needs the one before.
        'nova': ('nova-manage', '--config-file', 'nova.conf', '--config-file', 'nova-databases.conf', 'db', 'sync'),
    },
    'cinder': {'cinder': ('cinder-manage', '--config-file', 'cinder.conf', 'db', 'sync')},
    'heat': {'heat': ('heat-manage', '--config-file', 'heat.conf', 'db_sync')},
}
CELLS = {'cell0': ('00000000-0000-0000-0000-000000000000', 'nova_cell0'), 'cell1': ('c0000000-0000-4000-8000-000000000001', 'nova')}

# A migration on a busy machine takes a minute or two.
PATIENCE = 900


def kept(lab):
    """The file of packed databases for these packages and this profile."""
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    told = '%d %s\n%s' % (RECIPE, lab.profile, packages.versions())
    return cache / 'vimhost' / 'lab' / ('databases-%s.tar.gz' % hashlib.sha256(told.encode()).hexdigest()[:16])


def connect(lab, name=None):
    # Of the packages that `require` has found.
    import pymysql
    return pymysql.connect(unix_socket=str(lab.database_socket), user='root', database=name, autocommit=True)


def execute(lab, name, *statements):
    with connect(lab, name) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(*statement) if isinstance(statement, tuple) else cursor.execute(statement)


def wait(lab, keeper, patience=120):
    """Until the server answers."""
    end = time.monotonic() + patience
    while True:
        try:
            connect(lab).close()
            return
        except Exception as error:
            if not keeper.runs('mariadb') or time.monotonic() > end:
                raise Failed('the database server does not answer: %s; see %s' % (error, lab.log / 'mariadb.log')) from error
        time.sleep(0.1)


def prepare_files(lab, say):
    """The server's files: those of the earlier lab, else the kept ones, else new ones. Answers whether they are migrated."""
    files = lab.var / 'mysql'
    done = lab.var / 'migrated'
    if done.is_file():
        return True
    # Of a start that did not get to its end.
    shutil.rmtree(files, ignore_errors=True)
    packed = kept(lab)
    if packed.is_file():
        say('unpacking migrated databases')
        with tarfile.open(packed) as archive:
            archive.extractall(lab.var, filter='data') if hasattr(tarfile, 'data_filter') else archive.extractall(lab.var)
        done.touch()
        return True
    say('making a database server')
    packages.run('mariadb-install-db', 'mariadb-install-db', '--no-defaults', '--datadir=%s' % files, '--skip-test-db',
                 '--auth-root-authentication-method=normal', env=lab.environment())
    return False


def migrate(lab, keeper, say):
    """Runs every migration there is."""
    names = [name for service, schemas in SCHEMAS.items() if lab.has(service) for name in schemas]
    cell0 = [CELLS['cell0'][1]] if lab.has('nova') else []
    execute(lab, None, *('CREATE DATABASE `%s` CHARACTER SET utf8mb3' % name for name in names + cell0))
    chains = []
    for service, schemas in SCHEMAS.items():
        if lab.has(service):
            steps = [step(lab, command) for command in schemas.values()]
            if service == 'keystone':
                steps.append(launch('keystone-manage', '--config-file', lab.etc / 'keystone.conf', 'bootstrap', '--bootstrap-password',
                                    PASSWORD, '--bootstrap-region-id', REGION, '--bootstrap-public-url', lab.auth_url))
            if service == 'nova':
                # Between its two migrations: the second one goes to each cell that is known.
                steps.insert(1, None)
            chains.append((service, steps))
    say('migrating the databases of %s' % ', '.join(service for service, _ in chains))
    run_side_by_side(lab, keeper, chains)


def step(lab, command):
    return launch(command[0], *(lab.etc / word if word.endswith('.conf') else word for word in command[1:]))


def run_side_by_side(lab, keeper, chains):
    running, end = {}, time.monotonic() + PATIENCE
    waiting = {service: list(steps) for service, steps in chains}
    while waiting or running:
        for service in [one for one in waiting if one not in running]:
            steps = waiting[service]
            if steps and steps[0] is None:
                steps.pop(0)
                map_cells(lab)
            if not steps:
                del waiting[service]
                continue
            log = open(lab.log / ('migration-%s.log' % service), 'ab')
            running[service] = subprocess.Popen(steps.pop(0), env=lab.environment(), cwd=lab.var, stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log)
            log.close()
        for service, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[service]
            if process.returncode:
                log = lab.log / ('migration-%s.log' % service)
                words = log.read_text(errors='replace').splitlines()[-15:]
                for other in running.values():
                    other.kill()
                raise Failed('the migration of %s failed (%s):\n%s' % (service, log, '\n'.join(words)))
        keeper.check_owner()
        if time.monotonic() > end:
            raise Failed('the migrations of %s are not over after %d s' % (', '.join(running), PATIENCE))
        time.sleep(0.1)


def map_cells(lab):
    """What `nova-manage cell_v2` writes, in one statement instead of three programs. The addresses change from start to start."""
    statement = ('INSERT INTO cell_mappings (created_at, uuid, name, transport_url, database_connection, disabled) '
                 'VALUES (NOW(), %s, %s, %s, %s, 0) ON DUPLICATE KEY UPDATE '
                 'transport_url = VALUES(transport_url), database_connection = VALUES(database_connection)')
    execute(lab, 'nova_api', *(
        (statement, (uuid, name, 'none:///' if name == 'cell0' else lab.broker_url, lab.database_url(database)))
        for name, (uuid, database) in CELLS.items()))


def map_hosts(lab, hosts):
    """What `nova-manage cell_v2 discover_hosts` writes."""
    statement = ('INSERT IGNORE INTO host_mappings (created_at, cell_id, host) '
                 'SELECT NOW(), id, %s FROM cell_mappings WHERE uuid = %s')
    execute(lab, 'nova_api', *((statement, (host, CELLS['cell1'][0])) for host in hosts))


def keep(lab):
    """Packs the databases for the next new lab. The server must not run."""
    packed = kept(lab)
    packed.parent.mkdir(parents=True, exist_ok=True)
    fresh = packed.with_suffix('.%d' % os.getpid())
    with tarfile.open(fresh, 'w:gz', compresslevel=3) as archive:
        archive.add(lab.var / 'mysql', 'mysql')
    # In one step, since another lab may be starting.
    fresh.rename(packed)
    for other in packed.parent.glob('databases-*'):
        # Of other packages.
        if other != packed and other.stat().st_mtime < time.time() - 30 * 86400:
            other.unlink()


def make_keys(lab):
    """The keys of keystone's tokens and credentials: what `fernet_setup` and `credential_setup` write."""
    for kind in ('tokens', 'credentials'):
        folder = lab.var / 'keystone' / kind
        if not (folder / '1').is_file():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            for number in ('0', '1'):
                (folder / number).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
                (folder / number).chmod(0o600)


def prepare(lab, keeper, say):
    """Starts the server with every database migrated."""
    make_keys(lab)
    migrated = prepare_files(lab, say)
    keeper.start('mariadb')
    wait(lab, keeper)
    if not migrated:
        migrate(lab, keeper, say)
        say('keeping the migrated databases')
        keeper.stop('mariadb')
        keep(lab)
        (lab.var / 'migrated').touch()
        keeper.start('mariadb')
        wait(lab, keeper)
    if lab.has('nova'):
        map_cells(lab)
