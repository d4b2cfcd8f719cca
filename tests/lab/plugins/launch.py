"""Runs one program of OpenStack: `launch.py nova-compute ARGUMENTS`.

The libraries of Debian come without most of their programs, which are two lines each. Where the lab adds something of its own to a
service, it is added here, before the program begins.
"""

import importlib
import os
import sys

PROGRAMS = {
    'keystone-manage': 'keystone.cmd.manage', 'glance-manage': 'glance.cmd.manage', 'placement-manage': 'placement.cmd.manage',
    'nova-manage': 'nova.cmd.manage', 'neutron-db-manage': 'neutron.db.migration.cli', 'cinder-manage': 'cinder.cmd.manage',
    'heat-manage': 'heat.cmd.manage', 'glance-api': 'glance.cmd.api', 'neutron-server': 'neutron.cmd.eventlet.server',
    'nova-api': 'nova.cmd.api_os_compute', 'nova-conductor': 'nova.cmd.conductor', 'nova-scheduler': 'nova.cmd.scheduler',
    'nova-compute': 'nova.cmd.compute', 'cinder-api': 'cinder.cmd.api', 'cinder-scheduler': 'cinder.cmd.scheduler',
    'cinder-volume': 'cinder.cmd.volume', 'heat-api': 'heat.cmd.api', 'heat-api-cfn': 'heat.cmd.api_cfn',
    'heat-engine': 'heat.cmd.engine',
}

# Services that are an application for a server of the operator's choice.
APPLICATIONS = {'keystone': ('keystone.server.wsgi', 'initialize_public_application'), 'placement': ('placement.wsgi', 'init_application')}

# Enough for the tests' most requests at a time; each waits for the database most of its time.
THREADS = 16


def serve(name, port):
    import waitress
    module, function = APPLICATIONS[name]
    # The application reads the command line too.
    del sys.argv[1:]
    application = getattr(importlib.import_module(module), function)()
    waitress.serve(application, listen='127.0.0.1:%s' % port, threads=THREADS)


def run(name):
    program = importlib.import_module(PROGRAMS[name])
    if name == 'nova-compute':
        # Nova looks for drivers of hypervisors among its own modules only.
        import nova.virt
        nova.virt.__path__.append(os.path.dirname(os.path.abspath(__file__)))
    if name in ('heat-engine', 'heat-api-cfn'):
        import lab_heat  # noqa: F401  (mends heat where it is imported)
    return program.main()


def main():
    name = sys.argv[1]
    sys.argv = [name, *sys.argv[2:]]
    if name in APPLICATIONS:
        return serve(name, sys.argv[1])
    return run(name)


sys.exit(main())
