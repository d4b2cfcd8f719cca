//! One account: what OSM has of it, what vimhost keeps of it, and what is to be done so that both are as they should be.
//!
//! ```text
//! document ── gone, or being deleted ──────────► remove, unless something is on it
//!    │
//!    ├─ no account by its fields ──────────────► the operations that wait: FAILED
//!    │
//!    └─ adopt ── operations wait ──► lock ──► check ──► the operations: COMPLETED or FAILED, the account: ENABLED or ERROR
//!          │     none waits ──► check what was never checked ──► the account: ENABLED, where OSM does not have it so
//!          └─ it would lead elsewhere while something is on it ──► the operations that wait: FAILED; taken when nothing is
//! ```
//!
//! It takes no hint about what happened: it reads, and does what is missing. A host that dies between any two of these steps leaves
//! what the next look goes on with. Each step may be taken by several hosts: adopting and answering are compare-and-sets, a check
//! changes nothing, and the lock only saves the VIM from being asked by each of them. A host that was asleep with an old document in hand
//! may take that one over; that is a change of the account, which brings its next look.
//!
//! Without an operation no account is set to `ERROR`: a VIM that is away while vimhost starts is no wrong account, and LCM refuses to
//! use one that OSM has as `ERROR`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vimhost_engine::{Adopted, Clock};
use vimhost_model::{AccountState, Secret, TargetId, Timestamp};

use crate::account;
use crate::cipher::{Cipher, SerialError};
use crate::database::{Database, DatabaseError};
use crate::host::{Accounts, HostError, Removal};
use crate::record::{self, Answer, Operation, Outcome};

/// How long a check may take before it has failed: a login and a few listings of a slow VIM. A connector may take longer for one
/// call; a person who waits for an account does not.
pub const CHECK: Duration = Duration::from_secs(60);

/// How long a host's lock on an operation counts for others. Longer than a check, so that no VIM is asked twice; as short as can be,
/// because an account whose host has died waits for its end.
pub const LOCK: Duration = Duration::from_secs(75);

/// How long a lock of NG-RO's own counts, which names no host (NG-RO 15).
const NG_RO_LOCK: Duration = Duration::from_secs(300);

/// What went wrong in the document itself.
const READING: &str = "reading the account";

/// What went wrong with a change.
const TAKING: &str = "taking the account over";

/// What went wrong with the connector or the VIM.
const CHECKING: &str = "checking the account";

/// Why a look at an account was broken off. It is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// OSM's database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// vimhost itself.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The key.
    #[error(transparent)]
    Serial(#[from] SerialError),
}

/// What a look has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// All is as it should be.
    Settled,
    /// It was checked, and OSM was told how that ended.
    Answered(Outcome),
    /// Its document is no account, and nobody waits to be told.
    Unusable(String),
    /// It was removed.
    Removed,
    /// It is to be removed, and stays while something is on it.
    InUse(String),
    /// It was changed, and stays as it is while something is on it.
    Withheld(String),
    /// It is not in the database, which is not known to be OSM's: it stays.
    Doubtful,
    /// Another host is at it.
    Elsewhere,
    /// It was changed meanwhile, which brings the next look.
    Overtaken,
}

/// Looks at accounts, one at a time.
pub struct Reconciler {
    /// OSM's database.
    pub database: Arc<dyn Database>,
    /// vimhost's accounts.
    pub accounts: Arc<dyn Accounts>,
    /// The key that OSM's components share.
    pub common_key: Option<Secret>,
    /// The time, for locks and answers.
    pub clock: Arc<dyn Clock>,
    /// This host, in locks.
    pub host: String,
}

impl Reconciler {
    /// Does what is missing about an account.
    ///
    /// # Errors
    /// When something could not be read or written at the moment.
    pub async fn look(&self, target: &TargetId) -> Result<Done, Trouble> {
        let version = self.database.version().await?;
        let Some(document) = self.database.account(target).await? else {
            if version.is_some() {
                return self.leave(target).await;
            }
            // A database of another name, or one that was just made, has no accounts either.
            let kept = self.accounts.kept().await?.contains(target);
            return Ok(if kept { Done::Doubtful } else { Done::Settled });
        };
        if record::is_leaving(&document) {
            return self.leave(target).await;
        }
        let serial = version.as_ref().and_then(|version| version.get("serial"));
        let cipher = Cipher::new(self.common_key.as_ref(), serial.and_then(Value::as_str))?;
        let operations = record::open_operations(&document);
        let content = match account::parse(target, &document, &cipher) {
            Ok(content) => content,
            Err(error) => {
                let reason = record::reason(READING, &error.to_string());
                if operations.is_empty() {
                    return Ok(Done::Unusable(reason));
                }
                return self.answer(target, &document, operations, Err(reason)).await;
            }
        };
        let adopted = self.accounts.adopt(&content).await?;
        if let Adopted::Withheld(reason) = &adopted {
            let reason = record::reason(TAKING, reason);
            if operations.is_empty() {
                return Ok(Done::Withheld(reason));
            }
            return self.answer(target, &document, operations, Err(reason)).await;
        }
        if adopted != Adopted::Unchanged {
            tracing::debug!(target_id = %target, ?adopted, "account is as OSM has it");
        }
        match operations.first() {
            Some(first) => {
                let first = first.clone();
                self.end(target, &document, operations, &first).await
            }
            None => self.set_right(target, &document).await,
        }
    }

    /// Ends the operations of an account that is kept as its document has it.
    async fn end(
        &self,
        target: &TargetId,
        document: &Value,
        operations: Vec<Operation>,
        first: &Operation,
    ) -> Result<Done, Trouble> {
        let now = self.clock.now();
        if self.is_others(first, now) || !self.database.lock(target, first, &self.host, now).await? {
            return Ok(Done::Elsewhere);
        }
        let outcome = self.check(target).await?;
        self.answer(target, document, operations, outcome).await
    }

    /// Nobody waits: what was never checked is, and what works is told where OSM does not know.
    async fn set_right(&self, target: &TargetId, document: &Value) -> Result<Done, Trouble> {
        let outcome = match self.accounts.state(target).await? {
            // Another host has just removed it.
            None => return Ok(Done::Overtaken),
            Some(AccountState::Processing) => self.check(target).await?,
            Some(AccountState::Enabled) => Ok(()),
            Some(AccountState::Error(reason)) => Err(record::reason(CHECKING, &reason)),
        };
        let known = record::state(document);
        let told = match &outcome {
            Ok(()) => known == Some(record::ENABLED),
            Err(_) => known == Some(record::ENABLED) || known == Some(record::ERROR),
        };
        if told {
            return Ok(Done::Settled);
        }
        self.answer(target, document, Vec::new(), outcome).await
    }

    async fn leave(&self, target: &TargetId) -> Result<Done, Trouble> {
        Ok(match self.accounts.remove(target).await? {
            Removal::Removed => Done::Removed,
            Removal::Absent => Done::Settled,
            Removal::InUse(reason) => Done::InUse(reason),
        })
    }

    async fn check(&self, target: &TargetId) -> Result<Outcome, Trouble> {
        let outcome = match tokio::time::timeout(CHECK, self.accounts.check(target)).await {
            Ok(outcome) => outcome?,
            Err(_) => Err(format!("no answer in {CHECK:?}")),
        };
        Ok(outcome.map_err(|error| record::reason(CHECKING, &error)))
    }

    async fn answer(
        &self,
        target: &TargetId,
        document: &Value,
        operations: Vec<Operation>,
        outcome: Outcome,
    ) -> Result<Done, Trouble> {
        let answer = Answer {
            operations,
            outcome,
            at: self.clock.now(),
        };
        if self.database.answer(target, document, &answer).await? {
            Ok(Done::Answered(answer.outcome))
        } else {
            Ok(Done::Overtaken)
        }
    }

    /// Whether another host works on an operation, or may do so.
    fn is_others(&self, operation: &Operation, now: Timestamp) -> bool {
        let Some(lock) = &operation.lock else {
            return false;
        };
        let lasts = match lock.by.as_deref() {
            // One of a process that has died: within one, an account is looked at once at a time.
            Some(by) if by == self.host => return false,
            Some(_) => LOCK,
            None => NG_RO_LOCK,
        };
        let (lasts, age) = (lasts.as_secs_f64(), now.as_seconds() - lock.at);
        // One from further ahead than clocks differ is of a clock that was wrong.
        age < lasts && age > -lasts
    }
}
