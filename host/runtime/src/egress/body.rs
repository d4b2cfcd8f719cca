//! The guarded body of an answer: bounded in size and pace, searched for secrets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::failure;
use super::vault::Vault;
use crate::context::Shared;

/// Counts bytes, resets a timer at each frame, and lets nothing through that holds a secret.
pub(super) struct Guarded {
    /// None once ended or refused: the connection of an unfinished answer is closed with it.
    inner: Option<Incoming>,
    left: u64,
    limit: u64,
    pace: Duration,
    timer: Pin<Box<Sleep>>,
    vault: Arc<Vault>,
    /// What could be the beginning of a secret, until the next piece tells.
    held: BytesMut,
    shared: Arc<Shared>,
    what: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Guarded {
    pub(super) fn new(
        inner: Incoming,
        limit: u64,
        pace: Duration,
        vault: Arc<Vault>,
        shared: Arc<Shared>,
        what: String,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            inner: Some(inner),
            left: limit,
            limit,
            pace,
            timer: Box::pin(tokio::time::sleep(pace)),
            vault,
            held: BytesMut::new(),
            shared,
            what,
            permit: Some(permit),
        }
    }

    fn end(&mut self) {
        self.inner = None;
        self.permit = None;
    }

    fn refuse<T>(&mut self, reason: String, error: Error) -> Poll<Option<Result<T, Error>>> {
        self.shared.refuse(reason);
        self.end();
        self.held.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            let frame = match Pin::new(inner).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    if this.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let (what, pace) = (&this.what, this.pace);
                    this.shared
                        .failed(format!("{what}: nothing of its body came for {pace:?}"));
                    this.end();
                    return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
                }
            };
            match frame {
                None => {
                    this.end();
                    let rest = this.held.split().freeze();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Some(Err(error)) => {
                    let (code, text) = failure::of_body(&error);
                    this.shared.failed(format!("{}: {text}", this.what));
                    this.end();
                    return Poll::Ready(Some(Err(code)));
                }
                // Trailers are dropped: no VIM's REST API has them, and each way into a guest has to be searched.
                Some(Ok(frame)) => {
                    let deadline = Instant::now() + this.pace;
                    this.timer.as_mut().reset(deadline);
                    let Ok(data) = frame.into_data() else { continue };
                    let Some(left) = u64::try_from(data.len())
                        .ok()
                        .and_then(|size| this.left.checked_sub(size))
                    else {
                        let (what, limit) = (&this.what, this.limit);
                        let reason = format!("{what}: its answer is larger than the limit of {limit} bytes");
                        return this.refuse(reason, Error::HttpResponseBodySize(Some(limit)));
                    };
                    this.left = left;
                    let needles = this.vault.needles();
                    this.held.extend_from_slice(&data);
                    if needles.found_in(&this.held) {
                        let reason = format!("{}: its answer holds a secret of the account", this.what);
                        return this.refuse(reason, super::UNUSABLE);
                    }
                    let free = this.held.len() - needles.open_end(&this.held);
                    if free > 0 {
                        return Poll::Ready(Some(Ok(Frame::data(this.held.split_to(free).freeze()))));
                    }
                }
            }
        }
    }
}
