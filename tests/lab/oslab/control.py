"""The commands: up, down, status, and the start and stop of single daemons."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from oslab import layout, packages
from oslab.contents import CATALOGUE
from oslab.layout import HERE, PYTHON, Failed, Lab

# How long a lab may take to go down: each daemon has its grace, and they take it at the same time.
PATIENCE = 120


def say(line):
    print('lab: %s' % line, file=sys.stderr, flush=True)


def ask(lab, command, names=()):
    """What the supervisor answers; nothing where there is none."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(PATIENCE)
        try:
            one.connect(str(lab.control_socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        with one.makefile('rw') as stream:
            stream.write(json.dumps({'command': command, 'names': list(names)}) + '\n')
            stream.flush()
            line = stream.readline()
    if not line:
        raise Failed('the supervisor of the lab in %s does not answer' % lab.dir)
    answer = json.loads(line)
    if 'error' in answer:
        raise Failed(answer['error'])
    return answer['daemons']


def up(where, profile, first_port, owner, fresh):
    packages.require()
    lab = present(where)
    if lab is not None and (daemons := ask(lab, 'status')) is not None:
        if fresh or (profile or lab.profile) != lab.profile or (first_port or lab.first_port) != lab.first_port:
            raise Failed('a lab with profile %s is up in %s; `lab down` stops it' % (lab.profile, where))
        stopped = [name for name, pid in daemons.items() if pid is None]
        if stopped:
            say('starting %s' % ', '.join(stopped))
            ask(lab, 'start', stopped)
        return show(lab)
    if lab is not None:
        clear(lab)
        if fresh or profile not in (None, lab.profile):
            lab.wipe()
            lab = None
    if lab is None:
        lab = Lab(where, profile or 'openstack', first_port or layout.free_block())
    elif first_port:
        lab.first_port = first_port
    elif lab.taken_ports():
        lab.first_port = layout.free_block()
    lab.save()
    begin(lab, owner)
    return show(lab)


def present(where):
    return Lab.load(where) if (where / 'lab.json').is_file() else None


def begin(lab, owner):
    """Starts the supervisor, and waits until it says that the lab is up."""
    reports, report = os.pipe()
    command = [PYTHON, str(HERE / 'lab'), 'supervise', '--dir', str(lab.dir), '--report', str(report)]
    if owner is not None:
        command += ['--owner', str(owner)]
    # The cache of databases is the user's, not the lab's.
    kept = {name: os.environ[name] for name in ('XDG_CACHE_HOME',) if name in os.environ}
    environment = dict(lab.environment(), HOME=str(pathlib.Path.home()), **kept)
    with open(lab.log / 'lab.log', 'ab') as log:
        subprocess.Popen(command, env=environment, cwd=lab.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         pass_fds=[report], start_new_session=True)
    os.close(report)
    last = 'it did not start'
    with os.fdopen(reports) as lines:
        for line in lines:
            last = line.rstrip('\n')
            say(last)
    if not last.startswith('up after'):
        raise Failed('the lab did not come up; %s and its neighbours tell more' % (lab.log / 'lab.log'))


def show(lab):
    """Where everything is, on stdout."""
    for service, entries in CATALOGUE.items():
        if lab.has(service):
            for kind, _, listener, path in entries:
                print('%-16s %s' % (kind, lab.url(listener, path.replace('%(tenant_id)s', 'PROJECT'))))
    print('%-16s %s (clouds lab-admin, lab-user)' % ('clouds', lab.dir / 'clouds.yaml'))
    print('%-16s %s' % ('shell', lab.dir / 'openrc-admin'))
    return 0


def clear(lab):
    """Ends what a lab without a supervisor has left."""
    left = lab.processes()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        end = time.monotonic() + 10
        while (left := lab.processes()) and time.monotonic() < end:
            time.sleep(0.1)
        if not left:
            return
    raise Failed('processes of the lab in %s do not end: %s' % (lab.dir, left))


def down(where, wipe):
    lab = present(where)
    if lab is None:
        say('no lab is in %s' % where)
        return 0
    ask(lab, 'down')
    clear(lab)
    say('down')
    if wipe:
        lab.wipe()
    return 0


def memory(pid):
    """MiB of a daemon and what it has started, shared pages divided among those who share them."""
    total = 0
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if int((entry / 'stat').read_text().rsplit(') ', 1)[1].split()[2]) != pid:
                continue
            rolled = (entry / 'smaps_rollup').read_text().splitlines()
            total += sum(int(line.split()[1]) for line in rolled if line.startswith('Pss:'))
        except (OSError, IndexError):
            # It has ended meanwhile.
            continue
    return total / 1024


def status(where):
    lab = present(where)
    daemons = None if lab is None else ask(lab, 'status')
    if daemons is None:
        print('no lab is up in %s' % where)
        return 1
    for name, pid in daemons.items():
        print('%-24s %s' % (name, 'down' if pid is None else '%7d %6.0f MiB' % (pid, memory(pid))))
    return 0 if all(daemons.values()) else 1


def order(where, verb, names):
    if ask(Lab.load(where), verb, names) is None:
        raise Failed('no lab is up in %s' % where)
    return 0
