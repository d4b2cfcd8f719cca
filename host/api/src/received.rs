//! The body of a request on its way in: whoever reads it waits only so long, and what nobody reads is taken off the connection.
//!
//! Many clients send their whole body before they look for an answer. A connection that is closed while such a client writes
//! loses the answer with it: the client sees a broken pipe, not the 413 or the 401 that was sent. So the rest of a body that
//! is refused unread is read and thrown away, for a bounded time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming, SizeHint};
use tokio::time::Sleep;

/// How long a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// To be read by who wants it, counted from the request's head.
    pub read: Duration,
    /// To be thrown away once nobody wants it.
    pub discard: Duration,
}

/// The body that a handler gets for the one that came in.
pub(crate) fn body(incoming: Incoming, headers: &HeaderMap, times: Times) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    Body::new(Received {
        incoming: Some(incoming),
        is_wanted: !headers.contains_key(header::EXPECT),
        late: Box::pin(tokio::time::sleep(times.read)),
        discard: times.discard,
    })
}

struct Received {
    /// None once it has ended, failed or taken too long.
    incoming: Option<Incoming>,
    /// The client has been told to send it, or sends it without being told.
    is_wanted: bool,
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
        let polled = Pin::new(incoming).poll_frame(context);
        self.is_wanted = true;
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(ended) => {
                self.incoming = None;
                Poll::Ready(ended.map(|failed| failed.map_err(Into::into)))
            }
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

impl Drop for Received {
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else {
            return;
        };
        // A client that waits to be told (RFC 9110 10.1.1) sends nothing after a refusal; reading would wait for it in vain.
        if incoming.is_end_stream() || !self.is_wanted {
            return;
        }
        // No runtime: the process ends, and the connection with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let patience = self.discard;
        runtime.spawn(async move {
            let rest = async { while let Some(Ok(_)) = incoming.frame().await {} };
            if tokio::time::timeout(patience, rest).await.is_err() {
                tracing::debug!("a refused body goes on and on; its connection is closed");
            }
        });
    }
}
