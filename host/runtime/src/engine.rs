//! The one constructor of wasmtime engines, and the ticker that lets the host interrupt guests.
//!
//! A second, on-demand engine exists for components that do not fit a slot of the pool. Both have the same compatibility hash,
//! so an image compiled by one loads in the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::text_of;
use crate::{Allocation, Error, Limits};

/// Interval of the epoch: a spinning guest holds its worker for so long at most. 1 ms keeps HTTP of other plugins at a few
/// milliseconds beside a spinner; 10 ms costs them 40 ms, and below 1 ms the ticker itself shows.
const TICK: Duration = Duration::from_millis(1);

/// Ticks after the last call: calls that come one after the other find it ticking. A tick costs about 5 µs.
const LINGER: u32 = 50;

/// How often an idle ticker looks whether its engine still exists. Only bounds how long a thread outlives its runtime when
/// nobody wakes it.
const IDLE: Duration = Duration::from_secs(1);

/// Core instances of one component: Python has 14, Rust 3.
const CORE_INSTANCES: u32 = 16;
/// Tables of one component: Python has 2.
const TABLES: u32 = 4;
/// Bytes of a slot's memory that stay resident between calls: resetting them by copying is cheaper than new page faults.
const RESIDENT_MEMORY: usize = 2 << 20;
/// The same for tables.
const RESIDENT_TABLE: usize = 64 << 10;
/// WebAssembly pages, the unit of a memory's size.
const PAGE: usize = 64 << 10;

/// The engine as configured, and how it got its memory in the end.
pub(crate) fn build(allocation: Allocation, limits: &Limits, slots: usize) -> Result<(Engine, Allocation), Error> {
    if allocation == Allocation::Pooled {
        let built = slot_count(slots).and_then(|slots| {
            Engine::new(&config(InstanceAllocationStrategy::Pooling(pool(limits, slots)))).map_err(|e| text_of(&e))
        });
        match built {
            Ok(engine) => return Ok((engine, Allocation::Pooled)),
            Err(error) => tracing::warn!(
                error,
                slots,
                "instance pool cannot be made, instances are allocated on demand"
            ),
        }
    }
    let engine =
        Engine::new(&config(InstanceAllocationStrategy::OnDemand)).map_err(|error| Error::Engine(text_of(&error)))?;
    Ok((engine, Allocation::OnDemand))
}

fn slot_count(slots: usize) -> Result<u32, String> {
    u32::try_from(slots)
        .ok()
        .filter(|slots| slots.checked_mul(CORE_INSTANCES).is_some())
        .ok_or_else(|| format!("{slots} slots are too many"))
}

fn pool(limits: &Limits, slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_memories(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .total_tables(slots.saturating_mul(TABLES))
        .max_memory_size(limits.memory.next_multiple_of(PAGE))
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn config(strategy: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // No WASI 0.3 component is served; without it a call costs half.
        .concurrency_support(false)
        // Nothing unwinds through a guest: backtraces of traps follow frame pointers, and a panic of the host's own functions is
        // caught before. Registering it costs each load, and it is a twentieth of an image.
        .native_unwind_info(false)
        .allocation_strategy(strategy);
    config
}

/// Counts calls in progress and ticks the epoch while there are any, and a little longer.
///
/// On an OS thread, because guests that never yield can occupy every async worker and would then starve their own timer. It goes
/// on ticking for a while when calls end, since waking it costs each call of a quiet account more than ticks cost the host.
pub(crate) struct Ticker {
    state: Arc<Ticking>,
    thread: std::thread::Thread,
}

#[derive(Default)]
struct Ticking {
    running: AtomicUsize,
    /// It sleeps until it is woken.
    idle: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engines: Vec<Engine>) -> Result<Self, Error> {
        let state = Arc::new(Ticking::default());
        let seen = Arc::clone(&state);
        let engines: Vec<_> = engines.iter().map(Engine::weak).collect();
        let handle = std::thread::Builder::new()
            .name("vimhost-epoch".into())
            .spawn(move || {
                let mut quiet = 0_u32;
                loop {
                    let alive: Vec<_> = engines.iter().filter_map(wasmtime::EngineWeak::upgrade).collect();
                    if alive.is_empty() {
                        return;
                    }
                    if seen.running.load(Ordering::SeqCst) > 0 {
                        quiet = 0;
                    }
                    if quiet < LINGER {
                        quiet += 1;
                        alive.iter().for_each(Engine::increment_epoch);
                        drop(alive);
                        std::thread::park_timeout(TICK);
                        continue;
                    }
                    drop(alive);
                    // Announced before it looks again: a call that begins in between sees it and wakes this thread.
                    seen.idle.store(true, Ordering::SeqCst);
                    if seen.running.load(Ordering::SeqCst) == 0 {
                        std::thread::park_timeout(IDLE);
                    }
                    seen.idle.store(false, Ordering::SeqCst);
                }
            })
            .map_err(Error::Threads)?;
        Ok(Self {
            state,
            thread: handle.thread().clone(),
        })
    }

    /// Ticks until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        if self.state.idle.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.state))
    }
}

/// A call in progress.
pub(crate) struct Running(Arc<Ticking>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
