//! Counters of the store, for metrics and benches.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commands sent that change something.
    pub writes: u64,
    /// Commands sent that only read.
    pub reads: u64,
    /// Decided writes that were completed by somebody else than who decided them: after a crash, or to be helpful.
    pub completed: u64,
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) writes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) completed: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            writes: value(&self.writes),
            reads: value(&self.reads),
            completed: value(&self.completed),
        }
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
