//! Performs what the task machine asks for.
//!
//! Everything is driven by events: a committed action, an answer, an observation, the end of a pause, another element that moved.
//! Nothing sleeps a fixed time and nothing scans what is stored. One resource is worked on by one task at a time; that task loads
//! the document, asks [`crate::machine::apply`], writes the result down, and only then acts on it. A write that met another
//! write is decided anew on what is there now, with the same event.
//!
//! Calls of an account whose VIM is away are held back (`breaker`): they answer at once that it is, and are repeated by the retry table.
//!
//! Keys that are to be let into VMs are served by the host itself, beside the account's connector (`inject`).
//!
//! What must always hold:
//! * A call goes out only after the state that asks for it is on disk, and its answer is applied before anything else happens to
//!   the resource.
//! * Whoever waits for another element has registered before it looks at it, so that no wake-up falls between.
//! * Nothing is decided, called or observed for an account that this host does not hold (`keeper`).
//! * How old an announcement is depends on no clock but this host's own steady one (`announced`).
//! * A host that dies at any point loses nothing: whoever claims its accounts next takes up every resource that is not settled.

mod account;
mod announced;
mod breaker;
mod call;
mod drive;
mod finished;
mod gate;
mod guarded;
mod inject;
mod keeper;
mod lease;
mod pace;
mod poller;
mod stacks;
mod state;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vimhost_connector::{Connectors, KeyInjector};
use vimhost_model::{Resource, ResourceId, TargetId, Timestamp};
use vimhost_store::{Store, seal::KeyRing};

use crate::machine::{Event, Standing};
use crate::{Clock, EngineConfig, Error};

use account::Account;
pub(crate) use announced::Calling;
use finished::OpenActions;
use gate::Gates;
pub(crate) use gate::Held;
pub use lease::LeaseTerms;
use lease::Sights;
pub(crate) use stacks::{OpOccHint, Right};
use state::{Live, State};

/// How many unsettled resources are read at once at start.
const PAGE: usize = 500;

/// The end of a claim where the store itself keeps a second host away.
const FOREVER: Timestamp = Timestamp(i64::MAX / 2);

/// Runs tasks.
pub struct Scheduler {
    config: EngineConfig,
    store: Arc<dyn Store>,
    connectors: Arc<dyn Connectors>,
    injector: Arc<dyn KeyInjector>,
    /// Where resources are driven: a step is a call of a connector and what is written before and after it.
    executor: tokio::runtime::Handle,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    accounts: Mutex<HashMap<TargetId, Arc<Account>>>,
    open_actions: OpenActions,
    gates: Gates,
    sights: Mutex<Sights>,
    /// Accounts that somebody has work for.
    wanted: Mutex<HashSet<TargetId>>,
    asked: Notify,
    /// Accounts claimed at the same time.
    gains: Semaphore,
    /// Logins on VMs at the same time.
    logins: Semaphore,
    last_lease_end: Mutex<Timestamp>,
    /// Until when no other host has the store, where that is known and leases do not tell.
    alone_until: Mutex<Option<Instant>>,
    /// Whoever drives operation occurrences.
    op_occs: tokio::sync::mpsc::UnboundedSender<OpOccHint>,
    tasks: TaskTracker,
    /// Nothing new begins.
    stopping: CancellationToken,
    /// Every account was given up.
    released: CancellationToken,
}

impl Scheduler {
    /// Claims the accounts that are free and takes up what is not settled.
    pub(crate) async fn start(
        config: EngineConfig,
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        injector: Arc<dyn KeyInjector>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        op_occs: tokio::sync::mpsc::UnboundedSender<OpOccHint>,
    ) -> Result<Arc<Self>, Error> {
        let executor = connectors.executor().unwrap_or_else(tokio::runtime::Handle::current);
        let scheduler = Arc::new(Self {
            config,
            store,
            connectors,
            injector,
            executor,
            keys,
            clock,
            state: Mutex::default(),
            accounts: Mutex::default(),
            open_actions: OpenActions::default(),
            gates: Gates::default(),
            sights: Mutex::default(),
            wanted: Mutex::default(),
            asked: Notify::new(),
            gains: Semaphore::new(keeper::CLAIMS_AT_ONCE),
            logins: Semaphore::new(inject::LOGINS_AT_ONCE),
            last_lease_end: Mutex::new(Timestamp(0)),
            alone_until: Mutex::default(),
            op_occs,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            released: CancellationToken::new(),
        });
        // Before anything is read, so that nothing falls between.
        let others = scheduler.store.changes_of_others();
        scheduler.recover().await?;
        // Not among the tasks: leases are extended while those come to an end.
        tokio::spawn(scheduler.clone().keep());
        tokio::spawn(scheduler.clone().hear_others(others));
        Ok(scheduler)
    }

    /// Holds back what is written about a service while it is planned and the plan is committed; planning it twice at once too.
    pub(crate) async fn hold(&self, nsr: &vimhost_model::NsrId) -> Held {
        self.gates.hold(nsr).await
    }

    /// Nobody knows whether the plan was committed: if it was, its tasks run.
    pub(crate) fn perhaps_accepted(self: &Arc<Self>, plan: &crate::plan::Plan) {
        for (target, id, _) in plan.resources() {
            self.begin(target, id);
        }
    }

    /// A committed action has given these resources tasks.
    pub(crate) fn accepted(self: &Arc<Self>, plan: &crate::plan::Plan) {
        // The only host will drive it, also what it has not claimed yet.
        let ours = |target: &TargetId| self.holds(target) || !self.shares_the_store();
        self.open_actions.accepted(plan, ours);
        // All of them are known before the first one looks at what it needs.
        let made: Vec<_> = plan.made().collect();
        let mut state = lock(&self.state);
        for resource in made.iter().filter(|resource| self.holds(&resource.target)) {
            state.made(resource);
        }
        drop(state);
        for resource in &made {
            if self.holds(&resource.target) {
                self.wake(&resource.id);
            } else {
                self.want_if_free(&resource.target);
            }
        }
        for (target, id) in plan.updated() {
            self.begin(target, id);
        }
    }

    /// Looks at what has new tasks. On an account of another host that host does.
    fn begin(self: &Arc<Self>, target: &TargetId, id: &ResourceId) {
        if self.holds(target) {
            self.changed(id);
        } else {
            self.want_if_free(target);
        }
    }

    /// This host in leases.
    pub(crate) fn host(&self) -> &vimhost_model::HostId {
        &self.config.host
    }

    /// Whether other hosts may have the same store.
    pub(crate) fn shares_the_store(&self) -> bool {
        self.config.leases.is_some()
    }

    /// Somebody has marked a task of a resource.
    pub(crate) fn marked(self: &Arc<Self>, id: &ResourceId) {
        self.changed(id);
    }

    /// Targets this host drives.
    pub(crate) fn driven(&self) -> Vec<TargetId> {
        let accounts = lock(&self.accounts);
        let held = accounts.values().filter(|account| account.hold().is_some());
        let mut targets: Vec<TargetId> = held.map(|account| account.target.clone()).collect();
        drop(accounts);
        targets.sort();
        targets
    }

    /// Lets running calls end and gives the accounts up.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "stopped with calls in flight; they are resolved at the next start"
            );
        }
        self.release_all().await;
        self.released.cancel();
    }

    /// The account as this host knows it; made when it is asked for first.
    fn account(&self, target: &TargetId) -> Arc<Account> {
        let (calls, per_second) = (self.config.calls_per_account, self.config.calls_per_second);
        let new = || Arc::new(Account::new(target.clone(), calls, per_second));
        lock(&self.accounts).entry(target.clone()).or_insert_with(new).clone()
    }

    /// What was known of a resource has turned out to be old: whoever counts on it looks again.
    fn overtaken(self: &Arc<Self>, id: &ResourceId) {
        let waiters = lock(&self.state).overtaken(id);
        for waiter in waiters {
            self.wake(&waiter);
        }
    }

    /// Somebody else has changed a resource: it is read anew.
    fn changed(self: &Arc<Self>, id: &ResourceId) {
        lock(&self.state).changed(id);
        self.wake(id);
    }

    /// Somebody is to look at a resource.
    fn wake(self: &Arc<Self>, id: &ResourceId) {
        self.hand(id, None);
    }

    /// Something happened to a resource.
    fn deliver(self: &Arc<Self>, id: &ResourceId, event: Event) {
        self.hand(id, Some(event));
    }

    fn hand(self: &Arc<Self>, id: &ResourceId, event: Option<Event>) {
        if self.stopping.is_cancelled() {
            return;
        }
        let mut state = lock(&self.state);
        if let Some(live) = state.live.get_mut(id) {
            live.again = true;
            live.events.extend(event);
            return;
        }
        let live = Live {
            events: event.into_iter().collect(),
            ..Live::default()
        };
        state.live.insert(id.clone(), live);
        drop(state);
        self.tasks.spawn_on(self.clone().drive(id.clone()), &self.executor);
    }

    /// An element moved: whoever waits for it looks again, unless it has become usable and there is more to wait for.
    fn moved(self: &Arc<Self>, resource: &Resource, standing: Standing) {
        // Not in the head of the loop: the lock would be held there, and waking takes it.
        let woken = lock(&self.state).moved(resource, standing);
        for waiter in woken {
            self.wake(&waiter);
        }
    }

    /// Looks at a resource again at a time. An earlier look that is due already will ask anew for what comes after it.
    fn wake_at(self: &Arc<Self>, id: ResourceId, at: Timestamp) {
        {
            let mut state = lock(&self.state);
            if state.wakes.get(&id).is_some_and(|earlier| *earlier <= at) {
                return;
            }
            state.wakes.insert(id.clone(), at);
        }
        let scheduler = self.clone();
        let pause = spread(at.since(self.clock.now()), &id);
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(pause) => {
                    let mut state = lock(&scheduler.state);
                    if state.wakes.get(&id) == Some(&at) {
                        state.wakes.remove(&id);
                    }
                    drop(state);
                    scheduler.wake(&id);
                }
                () = scheduler.stopping.cancelled() => {}
            }
        });
    }
}

/// Up to a tenth longer, differently for each resource: what failed together is not repeated together.
fn spread(pause: Duration, id: &ResourceId) -> Duration {
    let share = id
        .as_str()
        .bytes()
        .fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
        % 100;
    pause.saturating_add(pause.saturating_mul(share) / 1000)
}

/// Locks; a panic elsewhere leaves the maps whole, since nothing in a critical section can fail half-way.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
