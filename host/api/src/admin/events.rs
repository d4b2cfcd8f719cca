//! Watching an action: server-sent events.
//!
//! The first event is `state`, the action as it stands; each change after it is one `change` with the tasks that changed. An event's
//! id names the state it leads to, so a client that comes back with `Last-Event-ID` is not told again what it saw: if nothing
//! happened meanwhile it waits for the next change, else it starts from a new `state`. The stream ends after the state in which
//! nothing is outstanding; who comes back then with its id gets 204, which tells a browser to stop.
//!
//! The store's hints say when to look, never what is there; a watcher that was too slow for them looks once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use vimhost_engine::{ActionReport, Error};
use vimhost_model::{ActionId, ActionStatus, NsrId};
use vimhost_store::Change;

use super::Admin;
use super::input::{Named, header_text};
use super::stream_event::StreamEvent;
use super::view::TaskView;
use crate::failure::Failure;

/// Between hint and look: changes come in bursts (every task of a finished network starts at once), and one look serves them all.
const GATHER: Duration = Duration::from_millis(50);

/// A watcher rests this many times as long as its last look took, so that watching a large service costs a tenth of a processor at
/// most; and never longer than [`LONGEST_GATHER`], since somebody is looking.
const REST: u32 = 10;
const LONGEST_GATHER: Duration = Duration::from_secs(1);

/// Between comments that keep the connection alive: below the idle limit of common proxies, which is 30 s.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An action at one moment.
struct Moment {
    id: String,
    status: ActionStatus,
    done: usize,
    tasks: Vec<TaskView>,
    /// Nothing is outstanding.
    over: bool,
}

#[derive(Serialize)]
struct EventData<'a> {
    status: ActionStatus,
    done: usize,
    total: usize,
    tasks: Vec<&'a TaskView>,
}

impl Moment {
    fn of(report: &ActionReport) -> Self {
        let tasks: Vec<TaskView> = report.tasks.iter().map(TaskView::of).collect();
        // Writing texts and numbers to memory does not fail.
        let text = serde_json::to_vec(&(report.status, &tasks)).unwrap_or_default();
        let digest = vimhost_model::hex(&Sha256::digest(text));
        Self {
            id: digest.chars().take(16).collect(),
            status: report.status,
            done: report.done,
            over: report.tasks.iter().all(|report| !report.task.status.is_open()),
            tasks,
        }
    }

    /// The event that leads to this moment.
    fn event(&self, before: Option<&Self>) -> Event {
        let (name, tasks) = match before {
            None => ("state", self.tasks.iter().collect()),
            Some(before) => {
                let known: HashMap<&str, &TaskView> =
                    before.tasks.iter().map(|task| (task.id.as_str(), task)).collect();
                let changed = self
                    .tasks
                    .iter()
                    .filter(|task| known.get(task.id.as_str()) != Some(task));
                ("change", changed.collect())
            }
        };
        let data = EventData {
            status: self.status,
            done: self.done,
            total: self.tasks.len(),
            tasks,
        };
        let data = serde_json::to_string(&data).unwrap_or_default();
        Event::default().event(name).id(self.id.clone()).data(data)
    }
}

/// One client that watches one action.
struct Watcher {
    admin: Admin,
    nsr: NsrId,
    action: ActionId,
    hints: Receiver<Change>,
    /// What the client knows.
    seen: Option<Moment>,
    /// Read and not yet told.
    next: Option<Moment>,
    over: bool,
    /// How long the last look took.
    cost: Duration,
    _place: OwnedSemaphorePermit,
}

/// Watch an action by server-sent events
///
/// The first event is `state`, then one `change` for each change; the stream ends when nothing is outstanding. Who comes back with
/// `Last-Event-ID` is told what it missed, or 204 when there is nothing more to tell.
#[utoipa::path(get, path = "/v1/network-services/{name}/actions/{action}/events", operation_id = "watchAction", tag = "actions",
    params(("name" = NsrId, Path, description = "Name of the service"), ("action" = ActionId, Path, description = "Id of the action"), ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen")),
    responses((status = OK, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        (status = NO_CONTENT, description = "The action is over and the last event was seen")))]
pub(super) async fn watch(
    State(admin): State<Admin>,
    Named((nsr, action)): Named<(NsrId, ActionId)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let place = admin
        .watchers
        .clone()
        .try_acquire_owned()
        .map_err(|_| Failure::unavailable("too many watchers"))?;
    // Before the first look, so that nothing falls between the two.
    let hints = admin.engine.changes();
    let now = Moment::of(&admin.engine.action_state(&nsr, &action).await?);
    let known = header_text(&headers, "last-event-id")? == Some(now.id.as_str());
    if known && now.over {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (seen, next) = if known { (Some(now), None) } else { (None, Some(now)) };
    let watcher = Watcher {
        admin,
        nsr,
        action,
        hints,
        seen,
        next,
        over: false,
        cost: Duration::ZERO,
        _place: place,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events(watcher)).keep_alive(keep_alive).into_response())
}

fn events(watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next_event().await?;
        Some((Ok(event), watcher))
    })
}

impl Watcher {
    /// The next event; none at the end of the stream.
    async fn next_event(&mut self) -> Option<Event> {
        while !self.over {
            if let Some(next) = self.next.take() {
                let event = next.event(self.seen.as_ref());
                self.over = next.over;
                self.seen = Some(next);
                return Some(event);
            }
            let shutdown = self.admin.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => return None,
                heard = self.hint() => heard?,
            }
            let begun = Instant::now();
            let state = self.admin.engine.action_state(&self.nsr, &self.action).await;
            match state {
                Ok(report) => {
                    self.next = Some(Moment::of(&report)).filter(|next| !self.knows(next));
                    self.cost = begun.elapsed();
                }
                Err(Error::NotFound { .. }) => {
                    self.over = true;
                    return Some(Event::default().event("gone").data("{}"));
                }
                Err(error) => {
                    // The client comes back with the id of the last event and is told what it missed.
                    tracing::warn!(%error, "watching an action ended");
                    return None;
                }
            }
        }
        None
    }

    fn knows(&self, moment: &Moment) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.id == moment.id)
    }

    /// Waits until the action may have changed; none when there will be no more hints.
    async fn hint(&mut self) -> Option<()> {
        loop {
            match self.hints.recv().await {
                Ok(change) if self.concerns(&change) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return None,
            }
        }
        tokio::time::sleep(self.cost.saturating_mul(REST).clamp(GATHER, LONGEST_GATHER)).await;
        loop {
            match self.hints.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(()),
            }
        }
    }

    fn concerns(&self, change: &Change) -> bool {
        match change {
            Change::Action(nsr, action) => *nsr == self.nsr && *action == self.action,
            Change::Forgotten(nsr) => *nsr == self.nsr,
            Change::Resource(..)
            | Change::Account(_)
            | Change::Work(_)
            | Change::OpOcc(..)
            | Change::Events
            | Change::Subscriptions => false,
        }
    }
}
