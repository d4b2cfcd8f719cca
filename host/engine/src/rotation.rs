//! Another seal key: what older keys have sealed is opened and sealed anew, a page at a time.
//!
//! Each text is replaced by compare-and-set and only if the present key has not sealed it, so the work can be broken off anywhere and
//! begun again; a start with older keys in the ring goes on with it. An older key stays until somebody removes it, which is
//! refused while anything is sealed with it: with several hosts only a person knows that all of them have the present one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vimhost_model::NsrId;
use vimhost_model::vnf::Subscription;
use vimhost_store::seal::{KeyError, KeyRing};
use vimhost_store::{KeyPair, SealedText, StoredAccount};

use crate::accounts::{internal, seal_context};
use crate::{Engine, Error, keys};

/// Accounts, key pairs and subscriptions that are read at once: some hundred kilobytes.
const PAGE: usize = 200;

/// How often an account is sealed anew while somebody else changes it.
const TRIES: usize = 20;

/// A seal key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SealKey)]
pub struct SealKeyView {
    /// Its id: a short hash. Its file is `seal.key`, or `seal-<id>.key` when it is an older one.
    pub id: String,
    /// Whether it seals; the others only open.
    pub present: bool,
    /// How many secrets are sealed with it.
    pub secrets: u64,
}

/// What a rotation has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rotation {
    /// Id of the key that seals.
    pub key: String,
    /// Accounts whose secrets were sealed anew.
    pub accounts: u64,
    /// Key pairs whose private half was sealed anew.
    pub key_pairs: u64,
    /// Subscriptions whose credentials were sealed anew.
    pub subscriptions: u64,
}

/// Where the sealed text of a subscription is good: what whoever delivers seals it for.
fn subscription_context(subscription: &Subscription) -> String {
    format!("subscription:{}:authentication", subscription.id)
}

/// What is sealed of a subscription; none where it needs no credentials.
fn sealed_of(subscription: &Subscription) -> Option<SealedText> {
    subscription
        .authentication
        .as_str()
        .map(|text| SealedText(text.to_owned()))
}

fn of_key(doing: &str, error: KeyError) -> Error {
    match error {
        KeyError::Unknown { key_id } => Error::not_found("older seal key", key_id),
        error @ (KeyError::Read { .. }
        | KeyError::Permissions { .. }
        | KeyError::Form { .. }
        | KeyError::Create { .. }
        | KeyError::Random(_)) => internal(doing, error),
    }
}

impl Engine {
    /// The seal keys, and how much is sealed with each. Reads every account, key pair and subscription.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn seal_keys(&self) -> Result<Vec<SealKeyView>, Error> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |text: &SealedText| {
            if let Some(key) = KeyRing::key_of(text) {
                *counts.entry(key.to_owned()).or_default() += 1;
            }
        };
        let mut after = None;
        loop {
            let (accounts, next) = self.page_of_accounts(after.as_deref()).await?;
            accounts
                .iter()
                .flat_map(|account| account.credentials.values())
                .for_each(&mut count);
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (pairs, next) = self.page_of_pairs(after.as_deref()).await?;
            pairs.iter().map(|(_, pair)| &pair.private_key).for_each(&mut count);
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (subscriptions, next) = self.page_of_subscriptions(after.as_deref()).await?;
            let sealed: Vec<SealedText> = subscriptions.iter().filter_map(sealed_of).collect();
            sealed.iter().for_each(&mut count);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let present = self.keys.current_id();
        let ids = std::iter::once(present.clone()).chain(self.keys.older_ids());
        Ok(ids
            .map(|id| SealKeyView {
                present: id == present,
                secrets: counts.get(&id).copied().unwrap_or_default(),
                id,
            })
            .collect())
    }

    /// Makes a new key, or an older one of the ring, the one that seals, and seals everything anew with it.
    ///
    /// # Errors
    /// When there is no such key, or files or store cannot be written. What was sealed anew stays so; asking again goes on.
    pub async fn rotate_keys(&self, to: Option<&str>) -> Result<Rotation, Error> {
        if to.is_none() && self.schedule.shares_the_store() {
            return Err(Error::Conflict {
                reason: "several hosts share the store, and the others would not know a key that is made here: put the next key beside \
                         seal.key on every host, as seal-<id>.key, restart them, and rotate to its id"
                    .to_owned(),
            });
        }
        let key = self
            .keys
            .rotate(to)
            .map_err(|error| of_key("rotating the seal key", error))?;
        tracing::info!(key, "seal key in use; older secrets are sealed anew");
        let rotation = self.seal_anew().await?;
        tracing::info!(
            key,
            accounts = rotation.accounts,
            key_pairs = rotation.key_pairs,
            subscriptions = rotation.subscriptions,
            "every secret is sealed with the present key"
        );
        Ok(rotation)
    }

    /// Removes an older key for good.
    ///
    /// # Errors
    /// When there is none, it is the present one, or anything is sealed with it.
    pub async fn forget_key(&self, id: &str) -> Result<(), Error> {
        let keys = self.seal_keys().await?;
        let known = keys.iter().find(|key| key.id == id);
        let known = known.ok_or_else(|| Error::not_found("seal key", id))?;
        if known.present {
            return Err(Error::Conflict {
                reason: format!("seal key '{id}' is the present one; rotate first"),
            });
        }
        if known.secrets > 0 {
            return Err(Error::Conflict {
                reason: format!(
                    "{} secrets are sealed with key '{id}'; rotating to the present key '{}' seals them anew",
                    known.secrets,
                    self.keys.current_id()
                ),
            });
        }
        self.keys
            .forget(id)
            .map_err(|error| of_key("removing a seal key", error))
    }

    /// Goes on with a rotation that broke off.
    pub(crate) fn resume_rotation(self: &Arc<Self>) {
        if self.keys.older_ids().is_empty() {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.seal_anew().await {
                tracing::warn!(error = %error, "not every secret is sealed with the present key; the next start or rotation goes on");
            }
        });
    }

    /// Seals with the present key what another one has sealed.
    async fn seal_anew(&self) -> Result<Rotation, Error> {
        let mut done = Rotation {
            key: self.keys.current_id(),
            ..Rotation::default()
        };
        let mut after = None;
        loop {
            let (accounts, next) = self.page_of_accounts(after.as_deref()).await?;
            for account in accounts {
                done.accounts += u64::from(self.seal_account_anew(account).await?);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (pairs, next) = self.page_of_pairs(after.as_deref()).await?;
            for (nsr, pair) in pairs {
                done.key_pairs += u64::from(self.seal_pair_anew(&nsr, &pair).await?);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (subscriptions, next) = self.page_of_subscriptions(after.as_deref()).await?;
            for subscription in subscriptions {
                done.subscriptions += u64::from(self.seal_subscription_anew(&subscription).await?);
            }
            after = next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn page_of_accounts(&self, after: Option<&str>) -> Result<(Vec<StoredAccount>, Option<String>), Error> {
        let page = self.store.accounts(after, PAGE).await;
        let page = page.map_err(|error| Error::of_store("listing accounts", error))?;
        Ok((page.entries, page.next))
    }

    async fn page_of_pairs(&self, after: Option<&str>) -> Result<(Vec<(NsrId, KeyPair)>, Option<String>), Error> {
        let page = self.store.key_pairs(after, PAGE).await;
        let page = page.map_err(|error| Error::of_store("listing key pairs", error))?;
        Ok((page.entries, page.next))
    }

    async fn page_of_subscriptions(&self, after: Option<&str>) -> Result<(Vec<Subscription>, Option<String>), Error> {
        let page = self.store.subscriptions(after, PAGE).await;
        let page = page.map_err(|error| Error::of_store("listing subscriptions", error))?;
        // Nobody knows what it is sealed with: the key must not be taken for one that is of no use any more.
        if let Some(unreadable) = page.unreadable.first() {
            let what = format!("subscription {}", unreadable.id);
            let error = vimhost_store::Error::corrupt(what, &unreadable.reason);
            return Err(Error::of_store("listing subscriptions", error));
        }
        Ok((page.entries, page.next))
    }

    fn anew(&self, sealed: &SealedText, context: &str) -> Result<SealedText, Error> {
        let doing = "sealing a secret anew";
        let secret = self
            .keys
            .open(sealed, context)
            .map_err(|error| internal(doing, error))?;
        self.keys.seal(&secret, context).map_err(|error| internal(doing, error))
    }

    /// True when there was anything to do.
    async fn seal_account_anew(&self, mut account: StoredAccount) -> Result<bool, Error> {
        let doing = "sealing the secrets of an account anew";
        for _ in 0..TRIES {
            if account.credentials.values().all(|sealed| self.keys.is_current(sealed)) {
                return Ok(false);
            }
            let (target, revision) = (account.target.clone(), account.revision);
            for (slot, sealed) in &mut account.credentials {
                if !self.keys.is_current(sealed) {
                    *sealed = self.anew(sealed, &seal_context(&target, slot))?;
                }
            }
            match self.store.put_account(account, Some(revision)).await {
                Ok(_) => return Ok(true),
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store(doing, error)),
            }
            let now = self.store.account(&target).await;
            match now.map_err(|error| Error::of_store(doing, error))? {
                Some(now) => account = now,
                None => return Ok(false),
            }
        }
        Err(Error::Unavailable {
            reason: format!("account '{}' is being changed by others; rotate again", account.target),
        })
    }

    /// True when there was anything to do. A pair is never changed, only removed with its service.
    async fn seal_pair_anew(&self, nsr: &NsrId, pair: &KeyPair) -> Result<bool, Error> {
        if self.keys.is_current(&pair.private_key) {
            return Ok(false);
        }
        let sealed = self.anew(&pair.private_key, &keys::seal_context(nsr))?;
        self.store
            .reseal_key_pair(nsr, &pair.private_key, &sealed)
            .await
            .map_err(|error| Error::of_store("sealing a key pair anew", error))
    }

    /// True when there was anything to do. A subscription is never changed, only removed.
    async fn seal_subscription_anew(&self, subscription: &Subscription) -> Result<bool, Error> {
        let Some(sealed) = sealed_of(subscription).filter(|sealed| !self.keys.is_current(sealed)) else {
            return Ok(false);
        };
        let SealedText(anew) = self.anew(&sealed, &subscription_context(subscription))?;
        self.store
            .reseal_subscription(&subscription.id, &subscription.authentication, &Value::String(anew))
            .await
            .map_err(|error| Error::of_store("sealing the credentials of a subscription anew", error))
    }
}
