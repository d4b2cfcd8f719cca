//! OSM's database and vimhost's accounts in memory, with a fuse that ends a host at any of its steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use vimhost_engine::{AccountContent, Adopted, Clock};
use vimhost_model::{AccountState, TargetId, Timestamp};
use vimhost_osm::record::{self, Answer, Lock, Operation, Outcome};
use vimhost_osm::{Accounts, Database, DatabaseError, Hint, HostError, Listing, Reconciler, Removal, Watched, account};
use vimhost_store::Change;

/// The account of most tests.
pub const VIM: &str = "vim:a";

/// An account as vimhost keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub content: AccountContent,
    pub state: AccountState,
    pub in_use: bool,
}

/// What somebody else does while a check is under way.
type Meanwhile = Box<dyn FnOnce(&World) + Send>;

#[derive(Default)]
struct State {
    documents: BTreeMap<TargetId, Value>,
    version: Option<Value>,
    kept: BTreeMap<TargetId, Kept>,
    checks: Vec<TargetId>,
    /// What happens while an account is being checked.
    during_check: Option<Meanwhile>,
    listeners: Vec<mpsc::Sender<Hint>>,
    away: bool,
    /// Calls that were refused because the database was away, or an account in use.
    refusals: usize,
}

/// When a host dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dies {
    Never,
    /// Before its n-th call has an effect, or after.
    Before(usize),
    After(usize),
}

/// Both databases.
pub struct World {
    state: Mutex<State>,
    clock: AtomicI64,
    changes: broadcast::Sender<Change>,
    replicated: bool,
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::of(true)
    }

    pub fn standalone() -> Arc<Self> {
        Self::of(false)
    }

    fn of(replicated: bool) -> Arc<Self> {
        let world = Self {
            state: Mutex::default(),
            clock: AtomicI64::new(1_700_000_000_000),
            changes: broadcast::channel(64).0,
            replicated,
        };
        world.state().version = Some(json!({"_id": "version"}));
        Arc::new(world)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host of a name; it ends when it is told to.
    pub fn host(self: &Arc<Self>, name: &str, dies: Dies) -> Reconciler {
        let host = Arc::new(Host {
            world: self.clone(),
            calls: AtomicUsize::new(0),
            dies,
        });
        Reconciler {
            database: host.clone(),
            accounts: host.clone(),
            common_key: None,
            clock: host,
            host: name.to_owned(),
        }
    }

    pub fn pass(&self, time: std::time::Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    /// NBI writes a whole document.
    pub fn write(&self, target: &str, document: Value) {
        let target: TargetId = target.parse().unwrap();
        self.state().documents.insert(target.clone(), document);
        self.tell(&target);
    }

    /// NBI adds an account.
    pub fn create(&self, target: &str, password: &str) {
        self.write(target, created(password));
    }

    /// NBI changes an account.
    pub fn edit(&self, target: &str, change: impl FnOnce(&mut Value)) {
        let mut document = self.document(target).unwrap();
        change(&mut document);
        let started = self.now().as_seconds();
        let operations = document["_admin"]["operations"].as_array_mut().unwrap();
        operations.push(json!({"lcmOperationType": "edit", "operationState": "PROCESSING", "startTime": started}));
        self.write(target, document);
    }

    /// NBI marks an account as being deleted.
    pub fn mark_for_deletion(&self, target: &str) {
        let mut document = self.document(target).unwrap();
        document["_admin"]["to_delete"] = json!(true);
        let operations = document["_admin"]["operations"].as_array_mut().unwrap();
        operations.push(json!({"lcmOperationType": "delete", "operationState": "PROCESSING", "startTime": 9.0}));
        self.write(target, document);
    }

    /// LCM removes an account.
    pub fn remove(&self, target: &str) {
        let target: TargetId = target.parse().unwrap();
        self.state().documents.remove(&target);
        self.tell(&target);
    }

    pub fn forget_version(&self) {
        self.state().version = None;
    }

    pub fn away(&self, away: bool) {
        self.state().away = away;
    }

    /// Once, while the next account is being checked.
    pub fn during_check(&self, act: impl FnOnce(&World) + Send + 'static) {
        self.state().during_check = Some(Box::new(act));
    }

    fn tell(&self, target: &TargetId) {
        for listener in &self.state().listeners {
            // A listener that lags or has ended has lost a hint, as it may.
            let _told = listener.try_send(Hint::Account(target.clone()));
        }
    }

    pub fn document(&self, target: &str) -> Option<Value> {
        self.state().documents.get(&target.parse().unwrap()).cloned()
    }

    /// `operationalState`, `detailed-status`, and the states of the operations.
    pub fn told(&self, target: &str) -> (String, String, Vec<String>) {
        let document = self.document(target).unwrap();
        let admin = &document["_admin"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let operations = admin["operations"].as_array().unwrap();
        (
            text(&admin["operationalState"]),
            text(&admin["detailed-status"]),
            operations.iter().map(|entry| text(&entry["operationState"])).collect(),
        )
    }

    pub fn kept(&self, target: &str) -> Option<Kept> {
        self.state().kept.get(&target.parse().unwrap()).cloned()
    }

    /// Elements are made on an account, or the last is gone from it.
    pub fn use_account(&self, target: &str, in_use: bool) {
        let target: TargetId = target.parse().unwrap();
        self.state().kept.get_mut(&target).unwrap().in_use = in_use;
    }

    /// An operator has checked an account by hand.
    pub fn set_state(&self, target: &str, state: AccountState) {
        let target: TargetId = target.parse().unwrap();
        self.state().kept.get_mut(&target).unwrap().state = state;
        // Nobody may be listening.
        let _heard = self.changes.send(Change::Account(target));
    }

    /// How often something was refused.
    pub fn refusals(&self) -> usize {
        self.state().refusals
    }

    /// How often accounts were checked.
    pub fn checks(&self) -> usize {
        self.state().checks.len()
    }
}

/// A document as NBI makes it.
pub fn created(password: &str) -> Value {
    json!({
        "_id": "a", "name": "cloud", "vim_type": "mock", "vim_url": "http://v", "vim_user": "me", "vim_password": password,
        "schema_version": "1.0", "config": {},
        "_admin": {"operationalState": "PROCESSING", "operations": [
            {"lcmOperationType": "create", "operationState": "PROCESSING", "startTime": 1.5, "detailed-status": ""}]},
    })
}

/// A process: its view of the world ends when it dies.
struct Host {
    world: Arc<World>,
    calls: AtomicUsize,
    dies: Dies,
}

impl Host {
    /// A call with an effect. Whoever has died gets no answer, and does nothing any more.
    fn call<T>(&self, effect: impl FnOnce() -> T) -> Result<T, String> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let died = || Err("the host has died".to_owned());
        match self.dies {
            Dies::Before(n) if number >= n => died(),
            Dies::After(n) if number > n => died(),
            Dies::After(n) if number == n => {
                effect();
                died()
            }
            Dies::Never | Dies::Before(_) | Dies::After(_) => Ok(effect()),
        }
    }

    fn ask<T>(&self, effect: impl FnOnce() -> T) -> Result<T, DatabaseError> {
        let mut state = self.world.state();
        if state.away {
            state.refusals += 1;
            let reason = "away".to_owned();
            return Err(DatabaseError { reason });
        }
        drop(state);
        self.call(effect).map_err(|reason| DatabaseError { reason })
    }

    fn act<T>(&self, effect: impl FnOnce() -> T) -> Result<T, HostError> {
        self.call(effect).map_err(|reason| HostError { reason })
    }
}

impl Clock for Host {
    fn now(&self) -> Timestamp {
        self.world.now()
    }
}

fn entry<'d>(document: &'d mut Value, operation: &Operation) -> &'d mut Value {
    &mut document["_admin"]["operations"][operation.index]
}

#[async_trait]
impl Database for Host {
    async fn accounts(&self) -> Result<Listing, DatabaseError> {
        self.ask(|| Listing {
            accounts: self.world.state().documents.clone().into_iter().collect(),
            strange: 0,
        })
    }

    async fn account(&self, target: &TargetId) -> Result<Option<Value>, DatabaseError> {
        self.ask(|| self.world.state().documents.get(target).cloned())
    }

    async fn version(&self) -> Result<Option<Value>, DatabaseError> {
        self.ask(|| self.world.state().version.clone())
    }

    async fn lock(
        &self,
        target: &TargetId,
        operation: &Operation,
        host: &str,
        at: Timestamp,
    ) -> Result<bool, DatabaseError> {
        self.ask(|| {
            let mut state = self.world.state();
            let Some(document) = state.documents.get_mut(target) else {
                return false;
            };
            if !record::open_operations(document).contains(operation) {
                return false;
            }
            let entry = entry(document, operation);
            entry["locked_at"] = json!(at.as_seconds());
            entry["locked_by"] = json!(host);
            true
        })
    }

    async fn answer(&self, target: &TargetId, decided_on: &Value, answer: &Answer) -> Result<bool, DatabaseError> {
        self.ask(|| {
            let mut state = self.world.state();
            let Some(document) = state.documents.get_mut(target) else {
                return false;
            };
            if !record::still_asks(target.kind, decided_on, document, &answer.operations) {
                return false;
            }
            let (state, ended, text) = match &answer.outcome {
                Ok(()) => ("ENABLED", "COMPLETED", ""),
                Err(reason) => ("ERROR", "FAILED", reason.as_str()),
            };
            document["_admin"]["operationalState"] = json!(state);
            document["_admin"]["detailed-status"] = json!(text);
            for operation in &answer.operations {
                let entry = entry(document, operation);
                entry["operationState"] = json!(ended);
                entry.as_object_mut().unwrap().remove("locked_at");
                entry.as_object_mut().unwrap().remove("locked_by");
            }
            true
        })
    }

    async fn watch(&self, hints: &mpsc::Sender<Hint>) -> Result<Watched, DatabaseError> {
        if !self.world.replicated {
            return Ok(Watched::Never);
        }
        self.ask(|| self.world.state().listeners.push(hints.clone()))?;
        let _told = hints.send(Hint::Everything).await;
        // The listener is told by whoever writes.
        std::future::pending().await
    }
}

#[async_trait]
impl Accounts for Host {
    async fn adopt(&self, content: &AccountContent) -> Result<Adopted, HostError> {
        assert_ne!(content.name, "panic", "on purpose");
        self.act(|| {
            let mut state = self.world.state();
            let mut kept = state.kept.get_mut(&content.target);
            if let Some(kept) = kept.as_mut()
                && kept.in_use
                && kept.content.url != content.url
            {
                let reason = "it has elements".to_owned();
                kept.state = AccountState::Error(reason.clone());
                return Adopted::Withheld(reason);
            }
            if kept.as_ref().is_some_and(|kept| kept.content == *content) {
                return Adopted::Unchanged;
            }
            let adopted = if kept.is_some() {
                Adopted::Changed
            } else {
                Adopted::Added
            };
            let new = Kept {
                content: content.clone(),
                state: AccountState::Processing,
                in_use: kept.is_some_and(|kept| kept.in_use),
            };
            state.kept.insert(content.target.clone(), new);
            adopted
        })
    }

    async fn state(&self, target: &TargetId) -> Result<Option<AccountState>, HostError> {
        self.act(|| self.world.state().kept.get(target).map(|kept| kept.state.clone()))
    }

    async fn check(&self, target: &TargetId) -> Result<Outcome, HostError> {
        let content = self.act(|| {
            let mut state = self.world.state();
            state.checks.push(target.clone());
            state.kept.get(target).map(|kept| kept.content.clone())
        })?;
        let Some(content) = content else {
            let reason = "there is no such account".to_owned();
            return Err(HostError { reason });
        };
        if content.name == "hang" {
            std::future::pending::<()>().await;
        }
        let during = self.world.state().during_check.take();
        if let Some(act) = during {
            act(&self.world);
        }
        let password = content.credentials.get("password").map(|secret| secret.expose());
        let outcome = match (&*content.vim_type, password) {
            ("mock", Some("right")) => Ok(()),
            ("mock", _) => Err("the VIM refuses the password".to_owned()),
            (other, _) => Err(format!("no plugin serves VIM type '{other}'")),
        };
        self.act(|| {
            let mut state = self.world.state();
            if let Some(kept) = state.kept.get_mut(target).filter(|kept| kept.content == content) {
                kept.state = match &outcome {
                    Ok(()) => AccountState::Enabled,
                    Err(reason) => AccountState::Error(reason.clone()),
                };
            }
        })?;
        Ok(outcome)
    }

    async fn remove(&self, target: &TargetId) -> Result<Removal, HostError> {
        self.act(|| {
            let mut state = self.world.state();
            match state.kept.get(target).map(|kept| kept.in_use) {
                None => Removal::Absent,
                Some(true) => {
                    state.refusals += 1;
                    Removal::InUse("it has elements".to_owned())
                }
                Some(false) => {
                    state.kept.remove(target);
                    Removal::Removed
                }
            }
        })
    }

    async fn kept(&self) -> Result<Vec<TargetId>, HostError> {
        self.act(|| self.world.state().kept.keys().cloned().collect())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.world.changes.subscribe()
    }
}

/// A lock as a host writes it.
pub fn lock_of(document: &Value) -> Option<Lock> {
    record::open_operations(document).into_iter().next()?.lock
}

/// The fields that make an account, for tests that compare.
pub fn content(document: &Value) -> Vec<Option<&Value>> {
    let fields = account::fields(vimhost_model::TargetKind::Vim);
    fields.into_iter().map(|field| document.get(field)).collect()
}
