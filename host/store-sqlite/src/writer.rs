//! The writer thread: group commit.
//!
//! Operations queue up while a commit runs; the next transaction takes all of them, each in a savepoint of its own, commits
//! once, and then answers. There is no artificial delay. When the commit itself fails, every operation of the batch is
//! answered [`Error::Unavailable`], the refused ones too: a refusal may have been decided on what a neighbour wrote.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot};
use vimhost_store::{Change, Error};

use crate::connection::run;
use crate::fault::{Fault, Outcome};
use crate::open::{OpenError, Options};
use crate::sql;
use crate::stats::{Counters, Metrics, count};

/// What an operation did: the answer to its caller and the hints to everybody.
pub(crate) struct Done<T> {
    pub(crate) answer: T,
    pub(crate) hints: Vec<Change>,
}

impl<T> Done<T> {
    pub(crate) fn quietly(answer: T) -> Self {
        Self {
            answer,
            hints: Vec::new(),
        }
    }
}

/// An operation in the queue, whatever it answers.
trait Operation: Send {
    /// Size of its documents.
    fn bytes(&self) -> usize;
    /// Does it. False: it is to be undone.
    fn perform(&mut self, connection: &Connection) -> bool;
    /// Answers the caller.
    fn answer(self: Box<Self>, batch: Result<(), Error>, hints: &broadcast::Sender<Change>);
}

struct Queued<T, F> {
    bytes: usize,
    work: Option<F>,
    result: Option<Result<Done<T>, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Operation for Queued<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Outcome<Done<T>> + Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn perform(&mut self, connection: &Connection) -> bool {
        let result = self.work.take().map(|work| work(connection).map_err(Error::from));
        let done = matches!(result, Some(Ok(_)));
        self.result = result;
        done
    }

    fn answer(self: Box<Self>, batch: Result<(), Error>, hints: &broadcast::Sender<Change>) {
        let Self { result, reply, .. } = *self;
        let result = batch.and_then(|()| result.unwrap_or_else(|| Err(not_run())));
        // A caller that has gone away gets no answer, and nobody may listen to the hints: both are fine.
        let answer = result.map(|done| {
            for hint in done.hints {
                let _ = hints.send(hint);
            }
            done.answer
        });
        let _ = reply.send(answer);
    }
}

fn not_run() -> Error {
    Error::unavailable("the operation was not run")
}

fn stopped() -> Error {
    Error::unavailable("the store is closed")
}

/// The callers' end of the queue. Dropping it ends the thread after what is queued.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        path: &Path,
        options: Options,
        counters: Arc<Counters>,
        hints: broadcast::Sender<Change>,
    ) -> Result<Self, OpenError> {
        let (sender, queue) = mpsc::channel(options.queue.max(1));
        let thread = WriterThread {
            connection,
            queue,
            options,
            counters,
            metrics: Metrics::new(),
            hints,
            path: path.display().to_string(),
        };
        let thread = Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.work())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue: Some(sender),
            thread: Some(thread),
        })
    }

    /// Queues an operation whose documents have `bytes`, and waits until it is on disk.
    pub(crate) async fn write<T, F>(&self, bytes: usize, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<Done<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let operation = Box::new(Queued {
            bytes,
            work: Some(work),
            result: None,
            reply,
        });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(operation).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread of the store had panicked");
        }
    }
}

struct WriterThread {
    connection: Connection,
    queue: mpsc::Receiver<Box<dyn Operation>>,
    options: Options,
    counters: Arc<Counters>,
    metrics: Metrics,
    hints: broadcast::Sender<Change>,
    path: String,
}

impl WriterThread {
    fn work(mut self) {
        let mut batch = Vec::new();
        while let Some(operation) = self.queue.blocking_recv() {
            let mut bytes = operation.bytes();
            batch.push(operation);
            while batch.len() < self.options.batch_operations && bytes < self.options.batch_bytes {
                let Ok(operation) = self.queue.try_recv() else { break };
                bytes = bytes.saturating_add(operation.bytes());
                batch.push(operation);
            }
            let (begun, refused) = (Instant::now(), self.counters.read().refused);
            let outcome = self.commit(&mut batch).map_err(Error::from);
            count(&self.counters.operations, batch.len());
            self.counters.largest_batch.fetch_max(
                u64::try_from(batch.len()).unwrap_or(u64::MAX),
                std::sync::atomic::Ordering::Relaxed,
            );
            match &outcome {
                Ok(()) => {
                    count(&self.counters.commits, 1);
                    let refused = self.counters.read().refused.saturating_sub(refused);
                    self.metrics.committed(batch.len(), refused, begun.elapsed());
                }
                Err(error) => {
                    count(&self.counters.failed_commits, 1);
                    self.metrics.not_committed(batch.len(), begun.elapsed());
                    tracing::error!(path = %self.path, operations = batch.len(), %error, "the store cannot commit");
                }
            }
            for operation in batch.drain(..) {
                operation.answer(outcome.clone(), &self.hints);
            }
        }
    }

    fn commit(&self, batch: &mut [Box<dyn Operation>]) -> Outcome<()> {
        let outcome = self.transaction(batch);
        if outcome.is_err() && !self.connection.is_autocommit() {
            run(&self.connection, sql::ROLLBACK, [])?;
        }
        outcome
    }

    fn transaction(&self, batch: &mut [Box<dyn Operation>]) -> Outcome<()> {
        let connection = &self.connection;
        run(connection, sql::BEGIN_WRITE, [])?;
        for operation in batch {
            run(connection, sql::SAVEPOINT, [])?;
            if !operation.perform(connection) {
                count(&self.counters.refused, 1);
                if connection.is_autocommit() {
                    // On some errors (disk full, input and output) SQLite rolls the whole transaction back by itself.
                    return Err(Fault::Refused(Error::unavailable("SQLite gave the transaction up")));
                }
                run(connection, sql::ROLLBACK_TO, [])?;
            }
            run(connection, sql::RELEASE, [])?;
        }
        run(connection, sql::COMMIT, [])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{first, writing};

    fn text_put(writer: &Writer, digest: &'static str, bytes: usize) -> impl Future<Output = Result<(), Error>> {
        writer.write(bytes, move |connection| {
            run(connection, sql::TEXT_PUT, (digest, "x".repeat(bytes)))?;
            Ok(Done::quietly(()))
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_disk_is_answered_as_unavailable_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let connection = writing(&path).unwrap();
        for migration in crate::schema::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))
            .unwrap();
        let counters = Arc::new(Counters::default());
        let (hints, _) = broadcast::channel(1);
        let writer = Writer::start(connection, &path, Options::default(), Arc::clone(&counters), hints).unwrap();

        text_put(&writer, "small", 100).await.unwrap();
        let (large, small) = tokio::join!(text_put(&writer, "large", 1_000_000), text_put(&writer, "other", 100));
        assert!(matches!(large, Err(Error::Unavailable { .. })), "{large:?}");
        text_put(&writer, "later", 100).await.unwrap();
        drop(writer);

        let connection = writing(&path).unwrap();
        let kept = |digest| {
            first(&connection, sql::TEXT_GET, [digest], |_| Ok(()))
                .unwrap()
                .is_some()
        };
        assert!(kept("small") && kept("later") && !kept("large"));
        assert_eq!(kept("other"), small.is_ok());
    }
}
