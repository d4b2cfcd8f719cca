//! Metering of one call: compute time, host calls, memory.
//!
//! Compute is measured between the moments a guest is entered and left, so waiting for HTTP costs nothing, and checked at each
//! tick of the epoch. Each host call is charged up to a small cap as well: charging nothing would let a guest that calls the
//! clock in a loop run several times its budget, and re-arming the deadline after each host call would let it run for ever.

use std::time::{Duration, Instant};

use wasmtime::{CallHook, ResourceLimiter, Store, UpdateDeadline};

use crate::Limits;
use crate::context::Ctx;

/// What a host call is charged at most: above it, the time is waiting.
const HOST_CALL_CHARGE: Duration = Duration::from_micros(100);

/// A guest that computed less than this is not made to yield: common calls end within it, and yielding costs a turn behind
/// every other guest.
const GRACE: Duration = Duration::from_millis(10);

/// A limit that ended a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    #[error("compute time limit of {0:?} exceeded")]
    Compute(Duration),
    #[error("limit of {0} host calls exceeded")]
    HostCalls(u64),
}

/// Clock and counter of a call.
pub(crate) struct Meter {
    limit: Duration,
    used: Duration,
    since: Instant,
    host_calls: u64,
    host_call_limit: u64,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.compute,
            used: Duration::ZERO,
            since: Instant::now(),
            host_calls: 0,
            host_call_limit: limits.host_calls,
        }
    }

    fn crossed(&mut self, hook: CallHook) -> wasmtime::Result<()> {
        let now = Instant::now();
        let passed = now.duration_since(self.since);
        self.since = now;
        match hook {
            CallHook::CallingHost | CallHook::ReturningFromWasm => {
                self.used += passed;
                self.host_calls += 1;
            }
            CallHook::ReturningFromHost => self.used += passed.min(HOST_CALL_CHARGE),
            CallHook::CallingWasm => {}
        }
        if self.host_calls > self.host_call_limit {
            return Err(Exhausted::HostCalls(self.host_call_limit).into());
        }
        Ok(())
    }

    fn ticked(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.used > self.limit {
            return Err(Exhausted::Compute(self.limit).into());
        }
        if self.used < GRACE {
            return Ok(UpdateDeadline::Continue(1));
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }

    /// Time computed so far.
    pub(crate) fn used(&self) -> Duration {
        self.used
    }
}

/// Memory and tables of a call, over all its core instances.
pub(crate) struct Memory {
    limit: usize,
    table_limit: usize,
    used: usize,
    refused: Option<String>,
}

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.memory,
            table_limit: limits.table_elements,
            used: 0,
            refused: None,
        }
    }

    /// Memory of all core instances; it never shrinks, so this is its peak.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Why a growth was refused: without it the report would say "unreachable" where it should say "memory".
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_sub(current).saturating_add(desired);
        if wanted > self.limit {
            self.refused = Some(format!("memory limit of {} MiB exceeded", self.limit >> 20));
            return Ok(false);
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_limit {
            self.refused = Some(format!("limit of {} table elements exceeded", self.table_limit));
            return Ok(false);
        }
        Ok(true)
    }
}

/// Sets the limits of a call in its store.
pub(crate) fn attach(store: &mut Store<Ctx>) {
    store.limiter(|ctx| &mut ctx.memory);
    // Entering the callback of the epoch is itself a host call for the hook, so time spent yielded is not charged.
    store.call_hook(|mut ctx, hook| ctx.data_mut().meter.crossed(hook));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut ctx| ctx.data_mut().meter.ticked());
}
