//! `journal`: what a creating call announces, durable before the import returns.
//!
//! Nothing is sent without the journal. When an entry cannot be written, the guest gets an error, every later request of the call
//! is refused, and the host fails the call whatever the guest answers. Nor does a guest take an entry out when the host has broken off
//! its call with a request under way: what it believes of that request is a guess, and what the VIM made would be nobody's.
//!
//! Writing runs on the caller's tokio runtime and not on the guests': a database driver there keeps its timers and tasks, and an
//! entry that is being written is finished although the guest is stopped meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use vimhost_connector::{Call, ErrorKind, Journal, JournalError, is_of_any_operation, is_of_operation};
use vimhost_model::{JournalStatus, VimId};

use crate::bindings::host::journal::Host;
use crate::bindings::host::vim_types::{Error as WitError, ErrorKind as WitKind};
use crate::context::{Breach, Ctx, Shared};
use crate::convert::is_token;
use crate::text::cut;

/// Longest kind of an entry: `volume:keep` has eleven characters.
const KIND: usize = 64;

/// How long the end of a call waits for an entry that is still being written.
const SETTLE: Duration = Duration::from_secs(10);

/// The journal of one call.
pub(crate) struct CallJournal {
    journal: Arc<dyn Journal>,
    caller: Handle,
    token: String,
    operation: Option<String>,
    entries: usize,
    limit: usize,
    /// One permit, held while an entry is written.
    writing: Arc<Semaphore>,
}

impl CallJournal {
    /// Takes over the journal of a call; its open entries count for the outcome.
    pub(crate) fn new(call: &Call, caller: Handle, limit: usize, shared: &Shared) -> Self {
        for entry in call.entries.iter().filter(|entry| entry.status == JournalStatus::Begun) {
            shared.begun(entry.id);
        }
        Self {
            journal: Arc::clone(&call.journal),
            caller,
            token: call.token.clone(),
            operation: call.operation.clone(),
            entries: call.entries.len(),
            limit,
            writing: Arc::new(Semaphore::new(1)),
        }
    }

    /// For waiting until nothing is being written any more.
    pub(crate) fn writing(&self) -> Writing {
        Writing(Arc::clone(&self.writing))
    }

    async fn write<T, F>(&self, write: impl FnOnce(Arc<dyn Journal>) -> F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, JournalError>> + Send + 'static,
    {
        let lost = |error: String| JournalError::Store(error);
        let permit = Arc::clone(&self.writing)
            .acquire_owned()
            .await
            .map_err(|e| lost(e.to_string()))?;
        let writing = write(Arc::clone(&self.journal));
        self.caller
            .spawn(async move {
                let result = writing.await;
                drop(permit);
                result
            })
            .await
            .map_err(|error| lost(error.to_string()))?
    }

    /// Whether a token belongs to the call: its element's, a child of it, or its own operation's; never another operation's.
    fn owns(&self, token: &str) -> bool {
        if is_of_any_operation(token, &self.token) {
            return self
                .operation
                .as_ref()
                .is_some_and(|operation| is_of_operation(token, operation));
        }
        token
            .strip_prefix(&self.token)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    async fn begin(&mut self, kind: String, token: String) -> Result<u64, Failure> {
        if kind.is_empty() || kind.len() > KIND || !kind.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::Plugin(format!(
                "'{}' is no kind of element",
                cut(&kind.escape_debug().to_string(), KIND)
            )));
        }
        if !is_token(&token) || !self.owns(&token) {
            let token = cut(&token.escape_debug().to_string(), KIND);
            return Err(Failure::Plugin(format!(
                "token '{token}' is neither the call's token '{}' nor a child of it",
                self.token
            )));
        }
        if self.entries >= self.limit {
            return Err(JournalError::Full(self.entries).into());
        }
        let entry = self
            .write(|journal| async move { journal.begin(&kind, &token).await })
            .await?;
        self.entries += 1;
        Ok(entry)
    }
}

/// Waits for the end of writing.
pub(crate) struct Writing(Arc<Semaphore>);

impl Writing {
    /// Bounded: a store that hangs must not hold the caller for ever.
    pub(crate) async fn settle(self) {
        // Elapsed or closed: either way there is nothing more to wait for.
        let _ = tokio::time::timeout(SETTLE, self.0.acquire()).await;
    }
}

enum Failure {
    /// The plugin asked for something it may not.
    Plugin(String),
    /// The journal could not be written.
    Journal(JournalError),
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Failure {
    /// Stops the call, and tells the guest.
    fn tell(self, shared: &Shared) -> WitError {
        let (kind, message) = match self {
            Self::Plugin(message) => (ErrorKind::Plugin, message),
            Self::Journal(error @ (JournalError::Full(_) | JournalError::Unknown(_))) => {
                (ErrorKind::Plugin, error.to_string())
            }
            // The store's failure passes: the call is worth repeating.
            Self::Journal(error @ JournalError::Store(_)) => (ErrorKind::Internal, error.to_string()),
        };
        shared.break_off(Breach {
            kind,
            message: message.clone(),
        });
        WitError {
            kind: WitKind::Internal,
            message,
            retry_after_ms: None,
        }
    }
}

fn outside() -> WitError {
    WitError {
        kind: WitKind::BadRequest,
        message: "there is no journal outside of a call that changes something".into(),
        retry_after_ms: None,
    }
}

impl Host for Ctx {
    async fn begin(&mut self, kind: String, token: String) -> wasmtime::Result<Result<u64, WitError>> {
        let Some(journal) = &mut self.journal else {
            return Ok(Err(outside()));
        };
        Ok(match journal.begin(kind, token).await {
            Ok(entry) => {
                self.shared.begun(entry);
                Ok(entry)
            }
            Err(failure) => Err(failure.tell(&self.shared)),
        })
    }

    async fn commit(&mut self, entry: u64, element: String) -> wasmtime::Result<Result<(), WitError>> {
        let Some(journal) = &self.journal else {
            return Ok(Err(outside()));
        };
        let element = match VimId::new(element) {
            Ok(element) => element,
            Err(error) => return Ok(Err(Failure::Plugin(error.to_string()).tell(&self.shared))),
        };
        let written = journal
            .write(|journal| async move { journal.commit(entry, &element).await })
            .await;
        Ok(self.close(entry, written))
    }

    async fn forget(&mut self, entry: u64) -> wasmtime::Result<Result<(), WitError>> {
        let Some(journal) = &self.journal else {
            return Ok(Err(outside()));
        };
        if self.shared.ended_unanswered() {
            return Ok(Err(WitError {
                kind: WitKind::Internal,
                message: "the call has failed, and what became of its last request is not known".into(),
                retry_after_ms: None,
            }));
        }
        let written = journal
            .write(|journal| async move { journal.forget(entry).await })
            .await;
        Ok(self.close(entry, written))
    }
}

impl Ctx {
    fn close(&self, entry: u64, written: Result<(), JournalError>) -> Result<(), WitError> {
        match written {
            Ok(()) => {
                self.shared.closed(entry);
                Ok(())
            }
            Err(error) => Err(Failure::from(error).tell(&self.shared)),
        }
    }
}
