//! Counters of the store, for metrics and benches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vimhost_telemetry::metric::{self, Counter, Histogram};

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

/// What is counted for everybody to see. The numbers above are this store's own, since a process may have several.
pub(crate) struct Metrics {
    committed: Counter,
    not_committed: Counter,
    duration: Histogram,
    group: Histogram,
    done: Counter,
    refused: Counter,
    failed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            committed: metric::STORE_COMMITS.counter(&["ok"]),
            not_committed: metric::STORE_COMMITS.counter(&["failed"]),
            duration: metric::STORE_COMMIT_DURATION.histogram(&[]),
            group: metric::STORE_COMMIT_OPERATIONS.histogram(&[]),
            done: metric::STORE_OPERATIONS.counter(&["ok"]),
            refused: metric::STORE_OPERATIONS.counter(&["refused"]),
            failed: metric::STORE_OPERATIONS.counter(&["failed"]),
        }
    }

    /// A group of operations was committed, some of them refused.
    pub(crate) fn committed(&self, operations: usize, refused: u64, took: Duration) {
        self.committed.increment(1);
        self.group(operations, took);
        self.refused.increment(refused);
        self.done.increment(as_u64(operations).saturating_sub(refused));
    }

    /// A group of operations was not committed.
    pub(crate) fn not_committed(&self, operations: usize, took: Duration) {
        self.not_committed.increment(1);
        self.group(operations, took);
        self.failed.increment(as_u64(operations));
    }

    #[expect(clippy::cast_precision_loss, reason = "a group has at most some hundred operations")]
    fn group(&self, operations: usize, took: Duration) {
        self.duration.record(took);
        self.group.record(operations as f64);
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
}
