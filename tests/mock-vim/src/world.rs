//! The state, the faults and the counters, behind the one lock.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::UnixMillis;
use crate::config::Credentials;
use crate::faults::{Armed, Faults, InvalidFaults};
use crate::state::State;

/// How often what was asked, and with what result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Connections accepted.
    pub connections: u64,
    /// Calls answered or lost, all together.
    pub total: u64,
    /// Calls at work, scripted waits included.
    pub at_work: u64,
    /// The most calls that were ever at work together.
    pub at_work_max: u64,
    /// Calls by `METHOD kind operation status`; the status is `lost` where the answer was. Calls of the interface's
    /// unknown paths are counted as `METHOD - - status`.
    pub requests: BTreeMap<String, u64>,
    /// The last `traceparent` of each `METHOD kind operation` that carried one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traceparents: BTreeMap<String, String>,
}

impl Requests {
    /// The calls of a method, a kind, an operation and a status, such as `POST servers create 201`.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.requests.get(what).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct World {
    inner: Mutex<Inner>,
    pub(crate) credentials: Credentials,
    pub(crate) token_lifetime: Duration,
    initial_faults: Faults,
    hurried: Notify,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    pub(crate) faults: Armed,
    pub(crate) requests: Requests,
}

/// The lock, held; and the time at which it was taken.
pub(crate) struct Held<'w> {
    inner: MutexGuard<'w, Inner>,
    pub(crate) now: UnixMillis,
}

impl Deref for Held<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl World {
    pub(crate) fn new(
        state: State,
        credentials: Credentials,
        token_lifetime: Duration,
        faults: Faults,
    ) -> Result<Self, InvalidFaults> {
        let inner = Inner {
            state,
            faults: Armed::default(),
            requests: Requests::default(),
        };
        let world = Self {
            inner: Mutex::new(inner),
            credentials,
            token_lifetime,
            initial_faults: faults.clone(),
            hurried: Notify::new(),
        };
        world.set_faults(faults)?;
        Ok(world)
    }

    /// Takes the lock and applies what is due, so that whoever holds it sees the state of this moment.
    pub(crate) fn lock(&self) -> Held<'_> {
        // A panic under the lock is a defect that its own test shows; the others may go on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that time never goes back from one holder to the next.
        let now = UnixMillis::now();
        inner.state.advance(now);
        Held { inner, now }
    }

    /// Counts a call as at work until the guard is dropped, which also happens when its client hangs up.
    pub(crate) fn at_work(&self) -> AtWork<'_> {
        let mut held = self.lock();
        let requests = &mut held.requests;
        requests.at_work += 1;
        requests.at_work_max = requests.at_work_max.max(requests.at_work);
        AtWork(self)
    }

    pub(crate) fn set_faults(&self, faults: Faults) -> Result<(), InvalidFaults> {
        faults.check()?;
        let mut held = self.lock();
        if faults.expire_tokens {
            held.state.expire_sessions();
        }
        held.faults = Armed::new(faults);
        Ok(())
    }

    /// Ends all waits: what is under way is over, and calls that wait are worked on.
    pub(crate) fn hurry(&self) {
        let mut held = self.lock();
        let now = held.now;
        held.state.end_stacks(now);
        held.state.advance(UnixMillis(u64::MAX));
        drop(held);
        self.hurried.notify_waiters();
    }

    /// Comes about with the next [`World::hurry`], counted from this call and not from when it is waited for.
    pub(crate) fn hurried(&self) -> Notified<'_> {
        self.hurried.notified()
    }

    /// Everything as it was at the start without a state file: presets, no sessions, the initial faults, counters zero.
    pub(crate) fn reset(&self) {
        let mut held = self.lock();
        held.state.reset();
        held.faults = Armed::new(self.initial_faults.clone());
        let at_work = held.requests.at_work;
        held.requests = Requests {
            at_work,
            at_work_max: at_work,
            ..Requests::default()
        };
    }
}

/// See [`World::at_work`].
pub(crate) struct AtWork<'w>(&'w World);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.lock().requests.at_work -= 1;
    }
}
