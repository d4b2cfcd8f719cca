//! Performs what the task machine asks for.
//!
//! Everything is driven by events: a committed action, an answer, an observation, the end of a pause, another element that moved.
//! Nothing sleeps a fixed time and nothing scans what is stored. One resource is worked on by one task at a time; that task loads
//! the document, asks [`crate::machine::apply`], writes the result down, and only then acts on it. A write that met another
//! write is decided anew on what is there now, with the same event.
//!
//! What must always hold:
//! * A call goes out only after the state that asks for it is on disk, and its answer is applied before anything else happens to
//!   the resource.
//! * Whoever waits for another element has registered before it looks at it, so that no wake-up falls between.
//! * A host that dies at any point loses nothing: the start takes up every resource that is not settled.

mod account;
mod call;
mod drive;
mod finished;
mod gate;
mod poller;
mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vimhost_connector::Connectors;
use vimhost_model::{Resource, ResourceId, TargetId, Timestamp};
use vimhost_store::{Store, seal::KeyRing};

use crate::machine::{Event, Standing};
use crate::{Clock, EngineConfig, Error};

use account::Account;
use finished::OpenActions;
use gate::Gates;
pub(crate) use gate::Held;
use state::{Live, State};

/// How many unsettled resources are read at once at start.
const PAGE: usize = 500;

/// A claim without an end: the store itself keeps a second host away.
const FOREVER: Timestamp = Timestamp(i64::MAX / 2);

/// Runs tasks.
pub struct Scheduler {
    config: EngineConfig,
    store: Arc<dyn Store>,
    connectors: Arc<dyn Connectors>,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    accounts: Mutex<HashMap<TargetId, Arc<Account>>>,
    open_actions: OpenActions,
    gates: Gates,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Scheduler {
    /// Claims the accounts that have work and takes up what is not settled.
    pub(crate) async fn start(
        config: EngineConfig,
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let scheduler = Arc::new(Self {
            config,
            store,
            connectors,
            keys,
            clock,
            state: Mutex::default(),
            accounts: Mutex::default(),
            open_actions: OpenActions::default(),
            gates: Gates::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        scheduler.recover().await?;
        Ok(scheduler)
    }

    async fn recover(self: &Arc<Self>) -> Result<(), Error> {
        let doing = "taking up unsettled resources";
        let targets = self
            .store
            .targets_with_work()
            .await
            .map_err(|error| Error::of_store(doing, error))?;
        let mut taken = Vec::new();
        for target in &targets {
            let mut after: Option<String> = None;
            loop {
                let page = self
                    .store
                    .unsettled(target, after.as_deref(), PAGE)
                    .await
                    .map_err(|error| Error::of_store(doing, error))?;
                for resource in page.entries {
                    self.open_actions.found(&resource);
                    taken.push(resource.id);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        if !taken.is_empty() {
            tracing::info!(
                accounts = targets.len(),
                resources = taken.len(),
                "recovery: unsettled resources taken up"
            );
        }
        for id in &taken {
            self.wake(id);
        }
        self.watch_accounts().await;
        Ok(())
    }

    /// Observes the idle elements of every account from the start, not only of those that get work.
    async fn watch_accounts(self: &Arc<Self>) {
        let mut after: Option<String> = None;
        loop {
            match self.store.accounts(after.as_deref(), PAGE).await {
                Ok(page) => {
                    for account in page.entries {
                        self.account(&account.target);
                    }
                    after = page.next;
                    if after.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "idle elements are observed only where there is work: accounts cannot be listed");
                    return;
                }
            }
        }
    }

    /// Holds back what is written about a service while it is planned and the plan is committed; planning it twice at once too.
    pub(crate) async fn hold(&self, nsr: &vimhost_model::NsrId) -> Held {
        self.gates.hold(nsr).await
    }

    /// Nobody knows whether the plan was committed: if it was, its tasks run.
    pub(crate) fn perhaps_accepted(self: &Arc<Self>, plan: &crate::plan::Plan) {
        for id in plan.resources() {
            self.changed(&id);
        }
    }

    /// A committed action has given these resources tasks.
    pub(crate) fn accepted(self: &Arc<Self>, plan: &crate::plan::Plan) {
        self.open_actions.accepted(plan);
        for id in plan.resources() {
            self.changed(&id);
        }
    }

    /// An account was edited or removed: its connector is opened anew at the next call.
    pub(crate) fn account_changed(&self, target: &TargetId) {
        if let Some(account) = lock(&self.accounts).get(target) {
            account.forget_connector();
        }
    }

    /// Targets this host drives.
    pub(crate) fn driven(&self) -> Vec<TargetId> {
        let mut targets: Vec<TargetId> = lock(&self.accounts).keys().cloned().collect();
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
        let accounts: Vec<Arc<Account>> = lock(&self.accounts).values().cloned().collect();
        for account in accounts {
            account.release(&*self.store).await;
        }
    }

    /// The account's driver; made at the first call.
    fn account(self: &Arc<Self>, target: &TargetId) -> Arc<Account> {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get(target) {
            return account.clone();
        }
        let account = Arc::new(Account::new(target.clone(), self.config.calls_per_account));
        accounts.insert(target.clone(), account.clone());
        drop(accounts);
        self.tasks.spawn(self.clone().poll(account.clone()));
        if let Some(period) = self.config.idle_period {
            self.tasks.spawn(self.clone().observe_idle(account.clone(), period));
        }
        account
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
        self.tasks.spawn(self.clone().drive(id.clone()));
    }

    /// An element moved: whoever waits for it looks again, unless it has become usable and there is more to wait for.
    fn moved(self: &Arc<Self>, resource: &Resource, standing: Standing) {
        // Not in the head of the loop: the lock would be held there, and waking takes it.
        let woken = lock(&self.state).moved(resource, standing);
        for waiter in woken {
            self.wake(&waiter);
        }
    }

    /// Another host may drive the account now: nothing that is in memory counts any more.
    fn lost_claim(&self, account: &Account) {
        account.lost_claim();
        lock(&self.state).forget_account(&account.target);
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
