//! Actions as a client asks for them: listed by what they are, and cancelled.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;
use vimhost_model::{ActionHeader, ActionId, ActionKind, ActionStatus, NsrId, Resource, TaskStatus, Timestamp};
use vimhost_store::{Change, Page};

use crate::access::from;
use crate::machine::CANCELLED;
use crate::{ActionReport, Engine, Error};

/// How often marking a resource is repeated while its driver writes it too. Each turn one of the two has written.
const MARK_TRIES: usize = 50;

/// How long the answer to a cancellation waits for the drivers to decide. They do at once, unless a call is under way.
const DECIDED_WITHIN: Duration = Duration::from_secs(5);

/// Without a hint, how soon it is looked again: another host may drive an account, and hints can be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Actions that are looked at for one page when their state is asked for: it is that of their tasks, which are read for each.
const MOST_WITH_STATE: usize = 100;

/// Which actions.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// Of this service.
    pub service: Option<NsrId>,
    /// That stand like this.
    pub state: Option<ActionStatus>,
    /// Of this kind.
    pub kind: Option<ActionKind>,
    /// Accepted then or later.
    pub since: Option<Timestamp>,
}

/// What became of the tasks of an action that was cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cancelled {
    /// Given up: they had not begun and never will.
    pub cancelled: Vec<String>,
    /// They had begun, and go on.
    pub going_on: Vec<String>,
    /// A call of theirs is under way; its end decides.
    pub undecided: Vec<String>,
}

impl Engine {
    /// Actions, newest first, a page at a time. A page may have fewer entries than asked for, and none, while there are more pages:
    /// the work for one page is bounded, not the search. The state is told where it is asked for.
    ///
    /// # Errors
    /// When the cursor is none, or the store cannot be read.
    pub async fn actions_where(
        &self,
        filter: &ActionFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(ActionHeader, Option<ActionStatus>)>, Error> {
        let limit = if filter.state.is_some() {
            limit.min(MOST_WITH_STATE)
        } else {
            limit
        };
        let page = self.actions(filter.service.as_ref(), after, limit).await?;
        let page = from(page, filter.since, |header| header.created_at);
        let mut entries = Vec::new();
        for header in page.entries {
            if filter.kind.is_some_and(|kind| header.kind != kind) {
                continue;
            }
            match filter.state {
                None => entries.push((header, None)),
                Some(wanted) => match self.action_state(&header.nsr_id, &header.id).await {
                    Ok(report) if report.status == wanted => entries.push((header, Some(wanted))),
                    // Forgotten since the page was read.
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(Page {
            entries,
            next: page.next,
        })
    }

    /// Cancels what has not begun of an action. What has begun goes on, and what is done stays; a terminate removes it.
    ///
    /// The tasks are marked first, whoever drives their accounts; the drivers decide. So a host that dies in between loses nothing,
    /// and asking again is safe.
    ///
    /// # Errors
    /// When there is no such action, or the store cannot be written.
    pub async fn cancel(&self, nsr: &NsrId, action: &ActionId) -> Result<Cancelled, Error> {
        // Before the first look, so that no decision falls between.
        let mut hints = self.changes();
        let before = self.action_state(nsr, action).await?;
        let open: Vec<_> = before.tasks.iter().filter(|task| task.task.status.is_open()).collect();
        let mut resources: Vec<_> = open.iter().map(|task| task.resource.clone()).collect();
        resources.sort();
        resources.dedup();
        for id in &resources {
            self.mark(id, nsr, action).await?;
            self.schedule.marked(id);
        }
        let asked: Vec<&str> = open.iter().map(|task| task.task.id.as_str()).collect();
        let deadline = tokio::time::Instant::now() + DECIDED_WITHIN;
        loop {
            let told = outcome(&asked, &self.action_state(nsr, action).await?);
            if told.undecided.is_empty() || tokio::time::Instant::now() >= deadline {
                tracing::info!(
                    nsr_id = %nsr, action_id = %action, cancelled = told.cancelled.len(), going_on = told.going_on.len(),
                    "action cancelled"
                );
                return Ok(told);
            }
            let hint = async {
                loop {
                    match hints.recv().await {
                        Ok(Change::Action(of, changed)) if of == *nsr && changed == *action => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                () = hint => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Marks the open tasks that an action has on a resource.
    async fn mark(&self, id: &vimhost_model::ResourceId, nsr: &NsrId, action: &ActionId) -> Result<(), Error> {
        let doing = "cancelling a task";
        for _ in 0..MARK_TRIES {
            let found = self.store.resource(id).await;
            let Some(mut resource) = found.map_err(|error| Error::of_store(doing, error))? else {
                return Ok(());
            };
            if !put_marks(&mut resource, nsr, action) {
                return Ok(());
            }
            match self.store.mark_resource(&resource).await {
                Ok(_) | Err(vimhost_store::Error::Missing { .. }) => return Ok(()),
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store(doing, error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!("resource '{id}' is being changed by others; try again"),
        })
    }
}

/// Marks what may be given up. True when there was anything to mark.
fn put_marks(resource: &mut Resource, nsr: &NsrId, action: &ActionId) -> bool {
    let mut marked = false;
    for task in &mut resource.tasks {
        let asked = task.nsr_id == *nsr && task.action_id == *action;
        if asked && task.status == TaskStatus::Scheduled && !task.cancel_asked {
            task.cancel_asked = true;
            marked = true;
        }
    }
    marked
}

/// What has become of the tasks that were open.
fn outcome(asked: &[&str], now: &ActionReport) -> Cancelled {
    let mut told = Cancelled::default();
    for report in &now.tasks {
        let task = &report.task;
        if !asked.contains(&task.id.as_str()) {
            continue;
        }
        let list = match task.status {
            TaskStatus::Failed if task.message.as_deref() == Some(CANCELLED) => &mut told.cancelled,
            TaskStatus::Scheduled if task.cancel_asked => &mut told.undecided,
            TaskStatus::Scheduled
            | TaskStatus::Build
            | TaskStatus::Done
            | TaskStatus::Failed
            | TaskStatus::Finished
            | TaskStatus::Superseded => &mut told.going_on,
        };
        list.push(task.id.to_string());
    }
    told
}
