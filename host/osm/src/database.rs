//! OSM's database, as far as its accounts go: a trait, so that what follows it can be tested without a server.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::mpsc;
use vimhost_model::{TargetId, Timestamp};

use crate::record::{Answer, Operation};

/// OSM's database could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("OSM's database cannot be used: {reason}")]
pub struct DatabaseError {
    /// Why; no secret.
    pub reason: String,
}

/// What may have changed. Never the truth itself: it is read when it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// This account.
    Account(TargetId),
    /// Whatever differs from what was seen last.
    Changes,
    /// Anything: changes may have been missed.
    Everything,
}

/// Why watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The server tells no changes; they have to be looked for.
    Never,
    /// It told some, and has ended.
    Ended,
}

/// Every account of the database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The documents that can be accounts.
    pub accounts: Vec<(TargetId, Value)>,
    /// How many others there are: their `_id` is none.
    pub strange: usize,
}

/// OSM's database.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// Every account of the three collections.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn accounts(&self) -> Result<Listing, DatabaseError>;

    /// An account's document.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn account(&self, target: &TargetId) -> Result<Option<Value>, DatabaseError>;

    /// The document that NBI makes first of all, `_id: version` in `admin`: it holds the serial of the encryption, and a database
    /// without it is not OSM's.
    ///
    /// # Errors
    /// When the database cannot be read.
    async fn version(&self) -> Result<Option<Value>, DatabaseError>;

    /// Marks an operation as being worked on by a host, if nobody else is at it: its lock is that of `operation` still. True when it
    /// is this host's.
    ///
    /// # Errors
    /// When it is not known whether it was written.
    async fn lock(
        &self,
        target: &TargetId,
        operation: &Operation,
        host: &str,
        at: Timestamp,
    ) -> Result<bool, DatabaseError>;

    /// Writes an answer, if the document is [still](crate::record::still_asks) what it was decided on. False when it is not, and
    /// nothing was written.
    ///
    /// # Errors
    /// When it is not known whether it was written.
    async fn answer(&self, target: &TargetId, decided_on: &Value, answer: &Answer) -> Result<bool, DatabaseError>;

    /// Tells what changes from now on, until it ends. What comes first is [`Hint::Everything`], as soon as nothing is missed any more.
    ///
    /// # Errors
    /// When the database cannot be watched at the moment.
    async fn watch(&self, hints: &mpsc::Sender<Hint>) -> Result<Watched, DatabaseError>;
}
