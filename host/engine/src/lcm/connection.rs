//! Which account a request means, and where its secrets go: into a sealed account, never into a document.
//!
//! A connection that a client writes out in full reaches only where an operator has registered an account of the same origin, because an
//! account says what a connector may reach. It then gets an account of its own, with the grants of the registered one. Its secret is part of
//! what names that account: whoever writes another one, a wrong one too, means another account and changes nothing for the instances of this one.
//!
//! A change of connections is merged into those that an instance has, and what comes of it is taken as if a request had brought it whole. So what
//! an instance shows is what it is driven with.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use vimhost_model::vnf::{VimConnectionInfo, VnfInstance};
use vimhost_model::{AccountId, AccountSource, AccountState, Origin, Secret, TargetId, TargetKind};
use vimhost_store::StoredAccount;

use super::Lcm;
use super::inline::{Inline, PASSWORD};
use super::plan::template::merge;
use crate::accounts::{internal, seal_context};
use crate::{Error, removal};

/// OpenStack, in the words of SOL003.
pub(super) const VIM_TYPE: &str = "ETSINFV.OPENSTACK_KEYSTONE.V_3";

/// The attribute of a connection that says who logs in.
const ACCESS: &str = "accessInfo";

/// Attributes of `accessInfo` that are secrets.
const SECRETS: [&str; 3] = [PASSWORD, "bearer_token", "client_secret"];

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
fn strip(connections: Option<&mut BTreeMap<String, VimConnectionInfo>>) {
    for connection in connections.into_iter().flat_map(BTreeMap::values_mut) {
        if let Some(access) = &mut connection.access_info {
            SECRETS.iter().for_each(|name| drop(access.remove(*name)));
        }
    }
}

/// Takes secrets out of a request as it is kept, wherever it has a connection: attributes that nobody knows are kept too.
pub(super) fn strip_all(request: &mut Value) {
    if let Some(object) = request.as_object_mut() {
        for (name, value) in object.iter_mut() {
            if let Some(access) = value.as_object_mut().filter(|_| name == ACCESS) {
                SECRETS.iter().for_each(|name| drop(access.remove(*name)));
            }
            strip_all(value);
        }
    } else if let Some(list) = request.as_array_mut() {
        list.iter_mut().for_each(strip_all);
    }
}

/// The connections of an instance after a merge patch (RFC 7396), which makes a connection of each that it names, or removes it.
pub(super) fn merged(
    known: &BTreeMap<String, VimConnectionInfo>,
    patch: &Map<String, Value>,
) -> Result<BTreeMap<String, VimConnectionInfo>, Error> {
    let mut after = known.clone();
    for (key, change) in patch {
        if change.is_null() {
            after.remove(key);
            continue;
        }
        let wrong = |error: serde_json::Error| {
            let reason = format!("the connection '{key}' would be none: {error}");
            Error::shape("vimConnectionInfo", reason)
        };
        let before = after.get(key).map(serde_json::to_value).transpose().map_err(wrong)?;
        let mut connection = before.unwrap_or_default();
        merge(&mut connection, change);
        let connection = VimConnectionInfo::deserialize(connection).map_err(wrong)?;
        after.insert(key.clone(), connection);
    }
    Ok(after)
}

/// Whether two connections mean the same account.
fn reach_the_same(one: &VimConnectionInfo, other: &VimConnectionInfo) -> bool {
    one.vim_id == other.vim_id
        && one.vim_type == other.vim_type
        && one.interface_info == other.interface_info
        && one.access_info == other.access_info
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
            Some(connection) => self.target_of_connection(&connection, None).await,
            None => self.default_target().await,
        }
    }

    /// `own`: the account of the instance, which does where none is registered any more.
    async fn target_of_connection(
        &self,
        connection: &VimConnectionInfo,
        own: Option<StoredAccount>,
    ) -> Result<TargetId, Error> {
        if let Some(inline) = Inline::of(connection)? {
            if !self.serves_stacks(&connection.vim_type) {
                return Err(Error::Unprocessable {
                    reason: format!("no connector makes stacks for the vimType '{}'", connection.vim_type),
                });
            }
            return self.target_of_inline(inline, own).await;
        }
        let Some(vim_id) = &connection.vim_id else {
            return self.default_target().await;
        };
        let account = vim_id.parse::<AccountId>();
        let target = TargetId::vim(account.map_err(|error| Error::shape("vimConnectionInfo", error.to_string()))?);
        let stored = self.parts.store.account(&target).await;
        let stored = stored.map_err(|error| Error::of_store("reading an account", error))?;
        let stored = stored.ok_or_else(|| Error::not_found("VIM", vim_id))?;
        if stored.removing {
            return Err(removal::in_the_way(&target));
        }
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

    /// The account of a connection that is written out.
    async fn target_of_inline(&self, inline: Inline, own: Option<StoredAccount>) -> Result<TargetId, Error> {
        let is_there =
            |account: &StoredAccount| Origin::of_url(&account.url).is_ok_and(|origin| origin == inline.origin);
        let mut registered = self.accounts_with_stacks().await?;
        registered.retain(is_there);
        let of_user = registered.iter().position(|account| inline.is_user_of(account));
        // Who leaves the password out means what is registered, with the trust that it has.
        if let Some(same) = of_user.and_then(|at| registered.get(at))
            && self.has_password(same, inline.password.as_ref())
            && (inline.password.is_none() || inline.trusts_as(same))
        {
            return Ok(same.target.clone());
        }
        // Another password than the registered one is not that account's: with one of its own the cloud says whether it is right.
        let base = registered.into_iter().nth(of_user.unwrap_or_default());
        let base = base.or(own.filter(is_there));
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

    /// The password of an account, where it has one that can be opened.
    fn password_of(&self, account: &StoredAccount) -> Option<Secret> {
        let sealed = account.credentials.get(PASSWORD)?;
        let opened = self.parts.keys.open(sealed, &seal_context(&account.target, PASSWORD));
        opened.ok()
    }

    /// Whether the password of a connection is an account's, or it brings none.
    fn has_password(&self, account: &StoredAccount, password: Option<&Secret>) -> bool {
        let Some(password) = password else { return true };
        self.password_of(account).is_some_and(|known| known == *password)
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
            removing: false,
            created_at: now,
            modified_at: now,
            revision: 0,
        });
        // It is needed again.
        account.removing = false;
        // What an operator has changed at the registered account counts here too.
        account.grants = base.grants.clone();
        (account.ca_certificates, account.insecure_tls) = inline.trust_beside(base);
        if let Some(password) = &inline.password
            && !self.has_password(&account, Some(password))
        {
            let sealed = self.parts.keys.seal(password, &seal_context(target, PASSWORD));
            let sealed = sealed.map_err(|error| internal("sealing a credential", error))?;
            account.credentials.insert(PASSWORD.to_owned(), sealed);
        }
        Ok(account)
    }

    /// Takes the secrets out of a merge patch of an instance's connections. Answers the account that the first one means afterwards, if that
    /// is another one than the instance has: only this instance goes there.
    pub(super) async fn moved_by(
        &self,
        instance: &VnfInstance,
        patch: &mut Map<String, Value>,
    ) -> Result<Option<TargetId>, Error> {
        let own = match &instance.own.target {
            Some(target) => self.read_account(target).await?,
            None => None,
        };
        let mut known = instance.vim_connection_info.clone();
        // A password is part of the connection, although only its account has it. That of an account that an operator has registered is not:
        // whoever left it out has no say in where else it is shown.
        let first = known.values_mut().next();
        if let Some(access) = first.and_then(|first| first.access_info.as_mut())
            && let Some(password) = own
                .as_ref()
                .filter(|own| is_made(own))
                .and_then(|own| self.password_of(own))
        {
            access.insert(PASSWORD.to_owned(), Value::from(password.expose()));
        }
        let after = merged(&known, patch);
        patch.values_mut().for_each(strip_all);
        let after = after?;
        // Where an instance is, its first connection says; one that says nothing leaves it where it is.
        let Some((key, first)) = after.iter().next() else {
            return Ok(None);
        };
        let is_same = match known.iter().next() {
            Some((known, before)) => known == key && reach_the_same(before, first),
            None => false,
        };
        if is_same || (first.vim_id.is_none() && Inline::of(first)?.is_none()) {
            return Ok(None);
        }
        let Some(target) = &instance.own.target else {
            return Ok(None);
        };
        let meant = self.target_of_connection(first, own).await?;
        Ok((meant != *target).then_some(meant))
    }

    /// The account that an operation is done with which brings connections to an instance: they are merged into those that it has, and their
    /// secrets are out of the request afterwards.
    pub(super) async fn target_with(
        &self,
        instance: &VnfInstance,
        connections: Option<&mut BTreeMap<String, VimConnectionInfo>>,
    ) -> Result<Option<TargetId>, Error> {
        let Some(connections) = connections else {
            return Ok(instance.own.target.clone());
        };
        let patch = connections
            .iter()
            .map(|(key, connection)| serde_json::to_value(connection).map(|value| (key.clone(), value)));
        let patch: Result<Map<String, Value>, serde_json::Error> = patch.collect();
        let mut patch = patch.map_err(|error| internal("reading the connections of a request", error))?;
        strip(Some(connections));
        let moved = self.moved_by(instance, &mut patch).await?;
        Ok(moved.or_else(|| instance.own.target.clone()))
    }
}

/// It was made of a connection that a client wrote out.
fn is_made(account: &StoredAccount) -> bool {
    let digits = account.target.account.as_str().strip_prefix(MADE);
    digits.is_some_and(|digits| digits.len() == MADE_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
