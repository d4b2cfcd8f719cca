//! Reader threads, each with a connection of its own.
//!
//! Dedicated threads rather than `spawn_blocking`: a read takes some ten microseconds, about what starting a blocking task
//! costs, and a connection must stay with one thread at a time to keep its prepared statements.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc, oneshot};
use vimhost_store::Error;
use vimhost_telemetry::metric::{self, Counter};

use crate::connection::snapshot;
use crate::fault::Outcome;
use crate::open::OpenError;
use crate::stats::{Counters, count};

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Reads that may wait; a caller beyond them waits before it queues.
const QUEUE: usize = 1024;

/// The callers' end. Dropping it ends the threads after what is queued.
pub(crate) struct Readers {
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
    answered: Counter,
}

impl Readers {
    pub(crate) fn start(connections: Vec<Connection>, counters: Arc<Counters>) -> Result<Self, OpenError> {
        let (sender, receiver) = mpsc::channel::<Read>(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::with_capacity(connections.len());
        for connection in connections {
            let receiver = Arc::clone(&receiver);
            let work = move || {
                // One thread waits for the next read, the others for the lock; whoever gets one lets the next thread in.
                loop {
                    let next = receiver.blocking_lock().blocking_recv();
                    let Some(read) = next else { break };
                    read(&connection);
                }
            };
            let thread = Builder::new()
                .name("store-reader".to_owned())
                .spawn(work)
                .map_err(OpenError::Thread)?;
            threads.push(thread);
        }
        Ok(Self {
            queue: Some(sender),
            threads,
            counters,
            answered: metric::STORE_READS.counter(&[]),
        })
    }

    /// Reads in one snapshot.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    {
        let stopped = || Error::unavailable("the store is closed");
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let _ = reply.send(snapshot(connection, work).map_err(Error::from));
        });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(read).await.map_err(|_| stopped())?;
        let result = answer.await.map_err(|_| stopped())?;
        count(&self.counters.reads, 1);
        self.answered.increment(1);
        result
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread of the store had panicked");
            }
        }
    }
}
