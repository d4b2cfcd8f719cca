//! Between the contract's records and the host's types.
//!
//! Toward the guest this is copying. From the guest it is reading hostile input: every text, list, document and duration is
//! bounded, ids and tokens are parsed, and an answer that does not fit is rubbish as a whole, with the field that was wrong.

mod answer;
mod descriptor;
mod request;
mod stack;

use std::time::Duration;

use serde_json::Value;
use vimhost_connector::{DeleteStep, Error, ErrorKind, Outcome, Pending};
use vimhost_model::{JournalStatus, VimId};

use crate::Limits;
use crate::bindings::host::vim_types as wit;
use crate::text::{escaped, is_plain, safe};

pub(crate) use descriptor::rules_digest;
pub(crate) use request::{connectivity_request, infrastructure, operations, wit_kind};
pub(crate) use stack::{stack_content, stack_ref, stack_request, update_mode};

/// Longest time a connector may ask the host to wait; an element that takes longer is looked at in between.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Shortest: below it a connector would poll by way of the host.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Longest token of an element, as the contract says.
pub(crate) const ELEMENT_TOKEN: usize = 48;
/// Longest token of a child or an operation.
const TOKEN: usize = 60;

/// Reads what a guest answered.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    limits: &'a Limits,
}

/// What is wrong with an answer.
pub(crate) type Rubbish = String;

impl<'a> Reader<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits }
    }

    fn bounded(self, text: String, limit: usize, what: &str) -> Result<String, Rubbish> {
        if text.len() > limit {
            return Err(format!("{what} has {} bytes, at most {limit} are allowed", text.len()));
        }
        Ok(text)
    }

    /// A text that people see, on terminals and in logs: it cannot move a cursor or turn a line around.
    fn text(self, text: String, what: &str) -> Result<String, Rubbish> {
        let text = self.bounded(text, self.limits.answer_text, what)?;
        Ok(if is_plain(&text) { text } else { escaped(&text) })
    }

    fn maybe_text(self, text: Option<String>, what: &str) -> Result<Option<String>, Rubbish> {
        text.map(|text| self.text(text, what)).transpose()
    }

    fn id(self, text: String, what: &str) -> Result<VimId, Rubbish> {
        VimId::new(text).map_err(|error| format!("{what}: {error}"))
    }

    fn maybe_id(self, text: Option<String>, what: &str) -> Result<Option<VimId>, Rubbish> {
        text.map(|text| self.id(text, what)).transpose()
    }

    fn json(self, text: &str, what: &str) -> Result<Value, Rubbish> {
        let limit = self.limits.answer_json;
        if text.len() > limit {
            return Err(format!("{what} has {} bytes, at most {limit} are allowed", text.len()));
        }
        serde_json::from_str(text).map_err(|error| format!("{what} is not JSON: {error}"))
    }

    fn blob(self, bytes: Option<Vec<u8>>, what: &str) -> Result<Option<Vec<u8>>, Rubbish> {
        let limit = self.limits.state;
        match bytes {
            Some(bytes) if bytes.len() > limit => {
                Err(format!("{what} has {} bytes, at most {limit} are allowed", bytes.len()))
            }
            bytes => Ok(bytes),
        }
    }

    fn list<A, B>(self, items: Vec<A>, what: &str, read: impl Fn(A) -> Result<B, Rubbish>) -> Result<Vec<B>, Rubbish> {
        let limit = self.limits.answer_items;
        if items.len() > limit {
            return Err(format!("{what} has {} items, at most {limit} are allowed", items.len()));
        }
        items.into_iter().map(read).collect()
    }

    fn ids(self, items: Vec<String>, what: &str) -> Result<Vec<VimId>, Rubbish> {
        self.list(items, what, |id| self.id(id, what))
    }

    fn pending(self, pending: wit::Pending) -> Result<Pending, Rubbish> {
        Ok(Pending {
            reason: safe(&pending.reason, self.limits.answer_text),
            again_in: Duration::from_millis(pending.again_in_ms.into()).clamp(SHORTEST_WAIT, LONGEST_WAIT),
            state: self.blob(pending.state, "pending.state")?,
        })
    }

    /// The answer of a deleting call.
    pub(crate) fn delete_step(self, step: wit::DeleteStep) -> Result<DeleteStep, Rubbish> {
        Ok(match step {
            wit::DeleteStep::Done => DeleteStep::Done,
            wit::DeleteStep::Accepted => DeleteStep::Accepted,
            wit::DeleteStep::Pending(pending) => DeleteStep::Pending(self.pending(pending)?),
        })
    }

    /// A failure that the guest reported. Never rubbish: what is too long is cut.
    pub(crate) fn error(self, error: &wit::Error) -> Error {
        Error {
            kind: error_kind(error.kind),
            message: safe(&error.message, self.limits.answer_text),
            retry_after: error
                .retry_after_ms
                .map(|ms| Duration::from_millis(ms.into()).min(LONGEST_WAIT)),
            outcome: Outcome::Known,
        }
    }
}

/// Whether a text is a token: lower-case letters, digits and `-`, a letter first, at most 48; a child's has `.` too and at most
/// 60.
pub(crate) fn is_token(text: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let element = text.split('.').next().unwrap_or_default();
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && element.len() <= ELEMENT_TOKEN
        && text.len() <= TOKEN
        && text.split('.').all(letters)
}

fn error_kind(kind: wit::ErrorKind) -> ErrorKind {
    match kind {
        wit::ErrorKind::Unreachable => ErrorKind::Unreachable,
        wit::ErrorKind::Auth => ErrorKind::Auth,
        wit::ErrorKind::NotFound => ErrorKind::NotFound,
        wit::ErrorKind::Conflict => ErrorKind::Conflict,
        wit::ErrorKind::Quota => ErrorKind::Quota,
        wit::ErrorKind::RateLimited => ErrorKind::RateLimited,
        wit::ErrorKind::Unsupported => ErrorKind::Unsupported,
        wit::ErrorKind::BadRequest => ErrorKind::BadRequest,
        wit::ErrorKind::NotGranted => ErrorKind::NotGranted,
        wit::ErrorKind::Timeout => ErrorKind::Timeout,
        wit::ErrorKind::Internal => ErrorKind::Internal,
        wit::ErrorKind::Other => ErrorKind::Other,
    }
}

/// What a call that changes something is given.
pub(crate) fn call(call: &vimhost_connector::Call) -> wit::Call {
    wit::Call {
        token: call.token.clone(),
        operation: call.operation.clone(),
        attempt: call.attempt,
        state: call.state.clone(),
        journal: call
            .entries
            .iter()
            .map(|entry| wit::JournalEntry {
                id: entry.id,
                kind: entry.kind.clone(),
                token: entry.token.clone(),
                status: match entry.status {
                    JournalStatus::Begun => wit::JournalStatus::Begun,
                    JournalStatus::Committed => wit::JournalStatus::Committed,
                },
                element: entry.element.as_ref().map(ToString::to_string),
                age_ms: u64::try_from(call.now.since(entry.begun_at).as_millis()).unwrap_or(u64::MAX),
            })
            .collect(),
    }
}

fn text_of(id: &VimId) -> String {
    id.to_string()
}

fn texts_of(ids: &[VimId]) -> Vec<String> {
    ids.iter().map(text_of).collect()
}

fn maybe_text_of(id: Option<&VimId>) -> Option<String> {
    id.map(text_of)
}
