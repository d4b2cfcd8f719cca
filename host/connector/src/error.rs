//! Failures of connector calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What kind of failure, as far as the engine acts on it (`vim-types.error-kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The VIM cannot be reached.
    Unreachable,
    /// Credentials refused.
    Auth,
    /// The named element does not exist.
    NotFound,
    /// Refused because of another element or a state.
    Conflict,
    /// A limit of the VIM or project.
    Quota,
    /// Too many requests.
    RateLimited,
    /// Not offered.
    Unsupported,
    /// Wrong in itself.
    BadRequest,
    /// The host did not let a request out; only an operator can mend it.
    NotGranted,
    /// No answer in time.
    Timeout,
    /// A fault inside the VIM.
    Internal,
    /// Anything else.
    Other,
    /// The plugin trapped, exceeded a limit or answered rubbish. The host's own word; no plugin can say it.
    Plugin,
}

impl ErrorKind {
    /// Its name in logs and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Auth => "auth",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::RateLimited => "rate-limited",
            Self::Unsupported => "unsupported",
            Self::BadRequest => "bad-request",
            Self::NotGranted => "not-granted",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Other => "other",
            Self::Plugin => "plugin",
        }
    }
}

/// Whether the VIM can have done something although the call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The connector answered, so its journal says what exists.
    Known,
    /// The call ended without an answer after a request went out: what was begun has to be resolved by token.
    Unknown,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Decides whether and when the call is repeated.
    pub kind: ErrorKind,
    /// For people: what was being done, and the VIM's own words.
    pub message: String,
    /// How long the VIM asked to wait.
    pub retry_after: Option<Duration>,
    /// Whether something may have been done.
    pub outcome: Outcome,
}

impl Error {
    /// A failure with a known outcome.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            outcome: Outcome::Known,
        }
    }
}
