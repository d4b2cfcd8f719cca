"""What each service is told, and the daemons it is made of.

The configuration is written whole at every start, so that nobody has to ask what an earlier lab had left. One worker each: a lab is
for correctness, and a machine of two cores runs some twenty processes of it.
"""

import dataclasses
import getpass
import pathlib

from oslab.layout import COMPUTES, HERE, PASSWORD, PYTHON, REGION, SHARE


@dataclasses.dataclass
class Daemon:
    name: str
    command: list
    # Where it answers, for those that are waited for.
    url: str = ''


def launch(program, *arguments):
    return [PYTHON, str(HERE / 'plugins' / 'launch.py'), program, *map(str, arguments)]


def ini(*parts):
    """The text of a configuration file; later parts add to the sections of earlier ones."""
    sections = {}
    for part in parts:
        for section, options in part.items():
            sections.setdefault(section, {}).update(options)
    lines = []
    for section, options in sections.items():
        lines.append('[%s]' % section)
        lines.extend('%s = %s' % (name, str(value).lower() if isinstance(value, bool) else value)
                     for name, value in options.items())
        lines.append('')
    return '\n'.join(lines)


def login(lab, user):
    """The options by which one service logs in to another."""
    return {'auth_type': 'password', 'auth_url': lab.auth_url, 'username': user, 'password': PASSWORD,
            'project_name': 'service', 'user_domain_name': 'Default', 'project_domain_name': 'Default', 'region_name': REGION}


def database(lab, name, section='database'):
    return {section: {'connection': lab.database_url(name), 'max_pool_size': 5, 'max_overflow': 30}}


def common(lab, user):
    """What every service but keystone has."""
    return {
        'DEFAULT': {'use_stderr': True, 'host': 'lab', 'my_ip': '127.0.0.1', 'transport_url': lab.broker_url,
                    'state_path': lab.var / user},
        'keystone_authtoken': dict(login(lab, user), www_authenticate_uri=lab.auth_url, service_token_roles='service',
                                   service_token_roles_required=True),
        'service_user': dict(login(lab, user), send_service_user_token=True),
        # Green threads and a heartbeat in a thread of its own block each other.
        'oslo_messaging_rabbit': {'heartbeat_in_pthread': False, 'rabbit_retry_interval': 1,
                                  'rabbit_retry_backoff': 1, 'kombu_reconnect_delay': 0.5},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'oslo_concurrency': {'lock_path': lab.var / 'locks'},
    }


def unpacked(package, path):
    return SHARE / package / path


def keystone(lab):
    keys = lab.var / 'keystone'
    text = ini(database(lab, 'keystone'), {
        'DEFAULT': {'use_stderr': True},
        'token': {'provider': 'fernet', 'expiration': 14400},
        'fernet_tokens': {'key_repository': keys / 'tokens'},
        'fernet_receipts': {'key_repository': keys / 'tokens'},
        'credential': {'key_repository': keys / 'credentials', 'caching': False},
        # Nobody attacks these hashes, and every login waits for one.
        'identity': {'password_hash_rounds': 4},
        # Within the one process. The plain memory backend gives out its own objects, which keystone then alters.
        'cache': {'enabled': True, 'backend': 'dogpile.cache.memory_pickle', 'expiration_time': 60},
    })
    files = {'keystone.conf': text}
    return files, [Daemon('keystone', launch('keystone', lab.port('keystone')), lab.auth_url)]


def placement(lab):
    text = ini(common(lab, 'placement'), database(lab, 'placement', 'placement_database'), {'api': {'auth_strategy': 'keystone'}})
    return ({'placement/placement.conf': text},
            [Daemon('placement', launch('placement', lab.port('placement')), lab.url('placement', '/'))])


def glance(lab):
    conf = lab.etc / 'glance.conf'
    text = ini(common(lab, 'glance'), database(lab, 'glance'), {
        # No workers: one process that serves by itself.
        'DEFAULT': {'bind_host': '127.0.0.1', 'bind_port': lab.port('glance'), 'workers': 0},
        'glance_store': {'stores': 'file,http', 'default_store': 'file', 'filesystem_store_datadir': lab.var / 'images'},
        'paste_deploy': {'flavor': 'keystone',
                         'config_file': unpacked('glance-common', 'usr/share/glance-common/glance-api-paste.ini')},
    })
    return ({'glance.conf': text},
            [Daemon('glance-api', launch('glance-api', '--config-file', conf), lab.url('glance', '/healthcheck'))])


def neutron(lab):
    files = {
        'neutron.conf': ini(common(lab, 'neutron'), database(lab, 'neutron'), {
            'DEFAULT': {
                'bind_host': '127.0.0.1', 'bind_port': lab.port('neutron'), 'auth_strategy': 'keystone', 'core_plugin': 'ml2',
                'api_paste_config': unpacked('neutron-common', 'usr/share/neutron-common/api-paste.ini'),
                'service_plugins': 'router,qos,segments,port_forwarding',
                # No agents: nobody hands out addresses by DHCP.
                'dhcp_agent_notification': False, 'api_workers': 0, 'rpc_workers': 0, 'rpc_state_report_workers': 0,
                'notify_nova_on_port_status_changes': True, 'notify_nova_on_port_data_changes': True,
            },
            'nova': login(lab, 'nova'),
            'placement': login(lab, 'placement'),
            # Tests lower them by the API.
            'quotas': {'quota_%s' % kind: -1 for kind in (
                'network', 'subnet', 'port', 'router', 'floatingip', 'security_group', 'security_group_rule')},
        }),
        'ml2.conf': ini({
            'ml2': {'type_drivers': 'flat,vlan,vxlan', 'tenant_network_types': 'vxlan', 'mechanism_drivers': 'lab',
                    'extension_drivers': 'port_security,qos'},
            'ml2_type_flat': {'flat_networks': '*'},
            'ml2_type_vlan': {'network_vlan_ranges': 'physnet1:100:199,physnet2:200:299'},
            'ml2_type_vxlan': {'vni_ranges': '1:4000'},
            'securitygroup': {'enable_security_group': True, 'firewall_driver': 'noop'},
        }),
    }
    server = launch('neutron-server', '--config-file', lab.etc / 'neutron.conf', '--config-file', lab.etc / 'ml2.conf')
    return files, [Daemon('neutron-server', server, lab.url('neutron', '/'))]


def nova(lab):
    files = {
        'nova.conf': ini(common(lab, 'nova'), {
            'DEFAULT': {
                'enabled_apis': 'osapi_compute', 'osapi_compute_listen': '127.0.0.1', 'osapi_compute_workers': 1,
                'osapi_compute_listen_port': lab.port('nova'), 'compute_driver': 'lab_hypervisor.Hypervisor',
                # No network, so no event of one.
                'vif_plugging_is_fatal': False, 'vif_plugging_timeout': 0,
                'rpc_response_timeout': 120, 'update_resources_interval': 15, 'report_interval': 5, 'service_down_time': 30, 'sync_power_state_interval': 60,
            },
            # So that a test's few servers are several pages.
            'api': {'auth_strategy': 'keystone', 'max_limit': 12},
            'placement': login(lab, 'placement'),
            'neutron': login(lab, 'neutron'),
            'glance': {'api_servers': lab.url('glance')},
            'cinder': dict(login(lab, 'nova'), catalog_info='volumev3::publicURL', os_region_name=REGION),
            'scheduler': {'workers': 1},
            'conductor': {'workers': 1},
            'compute': {'live_migration_wait_for_vif_plug': False},
            'filter_scheduler': {'track_instance_changes': False, 'enabled_filters': ','.join((
                'ComputeFilter', 'ComputeCapabilitiesFilter', 'ImagePropertiesFilter', 'ServerGroupAntiAffinityFilter',
                'ServerGroupAffinityFilter', 'SameHostFilter', 'DifferentHostFilter'))},
            # Nothing listens there; a console is an address with a token, and both are real.
            'vnc': {'enabled': True, 'novncproxy_base_url': 'http://127.0.0.1:6080/vnc_auto.html'},
            'quota': {name: -1 for name in ('instances', 'cores', 'ram', 'server_groups', 'server_group_members', 'key_pairs')},
            'wsgi': {'api_paste_config': unpacked('nova-common', 'usr/share/nova-common/api-paste.ini')},
        }),
        # Apart: a compute host that knows the databases refuses to start.
        'nova-databases.conf': ini(database(lab, 'nova'), database(lab, 'nova_api', 'api_database')),
    }
    conf = ('--config-file', lab.etc / 'nova.conf')
    control = (*conf, '--config-file', lab.etc / 'nova-databases.conf')
    daemons = [Daemon(name, launch(name, *control)) for name in ('nova-conductor', 'nova-scheduler')]
    daemons.append(Daemon('nova-api', launch('nova-api', *control), lab.url('nova', '/')))
    for host in COMPUTES:
        files['%s.conf' % host] = ini({'DEFAULT': {'host': host, 'state_path': lab.var / host}})
        daemons.append(Daemon('nova-compute-%s' % host, launch('nova-compute', *conf, '--config-file', lab.etc / ('%s.conf' % host))))
    return files, daemons


def cinder(lab):
    conf = ('--config-file', lab.etc / 'cinder.conf')
    text = ini(common(lab, 'cinder'), database(lab, 'cinder'), {
        'DEFAULT': {
            'auth_strategy': 'keystone', 'osapi_volume_listen': '127.0.0.1', 'osapi_volume_listen_port': lab.port('cinder'),
            'osapi_volume_workers': 1, 'enabled_backends': 'rows', 'default_volume_type': 'rows',
            'api_paste_config': unpacked('cinder-common', 'usr/share/cinder-common/api-paste.ini'),
            'resource_query_filters_file': unpacked('cinder-common', 'etc/cinder/resource_filters.json'),
            'glance_api_servers': lab.url('glance'), 'rootwrap_config': '/dev/null',
            'quota_volumes': -1, 'quota_snapshots': -1, 'quota_gigabytes': -1, 'report_interval': 5, 'service_down_time': 30,
        },
        'rows': {'volume_driver': 'lab_volumes.Rows', 'volume_backend_name': 'rows', 'backend_host': 'lab'},
        'nova': login(lab, 'nova'),
    })
    daemons = [Daemon(name, launch(name, *conf)) for name in ('cinder-scheduler', 'cinder-volume')]
    daemons.append(Daemon('cinder-api', launch('cinder-api', *conf), lab.url('cinder', '/')))
    return {'cinder.conf': text}, daemons


def heat(lab):
    conf = ('--config-file', lab.etc / 'heat.conf')
    templates = unpacked('heat-common', 'etc/heat/templates')
    environment = unpacked('heat-common', 'etc/heat/environment.d/default.yaml').read_text()
    text = ini(common(lab, 'heat'), database(lab, 'heat'), {
        'DEFAULT': {
            'num_engine_workers': 1, 'region_name_for_services': REGION, 'deferred_auth_method': 'trusts',
            # Heat's own five tries let a stack with a server that fails take a minute and a half to fail.
            'action_retry_limit': 1,
            'environment_dir': lab.etc / 'heat-environment', 'template_dir': templates, 'plugin_dirs': lab.etc / 'none',
            'stack_user_domain_name': 'heat', 'stack_domain_admin': 'heat_domain_admin', 'stack_domain_admin_password': PASSWORD,
            'auth_encryption_key': 'a-key-of-the-lab-of-32-character',
            'heat_metadata_server_url': lab.url('heat-cfn'),
            'heat_waitcondition_server_url': lab.url('heat-cfn', '/v1/waitcondition'),
        },
        'trustee': {'auth_type': 'password', 'auth_url': lab.auth_url, 'username': 'heat', 'password': PASSWORD,
                    'user_domain_id': 'default'},
        'clients_keystone': {'auth_uri': lab.url('keystone')},
        'ec2authtoken': {'auth_uri': lab.auth_url},
        'heat_api': {'bind_host': '127.0.0.1', 'bind_port': lab.port('heat'), 'workers': 1},
        'heat_api_cfn': {'bind_host': '127.0.0.1', 'bind_port': lab.port('heat-cfn'), 'workers': 1},
        'paste_deploy': {'api_paste_config': unpacked('heat-common', 'etc/heat/api-paste.ini')},
    })
    files = {'heat.conf': text, 'heat-environment/default.yaml': environment.replace('/etc/heat/templates', str(templates))}
    return files, [
        Daemon('heat-engine', launch('heat-engine', *conf)),
        Daemon('heat-api', launch('heat-api', *conf), lab.url('heat', '/')),
        Daemon('heat-api-cfn', launch('heat-api-cfn', *conf), lab.url('heat-cfn', '/')),
    ]


# The functions above by the names in `layout.PROFILES`.
SERVICES = {'keystone': keystone, 'placement': placement, 'glance': glance, 'neutron': neutron, 'nova': nova, 'cinder': cinder,
            'heat': heat}


def infrastructure(lab):
    """The database server, the broker, and the broker's port mapper."""
    broker, mapper = lab.var / 'rabbitmq', lab.port('epmd')
    files = {
        'mariadb.conf': ini({'mariadbd': {
            'datadir': lab.var / 'mysql', 'socket': lab.database_socket, 'pid-file': lab.run / 'database.pid', 'tmpdir': lab.var / 'tmp',
            'skip-networking': 1, 'skip-log-bin': 1, 'performance-schema': 'off', 'max_connections': 800,
            'character-set-server': 'utf8mb3', 'innodb_buffer_pool_size': '192M', 'innodb_log_file_size': '32M',
            # A lab that a power cut destroys is brought up anew.
            'innodb_flush_log_at_trx_commit': 0, 'innodb_doublewrite': 0, 'innodb_flush_method': 'nosync',
        }}),
        'rabbitmq.conf': '\n'.join((
            'listeners.tcp.1 = 127.0.0.1:%d' % lab.port('rabbitmq'), 'default_user = lab', 'default_pass = %s' % PASSWORD,
            'loopback_users = none', 'vm_memory_high_watermark.absolute = 1GB', 'disk_free_limit.absolute = 50MB',
            'log.console = true', 'log.file = false', '')),
        'rabbitmq-plugins': '[].\n',
        'rabbitmq-env.conf': '',
    }
    rabbit = {
        'HOME': broker, 'ERL_EPMD_ADDRESS': '127.0.0.1', 'ERL_EPMD_PORT': mapper, 'RABBITMQ_NODENAME': 'lab@localhost',
        'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1', 'RABBITMQ_NODE_PORT': lab.port('rabbitmq'),
        'RABBITMQ_DIST_PORT': lab.port('rabbitmq-peers'), 'RABBITMQ_MNESIA_BASE': broker / 'mnesia', 'RABBITMQ_LOG_BASE': lab.log,
        'RABBITMQ_CONFIG_FILE': lab.etc / 'rabbitmq.conf', 'RABBITMQ_ENABLED_PLUGINS_FILE': lab.etc / 'rabbitmq-plugins',
        'RABBITMQ_CONF_ENV_FILE': lab.etc / 'rabbitmq-env.conf',
        # Idle schedulers that spin would take a core from the services.
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none',
    }
    # Not the one in the path, which becomes another user where root runs it.
    program = max(pathlib.Path('/usr/lib/rabbitmq/lib').glob('rabbitmq_server-*/sbin/rabbitmq-server'))
    return files, [
        Daemon('epmd', ['epmd', '-address', '127.0.0.1', '-port', str(mapper)]),
        Daemon('rabbitmq', ['env', *('%s=%s' % pair for pair in rabbit.items()), str(program)]),
        Daemon('mariadb', ['mariadbd', '--defaults-file=%s' % (lab.etc / 'mariadb.conf'), '--user=%s' % getpass.getuser()]),
    ]


def of(lab):
    """The infrastructure and the daemons of a lab's services, in the order of their starts, configured."""
    files, first = infrastructure(lab)
    later = []
    for name in SERVICES:
        if lab.has(name):
            written, daemons = SERVICES[name](lab)
            files.update(written)
            later.extend(daemons)
    for name, text in files.items():
        path = lab.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for part in ('rabbitmq', 'images', *SERVICES, *COMPUTES):
        (lab.var / part).mkdir(parents=True, exist_ok=True)
    return first, later
