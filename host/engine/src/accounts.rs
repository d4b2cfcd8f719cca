//! VIM accounts: adding, checking, granting. Secrets are sealed on the way in and opened only for the connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vimhost_connector::{CheckReport, Connector, ErrorKind, LoadError, PluginInfo};
use vimhost_model::{AccountSource, AccountState, Grants, Revision, Secret, TargetId, TargetKind, VimAccount};
use vimhost_store::{StoredAccount, seal::KeyRing};

use crate::{Engine, Error, settings};

/// An account to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its id; made when absent.
    #[serde(default)]
    pub id: Option<vimhost_model::AccountId>,
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Chooses the plugin.
    pub vim_type: String,
    /// URL.
    pub url: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Project or tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Settings of the connector.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Secrets by credential slot.
    #[serde(default)]
    pub credentials: BTreeMap<String, Secret>,
    /// PEM of certificate authorities.
    #[serde(default)]
    pub ca_certificates: Option<String>,
    /// TLS certificates are not verified.
    #[serde(default)]
    pub insecure_tls: bool,
    /// What the connector may reach.
    #[serde(default)]
    pub grants: Grants,
}

/// A change to an account; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountEdit {
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// URL.
    #[serde(default)]
    pub url: Option<String>,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Project or tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Settings of the connector.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// Secrets to replace, by credential slot.
    #[serde(default)]
    pub credentials: BTreeMap<String, Secret>,
    /// What the connector may reach.
    #[serde(default)]
    pub grants: Option<Grants>,
    /// Approve the credential and egress rules of the plugin as it is loaded.
    #[serde(default)]
    pub approve_rules: bool,
    /// Have it lead elsewhere although something is on it: for a cloud that has moved with all that is there. What is not at the new place
    /// counts as deleted.
    #[serde(default)]
    pub force: bool,
}

/// An account as it is shown: no secret, only which ones there are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountView {
    /// Its id.
    pub id: vimhost_model::AccountId,
    /// `vim:<id>`, as requests name it.
    pub target: TargetId,
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Plugin type.
    pub vim_type: String,
    /// URL.
    pub url: String,
    /// User name.
    pub user: Option<String>,
    /// Project or tenant.
    pub tenant: Option<String>,
    /// Settings.
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Names of the credentials that are kept.
    pub credentials: Vec<String>,
    /// TLS certificates are not verified.
    pub insecure_tls: bool,
    /// Grants.
    pub grants: Grants,
    /// Who keeps it. Of an account that OSM keeps only the grants are changed here; anything else is put back to what OSM says.
    pub source: AccountSource,
    /// How the last check ended.
    #[serde(flatten)]
    pub state: AccountState,
    /// What that check found worth mending although the account works.
    pub warnings: Vec<String>,
    /// Revision, for `If-Match`.
    pub revision: Revision,
}

impl From<StoredAccount> for AccountView {
    fn from(account: StoredAccount) -> Self {
        Self {
            id: account.target.account.clone(),
            target: account.target,
            name: account.name,
            description: account.description,
            vim_type: account.vim_type,
            url: account.url,
            user: account.user,
            tenant: account.tenant,
            config: account.config,
            credentials: account.credentials.into_keys().collect(),
            insecure_tls: account.insecure_tls,
            grants: account.grants,
            source: account.source,
            state: account.state,
            warnings: account.warnings,
            revision: account.revision,
        }
    }
}

/// What a sealed credential is bound to: it cannot be opened as another account's or another slot's.
pub(crate) fn seal_context(target: &TargetId, slot: &str) -> String {
    format!("account:{target}:{slot}")
}

impl Engine {
    /// Adds an account. It is usable at once; [`Engine::check_account`] says whether it works.
    ///
    /// # Errors
    /// When the id is taken, or no usable plugin serves the type.
    pub async fn add_account(&self, new: NewAccount) -> Result<AccountView, Error> {
        self.add_account_of(TargetKind::Vim, new).await
    }

    /// Adds an account of a VIM, a WIM or an SDN controller; see [`Engine::add_account`].
    ///
    /// # Errors
    /// When the id is taken among accounts of the kind, or no usable plugin serves the type.
    pub async fn add_account_of(&self, kind: TargetKind, new: NewAccount) -> Result<AccountView, Error> {
        let target = TargetId {
            kind,
            account: new.id.unwrap_or_else(vimhost_model::AccountId::random),
        };
        if new.name.is_empty() || new.name.len() > 255 {
            return Err(Error::shape("name", "is not a text of 1 to 255 characters"));
        }
        self.check_settings(&new.vim_type, &new.config)?;
        let mut grants = new.grants;
        if grants.approved_rules.is_none() {
            grants.approved_rules = self.rules_digest(&new.vim_type);
        }
        let mut credentials = BTreeMap::new();
        for (slot, secret) in &new.credentials {
            let sealed = self
                .keys
                .seal(secret, &seal_context(&target, slot))
                .map_err(|error| internal("sealing a credential", error))?;
            credentials.insert(slot.clone(), sealed);
        }
        let now = self.clock.now();
        let account = StoredAccount {
            target: target.clone(),
            name: new.name,
            description: new.description,
            vim_type: new.vim_type,
            url: new.url,
            user: new.user,
            tenant: new.tenant,
            config: new.config,
            credentials,
            ca_certificates: new.ca_certificates,
            insecure_tls: new.insecure_tls,
            grants,
            source: AccountSource::Own,
            state: AccountState::Processing,
            warnings: Vec::new(),
            removing: false,
            created_at: now,
            modified_at: now,
            revision: 0,
        };
        // Opening it tells at once whether a plugin serves it and whether the account fits; nothing is contacted.
        let opened = open(&account, &self.keys)?;
        self.connectors.open(&opened).await.map_err(|error| Error::BadRequest {
            reason: error.to_string(),
        })?;
        match self.store.put_account(account, None).await {
            Ok(_) => self.account(&target).await,
            Err(vimhost_store::Error::Conflict { .. }) => Err(Error::Conflict {
                reason: format!("account '{}' exists", target.account),
            }),
            Err(error) => Err(Error::of_store("adding an account", error)),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// When there is none.
    pub async fn account(&self, target: &TargetId) -> Result<AccountView, Error> {
        self.stored_account(target).await.map(AccountView::from)
    }

    /// Accounts, a page at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<vimhost_store::Page<AccountView>, Error> {
        let page = self
            .store
            .accounts(after, limit)
            .await
            .map_err(|error| Error::of_store("listing accounts", error))?;
        Ok(vimhost_store::Page {
            entries: page.entries.into_iter().map(AccountView::from).collect(),
            next: page.next,
        })
    }

    /// Accounts of a kind, a page at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts_of_kind(
        &self,
        kind: TargetKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<vimhost_store::Page<AccountView>, Error> {
        let (mut entries, mut next) = (Vec::new(), after.map(str::to_owned));
        loop {
            let page = self
                .accounts(next.as_deref(), limit.saturating_sub(entries.len()))
                .await?;
            entries.extend(page.entries.into_iter().filter(|account| account.target.kind == kind));
            next = page.next;
            if next.is_none() || entries.len() >= limit {
                return Ok(vimhost_store::Page { entries, next });
            }
        }
    }

    /// Changes an account. Refused, unless it is forced, when it would lead elsewhere while elements on it are known, since nobody could
    /// delete them any more. `expected` is the revision the client saw, none for any.
    ///
    /// # Errors
    /// When there is none, it was changed meanwhile, or it is in use where it leads now.
    pub async fn edit_account(
        &self,
        target: &TargetId,
        edit: AccountEdit,
        expected: Option<Revision>,
    ) -> Result<AccountView, Error> {
        let before = self.stored_account(target).await?;
        let mut account = before.clone();
        let revision = expected.unwrap_or(account.revision);
        for (field, value) in [
            (&mut account.name, edit.name),
            (&mut account.description, edit.description),
            (&mut account.url, edit.url),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        account.user = edit.user.or(account.user);
        account.tenant = edit.tenant.or(account.tenant);
        if let Some(config) = edit.config {
            self.check_settings(&account.vim_type, &config)?;
            account.config = config;
        }
        if let Some(grants) = edit.grants {
            let approved = account.grants.approved_rules.take();
            account.grants = grants;
            account.grants.approved_rules = account.grants.approved_rules.take().or(approved);
        }
        if edit.approve_rules {
            account.grants.approved_rules = self.rules_digest(&account.vim_type);
        }
        for (slot, secret) in &edit.credentials {
            let sealed = self
                .keys
                .seal(secret, &seal_context(target, slot))
                .map_err(|error| internal("sealing a credential", error))?;
            account.credentials.insert(slot.clone(), sealed);
        }
        if !edit.force
            && let Some(reason) = self.refuses_to_move(&before, &account).await?
        {
            return Err(Error::Conflict { reason });
        }
        // Whoever edits it means to keep it.
        account.removing = false;
        account.modified_at = self.clock.now();
        self.store
            .put_account(account, Some(revision))
            .await
            .map_err(|error| Error::of_store("changing an account", error))?;
        self.forget_connector(target).await;
        self.account(target).await
    }

    /// Tries an account: settings, plugin, network, login. The result is kept with the account.
    ///
    /// # Errors
    /// [`Error::Account`] when what the account says cannot be used, or no plugin serves it (NG-RO D11); [`Error::Vim`] with what the VIM or
    /// the plugin said.
    pub async fn check_account(&self, target: &TargetId) -> Result<CheckReport, Error> {
        let mut account = self.stored_account(target).await?;
        let result = self.try_out(&account).await;
        let (state, warnings) = match &result {
            Ok(report) => (AccountState::Enabled, report.warnings.clone()),
            Err(Error::Account { reason } | Error::Vim { reason }) => (AccountState::Error(reason.clone()), Vec::new()),
            // A fault of the host says nothing about the account.
            Err(_) => return result,
        };
        if account.state != state || account.warnings != warnings {
            account.state = state;
            account.warnings = warnings;
            account.modified_at = self.clock.now();
            let revision = account.revision;
            match self.store.put_account(account, Some(revision)).await {
                // Somebody edited or removed it meanwhile: the result speaks of the old one and is not kept.
                Ok(_) | Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("keeping the result of a check", error)),
            }
        }
        result
    }

    async fn try_out(&self, account: &StoredAccount) -> Result<CheckReport, Error> {
        match self.check_settings(&account.vim_type, &account.config) {
            Ok(()) => {}
            Err(Error::Shape { path, reason }) => {
                return Err(Error::Account {
                    reason: format!("{path}: {reason}"),
                });
            }
            Err(error) => return Err(error),
        }
        let connector = self.connector(account).await?;
        connector.check().await.map_err(|error| {
            let reason = error.message;
            match error.kind {
                ErrorKind::BadRequest | ErrorKind::NotGranted => Error::Account { reason },
                ErrorKind::Unreachable
                | ErrorKind::Auth
                | ErrorKind::NotFound
                | ErrorKind::Conflict
                | ErrorKind::Quota
                | ErrorKind::RateLimited
                | ErrorKind::Unsupported
                | ErrorKind::Timeout
                | ErrorKind::Internal
                | ErrorKind::Other
                | ErrorKind::Plugin => Error::Vim { reason },
            }
        })
    }

    /// The connector of an account.
    pub(crate) async fn connector(&self, account: &StoredAccount) -> Result<Arc<dyn Connector>, Error> {
        let account = open(account, &self.keys)?;
        self.connectors.open(&account).await.map_err(|error| match error {
            LoadError::NoPlugin { .. } | LoadError::Account { .. } => Error::Account {
                reason: error.to_string(),
            },
            LoadError::Unusable { .. } => Error::Vim {
                reason: error.to_string(),
            },
        })
    }

    pub(crate) async fn stored_account(&self, target: &TargetId) -> Result<StoredAccount, Error> {
        self.store
            .account(target)
            .await
            .map_err(|error| Error::of_store("reading an account", error))?
            .ok_or_else(|| Error::not_found("account", &target.account))
    }

    pub(crate) fn rules_digest(&self, vim_type: &str) -> Option<String> {
        self.plugin_for(vim_type).and_then(|plugin| plugin.rules_digest)
    }

    pub(crate) fn plugin_for(&self, vim_type: &str) -> Option<PluginInfo> {
        self.connectors.plugins().into_iter().find(|plugin| {
            plugin
                .descriptor
                .as_ref()
                .is_some_and(|d| d.vim_types.iter().any(|served| served == vim_type))
        })
    }

    /// Checks settings against what the plugin of a type declares. Without a plugin there is nothing to check against.
    fn check_settings(&self, vim_type: &str, config: &Map<String, Value>) -> Result<(), Error> {
        match self.plugin_for(vim_type).and_then(|plugin| plugin.descriptor) {
            Some(descriptor) => settings::check(&descriptor.name, &descriptor.config_schema, config),
            None => Ok(()),
        }
    }

    pub(crate) async fn forget_connector(&self, target: &TargetId) {
        self.connectors.close(target).await;
        self.schedule.account_changed(target);
    }
}

/// Whether the keys open every secret of an account.
///
/// # Errors
/// The first that they do not open.
pub fn check_secrets(account: &StoredAccount, keys: &KeyRing) -> Result<(), vimhost_store::seal::SealError> {
    for (slot, sealed) in &account.credentials {
        keys.open(sealed, &seal_context(&account.target, slot))?;
    }
    Ok(())
}

/// An account with its secrets opened.
pub(crate) fn open(account: &StoredAccount, keys: &KeyRing) -> Result<VimAccount, Error> {
    let mut credentials = BTreeMap::new();
    for (slot, sealed) in &account.credentials {
        let secret = keys
            .open(sealed, &seal_context(&account.target, slot))
            .map_err(|error| internal("opening a sealed credential", error))?;
        credentials.insert(slot.clone(), secret);
    }
    Ok(VimAccount {
        target: account.target.clone(),
        name: account.name.clone(),
        vim_type: account.vim_type.clone(),
        url: account.url.clone(),
        user: account.user.clone(),
        tenant: account.tenant.clone(),
        config: account.config.clone(),
        credentials,
        ca_certificates: account.ca_certificates.clone(),
        insecure_tls: account.insecure_tls,
        grants: account.grants.clone(),
    })
}

pub(crate) fn internal(doing: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal {
        doing: doing.to_owned(),
        source: Some(Box::new(error)),
    }
}
