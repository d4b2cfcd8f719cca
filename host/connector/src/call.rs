//! What surrounds every call that changes something: token, journal, pending state.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vimhost_model::{JournalEntry, Timestamp, VimId};

/// Why a journal entry could not be written. The call then fails and nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The bound on entries of one task is reached.
    #[error("the journal of the task is full: {0} entries")]
    Full(usize),
    /// No such entry.
    #[error("the journal has no entry {0}")]
    Unknown(u64),
    /// The store refused or could not be reached, or the account is driven by another host now.
    #[error("cannot write the journal: {0}")]
    Store(String),
}

/// The durable list of what a creating call is about to make. An answer means that it is on disk.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Announces an element; the same kind and token again answers the same entry, and unless that is committed it is begun anew: a
    /// request follows.
    ///
    /// # Errors
    /// When the entry is not on disk.
    async fn begin(&self, kind: &str, token: &str) -> Result<u64, JournalError>;

    /// The VIM has made the element.
    ///
    /// # Errors
    /// When that is not on disk.
    async fn commit(&self, entry: u64, element: &VimId) -> Result<(), JournalError>;

    /// The element does not exist.
    ///
    /// # Errors
    /// When that is not on disk.
    async fn forget(&self, entry: u64) -> Result<(), JournalError>;
}

/// What a call that changes something is given beside its arguments.
#[derive(Clone)]
pub struct Call {
    /// Token of the element.
    pub token: String,
    /// Token of the operation, for calls that change an element that exists ([`operation_token`]).
    pub operation: Option<String>,
    /// Failed tries before this one.
    pub attempt: u32,
    /// What the last pending answer left.
    pub state: Option<Vec<u8>>,
    /// What earlier calls announced, without what belongs to other operations. Each with a time that is as long before `now` as the
    /// guest is told, whatever the clocks of those calls showed.
    pub entries: Vec<JournalEntry>,
    /// When the call is made: the age of an entry counts to here.
    pub now: Timestamp,
    /// Where this call announces.
    pub journal: Arc<dyn Journal>,
}

/// What stands between an element's token and the letters that name an operation on it.
const OPERATION: &str = ".op-";

/// The token of an operation on an element (`call.operation` of the contract).
#[must_use]
pub fn operation_token(element: &str, letters: &str) -> String {
    format!("{element}{OPERATION}{letters}")
}

/// Whether a journal token belongs to the operation `operation`.
#[must_use]
pub fn is_of_operation(token: &str, operation: &str) -> bool {
    token
        .strip_prefix(operation)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a journal token belongs to any operation on the element `element`.
#[must_use]
pub fn is_of_any_operation(token: &str, element: &str) -> bool {
    token
        .strip_prefix(element)
        .is_some_and(|rest| rest.starts_with(OPERATION))
}

/// The work has begun and is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What is being waited for.
    pub reason: String,
    /// How long to wait.
    pub again_in: Duration,
    /// For the next call.
    pub state: Option<Vec<u8>>,
}

/// Answer of a deleting call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteStep {
    /// The VIM has confirmed that nothing is left, apart from what was to be kept.
    Done,
    /// The VIM is deleting the main element: observe it, and call again when it is gone or has failed.
    Accepted,
    /// Call again.
    Pending(Pending),
}

/// Answer of a call that may have to be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// Over.
    Done(T),
    /// Call again.
    Pending(Pending),
}
