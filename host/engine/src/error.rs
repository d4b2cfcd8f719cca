//! Why a request was not accepted, without a word of HTTP.

use vimhost_store as store;

/// A request the engine refused or could not serve. The text is for the client; it holds no secret and no internals.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request has the wrong shape.
    #[error("{reason}")]
    Shape {
        /// Where, `vnf:0:vdur:1:interfaces:0:position`; empty for the top level.
        path: String,
        /// Why.
        reason: String,
    },
    /// The request has the right shape and cannot be served as it is: an undefined template variable, an unknown command.
    #[error("{reason}")]
    BadRequest {
        /// Why.
        reason: String,
    },
    /// Something it names does not exist.
    #[error("{what} '{id}' not found")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Understood, and cannot be carried out as things are (SOL003: 422): a VNFD nobody has uploaded.
    #[error("{reason}")]
    Unprocessable {
        /// Why.
        reason: String,
    },
    /// Something stands in the way.
    #[error("{reason}")]
    Conflict {
        /// What.
        reason: String,
    },
    /// What the client decided on was changed by somebody else (`If-Match`).
    #[error("{what} was changed by somebody else; read it again")]
    PreconditionFailed {
        /// What.
        what: String,
    },
    /// Not offered.
    #[error("{reason}")]
    Unsupported {
        /// What.
        reason: String,
    },
    /// What an account says cannot be used, or what it is granted is too little: nothing is wrong with the VIM.
    #[error("{reason}")]
    Account {
        /// Why.
        reason: String,
    },
    /// The VIM or its plugin answered a check with an error.
    #[error("{reason}")]
    Vim {
        /// What it said.
        reason: String,
    },
    /// Later again.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// A fault of the host. The cause is for the log.
    #[error("internal error while {doing}")]
    Internal {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// The top level or a field has the wrong shape.
    pub fn shape(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Shape {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// Something does not exist.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    /// A store error while doing something.
    pub fn of_store(doing: impl Into<String>, error: store::Error) -> Self {
        match error {
            store::Error::Unavailable { reason } => Self::Unavailable {
                reason: format!("the store is not available: {reason}"),
            },
            store::Error::Fenced { .. } => Self::Unavailable {
                reason: error.to_string(),
            },
            store::Error::Conflict { what } => Self::PreconditionFailed { what },
            store::Error::Missing { .. } | store::Error::Corrupt { .. } => Self::Internal {
                doing: doing.into(),
                source: Some(Box::new(error)),
            },
        }
    }
}
