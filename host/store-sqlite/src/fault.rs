//! What goes wrong inside an operation, and what the caller hears of it.

use rusqlite::ErrorCode;
use vimhost_store::Error;

/// An operation's own refusal, or SQLite's.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Refused, as the contract says.
    Refused(Error),
    /// SQLite could not.
    Sqlite(rusqlite::Error),
}

/// Result of a step inside an operation.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch) => {
                    Error::corrupt("its file", error)
                }
                Some(ErrorCode::TooBig) => Error::corrupt("what it is given", error),
                // A constraint is the last guard behind a check of ours: what was written contradicts what is there.
                Some(ErrorCode::ConstraintViolation) => Error::corrupt("a row that contradicts another one", error),
                Some(_) => Error::unavailable(error),
                None => Error::corrupt("a row", error),
            },
        }
    }
}

/// Counters and revisions are `u64` outside and SQLite's signed integer inside.
pub(crate) fn to_sql(number: u64) -> Outcome<i64> {
    i64::try_from(number).map_err(|error| Error::corrupt("a counter", error).into())
}

/// The way back.
pub(crate) fn from_sql(number: i64) -> Outcome<u64> {
    u64::try_from(number).map_err(|error| Error::corrupt("a counter", error).into())
}

/// A document as text.
pub(crate) fn encode<T: serde::Serialize>(what: &str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::corrupt(what, error))
}

/// A document of its text.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::corrupt(what, error))
}

/// An id of its text.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| Error::corrupt(what, error))
}
