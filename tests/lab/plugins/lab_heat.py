"""Two places where Debian 12's heat does not go with the security fixes of libraries beside it.

A notification's context comes without credentials since oslo.messaging removes them; heat wants to log in with what is not there, and
the signal to a scaling policy fails. And keystone answers requests about EC2 credentials only to services since its own fix; heat's
CloudFormation interface asks as nobody, and no signed URL (`alarm_url`, `CFN_SIGNAL`) works.
"""

import functools

from heat.api.aws import ec2token
from heat.common import context
from keystoneauth1 import loading, session
from oslo_config import cfg


def only_with_credentials(load):
    @functools.wraps(load)
    def loaded(self):
        if any((self.auth_token, self.password, self.trust_id)):
            load(self)
        else:
            self._keystone_loaded = True
    return loaded


class AsService:
    """In place of the module `requests`, of which only `post` is used."""

    @functools.cached_property
    def _session(self):
        return session.Session(auth=loading.load_auth_from_conf_options(cfg.CONF, 'keystone_authtoken'))

    def post(self, url, **options):
        # Called with `requests`' options; the session knows TLS from heat's configuration, not from these.
        options = {name: value for name, value in options.items() if name in ('data', 'headers')}
        return self._session.post(url, raise_exc=False, **options)


context.StoredContext._load_keystone_data = only_with_credentials(context.StoredContext._load_keystone_data)
ec2token.requests = AsService()
