//! Where a guest's stdout and stderr go: a ring that keeps the end.
//!
//! It never refuses and never blocks. A pipe that answers "closed" when full makes `println!` panic in a healthy guest, and the
//! end is what counts: a traceback names its exception last.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What one write may hold: also the size of the buffer of `write-zeroes`.
const PERMIT: usize = 64 << 10;

/// One stream of a guest.
#[derive(Clone)]
pub(crate) struct Sink {
    ring: Arc<Mutex<Ring>>,
}

struct Ring {
    kept: VecDeque<u8>,
    limit: usize,
    dropped: u64,
}

impl Sink {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            ring: Arc::new(Mutex::new(Ring {
                kept: VecDeque::new(),
                limit,
                dropped: 0,
            })),
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.kept.extend(bytes);
        let excess = ring.kept.len().saturating_sub(ring.limit);
        ring.kept.drain(..excess);
        ring.dropped = ring.dropped.saturating_add(u64::try_from(excess).unwrap_or(u64::MAX));
    }

    /// Nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).kept.is_empty()
    }

    /// The end of what was written, on one line; the hint about `RUST_BACKTRACE` is dropped, it means nothing here.
    pub(crate) fn last_words(&self) -> String {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = ring.kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.contains("RUST_BACKTRACE"))
            .collect();
        crate::text::escaped(&lines.join(" | "))
    }

    /// Bytes that are gone because the ring was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl tokio::io::AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_on_one_line() {
        let sink = Sink::new(32);
        sink.push(b"lost lost lost lost lost lost\n");
        sink.push(b"panicked at x\nnote: run with\n");
        assert_eq!(sink.last_words(), "st | panicked at x | note: run with");
        assert_eq!(sink.dropped(), 27);
    }
}
