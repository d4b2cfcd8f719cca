//! What lives as long as an account and longer than a call: connections, handles, cache, log rate.
//!
//! Keyed by the account's id, a digest of its content and the plugin's digest: an edited account or a replaced plugin gets new
//! state, so nothing dialled, cached or handed out under old rules is used under new ones. Calls that run keep the old state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use vimhost_connector::{AnswerCredential, LoadError};
use vimhost_dial::Resolve;
use vimhost_model::{TargetId, VimAccount};

use crate::Limits;
use crate::bindings::host::vim_types as wit;
use crate::egress::Client;
use crate::egress::needles::is_searchable;
use crate::egress::policy::Policy;
use crate::egress::vault::Vault;
use crate::imports::cache::Cache;
use crate::imports::log::Bucket;
use crate::metrics::PluginMetrics;
use crate::plugin::{Identity, Plugin};
use crate::quarantine::Conduct;

/// Until when this host may send for an account; none: no lease is in use. Requests under way watch it: a heartbeat lets them
/// wait longer, and a lease that is given up ends them.
pub(crate) type Fence = watch::Sender<Option<Instant>>;

/// The state of one account with one plugin.
pub(crate) struct AccountState {
    key: Key,
    told: Arc<wit::Account>,
    policy: Arc<Policy>,
    vault: Arc<Vault>,
    client: Client,
    cache: Mutex<Cache>,
    log_bucket: Arc<Bucket>,
    answer_credentials: Vec<AnswerCredential>,
    metrics: Arc<PluginMetrics>,
    conduct: Arc<Conduct>,
    fence: Fence,
}

#[derive(PartialEq, Eq, Clone)]
struct Key {
    content: Content,
    plugin: Arc<Identity>,
}

/// A digest of everything an account says. Made once, not at each call: it costs as much as the call itself.
pub(crate) type Content = [u8; 32];

impl AccountState {
    fn new(
        account: &VimAccount,
        plugin: &Plugin,
        key: Key,
        fence: Fence,
        resolver: &Arc<dyn Resolve>,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        let unfit = |reason: String| LoadError::Account {
            plugin: plugin.identity.name.clone(),
            reason,
        };
        let vault = Vault::new(limits.answer_credentials);
        let mut credentials = vec![];
        for slot in &plugin.descriptor.credentials {
            let Some(secret) = account.credentials.get(&slot.name) else {
                continue;
            };
            if !is_searchable(secret.expose()) {
                let (account, credential) = (account.id().as_str(), slot.name.as_str());
                tracing::warn!(
                    account,
                    credential,
                    "credential is too short or too common to be looked for in answers"
                );
            }
            let handle = vault
                .keep(&slot.name, secret.clone(), &slot.uses)
                .map_err(|error| unfit(error.to_string()))?;
            credentials.push(wit::Credential {
                name: slot.name.clone(),
                handle,
            });
        }
        let policy = Arc::new(Policy::new(account, &plugin.descriptor));
        Ok(Self {
            key,
            told: Arc::new(wit::Account {
                id: account.id().to_string(),
                name: account.name.clone(),
                url: account.url.clone(),
                tenant: account.tenant.clone(),
                user: account.user.clone(),
                credentials,
                config: serde_json::Value::Object(account.config.clone()).to_string(),
            }),
            client: Client::new(account, &policy, resolver, fence.subscribe(), limits).map_err(unfit)?,
            policy,
            vault: Arc::new(vault),
            cache: Mutex::new(Cache::new(limits)),
            log_bucket: Arc::new(Bucket::new(limits.log_lines_per_second)),
            answer_credentials: plugin.descriptor.answer_credentials.clone(),
            metrics: Arc::clone(&plugin.metrics),
            conduct: Arc::clone(&plugin.conduct),
            fence,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.told.id
    }

    /// The account as a guest sees it.
    pub(crate) fn told(&self) -> Arc<wit::Account> {
        Arc::clone(&self.told)
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log_bucket(&self) -> &Arc<Bucket> {
        &self.log_bucket
    }

    pub(crate) fn answer_credentials(&self) -> &[AnswerCredential] {
        &self.answer_credentials
    }

    /// How the plugin has behaved, for whichever account.
    pub(crate) fn conduct(&self) -> &Arc<Conduct> {
        &self.conduct
    }

    pub(crate) fn metrics(&self) -> &Arc<PluginMetrics> {
        &self.metrics
    }

    pub(crate) fn fence(&self) -> watch::Receiver<Option<Instant>> {
        self.fence.subscribe()
    }
}

/// Every account's state.
pub(crate) struct Accounts {
    /// Makes digests of accounts, secrets included, worthless outside of this process.
    salt: [u8; 32],
    resolver: Arc<dyn Resolve>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    states: HashMap<TargetId, Arc<AccountState>>,
    fences: HashMap<TargetId, Fence>,
}

impl Accounts {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Result<Self, crate::Error> {
        Ok(Self {
            salt: crate::random::bytes()?,
            resolver,
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of an account with a plugin, made when there is none. `content` is the account's [`digest`](Self::digest).
    ///
    /// # Errors
    /// When the account does not fit the plugin.
    pub(crate) fn state(
        &self,
        account: &VimAccount,
        content: Content,
        plugin: &Plugin,
        limits: &Limits,
    ) -> Result<Arc<AccountState>, LoadError> {
        let key = Key {
            content,
            plugin: Arc::clone(&plugin.identity),
        };
        let mut inner = self.inner();
        if let Some(state) = inner.states.get(&account.target).filter(|state| state.key == key) {
            return Ok(Arc::clone(state));
        }
        // Only what fits is ever kept, and account and plugin are those it was checked for.
        check_fit(account, plugin)?;
        let fence = inner.fences.entry(account.target.clone()).or_default().clone();
        let state = Arc::new(AccountState::new(account, plugin, key, fence, &self.resolver, limits)?);
        inner.states.insert(account.target.clone(), Arc::clone(&state));
        Ok(state)
    }

    pub(crate) fn forget(&self, target: &TargetId) {
        self.inner().states.remove(target);
    }

    pub(crate) fn set_fence(&self, target: &TargetId, until: Option<Instant>) {
        let mut inner = self.inner();
        inner.fences.entry(target.clone()).or_default().send_replace(until);
    }

    /// What an account says, secrets included.
    pub(crate) fn digest(&self, account: &VimAccount) -> Content {
        let VimAccount {
            target,
            name,
            vim_type,
            url,
            user,
            tenant,
            config,
            credentials,
            ca_certificates,
            insecure_tls,
            grants,
        } = account;
        let mut hash = Sha256::new_with_prefix(self.salt);
        // Debug quotes texts, so no two accounts read alike; it hides secrets, which follow with their lengths.
        let open = (
            target,
            name,
            vim_type,
            url,
            user,
            tenant,
            config,
            ca_certificates,
            insecure_tls,
            grants,
        );
        hash.update(format!("{open:?}"));
        for (name, secret) in credentials {
            for text in [name.as_str(), secret.expose()] {
                hash.update(text.len().to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().into()
    }
}

fn check_fit(account: &VimAccount, plugin: &Plugin) -> Result<(), LoadError> {
    let unfit = |reason: String| LoadError::Account {
        plugin: plugin.identity.name.clone(),
        reason,
    };
    if account
        .grants
        .approved_rules
        .as_ref()
        .is_some_and(|approved| *approved != plugin.rules_digest)
    {
        return Err(unfit(format!(
            "the plugin's rules for credentials and network access are not the ones that were approved; to see and approve \
             them: vimhost vim allow {} --rules",
            account.command_words()
        )));
    }
    let names_user = |url: url::Url| !url.username().is_empty() || url.password().is_some();
    if url::Url::parse(&account.url).is_ok_and(names_user) {
        return Err(unfit(
            "its URL holds a user or a password, which the plugin would see; enter them in their own fields".into(),
        ));
    }
    let missing = plugin
        .descriptor
        .credentials
        .iter()
        .find(|slot| slot.required && !account.credentials.contains_key(&slot.name));
    match missing {
        Some(slot) => Err(unfit(format!(
            "the credential '{}' is missing: {}",
            slot.name,
            crate::text::safe(&slot.description, 256)
        ))),
        None => Ok(()),
    }
}
