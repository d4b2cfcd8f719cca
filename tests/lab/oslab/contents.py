"""What a lab holds when it is up: accounts and the catalogue, and what tests take for granted (flavours, images, networks).

Everything is looked for before it is made, so the same functions serve a new lab and one that was up before.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

from oslab.layout import COMPUTES, PASSWORD, REGION

# An administrator and somebody ordinary: name, project, role.
PEOPLE = (('admin', 'admin', 'admin'), ('user', 'user', 'member'))
# By service: type, name, path of the endpoint behind the port of the listener.
CATALOGUE = {
    'keystone': (('identity', 'keystone', 'keystone', '/v3'),),
    'glance': (('image', 'glance', 'glance', ''),),
    'placement': (('placement', 'placement', 'placement', ''),),
    'nova': (('compute', 'nova', 'nova', '/v2.1'),),
    'neutron': (('network', 'neutron', 'neutron', ''),),
    'cinder': (('volumev3', 'cinderv3', 'cinder', '/v3/%(tenant_id)s'),),
    'heat': (('orchestration', 'heat', 'heat', '/v1/%(tenant_id)s'), ('cloudformation', 'heat-cfn', 'heat-cfn', '/v1')),
}
# Name, MiB, CPUs, GiB.
FLAVOURS = (('m1.tiny', 512, 1, 1), ('m1.small', 2048, 1, 20), ('m1.medium', 4096, 2, 40))
IMAGES = ('cirros', 'ubuntu')
IMAGE = b'nothing ever boots this\n'

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """A service answered with an error."""

    def __init__(self, what, status, words):
        super().__init__('%s answered %d: %s' % (what, status, words[:500]))
        self.status = status


def call(method, url, body=None, headers=None, timeout=60):
    """One request; the headers and the body of the answer."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers = dict(headers or {}, **{'Content-Type': 'application/json'})
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with OPENER.open(request, timeout=timeout) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text[:1] in (b'{', b'[') else text
    except urllib.error.HTTPError as error:
        raise Refused('%s %s' % (method, url), error.code, error.read().decode(errors='replace')) from error


def answers(url):
    """True when something answers there, else why not."""
    try:
        call('GET', url, timeout=20)
        return True
    except Refused as refused:
        return refused.status < 500 or str(refused)
    except (OSError, http.client.HTTPException) as error:
        return '%s: %s' % (url, error)


class Cloud:
    """The lab as its administrator."""

    def __init__(self, lab):
        self.lab = lab
        body = {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': 'admin', 'domain': {'id': 'default'}, 'password': PASSWORD}}},
            'scope': {'project': {'name': 'admin', 'domain': {'id': 'default'}}}}}
        headers, answer = call('POST', lab.auth_url + '/auth/tokens', body)
        self.token = headers['X-Subject-Token']
        self.project = answer['token']['project']['id']
        self.roles, self.projects = {}, {}

    def ask(self, method, listener, path, body=None, **headers):
        given = dict({name.replace('_', '-'): value for name, value in headers.items()}, **{'X-Auth-Token': self.token})
        return call(method, self.lab.url(listener, path), body, given)[1]

    def ensure(self, listener, path, kind, name, **fields):
        """The element of that name, made where there is none."""
        plural = path.rsplit('/', 1)[-1]
        query = {'name': name, **({'domain_id': fields['domain_id']} if 'domain_id' in fields else {})}
        found = self.ask('GET', listener, '%s?%s' % (path, urllib.parse.urlencode(query)))[plural]
        # Some services ignore a filter they do not know.
        found = [one for one in found if one['name'] == name]
        return found[0] if found else self.ask('POST', listener, path, {kind: dict(fields, name=name)})[kind]

    # Accounts and the catalogue.

    def make_accounts(self):
        # The administrator's token is from before it got its project in a lab that is new; keystone reads roles at each request.
        for role in ('admin', 'member', 'reader', 'service', 'heat_stack_owner', 'heat_stack_user'):
            self.roles[role] = self.ensure('keystone', '/v3/roles', 'role', role)['id']
        for project in ('service', *(project for _, project, _ in PEOPLE)):
            self.projects[project] = self.ensure('keystone', '/v3/projects', 'project', project, domain_id='default')['id']
        for name, project, role in PEOPLE:
            self.grant(self.user(name), project, role)
        for service in CATALOGUE:
            if service != 'keystone' and self.lab.has(service):
                user = self.user(service)
                self.grant(user, 'service', 'admin')
                self.grant(user, 'service', 'service')
        domain = self.ensure('keystone', '/v3/domains', 'domain', 'heat')['id']
        admin = self.user('heat_domain_admin', domain)
        self.ask('PUT', 'keystone', '/v3/domains/%s/users/%s/roles/%s' % (domain, admin, self.roles['admin']))
        self.make_catalogue()

    def user(self, name, domain='default'):
        return self.ensure('keystone', '/v3/users', 'user', name, domain_id=domain, password=PASSWORD)['id']

    def grant(self, user, project, role):
        self.ask('PUT', 'keystone', '/v3/projects/%s/users/%s/roles/%s' % (self.projects[project], user, self.roles[role]))

    def make_catalogue(self):
        services = self.ask('GET', 'keystone', '/v3/services')['services']
        endpoints = self.ask('GET', 'keystone', '/v3/endpoints')['endpoints']
        for entries in (CATALOGUE[service] for service in CATALOGUE if self.lab.has(service)):
            for kind, name, listener, path in entries:
                service = next((one for one in services if one['type'] == kind), None) or self.ask(
                    'POST', 'keystone', '/v3/services', {'service': {'type': kind, 'name': name}})['service']
                for interface in ('public', 'internal', 'admin'):
                    self.make_endpoint(endpoints, service['id'], interface, self.lab.url(listener, path))

    def make_endpoint(self, endpoints, service, interface, url):
        for one in endpoints:
            if (one['service_id'], one['interface']) == (service, interface):
                # The ports may be others than last time.
                if one['url'] != url:
                    self.ask('PATCH', 'keystone', '/v3/endpoints/%s' % one['id'], {'endpoint': {'url': url}})
                return
        self.ask('POST', 'keystone', '/v3/endpoints', {'endpoint': {
            'service_id': service, 'interface': interface, 'url': url, 'region_id': REGION}})

    # Workers behind the broker.

    def workers(self):
        """What has to be seen before the lab is up: a name, and a function that answers True when it is seen."""
        checks = {'nova': ('the compute hosts', self.hosts_are_up), 'cinder': ('the volume service', self.volumes_are_up),
                  'heat': ('the heat engine', self.engine_answers)}
        return [check for service, check in checks.items() if self.lab.has(service)]

    def hosts_are_up(self):
        # One that was forced down stays so until somebody takes it back.
        seen = self.ask('GET', 'nova', '/v2.1/os-services', X_OpenStack_Nova_API_Version='2.11')['services']
        up = {one['host'] for one in seen if one['binary'] == 'nova-compute' and (one['state'] == 'up' or one['forced_down'])}
        return set(COMPUTES) <= up or 'up are %s' % sorted(up)

    def volumes_are_up(self):
        seen = self.ask('GET', 'cinder', '/v3/%s/os-services' % self.project)['services']
        up = {one['binary'] for one in seen if one['state'] == 'up'}
        return {'cinder-volume', 'cinder-scheduler'} <= up or 'up are %s' % sorted(up)

    def engine_answers(self):
        # What is asked before the engine listens is lost, and the API waits for its answer as long as it is allowed to.
        try:
            call('GET', self.lab.url('heat', '/v1/%s/stacks?limit=1' % self.project), headers={'X-Auth-Token': self.token}, timeout=3)
            return True
        except (Refused, OSError) as error:
            return str(error)

    # What tests take for granted.

    def make_resources(self):
        if self.lab.has('nova'):
            self.make_flavours()
            self.make_images()
            self.make_networks()
        if self.lab.has('cinder'):
            self.make_volume_type('/v3/%s/types' % self.project)

    def make_volume_type(self, path):
        if not any(one['name'] == 'rows' for one in self.ask('GET', 'cinder', path)['volume_types']):
            self.ask('POST', 'cinder', path, {'volume_type': {'name': 'rows', 'extra_specs': {'volume_backend_name': 'rows'}}})

    def make_flavours(self):
        have = {one['name'] for one in self.ask('GET', 'nova', '/v2.1/flavors')['flavors']}
        for name, ram, vcpus, disk in FLAVOURS:
            if name not in have:
                self.ask('POST', 'nova', '/v2.1/flavors', {'flavor': {'name': name, 'ram': ram, 'vcpus': vcpus, 'disk': disk}})

    def make_images(self):
        for name in IMAGES:
            image = self.image(name)
            if image['status'] == 'queued':
                self.ask('PUT', 'glance', '/v2/images/%s/file' % image['id'], IMAGE, Content_Type='application/octet-stream')

    def image(self, name):
        found = self.ask('GET', 'glance', '/v2/images?name=%s' % name)['images']
        # Glance alone does not wrap what it is given.
        return found[0] if found else self.ask('POST', 'glance', '/v2/images', {
            'name': name, 'visibility': 'public', 'disk_format': 'raw', 'container_format': 'bare'})

    def make_networks(self):
        def ensure(kind, name, **fields):
            return self.ensure('neutron', '/v2.0/%ss' % kind, kind, name, **fields)['id']

        public = ensure('network', 'public', **{
            'router:external': True, 'provider:network_type': 'flat', 'provider:physical_network': 'public'})
        ensure('subnet', 'public-subnet', network_id=public, ip_version=4, cidr='203.0.113.0/24', enable_dhcp=False)
        private = ensure('network', 'private', shared=True)
        subnet = ensure('subnet', 'private-subnet', network_id=private, ip_version=4, cidr='198.18.0.0/16')
        router = ensure('router', 'router', external_gateway_info={'network_id': public})
        if not self.ask('GET', 'neutron', '/v2.0/ports?device_id=%s&network_id=%s' % (router, private))['ports']:
            self.ask('PUT', 'neutron', '/v2.0/routers/%s/add_router_interface' % router, {'subnet_id': subnet})


def write_clients(lab):
    """`clouds.yaml` with the clouds `lab-admin` and `lab-user`, and the same as `openrc` files for a shell."""
    clouds = {}
    for name, project, _ in PEOPLE:
        auth = {'auth_url': lab.auth_url, 'username': name, 'password': PASSWORD, 'project_name': project,
                'user_domain_name': 'Default', 'project_domain_name': 'Default'}
        clouds['lab-%s' % name] = {'auth': auth, 'region_name': REGION, 'identity_api_version': 3}
        variables = dict({'OS_%s' % key.upper(): value for key, value in auth.items()}, OS_REGION_NAME=REGION,
                         OS_IDENTITY_API_VERSION=3, no_proxy='127.0.0.1,localhost')
        (lab.dir / ('openrc-%s' % name)).write_text(''.join('export %s=%s\n' % pair for pair in variables.items()))
    # JSON is YAML.
    (lab.dir / 'clouds.yaml').write_text(json.dumps({'clouds': clouds}, indent=2) + '\n')
