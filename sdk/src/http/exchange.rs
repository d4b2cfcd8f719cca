//! One request and its answer as they go over the wire: what the SDK hands to the host, or to a test's VIM.

use std::fmt;

use super::Timeouts;
pub use super::location::Target;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Headers, without the length.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Vec<u8>>,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// How many bytes of the answer are read.
    pub largest_answer: usize,
}

impl Exchange {
    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// An answer, complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The host does not let the request out.
    Denied,
    /// The host has too many requests of this account open.
    Busy,
    /// It cannot be a request.
    Invalid(String),
    /// The VIM was not reached; nothing was sent.
    NotReached(String),
    /// The VIM was not reached in time; nothing was sent.
    ConnectTimeout,
    /// The connection ended after something was sent.
    Lost(String),
    /// The answer did not come in time.
    Timeout,
    /// The answer is larger than allowed.
    TooLarge,
    /// Anything else, perhaps after something was sent.
    Other(String),
}
