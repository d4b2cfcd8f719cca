//! The body of a request on its way in: whoever reads it waits only so long, and what nobody reads is taken off the connection.
//!
//! Many clients send their whole body before they look for an answer. A connection that is closed while such a client writes
//! loses the answer with it: the client sees a broken pipe, not the 413 or the 401 that was sent. So the rest of a body that
//! is refused unread is read and thrown away, for a bounded time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Version, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming, SizeHint};
use tokio::time::Sleep;

/// How long a client that asks to be told to send its body (RFC 9110 10.1.1) is left waiting for that, when nobody wants it: until then it
/// may get its refusal and send nothing. It may also send it without being told; the common ones do so after a second.
const WAITS: Duration = Duration::from_millis(800);

/// How long a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// To be read by who wants it, counted from the request's head.
    pub read: Duration,
    /// To be thrown away once nobody wants it; a fifth of that without a byte ends it too, because a client that writes without looking
    /// for an answer has no reason to pause.
    pub discard: Duration,
}

/// The body that a handler gets for the one that came in.
pub(crate) fn body(incoming: Incoming, head: &Parts, times: Times) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    Body::new(Received {
        incoming: Some(incoming),
        waits: waits_to_be_told(head).then(Instant::now),
        late: Box::pin(tokio::time::sleep(times.read)),
        discard: times.discard,
    })
}

fn waits_to_be_told(head: &Parts) -> bool {
    let expected = head.headers.get(header::EXPECT);
    head.version > Version::HTTP_10
        && expected.is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

struct Received {
    /// None once it has ended, failed or taken too long.
    incoming: Option<Incoming>,
    /// Since when the client waits to be told to send it; none where it was told, or sends it anyway.
    waits: Option<Instant>,
    late: Pin<Box<Sleep>>,
    discard: Duration,
}

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *incoming).poll_frame(context);
        if let Poll::Ready(read) = &polled
            && is_over(incoming, read)
        {
            self.incoming = None;
        }
        self.waits = None;
        match polled {
            Poll::Ready(read) => Poll::Ready(read.map(|frame| frame.map_err(Into::into))),
            Poll::Pending if self.late.as_mut().poll(context).is_ready() => {
                // Dropped, which closes the connection: who has been this slow is waited for no longer.
                self.incoming = None;
                Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// Whether this was the last of it. To be looked at, because the next frame would be waited for in vain: once the answer is written, hyper
/// tells of the end only when the next request comes.
fn is_over<E>(incoming: &Incoming, read: &Option<Result<Frame<Bytes>, E>>) -> bool {
    match read {
        Some(Ok(frame)) => frame.is_trailers() || incoming.is_end_stream(),
        Some(Err(_)) | None => true,
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else {
            return;
        };
        if incoming.is_end_stream() {
            return;
        }
        // No runtime: the process ends, and the connection with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (patience, pause) = (self.discard, self.discard / 5);
        let waits = self.waits.map(|since| WAITS.saturating_sub(since.elapsed()));
        runtime.spawn(async move {
            // To read is to tell it to send, unless the answer has been written by then.
            tokio::time::sleep(waits.unwrap_or_default()).await;
            let rest = async {
                loop {
                    let read = tokio::time::timeout(pause, incoming.frame()).await.ok()?;
                    if is_over(&incoming, &read) {
                        return Some(());
                    }
                }
            };
            if !matches!(tokio::time::timeout(patience, rest).await, Ok(Some(()))) {
                tracing::debug!("a refused body did not end in time; its connection is closed");
            }
        });
    }
}
