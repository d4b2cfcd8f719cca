//! One account as the scheduler drives it: its claim, its connector, its bound on calls in flight, what is to be observed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tokio::sync::{Notify, Semaphore};
use vimhost_connector::{Connector, Connectors, ElementKind, Error as CallError, ErrorKind};
use vimhost_model::{HostId, ResourceId, TargetId, Timestamp, VimId};
use vimhost_store::{Claim, Store, seal::KeyRing};

use super::{FOREVER, lock};
use crate::accounts;

/// A connector and the account's configuration, as they were when it was opened.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) config: Arc<Map<String, Value>>,
}

/// Something to be observed at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    pub(super) kind: ElementKind,
    pub(super) vim_id: VimId,
    pub(super) resource: ResourceId,
}

/// The connector in use. The number grows when it is forgotten, so that one opened on an older account is not kept.
#[derive(Default)]
struct Slot {
    forgotten: u64,
    opened: Option<Opened>,
}

/// What is to be observed: by time, and at most once a resource.
#[derive(Default)]
struct Wishes {
    by_time: BTreeSet<Due>,
    of: HashMap<ResourceId, Due>,
}

pub(super) struct Account {
    pub(super) target: TargetId,
    pub(super) calls: Semaphore,
    claim: Mutex<Option<Claim>>,
    opened: Mutex<Slot>,
    opening: tokio::sync::Mutex<()>,
    due: Mutex<Wishes>,
    pub(super) due_changed: Notify,
}

impl Account {
    pub(super) fn new(target: TargetId, calls: usize) -> Self {
        Self {
            target,
            calls: Semaphore::new(calls.max(1)),
            claim: Mutex::default(),
            opened: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            due: Mutex::default(),
            due_changed: Notify::new(),
        }
    }

    /// The claim under which this host writes.
    pub(super) async fn claim(
        &self,
        store: &dyn Store,
        host: &HostId,
        now: Timestamp,
    ) -> Result<Claim, vimhost_store::Error> {
        if let Some(claim) = lock(&self.claim).clone() {
            return Ok(claim);
        }
        let claim = store.claim_account(&self.target, host, now, FOREVER).await?;
        *lock(&self.claim) = Some(claim.clone());
        Ok(claim)
    }

    /// The claim is over: it is asked for anew before the next write.
    pub(super) fn lost_claim(&self) {
        *lock(&self.claim) = None;
    }

    pub(super) async fn release(&self, store: &dyn Store) {
        let claim = lock(&self.claim).take();
        if let Some(claim) = claim
            && let Err(error) = store.release_claim(&claim).await
        {
            tracing::warn!(target_id = %self.target, error = %error, "account not given up; its lease ends by itself");
        }
    }

    /// The account's connector.
    pub(super) async fn open(
        &self,
        store: &dyn Store,
        connectors: &dyn Connectors,
        keys: &KeyRing,
    ) -> Result<Opened, CallError> {
        if let Some(opened) = lock(&self.opened).opened.clone() {
            return Ok(opened);
        }
        // One opens, the others wait: a plugin is not asked a hundred times when a hundred tasks start.
        let _opening = self.opening.lock().await;
        if let Some(opened) = lock(&self.opened).opened.clone() {
            return Ok(opened);
        }
        let forgotten = lock(&self.opened).forgotten;
        let stored = match store.account(&self.target).await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                return Err(CallError::new(
                    ErrorKind::Plugin,
                    format!("account {} does not exist", self.target),
                ));
            }
            Err(error) => return Err(CallError::new(ErrorKind::Unreachable, error.to_string())),
        };
        let account = accounts::open(&stored, keys).map_err(|error| {
            CallError::new(
                ErrorKind::Plugin,
                format!("credentials of account {} cannot be opened: {error}", self.target),
            )
        })?;
        let connector = connectors
            .open(&account)
            .await
            .map_err(|error| CallError::new(ErrorKind::Plugin, error.to_string()))?;
        let opened = Opened {
            connector,
            config: Arc::new(stored.config),
        };
        let mut slot = lock(&self.opened);
        if slot.forgotten == forgotten {
            slot.opened = Some(opened.clone());
        }
        drop(slot);
        Ok(opened)
    }

    pub(super) fn forget_connector(&self) {
        let mut slot = lock(&self.opened);
        slot.forgotten += 1;
        slot.opened = None;
    }

    /// Has an element observed at a time. An earlier wish for the same element goes.
    pub(super) fn observe(&self, wish: Due) {
        let mut due = lock(&self.due);
        if let Some(earlier) = due.of.insert(wish.resource.clone(), wish.clone()) {
            due.by_time.remove(&earlier);
        }
        due.by_time.insert(wish);
        drop(due);
        self.due_changed.notify_one();
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        lock(&self.due).by_time.first().map(|wish| wish.at)
    }

    /// Takes what is due until a time.
    pub(super) fn take_due(&self, until: Timestamp) -> Vec<Due> {
        let mut due = lock(&self.due);
        let mut taken = Vec::new();
        while due.by_time.first().is_some_and(|wish| wish.at <= until) {
            let Some(wish) = due.by_time.pop_first() else { break };
            due.of.remove(&wish.resource);
            taken.push(wish);
        }
        taken
    }
}
