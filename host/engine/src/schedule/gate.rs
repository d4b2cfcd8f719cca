//! Keeps planning and running of one service out of each other's way.
//!
//! A plan is committed only if none of the resources it touches has changed since they were read. While a service is being made its
//! resources change many times a second, so a terminate that only tried again on each conflict might never get through. Therefore
//! results wait for the few milliseconds that planning takes. Between hosts the revisions alone decide.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use vimhost_model::{NsrId, Resource};

/// Services share this many gates, so that nothing grows with their number. Two that meet wait for each other, no more.
const GATES: usize = 256;

/// Held while a service is planned.
pub(crate) struct Held(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>);

/// Held while results are written.
pub(super) struct Passed(#[expect(dead_code, reason = "held, not read")] Vec<OwnedRwLockReadGuard<()>>);

pub(super) struct Gates(Vec<Arc<RwLock<()>>>);

impl Default for Gates {
    fn default() -> Self {
        Self((0..GATES).map(|_| Arc::default()).collect())
    }
}

impl Gates {
    /// Closes the gate of a service.
    pub(super) async fn hold(&self, nsr: &NsrId) -> Held {
        let gate = self.0.get(number(nsr)).cloned().unwrap_or_default();
        Held(gate.write_owned().await)
    }

    /// Passes the gates of every service that has a task in a resource.
    pub(super) async fn pass(&self, resource: &Resource) -> Passed {
        let mut numbers: Vec<usize> = resource.tasks.iter().map(|task| number(&task.nsr_id)).collect();
        // Each once: passing a gate twice would wait for a planner that waits for the first passage.
        numbers.sort_unstable();
        numbers.dedup();
        let mut passed = Vec::with_capacity(numbers.len());
        for gate in numbers.into_iter().filter_map(|number| self.0.get(number)) {
            passed.push(gate.clone().read_owned().await);
        }
        Passed(passed)
    }
}

fn number(nsr: &NsrId) -> usize {
    let mut hasher = DefaultHasher::new();
    nsr.hash(&mut hasher);
    usize::try_from(hasher.finish() % GATES as u64).unwrap_or_default()
}
