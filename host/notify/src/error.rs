//! What a caller hears.

/// A request that was not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// The callback did not pass its test, or there are too many subscriptions.
    #[error("{0}")]
    Unprocessable(String),
    /// There is no such subscription.
    #[error("subscription {0} does not exist")]
    NotFound(String),
    /// The store cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Something is broken on this side.
    #[error("{0}")]
    Internal(String),
}

impl From<vimhost_store::Error> for Error {
    fn from(error: vimhost_store::Error) -> Self {
        use vimhost_store::Error as Store;
        match error {
            Store::Unavailable { .. } => Self::Unavailable(error.to_string()),
            Store::Conflict { .. } | Store::Missing { .. } | Store::Fenced { .. } | Store::Corrupt { .. } => {
                Self::Internal(error.to_string())
            }
        }
    }
}
