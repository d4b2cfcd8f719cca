//! What belongs to one call: the data of its store, and the part that its requests share with it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use vimhost_connector::ErrorKind;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::Limits;
use crate::account::AccountState;
use crate::egress::Egress;
use crate::imports::cache::Obtaining;
use crate::imports::journal::CallJournal;
use crate::imports::log::LogGate;
use crate::meter::{Memory, Meter};
use crate::plugin::Identity;
use crate::sink::Sink;

/// Refusals and failed requests a call keeps for its error; further ones are the same again.
const KEPT_NOTES: usize = 4;

/// The data of a store: everything a guest can reach.
pub(crate) struct Ctx {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) egress: Egress,
    pub(crate) meter: Meter,
    pub(crate) memory: Memory,
    pub(crate) log: LogGate,
    pub(crate) journal: Option<CallJournal>,
    pub(crate) account: Option<Arc<AccountState>>,
    pub(crate) obtaining: Option<Obtaining>,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
    pub(crate) shared: Arc<Shared>,
}

impl Ctx {
    pub(crate) fn new(
        plugin: &Arc<Identity>,
        account: Option<Arc<AccountState>>,
        journal: Option<CallJournal>,
        shared: Arc<Shared>,
        limits: &Arc<Limits>,
    ) -> Self {
        let (stdout, stderr) = (Sink::new(limits.last_words), Sink::new(limits.last_words));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.fields);
        let wasi = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .max_random_size(limits.random_bytes)
            .build();
        Self {
            table,
            wasi,
            http,
            egress: Egress::new(account.clone(), Arc::clone(&shared), Arc::clone(limits)),
            meter: Meter::new(limits),
            memory: Memory::new(limits),
            log: LogGate::new(Arc::clone(plugin), account.as_deref(), limits),
            journal,
            obtaining: account.clone().map(Obtaining::new),
            account,
            stdout,
            stderr,
            shared,
        }
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.egress,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Why the host fails a call although the guest may have answered.
#[derive(Debug, Clone)]
pub(crate) struct Breach {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// What a call and its requests, which run as tasks of their own, both see.
pub(crate) struct Shared {
    /// Requests are refused from here on.
    pub(crate) deadline: Instant,
    /// Requests at the same time.
    pub(crate) open: Arc<Semaphore>,
    requests: AtomicU32,
    unanswered: AtomicUsize,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    refusals: Vec<String>,
    failures: Vec<String>,
    breach: Option<Breach>,
    begun: BTreeSet<u64>,
}

impl Shared {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            deadline: Instant::now()
                .checked_add(limits.wall)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600)),
            open: Arc::new(Semaphore::new(limits.open_requests.min(Semaphore::MAX_PERMITS))),
            requests: AtomicU32::new(0),
            unanswered: AtomicUsize::new(0),
            notes: Mutex::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; answers how many there are.
    pub(crate) fn count_request(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A request goes out.
    pub(crate) fn sent(&self) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
    }

    /// A request was answered, or never reached anybody.
    pub(crate) fn settled(&self) {
        self.unanswered.fetch_sub(1, Ordering::SeqCst);
    }

    /// Remembers what the host refused, for the call's error.
    pub(crate) fn refuse(&self, what: String) {
        keep(&mut self.notes().refusals, what);
    }

    /// Remembers why a request failed, which a guest learns only as a code.
    pub(crate) fn failed(&self, what: String) {
        keep(&mut self.notes().failures, what);
    }

    /// From here on nothing is sent and the call fails. The first reason stays.
    pub(crate) fn break_off(&self, breach: Breach) {
        self.notes().breach.get_or_insert(breach);
    }

    pub(crate) fn breach(&self) -> Option<Breach> {
        self.notes().breach.clone()
    }

    /// An entry of the journal is open.
    pub(crate) fn begun(&self, entry: u64) {
        self.notes().begun.insert(entry);
    }

    /// An entry of the journal is closed.
    pub(crate) fn closed(&self, entry: u64) {
        self.notes().begun.remove(&entry);
    }

    /// Whether the call has failed with a request under way: nothing tells any more what became of that one.
    pub(crate) fn ended_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::SeqCst) > 0 && self.notes().breach.is_some()
    }

    /// Whether something may exist that nobody knows of.
    pub(crate) fn outcome_is_open(&self) -> bool {
        self.unanswered.load(Ordering::SeqCst) > 0 || !self.notes().begun.is_empty()
    }

    /// Whether the host refused anything.
    pub(crate) fn has_refused(&self) -> bool {
        !self.notes().refusals.is_empty()
    }

    /// What the call's error has to add for its reader.
    pub(crate) fn remarks(&self) -> String {
        let notes = self.notes();
        let refusals = notes.refusals.iter().map(|what| format!("; the host refused: {what}"));
        let failures = notes.failures.iter().map(|what| format!("; request failed: {what}"));
        refusals.chain(failures).collect()
    }
}

fn keep(list: &mut Vec<String>, what: String) {
    if list.len() < KEPT_NOTES && !list.contains(&what) {
        list.push(what);
    }
}
