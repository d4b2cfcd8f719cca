//! What goes wrong: the contract's `Error`, and `Failure`, which also knows whether the VIM may have done the work.
//!
//! Two types, because two readers want different things. The host acts on a kind and shows a message. The journal needs to
//! know whether a creating request was refused (nothing exists, the announcement is taken back) or lost (something may
//! exist, the announcement stays). HTTP answers `Failure`; `?` turns it into `Error` where a connector's function ends.

use std::fmt;

use crate::types::{Error, ErrorKind};

/// Whether the work of a failed request may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused, or never reached the VIM.
    NotDone,
    /// Nobody knows: the answer was lost, or the VIM failed in the middle.
    Unknown,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What the host is told.
    pub error: Error,
    /// Whether the work may have been done.
    pub outcome: Outcome,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
}

impl Failure {
    /// A failure with a known outcome and no answer.
    #[must_use]
    pub fn new(kind: ErrorKind, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            error: Error::new(kind, message),
            outcome,
            status: None,
        }
    }

    /// Whether the VIM said that what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.error.kind == ErrorKind::NotFound
    }

    /// The same failure, with what was being done put in front.
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> Self {
        self.error = self.error.while_doing(what);
        self
    }
}

/// The answer of a function that a connector does not have.
pub(crate) fn unsupported<T>(function: &str) -> Result<T, Error> {
    Err(Error::unsupported(format!("this connector has no {function}")))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// An error a connector made up itself; the outcome follows from the kind.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let outcome = match error.kind {
            ErrorKind::Auth
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Quota
            | ErrorKind::RateLimited
            | ErrorKind::Unsupported
            | ErrorKind::BadRequest
            | ErrorKind::NotGranted => Outcome::NotDone,
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Internal | ErrorKind::Other => Outcome::Unknown,
        };
        Self {
            error,
            outcome,
            status: None,
        }
    }
}

impl Error {
    /// An error of any kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// The named element does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Another element or a state is in the way.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// The VIM or the connector cannot do that.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The request is wrong in itself.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    /// Anything else.
    #[must_use]
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// The same error, with what was being done put in front.
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_done_and_a_fault_is_unknown() {
        assert_eq!(Failure::from(Error::conflict("taken")).outcome, Outcome::NotDone);
        assert_eq!(Failure::from(Error::other("odd")).outcome, Outcome::Unknown);
    }

    #[test]
    fn context_stands_in_front() {
        let error: Error = Failure::from(Error::not_found("no network 7"))
            .while_doing("creating port p0")
            .into();
        assert_eq!(error.message, "creating port p0: no network 7");
    }
}
