//! Follows OSM's database: hears or looks for what changes, and looks at each account that may have changed.
//!
//! A replica set tells what changes. A standalone is asked every two seconds, and what differs from what was seen last is looked at. Either
//! way everything is looked at twice a minute: what is due by time alone (a lock that has ended, elements that are gone from an account
//! that was deleted) and what was missed. vimhost's own accounts are listened to as well: an operator's check that passes is told to OSM.
//!
//! Every look is a task of its own, and one account is in one of them at a time. So an account that hangs, fails or makes its task
//! panic costs the others nothing (NG-RO D22). Dropping the future, or its end, ends them all; whatever they were at is begun anew.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{Id, JoinSet};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use vimhost_model::TargetId;
use vimhost_store::Change;

use crate::database::{Hint, Watched};
use crate::reconcile::{Done, Reconciler, Trouble};

/// Hints that wait to be taken. Whoever tells more waits; nothing is lost.
const HINTS: usize = 256;

/// How often things are looked at.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Changes, where the server does not tell them, and accounts whose look was broken off. A person waits for the end of an
    /// operation; three small queries are no load.
    pub poll: Duration,
    /// Everything.
    pub sweep: Duration,
    /// Between attempts to watch, doubled with each failure up to the second one.
    pub backoff: (Duration, Duration),
    /// Accounts at once. Most of the time of a look is spent waiting for a VIM.
    pub at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(2),
            sweep: Duration::from_secs(30),
            backoff: (Duration::from_millis(250), Duration::from_secs(15)),
            at_once: 16,
        }
    }
}

/// Follows OSM's accounts.
pub struct Follower {
    reconciler: Arc<Reconciler>,
    pace: Pace,
}

impl Follower {
    /// A follower that looks with `reconciler`.
    #[must_use]
    pub fn new(reconciler: Reconciler, pace: Pace) -> Self {
        Self {
            reconciler: Arc::new(reconciler),
            pace,
        }
    }

    /// Follows until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let (sender, hints) = mpsc::channel(HINTS);
        let watching = watch(&self.reconciler, &self.pace, sender);
        let following = Following {
            changes: self.reconciler.accounts.changes(),
            reconciler: self.reconciler.clone(),
            hints,
            waiting: BTreeSet::new(),
            again: HashSet::new(),
            looks: JoinSet::new(),
            running: HashMap::new(),
            troubled: BTreeSet::new(),
            seen: Seen::default(),
            told: Told::default(),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watching => {}
            () = following.run(&self.pace) => {}
        }
    }
}

/// Tells what changes in the database, for ever.
async fn watch(reconciler: &Reconciler, pace: &Pace, hints: mpsc::Sender<Hint>) {
    let mut pause = pace.backoff.0;
    let mut away = false;
    // Nobody listens any more once sending fails: the follower has ended.
    while !hints.is_closed() {
        match reconciler.database.watch(&hints).await {
            Ok(Watched::Never) => {
                tracing::info!("OSM's database tells no changes; they are looked for");
                let mut polls = ticks(pace.poll);
                loop {
                    polls.tick().await;
                    if hints.send(Hint::Changes).await.is_err() {
                        return;
                    }
                }
            }
            Ok(Watched::Ended) => {
                pause = pace.backoff.0;
                away = false;
            }
            Err(error) if away => tracing::debug!(%error, "OSM's database still cannot be watched"),
            Err(error) => {
                away = true;
                tracing::warn!(%error, "OSM's database cannot be watched; tried again");
            }
        }
        // While it tells nothing it is asked.
        if hints.send(Hint::Changes).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(pace.backoff.1);
    }
}

/// Ticks from now on; one that comes late puts the others off.
fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What documents were like when they were looked at last.
#[derive(Default)]
struct Seen {
    /// Drawn anew for each process: documents hold secrets, and a digest of them is worth nothing elsewhere.
    hasher: RandomState,
    digests: HashMap<TargetId, u64>,
}

impl Seen {
    /// Whether a document differs from what was seen last, which it is then.
    fn differs(&mut self, target: &TargetId, document: &Value) -> bool {
        let digest = self.hasher.hash_one(document.to_string());
        self.digests.insert(target.clone(), digest) != Some(digest)
    }

    /// The next look finds a difference.
    fn forget(&mut self, target: &TargetId) {
        self.digests.remove(target);
    }

    fn forget_all(&mut self) {
        self.digests.clear();
    }
}

/// What the log has been told, so that it is told once.
#[derive(Default)]
struct Told {
    of_accounts: HashMap<TargetId, String>,
    of_database: Option<String>,
    strange: usize,
}

struct Following {
    reconciler: Arc<Reconciler>,
    hints: mpsc::Receiver<Hint>,
    changes: broadcast::Receiver<Change>,
    /// Accounts to be looked at.
    waiting: BTreeSet<TargetId>,
    /// Of those that are being looked at, the ones that changed meanwhile.
    again: HashSet<TargetId>,
    looks: JoinSet<Result<Done, Trouble>>,
    running: HashMap<Id, TargetId>,
    /// Those whose look was broken off.
    troubled: BTreeSet<TargetId>,
    seen: Seen,
    told: Told,
}

impl Following {
    async fn run(mut self, pace: &Pace) {
        let mut sweeps = ticks(pace.sweep);
        let mut retries = ticks(pace.poll);
        loop {
            self.begin(pace.at_once);
            tokio::select! {
                hint = self.hints.recv() => match hint {
                    Some(Hint::Account(target)) => self.add(target),
                    Some(hint @ (Hint::Changes | Hint::Everything)) => self.list(hint).await,
                    None => return,
                },
                change = self.changes.recv() => match change {
                    Ok(Change::Account(target)) => self.add(target),
                    Ok(
                        Change::Action(..)
                        | Change::Resource(..)
                        | Change::Forgotten(_)
                        | Change::Work(_)
                        | Change::OpOcc(..)
                        | Change::Events
                        | Change::Subscriptions,
                    ) => {}
                    Err(RecvError::Lagged(_)) => self.list(Hint::Everything).await,
                    Err(RecvError::Closed) => return,
                },
                Some(ended) = self.looks.join_next_with_id() => self.ended(ended),
                _ = sweeps.tick() => self.list(Hint::Everything).await,
                _ = retries.tick(), if !self.troubled.is_empty() => {
                    for target in std::mem::take(&mut self.troubled) {
                        self.add(target);
                    }
                }
            }
        }
    }

    /// An account is to be looked at, once more if it is being looked at.
    fn add(&mut self, target: TargetId) {
        if self.running.values().any(|running| *running == target) {
            self.again.insert(target);
        } else {
            self.waiting.insert(target);
        }
    }

    /// Begins looks, as many as may be.
    fn begin(&mut self, at_once: usize) {
        while self.running.len() < at_once
            && let Some(target) = self.waiting.pop_first()
        {
            let (reconciler, of_task) = (self.reconciler.clone(), target.clone());
            let look = self.looks.spawn(async move { reconciler.look(&of_task).await });
            self.running.insert(look.id(), target);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<Done, Trouble>), tokio::task::JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(target) = self.running.remove(&id) else {
            return;
        };
        if self.again.remove(&target) {
            self.waiting.insert(target.clone());
        }
        match result {
            Ok(Ok(done)) => self.done(target, done),
            Ok(Err(trouble)) => {
                self.complain(&target, &trouble.to_string());
                self.troubled.insert(target);
            }
            // A fault of the program would only show again: it is left to the next look at everything.
            Err(panicked) => self.complain(&target, &panicked.to_string()),
        }
    }

    fn done(&mut self, target: TargetId, done: Done) {
        match done {
            // What another host or OSM writes is told as a change, and brings the next look.
            Done::Settled | Done::Elsewhere | Done::Overtaken => {
                self.told.of_accounts.remove(&target);
            }
            Done::Answered(Ok(())) => {
                self.told.of_accounts.remove(&target);
                tracing::info!(target_id = %target, "OSM's account is enabled");
            }
            Done::Answered(Err(reason)) => {
                tracing::error!(target_id = %target, error = %reason, "OSM's account cannot be used");
                self.told.of_accounts.insert(target, reason);
            }
            Done::Removed => {
                self.told.of_accounts.remove(&target);
                self.seen.forget(&target);
                tracing::info!(target_id = %target, "account removed, as in OSM");
            }
            Done::Unusable(reason) | Done::Withheld(reason) => self.complain(&target, &reason),
            Done::InUse(reason) => self.complain(&target, &format!("OSM has removed it: {reason}")),
            Done::Doubtful => self.complain(
                &target,
                "it is not in OSM's database, which lacks the document 'version' in 'admin': is it OSM's?",
            ),
        }
    }

    /// Tells the log about an account, once.
    fn complain(&mut self, target: &TargetId, reason: &str) {
        if self.told.of_accounts.get(target).is_some_and(|told| told == reason) {
            tracing::debug!(target_id = %target, error = %reason, "OSM's account is as it was");
            return;
        }
        tracing::warn!(target_id = %target, error = %reason, "OSM's account is not as it should be");
        self.told.of_accounts.insert(target.clone(), reason.to_owned());
    }

    /// Looks through both databases for accounts that are to be looked at.
    async fn list(&mut self, hint: Hint) {
        if hint == Hint::Everything {
            self.seen.forget_all();
        }
        let found = self.reconciler.database.accounts().await;
        let kept = self.reconciler.accounts.kept().await;
        let (found, kept) = match (found, kept) {
            (Ok(found), Ok(kept)) => (found, kept),
            (Err(error), _) => return self.away(error.to_string()),
            (_, Err(error)) => return self.away(error.to_string()),
        };
        if self.told.of_database.take().is_some() {
            tracing::info!("OSM's accounts are followed again");
        }
        if found.strange != self.told.strange {
            tracing::warn!(
                documents = found.strange,
                "documents among OSM's accounts have no usable id"
            );
            self.told.strange = found.strange;
        }
        let nothing = Value::Null;
        let there: HashSet<&TargetId> = found.accounts.iter().map(|(target, _)| target).collect();
        let gone = kept.iter().filter(|target| !there.contains(target));
        let gone = gone.map(|target| (target, &nothing));
        let all = found.accounts.iter().map(|(target, document)| (target, document));
        for (target, document) in all.chain(gone) {
            if self.seen.differs(target, document) {
                self.add(target.clone());
            }
        }
    }

    fn away(&mut self, reason: String) {
        if self.told.of_database.is_none() {
            tracing::warn!(error = %reason, "OSM's accounts cannot be followed; tried again");
        }
        self.told.of_database = Some(reason);
    }
}
