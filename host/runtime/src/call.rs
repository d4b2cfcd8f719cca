//! One call: a slot, a store, an instance, a verdict.
//!
//! A store serves one call and is dropped, because after a trap or a deadline nothing in it can be trusted, and because dropping
//! it ends its requests. The caller learns one of three things: an answer, the guest's own error, or that the plugin failed; in
//! the last case with its name, version, function, reason and last words, and whether something may have been done.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tracing::{Instrument as _, Span};
use vimhost_connector::{Call, Error, ErrorKind, Outcome};
use wasmtime::component::Instance;
use wasmtime::{Store, Trap};

use crate::Limits;
use crate::account::AccountState;
use crate::bindings::host::vim_types as wit;
use crate::context::{Ctx, Shared};
use crate::convert::{Reader, Rubbish};
use crate::core::Core;
use crate::imports::journal::CallJournal;
use crate::meter::{self, Exhausted};
use crate::plugin::{Code, Identity};
use crate::quarantine::Conduct;
use crate::text::{cut, safe};

/// What a plugin's failure shows of a reason that is not ours.
const REASON: usize = 1 << 10;
/// What it shows of the last words; the end, where the exception is named.
const WORDS: usize = 2 << 10;

/// What is done with an instance.
pub(crate) type Work<T> =
    Box<dyn for<'a> FnOnce(&'a mut Store<Ctx>, &'a Code, &'a Instance) -> WorkFuture<'a, T> + Send>;
/// Its future.
pub(crate) type WorkFuture<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// A call to be made.
pub(crate) struct Invocation {
    pub(crate) identity: Arc<Identity>,
    pub(crate) code: Arc<Code>,
    pub(crate) account: Option<Arc<AccountState>>,
    /// Name in the contract.
    pub(crate) function: &'static str,
}

impl Invocation {
    /// Makes the call and reads its answer.
    ///
    /// # Errors
    /// What the guest reported, or why the plugin failed.
    pub(crate) async fn run<A, R>(
        self,
        core: &Arc<Core>,
        call: Option<Call>,
        work: Work<Result<A, wit::Error>>,
        read: impl FnOnce(Reader<'_>, A) -> Result<R, Rubbish> + Send + 'static,
    ) -> Result<R, Error>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        let function = self.function;
        let trial = match &self.account {
            Some(account) => Some(Trial::begin(&self.identity, account.conduct())?),
            None => None,
        };
        let metrics = self.account.as_ref().map(|account| Arc::clone(account.metrics()));
        let _in_flight = metrics.as_ref().map(|metrics| metrics.begun());
        let (begun, span) = (Instant::now(), self.span());
        let answered = self.answered(core, call, work, read, span.clone()).await;
        if let Some(trial) = trial {
            trial.end(answered.as_ref().map(|_| ()));
        }
        let failed = answered.as_ref().err().map(|error| error.kind);
        if let Some(kind) = failed {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", kind.as_str());
        }
        if let Some(metrics) = metrics {
            metrics.ended(function, failed, begun.elapsed());
        }
        answered
    }

    /// The span of a call that is part of something; what is done again and again for itself (observing) has none.
    fn span(&self) -> Span {
        if Span::current().is_none() {
            return Span::none();
        }
        tracing::debug_span!(
            "vim_call",
            plugin = self.identity.name,
            plugin_version = self.identity.version,
            call = self.function,
            vim_id = self.account.as_ref().map(|account| account.id()),
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        )
    }

    async fn answered<A, R>(
        self,
        core: &Arc<Core>,
        call: Option<Call>,
        work: Work<Result<A, wit::Error>>,
        read: impl FnOnce(Reader<'_>, A) -> Result<R, Rubbish> + Send + 'static,
        span: Span,
    ) -> Result<R, Error>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        let guests = core.guests();
        // Where writes to the journal run: the caller's own runtime, which may be that of its database driver.
        let caller = tokio::runtime::Handle::try_current().unwrap_or_else(|_| guests.clone());
        let (identity, function) = (Arc::clone(&self.identity), self.function);
        let broken_off = |why: &str| {
            let reason = format!("the host's own task broke off: {why}");
            failed(&identity, function, &reason, Outcome::Unknown)
        };
        let there = caller.id() == guests.id();
        let running = self
            .on_guest_thread(Arc::clone(core), call, caller, work, read)
            .instrument(span);
        if there {
            // Not within this future, which every caller would carry around.
            let running = AssertUnwindSafe(Box::pin(running)).catch_unwind();
            return running.await.unwrap_or_else(|_| Err(broken_off("it panicked")));
        }
        AbortOnDrop(guests.spawn(running))
            .await
            .unwrap_or_else(|error| Err(broken_off(&error.to_string())))
    }

    /// All of it, reading the answer included: that takes as long as the guest has made its answer large.
    async fn on_guest_thread<A: Send + 'static, R>(
        self,
        core: Arc<Core>,
        call: Option<Call>,
        caller: tokio::runtime::Handle,
        work: Work<Result<A, wit::Error>>,
        read: impl FnOnce(Reader<'_>, A) -> Result<R, Rubbish> + Send,
    ) -> Result<R, Error> {
        let limits = &core.limits;
        let slot = match core.slots.try_acquire() {
            Ok(slot) => Some(slot),
            Err(_) => tokio::time::timeout(limits.queue, core.slots.acquire())
                .await
                .ok()
                .and_then(Result::ok),
        };
        let Some(_slot) = slot else {
            let reason = format!("no slot was free within {:?}", limits.queue);
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("{}, {}: {reason}", self.identity, self.function),
            ));
        };
        let begun = Instant::now();
        let shared = Arc::new(Shared::new(limits));
        let journal = call.map(|call| CallJournal::new(&call, caller, limits.journal_entries, &shared));
        let writing = journal.as_ref().map(CallJournal::writing);
        let ctx = Ctx::new(
            &self.identity,
            self.account.clone(),
            journal,
            Arc::clone(&shared),
            limits,
        );
        let mut store = Store::new(&self.code.engine, ctx);
        store.set_hostcall_fuel(limits.host_call_bytes);
        meter::attach(&mut store);

        let ticking = core.ticker.run();
        let code = &self.code;
        let result = tokio::time::timeout(limits.wall, async {
            let instance = code.pre.instantiate_async(&mut store).await?;
            work(&mut store, code, &instance).await
        })
        .await;
        drop(ticking);

        let ctx = store.data();
        ctx.log.finish([("stdout", &ctx.stdout), ("stderr", &ctx.stderr)]);
        if let Some(account) = &ctx.account {
            account.metrics().used(ctx.meter.used(), ctx.memory.used());
        }
        let compute_us = u64::try_from(ctx.meter.used().as_micros()).unwrap_or(u64::MAX);
        let verdict = match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err((reason(&error, ctx), last_words(ctx))),
            Err(_) => Err((
                format!("wall time limit of {:?} exceeded", limits.wall),
                last_words(ctx),
            )),
        };
        // Ends requests in flight before the outcome is read, and frees the slot.
        drop(store);
        let elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::trace!(plugin = %self.identity.name, call = self.function, compute_us, elapsed_us, "call ended");
        if let Some(writing) = writing {
            writing.settle().await;
        }
        if let Some(breach) = shared.breach() {
            let mut error = self.failed(&breach.message, &shared);
            error.kind = breach.kind;
            return Err(error);
        }
        match verdict {
            Ok(Ok(answer)) => read(Reader::new(limits), answer)
                .map_err(|rubbish| self.failed(&format!("answered rubbish: {rubbish}"), &shared)),
            Ok(Err(error)) => Err(reported(&error, &shared, limits)),
            Err((reason, words)) => {
                let (plugin, digest) = (&*self.identity.name, &*self.identity.digest);
                tracing::debug!(plugin, digest, call = self.function, reason, "plugin failed");
                Err(self.failed(&format!("{reason}{}{words}", shared.remarks()), &shared))
            }
        }
    }

    fn failed(&self, reason: &str, shared: &Shared) -> Error {
        failed(&self.identity, self.function, reason, outcome(shared))
    }
}

/// A call whose outcome says how its plugin behaves.
struct Trial {
    identity: Arc<Identity>,
    conduct: Arc<Conduct>,
    judged: bool,
}

impl Trial {
    /// Refuses a call of a plugin in quarantine.
    fn begin(identity: &Arc<Identity>, conduct: &Arc<Conduct>) -> Result<Self, Error> {
        conduct.admit(Instant::now()).map_err(|error| Error {
            message: format!("{identity}: {}", error.message),
            ..error
        })?;
        Ok(Self {
            identity: Arc::clone(identity),
            conduct: Arc::clone(conduct),
            judged: false,
        })
    }

    fn end(mut self, outcome: Result<(), &Error>) {
        self.judged = true;
        let now = Instant::now();
        if self.conduct.judge(outcome, now) {
            let reason = self.conduct.quarantined(now).unwrap_or_default();
            tracing::error!(plugin = self.identity.name, reason, "plugin is left alone for a while");
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !self.judged {
            self.conduct.withdraw();
        }
    }
}

/// What the guest said went wrong, and what the host knows of it.
fn reported(error: &wit::Error, shared: &Shared, limits: &Limits) -> Error {
    let mut error = Reader::new(limits).error(error);
    error.message.push_str(&shared.remarks());
    // A guest with an HTTP library of its own may take a refused request for a VIM that cannot be reached, which would be tried
    // for a quarter of an hour; only an operator can end this one.
    if shared.has_refused() && matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Timeout) {
        error.kind = ErrorKind::NotGranted;
    }
    error
}

fn outcome(shared: &Shared) -> Outcome {
    if shared.outcome_is_open() {
        Outcome::Unknown
    } else {
        Outcome::Known
    }
}

fn failed(identity: &Identity, function: &str, reason: &str, outcome: Outcome) -> Error {
    Error {
        kind: ErrorKind::Plugin,
        message: format!("{identity}, {function}: {reason}"),
        retry_after: None,
        outcome,
    }
}

/// Why a guest ended, in words that say whose fault it is.
fn reason(error: &wasmtime::Error, ctx: &Ctx) -> String {
    if let Some(exhausted) = error.downcast_ref::<Exhausted>() {
        return exhausted.to_string();
    }
    if let Some(refused) = ctx.memory.refused() {
        return refused.to_owned();
    }
    if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return "it called exit".into();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it panicked or aborted".into(),
        Some(Trap::StackOverflow) => "its stack overflowed".into(),
        Some(Trap::MemoryOutOfBounds) => "it accessed memory out of bounds, as endless recursion does".into(),
        Some(trap) => trap.to_string(),
        None => safe(&error.root_cause().to_string(), REASON),
    }
}

fn last_words(ctx: &Ctx) -> String {
    let words = [ctx.stdout.last_words(), ctx.stderr.last_words()];
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|words| !words.is_empty())
        .collect();
    if words.is_empty() {
        return String::new();
    }
    format!("; last words: {}", end_of(&words.join(" | ")))
}

fn end_of(text: &str) -> String {
    let Some(excess) = text.len().checked_sub(WORDS) else {
        return text.to_owned();
    };
    let start = (excess..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    format!("…{}", cut(text.get(start..).unwrap_or_default(), WORDS))
}

/// A caller that goes away ends its call.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}
