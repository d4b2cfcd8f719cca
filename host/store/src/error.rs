//! Why the store could not do it.

/// A store operation that was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Somebody changed what the write was decided on. Read again, decide again.
    #[error("{what} was changed by somebody else")]
    Conflict {
        /// What, for people.
        what: String,
    },
    /// The thing to be changed does not exist.
    #[error("{what} does not exist")]
    Missing {
        /// What, for people.
        what: String,
    },
    /// Another host drives the account now; this host's view of it is over.
    #[error("account {target} is driven by another host")]
    Fenced {
        /// The account.
        target: String,
    },
    /// The store cannot be reached or is too slow; the write may or may not have been done, and can be repeated.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The store holds something that cannot be read, or is from a newer version.
    #[error("the store cannot read {what}: {reason}")]
    Corrupt {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Somebody changed `what`.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    /// `what` does not exist.
    pub fn missing(what: impl Into<String>) -> Self {
        Self::Missing { what: what.into() }
    }

    /// The store cannot be reached.
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
        }
    }

    /// `what` cannot be read.
    pub fn corrupt(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}
