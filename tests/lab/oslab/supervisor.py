"""The process that keeps a lab: starts its daemons, answers for them, and takes them down.

It holds the daemons as children whose kernel-side parent-death signal is set, so they end when it does, even by kill -9; it watches its
owner by a pidfd, so a test run that is killed takes its lab along. Every process of a lab carries the lab's directory in its
environment, by which a later `down` finds what a broken start has left.

Threads are not used: the parent-death signal is that of the thread which started the child.
"""

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time

from oslab import contents, database, services
from oslab.layout import COMPUTES, Failed

# How long daemons get to end by themselves. Most take a second; the broker and the database write something down first.
GRACE = 15
GRACE_OF_STORES = 40
STORES = ('rabbitmq', 'mariadb', 'epmd')


class Keeper:
    """The daemons of a lab, by name."""

    def __init__(self, lab, owner):
        self.lab = lab
        self.owner = owner
        first, self.later = services.of(lab)
        self.known = {daemon.name: daemon for daemon in first + self.later}
        self.running = {}

    def start(self, name):
        if self.runs(name):
            return
        # In a session of its own, so that its group is all it starts, and a terminal's Ctrl-C is not its end.
        with open(self.lab.log / ('%s.log' % name), 'ab') as log:
            self.running[name] = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'TERM', '--', *self.known[name].command], env=self.lab.environment(), cwd=self.lab.var,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def runs(self, name):
        return name in self.running and self.running[name].poll() is None

    def tell_to_end(self, name):
        if self.runs(name):
            self.running[name].terminate()

    def stop(self, name):
        """Ends a daemon and everything it has started."""
        if name not in self.running:
            return
        process = self.running[name]
        self.tell_to_end(name)
        try:
            process.wait(GRACE_OF_STORES if name in STORES else GRACE)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        del self.running[name]

    def stop_all(self):
        for name in self.running:
            if name not in STORES:
                self.tell_to_end(name)
        for name in [one for one in self.running if one not in STORES]:
            self.stop(name)
        for name in STORES[:2]:
            self.tell_to_end(name)
        for name in STORES:
            self.stop(name)
        # What has left its group.
        for pid in self.lab.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def check_owner(self):
        if self.owner is not None and select.select([self.owner], [], [], 0)[0]:
            raise Failed('the owner of the lab has ended')

    def died(self):
        return [name for name in self.running if not self.runs(name)]

    def last_words(self, name):
        lines = (self.lab.log / ('%s.log' % name)).read_text(errors='replace').splitlines()
        return '\n'.join(lines[-15:])

    def wait(self, what, ready, patience=240):
        """Until it is ready; fails at once when a daemon dies."""
        end = time.monotonic() + patience
        while not (state := ready()) is True:
            self.check_owner()
            for name in self.died():
                raise Failed('%s has died:\n%s' % (name, self.last_words(name)))
            if time.monotonic() > end:
                raise Failed('%s is not ready after %d s: %s' % (what, patience, state))
            time.sleep(0.1)

    def wait_for(self, *names):
        for name in names:
            url = self.known[name].url
            self.wait(name, lambda: contents.answers(url))


def listens(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(('127.0.0.1', port)) == 0 or 'nothing listens'


def bring_up(lab, keeper, say):
    for name, port in lab.taken_ports():
        raise Failed('port %d of 127.0.0.1, which is for %s, is taken; --ports chooses others' % (port, name))
    # The broker takes longest to start, and needs nothing.
    keeper.start('epmd')
    keeper.start('rabbitmq')
    database.prepare(lab, keeper, say)
    # Nova's daemons log in to placement when they start, and so need accounts; the others need them when somebody asks. The broker is
    # up by the time they have been read in; who is quicker tries again a second later.
    nova = [daemon.name for daemon in keeper.later if daemon.name.startswith('nova-')]
    for daemon in keeper.later:
        if daemon.name not in nova:
            keeper.start(daemon.name)
    say('waiting for %s' % ', '.join(daemon.name for daemon in keeper.later))
    keeper.wait_for('keystone')
    cloud = contents.Cloud(lab)
    cloud.make_accounts()
    keeper.wait('rabbitmq', lambda: listens(lab.port('rabbitmq')))
    if nova:
        database.map_hosts(lab, COMPUTES)
        keeper.wait_for('placement')
        for name in nova:
            keeper.start(name)
    keeper.wait_for(*(daemon.name for daemon in keeper.later if daemon.url))
    for what, ready in cloud.workers():
        keeper.wait(what, ready)
    cloud.make_resources()
    contents.write_clients(lab)


class Talk:
    """The control socket: a line of JSON in, a line out."""

    def __init__(self, keeper):
        self.keeper = keeper
        self.socket = socket.socket(socket.AF_UNIX)
        keeper.lab.control_socket.unlink(missing_ok=True)
        self.socket.bind(str(keeper.lab.control_socket))
        self.socket.listen()

    def answer(self):
        """Serves one caller; whether it was the last one."""
        caller, _ = self.socket.accept()
        with caller, caller.makefile('rw') as stream:
            caller.settimeout(10)
            try:
                asked = json.loads(stream.readline())
                last = asked['command'] == 'down'
                if last:
                    self.keeper.stop_all()
                stream.write(json.dumps(self.obey(asked)) + '\n')
                stream.flush()
                return last
            except (OSError, ValueError, KeyError) as error:
                print('a caller was not understood: %s' % error, file=sys.stderr, flush=True)
                return False

    def obey(self, asked):
        names = asked.get('names') or []
        unknown = [name for name in names if name not in self.keeper.known]
        if unknown:
            return {'error': 'there is no daemon %s; there are %s' % (', '.join(unknown), ', '.join(self.keeper.known))}
        for name in names:
            self.keeper.stop(name) if asked['command'] == 'stop' else self.keeper.start(name)
        if asked['command'] == 'start':
            try:
                self.keeper.wait_for(*(name for name in names if self.keeper.known[name].url))
            except Failed as error:
                # What was asked for has failed, and not the lab.
                return {'error': str(error)}
        return {'daemons': {name: self.keeper.running[name].pid if self.keeper.runs(name) else None for name in self.keeper.known}}


def attend(keeper):
    """Until it is told to end, or its owner has ended."""
    talk = Talk(keeper)
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    with selectors.DefaultSelector() as waiting:
        waiting.register(talk.socket, selectors.EVENT_READ, 'call')
        waiting.register(told, selectors.EVENT_READ, 'signal')
        if keeper.owner is not None:
            waiting.register(keeper.owner, selectors.EVENT_READ, 'owner')
        while True:
            for key, _ in waiting.select():
                if key.data != 'call' or talk.answer():
                    return


def run(lab, owner, report):
    """Brings the lab up, and stays until it goes down. The start is told to the file descriptor `report`."""
    report = os.fdopen(report, 'w')
    begun = time.monotonic()

    def say(line):
        print('%6.1f s %s' % (time.monotonic() - begun, line), flush=True)
        # Nobody who waits for the start is left: it is not wanted any more.
        print(line, file=report, flush=True)

    def end(number, frame):
        raise Failed('told to end by signal %d' % number)

    endings = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in endings:
        signal.signal(number, end)
    keeper = None
    try:
        keeper = Keeper(lab, None if owner is None else os.pidfd_open(owner))
        bring_up(lab, keeper, say)
        say('up after %.0f s' % (time.monotonic() - begun))
        report.close()
        attend(keeper)
        return 0
    except (Failed, contents.Refused, OSError) as error:
        if not report.closed:
            say('FAILED %s' % error)
        return 1
    finally:
        for number in endings:
            signal.signal(number, signal.SIG_IGN)
        if keeper is not None:
            keeper.stop_all()
        lab.control_socket.unlink(missing_ok=True)
