//! Comparing an account with its records, told while it goes on.
//!
//! An audit of a large VIM takes minutes, so it is a stream of server-sent events: one `page` for each step, then `end`. A stream that
//! ends without it says nothing of what was not looked at. A store that cannot be read is `failed`, with the reason. A client that
//! goes away ends the audit.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use vimhost_engine::VimAudit;
use vimhost_model::TargetId;

use super::Admin;
use super::events::KEEP_ALIVE;
use crate::failure::Failure;

/// An audit that a client listens to.
struct Listened {
    audit: VimAudit,
    shutdown: CancellationToken,
    over: bool,
    _place: OwnedSemaphorePermit,
}

/// Compares an account with its records.
pub(super) async fn audit_of(admin: &Admin, target: &TargetId) -> Result<Response, Failure> {
    let place = admin
        .watchers
        .clone()
        .try_acquire_owned()
        .map_err(|_| Failure::unavailable("too many watchers"))?;
    let listened = Listened {
        audit: admin.engine.audit_vim(target).await?,
        shutdown: admin.shutdown.clone(),
        over: false,
        _place: place,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events(listened)).keep_alive(keep_alive).into_response())
}

fn events(listened: Listened) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(listened, |mut listened| async move {
        let event = listened.next_event().await?;
        Some((Ok(event), listened))
    })
}

impl Listened {
    /// The next event; none at the end of the stream.
    async fn next_event(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let step = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            step = self.audit.step() => step,
        };
        let (name, data) = match step {
            // Writing texts and numbers to memory does not fail.
            Ok(Some(page)) => ("page", serde_json::to_string(&page).unwrap_or_default()),
            Ok(None) => {
                self.over = true;
                ("end", "{}".to_owned())
            }
            Err(error) => {
                self.over = true;
                tracing::warn!(%error, "comparing an account with its records ended");
                ("failed", json!({"reason": error.to_string()}).to_string())
            }
        };
        Some(Event::default().event(name).data(data))
    }
}
