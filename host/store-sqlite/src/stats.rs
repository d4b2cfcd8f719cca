//! Counters of the store, for metrics and benches.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Transactions committed. Each that changed anything synced the log once; one that changed nothing has nothing to sync.
    pub commits: u64,
    /// Operations in them, refused ones included.
    pub operations: u64,
    /// Operations that were refused and undone.
    pub refused: u64,
    /// Commits that failed; their operations were answered [`vimhost_store::Error::Unavailable`].
    pub failed_commits: u64,
    /// Most operations in one commit.
    pub largest_batch: u64,
    /// Reads answered.
    pub reads: u64,
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) largest_batch: AtomicU64,
    pub(crate) reads: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: value(&self.commits),
            operations: value(&self.operations),
            refused: value(&self.refused),
            failed_commits: value(&self.failed_commits),
            largest_batch: value(&self.largest_batch),
            reads: value(&self.reads),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
}
