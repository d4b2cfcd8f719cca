//! What goes wrong between the store and the server, and what the caller hears of it.

use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};
use vimhost_store::Error;

/// A call that was not done, or may not have been.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Refused, as the contract says.
    Refused(Error),
    /// A document of that key is there.
    Duplicate(String),
    /// The server will never take it: too large, a field name it does not know how to keep, an expression that fails.
    Rejected(String),
    /// Not reached, not primary, not acknowledged, too slow: whether it was done is not known.
    Lost(String),
}

/// Result of a step inside an operation.
pub(crate) type Outcome<T> = Result<T, Fault>;

/// Key of a unique index.
const DUPLICATE_KEY: i32 = 11000;

/// Errors of the server that do not go away when the same is sent again. Every other one is taken for a server that cannot at the
/// moment, because that errs on the side of keeping the work.
const REJECTIONS: &[i32] = &[
    2,     // BadValue
    9,     // FailedToParse
    14,    // TypeMismatch
    15,    // Overflow
    28,    // PathNotViable
    52,    // DollarPrefixedFieldName
    56,    // EmptyFieldName
    57,    // DottedFieldName
    66,    // ImmutableField
    121,   // DocumentValidationFailure
    10334, // BSONObjectTooLarge
    17280, // KeyTooLong
    17419, // resulting document too large
    17420, // document to upsert too large
];

/// Codes from here on are those of single expressions; a pipeline that fails on a document fails on it again.
const EXPRESSIONS: i32 = 15_900;

impl Fault {
    /// A failure the server told by code.
    pub(crate) fn of_code(code: i32, message: &str) -> Self {
        if code == DUPLICATE_KEY {
            Self::Duplicate(message.to_owned())
        } else if REJECTIONS.contains(&code) || code >= EXPRESSIONS {
            Self::Rejected(message.to_owned())
        } else {
            Self::Lost(message.to_owned())
        }
    }

    /// Whether it may have been done in spite of the error.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<DriverError> for Fault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the driver may learn more errors, and what is not known is taken for a server that cannot at the moment"
    )]
    fn from(error: DriverError) -> Self {
        match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteError(failure)) => Self::of_code(failure.code, &failure.message),
            ErrorKind::Command(failure) => Self::of_code(failure.code, &failure.message),
            ErrorKind::InsertMany(failure) => match failure.write_errors.as_deref().and_then(<[_]>::first) {
                Some(first) => Self::of_code(first.code, &first.message),
                None => Self::Lost(error.to_string()),
            },
            ErrorKind::InvalidArgument { .. } | ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => {
                Self::Rejected(error.to_string())
            }
            _ => Self::Lost(error.to_string()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Lost(reason) => Error::unavailable(reason),
            Fault::Rejected(reason) => Error::corrupt("what it is given", reason),
            // The last guard behind a check of ours: what was written contradicts what is there.
            Fault::Duplicate(reason) => Error::corrupt("a document that contradicts another one", reason),
        }
    }
}

/// Counters and revisions are `u64` outside and a signed integer in the database.
pub(crate) fn to_db(number: u64) -> Outcome<i64> {
    i64::try_from(number).map_err(|error| Error::corrupt("a counter", error).into())
}

/// The way back.
pub(crate) fn from_db(number: i64) -> Outcome<u64> {
    u64::try_from(number).map_err(|error| Error::corrupt("a counter", error).into())
}

/// A document as text.
pub(crate) fn encode<T: serde::Serialize + ?Sized>(what: &str, value: &T) -> Result<String, Error> {
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
