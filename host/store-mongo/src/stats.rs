//! Counters of the store, for metrics and benches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vimhost_telemetry::metric::{self, Counter, Histogram};

use crate::fault::{Fault, Outcome};

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

/// What is counted for everybody to see. The numbers above are this store's own, since a process may have several.
pub(crate) struct Metrics {
    read: Kind,
    write: Kind,
}

struct Kind {
    done: Counter,
    refused: Counter,
    lost: Counter,
    duration: Histogram,
}

impl Kind {
    fn of(name: &'static str) -> Self {
        Self {
            done: metric::STORE_COMMANDS.counter(&[name, "ok"]),
            refused: metric::STORE_COMMANDS.counter(&[name, "refused"]),
            lost: metric::STORE_COMMANDS.counter(&[name, "lost"]),
            duration: metric::STORE_COMMAND_DURATION.histogram(&[name]),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            read: Kind::of("read"),
            write: Kind::of("write"),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A command was answered, or nobody knows what became of it.
    pub(crate) fn ended<T>(&self, writes: bool, answer: &Outcome<T>, took: Duration) {
        let kind = if writes { &self.write } else { &self.read };
        kind.duration.record(took);
        let counter = match answer {
            Ok(_) => &kind.done,
            Err(fault) if Fault::is_lost(fault) => &kind.lost,
            Err(_) => &kind.refused,
        };
        counter.increment(1);
    }
}
