//! Makes one connector call and turns its answer into an event.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use vimhost_connector::{
    Call, Connector, Error as CallError, Journal, JournalError, is_of_any_operation, is_of_operation,
};
use vimhost_model::{JournalEntry, JournalStatus, Resource, ResourceId, TaskId, VimId};
use vimhost_store::{Claim, JournalWrite, Store};

use super::account::{Account, Hold};
use super::announced::Calling;
use super::{Scheduler, lock};
use crate::Clock;
use crate::machine::{Answer, Request, request};

/// The journal of one resource, written under a claim.
///
/// It keeps what it writes in memory too, so that the journal need not be read back after each call.
///
/// An announcement is on disk before the call goes on, because a request follows it. That the request has made its element can wait
/// for the next write, to the journal or of the resource: a host that dies before knows the announcement, and finds the element
/// by its token, as it has to where it dies before the answer.
struct StoreJournal {
    store: Arc<dyn Store>,
    claim: Claim,
    resource: ResourceId,
    clock: Arc<dyn Clock>,
    calling: Arc<Calling>,
    kept: Mutex<Kept>,
}

/// The journal as the call has left it, as far as that is known.
struct Kept {
    entries: Vec<JournalEntry>,
    /// Commits that go with the next write.
    commits: Vec<JournalWrite>,
    /// Writes whose outcome is not known: failed, or not over.
    open: usize,
}

impl StoreJournal {
    async fn write(&self, write: JournalWrite) -> Result<Option<JournalEntry>, JournalError> {
        let forgets = matches!(write, JournalWrite::Forget { .. });
        let writes: Vec<_> = {
            let mut kept = lock(&self.kept);
            kept.open += 1;
            kept.commits.iter().cloned().chain([write]).collect()
        };
        let written = self
            .store
            .write_journal(&self.claim, &self.resource, &writes)
            .await
            .map_err(|error| JournalError::Store(error.to_string()))?;
        let mut kept = lock(&self.kept);
        kept.open -= 1;
        kept.commits.retain(|commit| !writes.contains(commit));
        if let Some(entry) = &written {
            let known = kept.entries.iter().position(|known| known.id == entry.id);
            match known {
                Some(index) if forgets => drop(kept.entries.remove(index)),
                Some(index) => {
                    if let Some(known) = kept.entries.get_mut(index) {
                        known.clone_from(entry);
                    }
                }
                None if forgets => {}
                None => kept.entries.push(entry.clone()),
            }
        }
        Ok(written)
    }

    /// Notes a commit for the next write. False: it is not for an entry known here.
    fn note(&self, number: u64, element: &VimId) -> bool {
        let mut kept = lock(&self.kept);
        let Some(known) = kept.entries.iter_mut().find(|known| known.id == number) else {
            return false;
        };
        known.status = JournalStatus::Committed;
        known.element = Some(element.clone());
        kept.commits.push(JournalWrite::Commit {
            entry: number,
            element: element.clone(),
        });
        true
    }

    /// The journal after the call, none when it has to be read; and the commits that are not written yet.
    fn left(&self) -> (Option<Vec<JournalEntry>>, Vec<JournalWrite>) {
        let mut kept = lock(&self.kept);
        let commits = std::mem::take(&mut kept.commits);
        let entries = (kept.open == 0).then(|| {
            let mut entries = kept.entries.clone();
            entries.sort_by_key(|entry| entry.id);
            entries
        });
        (entries, commits)
    }
}

/// What came of a call.
pub(super) struct Made {
    pub(super) answer: Answer,
    /// The journal after it; none when it has to be read.
    pub(super) journal: Option<Vec<JournalEntry>>,
    /// Commits of the journal that go with the next write.
    pub(super) commits: Vec<JournalWrite>,
}

#[async_trait]
impl Journal for StoreJournal {
    async fn begin(&self, kind: &str, token: &str) -> Result<u64, JournalError> {
        let write = JournalWrite::Begin {
            kind: kind.to_owned(),
            token: token.to_owned(),
            at: self.clock.now(),
        };
        let entry = self.write(write).await?;
        let entry = entry.ok_or_else(|| JournalError::Store("no entry was made".to_owned()))?;
        self.calling.begun(entry.id, kind, token);
        Ok(entry.id)
    }

    async fn commit(&self, entry: u64, element: &VimId) -> Result<(), JournalError> {
        if !self.note(entry, element) {
            let element = element.clone();
            self.write(JournalWrite::Commit { entry, element }).await?;
        }
        self.calling.resolved(entry);
        Ok(())
    }

    async fn forget(&self, entry: u64) -> Result<(), JournalError> {
        self.write(JournalWrite::Forget { entry }).await?;
        self.calling.resolved(entry);
        Ok(())
    }
}

/// Makes the call. Never fails: a failure is an answer too.
pub(super) async fn make(
    scheduler: &Scheduler,
    account: &Account,
    hold: &Hold,
    connector: &dyn Connector,
    resource: &Resource,
    task: &TaskId,
    request: Request,
) -> Made {
    let token = resource.token();
    let (attempt, state, operation) = resource
        .tasks
        .iter()
        .find(|other| other.id == *task)
        .map(|task| {
            let operation = request::operation(&token, task);
            (task.attempt, task.connector_state.clone(), operation)
        })
        .unwrap_or_default();
    let shown = |entry: &&JournalEntry| {
        let own = |operation: &String| is_of_operation(&entry.token, operation);
        !is_of_any_operation(&entry.token, &token) || operation.as_ref().is_some_and(own)
    };
    let calling = Calling::new(&account.announced, hold.since);
    let now = scheduler.clock.now();
    let entries = calling.dated(resource.journal.iter().filter(shown), &token, now);
    let until_over = calling.until_over();
    let journal = Arc::new(StoreJournal {
        store: scheduler.store.clone(),
        claim: hold.claim.clone(),
        resource: resource.id.clone(),
        clock: scheduler.clock.clone(),
        calling,
        kept: Mutex::new(Kept {
            entries: resource.journal.clone(),
            commits: Vec::new(),
            open: 0,
        }),
    });
    let call = Call {
        token,
        operation,
        attempt,
        state,
        entries,
        now,
        journal: journal.clone(),
    };
    tracing::debug!(task_id = %task, resource = %resource.id, attempt, "connector call");
    let answer = match request {
        Request::Find(find) => Answer::Found(connector.find(find).await),
        Request::Create(create) => Answer::Created(connector.create(call, create).await),
        Request::Delete(delete) => Answer::Deleted(connector.delete(call, delete).await),
        Request::Operate(operate) => Answer::Operated(connector.operate(call, operate).await),
    };
    drop(until_over);
    tracing::debug!(task_id = %task, resource = %resource.id, ?answer, "connector answer");
    let (entries, commits) = journal.left();
    Made {
        answer,
        journal: entries,
        commits,
    }
}

/// The answer to a call that could not be made.
pub(super) fn not_made(request: &Request, error: CallError) -> Answer {
    match request {
        Request::Find(_) => Answer::Found(Err(error)),
        Request::Create(_) => Answer::Created(Err(error)),
        Request::Delete(_) => Answer::Deleted(Err(error)),
        Request::Operate(_) => Answer::Operated(Err(error)),
    }
}
