//! The last look at the lease on an account, where bytes leave the process.
//!
//! A process can be stopped at any instruction and go on when another host drives the account. A request that was looked at before may
//! then still wait in the client for its connection to take it, and would be heard by the VIM beside those of the new host. So
//! every write looks again: what is left is a stop between this look and the system call behind it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What an account's lease allows.
#[derive(Clone)]
pub(super) struct Gate {
    until: watch::Receiver<Option<Instant>>,
    margin: Duration,
}

/// The lease, or what must be left of it, is over.
#[derive(Debug, thiserror::Error)]
#[error("the time in which this host may send for the account is over")]
pub(super) struct Over;

impl Gate {
    /// `until` is the end of the lease, none where no lease is in use; `margin` is what must be left of it.
    pub(super) fn new(until: watch::Receiver<Option<Instant>>, margin: Duration) -> Self {
        Self { until, margin }
    }

    /// How long may still be sent; none where no lease says anything.
    ///
    /// # Errors
    /// When that is over.
    pub(super) fn left(&self) -> Result<Option<Duration>, Over> {
        let Some(until) = *self.until.borrow() else {
            return Ok(None);
        };
        let left = until
            .saturating_duration_since(Instant::now())
            .saturating_sub(self.margin);
        if left.is_zero() { Err(Over) } else { Ok(Some(left)) }
    }

    fn check(&self) -> io::Result<()> {
        self.left().map(drop).map_err(io::Error::other)
    }
}

/// A connection that writes only while the lease allows it. An error of a write ends the connection, so nothing of a request that was cut
/// off is ever completed.
pub(super) struct Fenced<S> {
    stream: S,
    gate: Gate,
}

impl<S> Fenced<S> {
    pub(super) fn new(stream: S, gate: Gate) -> Self {
        Self { stream, gate }
    }
}

impl<S: Connection> Connection for Fenced<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fenced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fenced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.gate.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.gate.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn nothing_leaves_when_the_lease_is_over_also_of_what_was_begun() {
        let (lease, until) = watch::channel(None);
        let (ours, mut vim) = tokio::io::duplex(64);
        let mut connection = Fenced::new(ours, Gate::new(until, Duration::from_secs(10)));
        connection.write_all(b"no lease,").await.unwrap();
        lease.send_replace(Some(Instant::now() + Duration::from_secs(3_600)));
        connection.write_all(b" a lease,").await.unwrap();
        // What must be left of it counts.
        for left in [9, 0] {
            lease.send_replace(Some(Instant::now() + Duration::from_secs(left)));
            let pieces = [io::IoSlice::new(b" again")];
            for error in [
                connection.write_all(b" too late").await.unwrap_err(),
                connection.write_vectored(&pieces).await.unwrap_err(),
            ] {
                assert!(error.get_ref().is_some_and(|inner| inner.is::<Over>()), "{error}");
            }
        }
        lease.send_replace(Some(Instant::now() + Duration::from_secs(3_600)));
        connection.write_all(b" the next").await.unwrap();
        drop(connection);
        let mut heard = String::new();
        vim.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "no lease, a lease, the next");
    }
}
