//! Which account a request means, and where its secrets go: into a sealed account, never into a document.
//!
//! A connection that a client writes out in full reaches only where an operator has registered an account of the same origin, because an
//! account says what a connector may reach. It then gets an account of its own, with the grants of the registered one. Its secret is part of
//! what names that account: whoever writes another one, a wrong one too, means another account and changes nothing for the instances of this one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use vimhost_model::vnf::{VimConnectionInfo, VnfInstance};
use vimhost_model::{AccountId, AccountSource, AccountState, Origin, Secret, TargetId, TargetKind};
use vimhost_store::StoredAccount;

use super::Lcm;
use crate::Error;
use crate::accounts::{internal, seal_context};

/// OpenStack, in the words of SOL003.
pub(super) const VIM_TYPE: &str = "ETSINFV.OPENSTACK_KEYSTONE.V_3";

/// Attributes of `accessInfo` that are secrets.
const SECRETS: [&str; 3] = ["password", "bearer_token", "client_secret"];

/// The credential slot of a password.
const PASSWORD: &str = "password";

/// Settings of a connector of OpenStack by the attributes of `accessInfo` that they are made of, each with the one that says the same by id.
const SETTINGS: [(&str, &str, Option<&str>); 3] = [
    ("region", "region_name", None),
    ("projectDomain", "project_domain_name", Some("project_domain_id")),
    ("userDomain", "user_domain_name", Some("user_domain_id")),
];

/// Settings of a registered account that say who logs in: of no use to another user.
const OF_THE_USER: [&str; 2] = ["application_credential_id", "application_credential_name"];

/// The domain where none is named.
const DEFAULT_DOMAIN: &str = "default";

/// Accounts that were made of connections are called this and so many hexadecimal digits.
const MADE: &str = "vnf-";
const MADE_DIGITS: usize = 16;

/// How often an account is written that somebody else changes at the same time.
const TRIES: usize = 10;

/// Accounts of the same name that may have another secret, because somebody has changed it there since.
const NAMESAKES: u32 = 4;

/// Accounts that are read at once.
const PAGE: usize = 200;

/// Takes secrets out of connections.
pub(super) fn strip(connections: Option<&mut BTreeMap<String, VimConnectionInfo>>) {
    for connection in connections.into_iter().flat_map(BTreeMap::values_mut) {
        if let Some(access) = &mut connection.access_info {
            SECRETS.iter().for_each(|name| drop(access.remove(*name)));
        }
    }
}

/// A connection that is written out in full.
struct Inline {
    origin: Origin,
    endpoint: String,
    user: String,
    project: String,
    /// Settings by the connector's names.
    config: Map<String, Value>,
    password: Option<Secret>,
}

impl Inline {
    /// None: it only names an account.
    fn of(connection: &VimConnectionInfo) -> Result<Option<Self>, Error> {
        let (Some(interface), Some(access)) = (&connection.interface_info, &connection.access_info) else {
            return Ok(None);
        };
        let text =
            |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let missing = |name: &str| Error::shape("vimConnectionInfo", format!("a connection has no {name}"));
        let endpoint = text(interface, "endpoint").ok_or_else(|| missing("interfaceInfo.endpoint"))?;
        let origin = Origin::of_url(&endpoint)
            .map_err(|error| Error::shape("vimConnectionInfo", format!("interfaceInfo.endpoint: {error}")))?;
        let mut config = Map::new();
        for (name, setting, _) in SETTINGS {
            if let Some(value) = text(access, name) {
                config.insert(setting.to_owned(), Value::from(value));
            }
        }
        Ok(Some(Self {
            origin,
            user: text(access, "username").ok_or_else(|| missing("accessInfo.username"))?,
            project: text(access, "project").ok_or_else(|| missing("accessInfo.project"))?,
            config,
            password: text(access, PASSWORD).map(Secret::new),
            endpoint,
        }))
    }

    /// Whether an account is of the same user in the same project and region. What is not said is the cloud's default.
    fn is_user_of(&self, account: &StoredAccount) -> bool {
        let text = |config: &Map<String, Value>, name: &str| {
            let value = config.get(name).and_then(Value::as_str);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let is_same = |(_, name, by_id): (&str, &str, Option<&str>)| {
            let Some(wanted) = text(&self.config, name) else {
                return true;
            };
            match (
                text(&account.config, name),
                by_id.and_then(|id| text(&account.config, id)),
            ) {
                (Some(named), None) => named == wanted,
                // The default domain has the same name and id but for the case of its first letter.
                (None, domain) if by_id.is_some() => {
                    let domain = domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
                    domain == DEFAULT_DOMAIN && wanted.eq_ignore_ascii_case(DEFAULT_DOMAIN)
                }
                // Said twice, or a region where the account takes the catalogue's first: nobody knows.
                (Some(_) | None, _) => false,
            }
        };
        account.user.as_deref() == Some(&self.user)
            && account.tenant.as_deref() == Some(&self.project)
            && SETTINGS.into_iter().all(is_same)
    }

    /// The settings of an account of its own beside another one.
    fn settings_beside(&self, base: &StoredAccount) -> Map<String, Value> {
        let mut config = base.config.clone();
        for name in OF_THE_USER {
            config.remove(name);
        }
        for (_, name, by_id) in SETTINGS {
            if let Some(by_id) = by_id.filter(|_| self.config.contains_key(name)) {
                config.remove(by_id);
            }
        }
        config.extend(self.config.clone());
        config
    }

    /// Who logs in where, without the secret: a digest.
    fn who(&self) -> String {
        let mut digest = Sha256::new();
        let setting = |name: &str| self.config.get(name).and_then(Value::as_str).unwrap_or_default();
        for part in [
            self.endpoint.as_str(),
            &self.user,
            &self.project,
            setting("user_domain_name"),
            setting("project_domain_name"),
            setting("region_name"),
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The account of this name that was made of a connection.
fn made_account(name: &str) -> Result<TargetId, Error> {
    let id = format!("{MADE}{name}").parse::<AccountId>();
    id.map(TargetId::vim)
        .map_err(|error| internal("naming an account", error))
}

impl Lcm {
    /// The account that an instantiation means. Only the first connection counts. Secrets are out of the request afterwards.
    pub(super) async fn target_of(
        &self,
        mut connections: Option<&mut BTreeMap<String, VimConnectionInfo>>,
    ) -> Result<TargetId, Error> {
        let first = connections
            .as_ref()
            .and_then(|connections| connections.values().next().cloned());
        strip(connections.take());
        match first {
            Some(connection) => self.target_of_connection(&connection).await,
            None => self.default_target().await,
        }
    }

    async fn target_of_connection(&self, connection: &VimConnectionInfo) -> Result<TargetId, Error> {
        if let Some(inline) = Inline::of(connection)? {
            if !self.serves_stacks(&connection.vim_type) {
                return Err(Error::Unprocessable {
                    reason: format!("no connector makes stacks for the vimType '{}'", connection.vim_type),
                });
            }
            return self.target_of_inline(inline, None).await;
        }
        let Some(vim_id) = &connection.vim_id else {
            return self.default_target().await;
        };
        let account = vim_id.parse::<AccountId>();
        let target = TargetId::vim(account.map_err(|error| Error::shape("vimConnectionInfo", error.to_string()))?);
        let stored = self.parts.store.account(&target).await;
        let stored = stored.map_err(|error| Error::of_store("reading an account", error))?;
        let stored = stored.ok_or_else(|| Error::not_found("VIM", vim_id))?;
        if !self.has_stacks(&stored) {
            return Err(Error::Unprocessable {
                reason: format!("the connector of VIM '{vim_id}' ({}) makes no stacks", stored.vim_type),
            });
        }
        Ok(target)
    }

    async fn default_target(&self) -> Result<TargetId, Error> {
        if let Some(account) = &self.config.default_vim {
            let target = TargetId::vim(account.clone());
            let stored = self.parts.store.account(&target).await;
            let stored = stored.map_err(|error| Error::of_store("reading an account", error))?;
            if stored.is_some_and(|stored| self.has_stacks(&stored)) {
                return Ok(target);
            }
            return Err(Error::Unprocessable {
                reason: format!("the default VIM '{account}' is not registered, or its connector makes no stacks"),
            });
        }
        let mut with_stacks = self.accounts_with_stacks().await?.into_iter();
        match (with_stacks.next(), with_stacks.next()) {
            (Some(only), None) => Ok(only.target),
            (None, _) => Err(Error::Unprocessable {
                reason: "no account has a connector that makes stacks; add one with `vimhost vim add`".to_owned(),
            }),
            (Some(_), Some(_)) => Err(Error::Unprocessable {
                reason: "several accounts make stacks and the request names none: it does so by a 'vimId' in 'vimConnectionInfo'; the \
                         setting vnf-lcm-default-vim is for those that do not"
                    .to_owned(),
            }),
        }
    }

    fn has_stacks(&self, account: &StoredAccount) -> bool {
        self.serves_stacks(&account.vim_type)
    }

    fn serves_stacks(&self, vim_type: &str) -> bool {
        self.parts.connectors.plugins().iter().any(|plugin| {
            let serves = plugin.descriptor.as_ref().is_some_and(|descriptor| {
                let mut served = descriptor.vim_types.iter();
                served.any(|served| served == vim_type)
            });
            serves && plugin.capabilities.stacks
        })
    }

    async fn accounts_with_stacks(&self) -> Result<Vec<StoredAccount>, Error> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.parts.store.accounts(after.as_deref(), PAGE).await;
            let page = page.map_err(|error| Error::of_store("listing accounts", error))?;
            let fitting = page
                .entries
                .into_iter()
                .filter(|account| account.target.kind == TargetKind::Vim && self.has_stacks(account));
            // Those that were made of requests stand behind a registered one.
            found.extend(fitting.filter(|account| !is_made(account)));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The account of a connection. `own`: the one of its instance, which does where none is registered any more.
    async fn target_of_inline(&self, inline: Inline, own: Option<StoredAccount>) -> Result<TargetId, Error> {
        let mut registered = self.accounts_with_stacks().await?;
        registered.retain(|account| Origin::of_url(&account.url).is_ok_and(|origin| origin == inline.origin));
        let of_user = registered.iter().position(|account| inline.is_user_of(account));
        if let Some(same) = of_user.and_then(|at| registered.get(at))
            && self.has_password(same, inline.password.as_ref())
        {
            return Ok(same.target.clone());
        }
        // Another password than the registered one is not that account's: with one of its own the cloud says whether it is right.
        let base = registered.into_iter().nth(of_user.unwrap_or_default()).or(own);
        let Some(base) = base else {
            return Err(Error::Unprocessable {
                reason: format!(
                    "no account with stacks is registered for {}; add one with `vimhost vim add` and let it reach what it needs \
                     with `vimhost vim allow`",
                    inline.origin
                ),
            });
        };
        self.keep_account(&inline, &base).await
    }

    /// Whether the password of a connection is an account's, or it brings none.
    fn has_password(&self, account: &StoredAccount, password: Option<&Secret>) -> bool {
        let Some(password) = password else { return true };
        let sealed = account.credentials.get(PASSWORD);
        sealed.is_some_and(|sealed| {
            let opened = self.parts.keys.open(sealed, &seal_context(&account.target, PASSWORD));
            opened.is_ok_and(|opened| opened == *password)
        })
    }

    /// Whether an account that was made of a connection is that of another one: its secret too is the same.
    fn is_of(&self, account: &StoredAccount, inline: &Inline) -> bool {
        match &inline.password {
            Some(password) => self.has_password(account, Some(password)),
            None => !account.credentials.contains_key(PASSWORD),
        }
    }

    async fn read_account(&self, target: &TargetId) -> Result<Option<StoredAccount>, Error> {
        let account = self.parts.store.account(target).await;
        account.map_err(|error| Error::of_store("reading an account", error))
    }

    /// The account that was made of a connection, or where it is to be made.
    async fn place_of(&self, inline: &Inline) -> Result<(TargetId, Option<StoredAccount>), Error> {
        let who = inline.who();
        // Accounts were named without their secrets once, and instances are driven with them.
        let unkeyed = made_account(who.get(..MADE_DIGITS).unwrap_or(&who))?;
        let known = self.read_account(&unkeyed).await?;
        if let Some(known) = known.filter(|known| self.is_of(known, inline)) {
            return Ok((unkeyed, Some(known)));
        }
        let nothing = Secret::new("");
        let secret = inline.password.as_ref().unwrap_or(&nothing);
        for namesake in 0..NAMESAKES {
            let mut free = None;
            let names = self.parts.keys.names_of(secret, &format!("{who}:{namesake}"));
            for (at, name) in names.iter().enumerate() {
                let target = made_account(name)?;
                match self.read_account(&target).await? {
                    Some(known) if self.is_of(&known, inline) => return Ok((target, Some(known))),
                    // Its secret was changed there: it is another one's, and stays as it is.
                    Some(_) => {}
                    // Those of older keys are found, and made no more.
                    None if at == 0 => free = Some(target),
                    None => {}
                }
            }
            if let Some(free) = free {
                return Ok((free, None));
            }
        }
        Err(Error::Conflict {
            reason: format!(
                "the accounts that were made of the connection of user '{}' have other passwords by now; remove those that no VNF instance uses",
                inline.user
            ),
        })
    }

    /// Makes the account of a connection, or renews what it has of a registered one.
    async fn keep_account(&self, inline: &Inline, base: &StoredAccount) -> Result<TargetId, Error> {
        for _ in 0..TRIES {
            let (target, known) = self.place_of(inline).await?;
            let mut account = self.account_of(&target, inline, base, known.as_ref())?;
            if known.as_ref() == Some(&account) {
                return Ok(target);
            }
            account.modified_at = self.parts.clock.now();
            let expected = known.map(|known| known.revision);
            match self.parts.store.put_account(account, expected).await {
                Ok(_) => {
                    self.parts.connectors.close(&target).await;
                    self.parts.schedule.account_changed(&target);
                    return Ok(target);
                }
                // Somebody made or changed it at the same time: what was asked for here counts on top of that.
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("keeping an account", error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!(
                "the account of user '{}' is being changed by others; try again",
                inline.user
            ),
        })
    }

    /// The account of a connection as it is to be.
    fn account_of(
        &self,
        target: &TargetId,
        inline: &Inline,
        base: &StoredAccount,
        known: Option<&StoredAccount>,
    ) -> Result<StoredAccount, Error> {
        let now = self.parts.clock.now();
        let mut account = known.cloned().unwrap_or_else(|| StoredAccount {
            target: target.clone(),
            name: target.account.to_string(),
            description: format!(
                "made of a connection of a VNF instance, beside account '{}'",
                base.target.account
            ),
            vim_type: base.vim_type.clone(),
            url: inline.endpoint.clone(),
            user: Some(inline.user.clone()),
            tenant: Some(inline.project.clone()),
            config: inline.settings_beside(base),
            credentials: BTreeMap::new(),
            ca_certificates: None,
            insecure_tls: false,
            grants: base.grants.clone(),
            source: AccountSource::Own,
            state: AccountState::Processing,
            warnings: Vec::new(),
            created_at: now,
            modified_at: now,
            revision: 0,
        });
        // What an operator has changed at the registered account counts here too.
        account.grants = base.grants.clone();
        account.ca_certificates.clone_from(&base.ca_certificates);
        account.insecure_tls = base.insecure_tls;
        if let Some(password) = &inline.password
            && !self.has_password(&account, Some(password))
        {
            let sealed = self.parts.keys.seal(password, &seal_context(target, PASSWORD));
            let sealed = sealed.map_err(|error| internal("sealing a credential", error))?;
            account.credentials.insert(PASSWORD.to_owned(), sealed);
        }
        Ok(account)
    }

    /// Takes the secrets out of a change of an instance's connections. Answers the account that the instance has with its new password, if
    /// that is another one: only this instance goes there.
    pub(super) async fn take_over_secrets(
        &self,
        instance: &VnfInstance,
        connections: &mut Map<String, Value>,
    ) -> Result<Option<TargetId>, Error> {
        // Where an instance is, its first connection says.
        let first = instance.vim_connection_info.iter().next();
        let mut password = None;
        for (key, connection) in connections.iter_mut() {
            let access = connection.get_mut("accessInfo").and_then(Value::as_object_mut);
            let Some(access) = access else { continue };
            for name in SECRETS {
                let secret = access.remove(name);
                if name == PASSWORD && first.is_some_and(|(first, _)| first == key) {
                    password = secret.as_ref().and_then(Value::as_str).map(Secret::new);
                }
            }
        }
        let (Some(password), Some((_, connection)), Some(target)) = (password, first, &instance.own.target) else {
            return Ok(None);
        };
        // One that names an account has that one's password.
        let Some(inline) = Inline::of(connection)? else {
            return Ok(None);
        };
        let own = self.read_account(target).await?;
        let renewed = Inline {
            password: Some(password),
            ..inline
        };
        let renewed = self.target_of_inline(renewed, own).await?;
        Ok((renewed != *target).then_some(renewed))
    }
}

/// It was made of a connection that a client wrote out.
fn is_made(account: &StoredAccount) -> bool {
    let digits = account.target.account.as_str().strip_prefix(MADE);
    digits.is_some_and(|digits| digits.len() == MADE_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Instances are driven with accounts that were named so.
    #[test]
    fn who_logs_in_where_is_told_by_the_digest_that_named_accounts_before() {
        let connection = json!({
            "vimType": VIM_TYPE,
            "interfaceInfo": {"endpoint": "http://cloud.example:5000/v3"},
            "accessInfo": {"username": "u", "password": "canary", "project": "p", "userDomain": "Default", "region": "r"},
        });
        let mut connection: VimConnectionInfo = serde_json::from_value(connection).unwrap();
        let who = Inline::of(&connection).unwrap().unwrap().who();
        assert!(who.starts_with("76182d0a9cdaed22"), "{who}");
        connection.access_info.as_mut().unwrap().remove(PASSWORD);
        assert_eq!(Inline::of(&connection).unwrap().unwrap().who(), who);
    }
}
