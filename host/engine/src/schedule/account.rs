//! One account as the scheduler drives it: the right to do so, its connector, its bound on calls in flight, what is to be observed.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use vimhost_connector::{Connector, Connectors, ElementKind, Error as CallError, ErrorKind};
use vimhost_model::{ResourceId, TargetId, VimId};
use vimhost_store::{Claim, Store, seal::KeyRing};

use super::announced::Announced;
use super::guarded::{Guard, Guarded};
use super::lock;
use super::pace::Pace;
use crate::accounts;

/// What must be left of a lease when a call begins: with less the runtime would refuse its first request.
const CALL_MARGIN: Duration = Duration::from_millis(1500);

/// A connector and the account's configuration, as they were when it was opened.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) config: Arc<Map<String, Value>>,
}

/// Something to be observed at a time. By the clock that is never set: the one of the wall may jump meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: tokio::time::Instant,
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

/// The right to drive an account, from the claim until it is lost or given up.
pub(super) struct Hold {
    pub(super) claim: Claim,
    pub(super) since: Instant,
    /// Ends what runs under it.
    pub(super) over: CancellationToken,
    /// Until when calls may be made; none: for ever. Past when the lease could not be extended in time: it may yet be.
    good_until: watch::Sender<Option<Instant>>,
    /// How often it was extended late.
    lapses: AtomicU64,
}

impl Hold {
    pub(super) fn new(claim: Claim, good_until: Option<Instant>, over: CancellationToken) -> Self {
        Self {
            claim,
            since: Instant::now(),
            over,
            good_until: watch::Sender::new(good_until),
            lapses: AtomicU64::new(0),
        }
    }

    pub(super) fn extend(&self, good_until: Option<Instant>) {
        if !is_good(*self.good_until.borrow()) {
            self.lapses.fetch_add(1, Ordering::SeqCst);
        }
        self.good_until.send_replace(good_until);
    }

    /// Waits until calls may be made. False when the hold is over.
    pub(super) async fn good(&self) -> bool {
        let mut good_until = self.good_until.subscribe();
        tokio::select! {
            biased;
            () = self.over.cancelled() => false,
            good = good_until.wait_for(|until| is_good(*until)) => good.is_ok(),
        }
    }

    /// Grows when there was a time in which requests were refused. Odd while there is one.
    pub(super) fn lapses(&self) -> u64 {
        let now = u64::from(!is_good(*self.good_until.borrow()));
        self.lapses.load(Ordering::SeqCst).saturating_mul(2).saturating_add(now)
    }
}

fn is_good(until: Option<Instant>) -> bool {
    until.is_none_or(|until| until.saturating_duration_since(Instant::now()) > CALL_MARGIN)
}

pub(super) struct Account {
    pub(super) target: TargetId,
    pub(super) calls: Semaphore,
    most_calls: u32,
    guard: Arc<Guard>,
    hold: Mutex<Option<Arc<Hold>>>,
    pub(super) announced: Arc<Announced>,
    /// One claims.
    pub(super) gaining: tokio::sync::Mutex<()>,
    opened: Mutex<Slot>,
    opening: tokio::sync::Mutex<()>,
    due: Mutex<Wishes>,
    pub(super) due_changed: Notify,
}

impl Account {
    /// `calls` in flight at most, `per_second` of them begun in a second at most.
    pub(super) fn new(target: TargetId, calls: usize, per_second: Option<NonZeroU32>) -> Self {
        let most_calls = u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        Self {
            guard: Arc::new(Guard::new(target.clone(), per_second.map(Pace::new))),
            target,
            calls: Semaphore::new(calls.max(1)),
            most_calls,
            hold: Mutex::default(),
            announced: Arc::default(),
            gaining: tokio::sync::Mutex::default(),
            opened: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            due: Mutex::default(),
            due_changed: Notify::new(),
        }
    }

    /// This host's right to drive the account, if it has it.
    pub(super) fn hold(&self) -> Option<Arc<Hold>> {
        lock(&self.hold).clone()
    }

    pub(super) fn set_hold(&self, hold: Option<Arc<Hold>>) {
        *lock(&self.hold) = hold;
    }

    /// Ends a hold and everything that runs under it. False when it was over.
    pub(super) fn end_hold(&self, hold: &Arc<Hold>) -> bool {
        let mut held = lock(&self.hold);
        if !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, hold)) {
            return false;
        }
        *held = None;
        drop(held);
        hold.over.cancel();
        *lock(&self.due) = Wishes::default();
        true
    }

    /// Waits until no call is in flight, and lets none begin while the answer is kept.
    pub(super) async fn all_calls(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.calls.acquire_many(self.most_calls).await.ok()
    }

    /// Whether no call is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.try_acquire_many(self.most_calls).is_ok()
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
            connector: Arc::new(Guarded {
                inner: connector,
                guard: self.guard.clone(),
            }),
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
    pub(super) fn next_due(&self) -> Option<tokio::time::Instant> {
        lock(&self.due).by_time.first().map(|wish| wish.at)
    }

    /// Takes what is due until a time.
    pub(super) fn take_due(&self, until: tokio::time::Instant) -> Vec<Due> {
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
