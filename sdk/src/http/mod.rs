//! HTTP: requests that say what they are for, answers that are JSON, failures in the VIM's own words.
//!
//! ```no_run
//! # fn example() -> Result<(), vimhost_sdk::error::Failure> {
//! use vimhost_sdk::http::Client;
//!
//! #[derive(serde::Deserialize)]
//! struct Networks { networks: Vec<serde_json::Value> }
//!
//! let vim = Client::new("https://neutron.example:9696/v2.0")?.header("accept", "application/json");
//! let found: Networks = vim.get(["networks"]).query("name", "mgmt").doing("finding network mgmt").send()?.json()?;
//! # Ok(()) }
//! ```
//!
//! What it does not do: it follows no redirect unless told to, keeps no cookies, unpacks nothing, and retries nothing. A
//! repetition is the host's decision, because only the host knows how often it has tried before.

mod exchange;
mod failure;
mod location;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use exchange::{Answer, Exchange, Fault, Method};
pub use location::{Origin, Scheme, encode};

use crate::error::{Failure, Outcome};
use crate::host;
use crate::types::{Error, ErrorKind};
use location::{Target, split};

/// The largest answer that is read. A page of some hundred servers with their user data is about ten megabytes; more than
/// this is a mistake in the request, and would only meet the memory limit of the instance.
const LARGEST_ANSWER: usize = 16 << 20;

/// How many redirects are followed where a request allows them. Heat needs one; more than five are a loop.
const MOST_REDIRECTS: u8 = 5;

/// Limits in time; each is the smaller of this and the host's. Without them the host's hold alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// From the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Between two parts of the answer.
    pub between_bytes: Option<Duration>,
}

/// Whether answers that point elsewhere are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// They are failures.
    #[default]
    Refuse,
    /// 301, 302, 307 and 308 within the same origin, with the same method and body, at most five.
    SameOrigin,
}

/// Where a VIM's API lives, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct Client {
    target: Target,
    headers: Vec<(String, String)>,
    timeouts: Timeouts,
}

impl Client {
    /// A client of the API at `url`; its path stands before the path of every request.
    ///
    /// # Errors
    ///
    /// When `url` is no `http` or `https` URL, as a bad request.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            target: split(url)?,
            headers: Vec::new(),
            timeouts: Timeouts::default(),
        })
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets limits in time for every request.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The origin of the API.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.target.origin
    }

    /// A request. Each part of the path is encoded by itself, so an id cannot lead elsewhere.
    pub fn request<'p>(&self, method: Method, path: impl IntoIterator<Item = &'p str>) -> Request {
        let mut full = self.target.path.trim_end_matches('/').to_owned();
        for part in path {
            full.push('/');
            encode(part, &mut full);
        }
        Request {
            method,
            target: Target {
                origin: self.target.origin.clone(),
                path: full,
                query: String::new(),
            },
            headers: self.headers.clone(),
            body: Ok(None),
            doing: None,
            timeouts: self.timeouts,
            largest_answer: LARGEST_ANSWER,
            redirects: Redirects::Refuse,
        }
    }

    /// A GET.
    pub fn get<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.request(Method::Get, path)
    }

    /// A POST.
    pub fn post<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.request(Method::Post, path)
    }

    /// A PUT.
    pub fn put<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.request(Method::Put, path)
    }

    /// A PATCH.
    pub fn patch<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.request(Method::Patch, path)
    }

    /// A DELETE.
    pub fn delete<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.request(Method::Delete, path)
    }
}

/// A request that is being put together.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: Method,
    target: Target,
    headers: Vec<(String, String)>,
    /// Or why it could not be written as JSON; told when the request is sent, so that building stays a chain.
    body: Result<Option<Vec<u8>>, String>,
    doing: Option<String>,
    timeouts: Timeouts,
    largest_answer: usize,
    redirects: Redirects,
}

impl Request {
    /// What the request is for; stands first in every failure.
    pub fn doing(mut self, what: impl Into<String>) -> Self {
        self.doing = Some(what.into());
        self
    }

    /// Adds a query parameter, encoded.
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let query = &mut self.target.query;
        if !query.is_empty() {
            query.push('&');
        }
        encode(name, query);
        query.push('=');
        encode(value.as_ref(), query);
        self
    }

    /// Adds a query parameter if there is a value.
    pub fn query_opt(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.body = serde_json::to_vec(body).map(Some).map_err(|error| error.to_string());
        self.header("content-type", "application/json")
    }

    /// Sets a body of any type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(Some(body.into()));
        self.header("content-type", content_type)
    }

    /// Sets the limits in time.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how large an answer may be.
    pub fn largest_answer(mut self, bytes: usize) -> Self {
        self.largest_answer = bytes;
        self
    }

    /// Sets whether redirects are followed.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sends it; an answer other than 2xx is a failure.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; the kind follows from the status.
    pub fn send(self) -> Result<Response, Failure> {
        let response = self.send_any()?;
        if response.is_success() {
            Ok(response)
        } else {
            Err(response.into_failure())
        }
    }

    /// Sends it; 404 is `None`.
    ///
    /// # Errors
    ///
    /// As [`Request::send`].
    pub fn send_optional(self) -> Result<Option<Response>, Failure> {
        let response = self.send_any()?;
        match response.status {
            404 => Ok(None),
            _ if response.is_success() => Ok(Some(response)),
            _ => Err(response.into_failure()),
        }
    }

    /// Sends it and answers whatever came back.
    ///
    /// # Errors
    ///
    /// When nothing came back.
    pub fn send_any(self) -> Result<Response, Failure> {
        let context = match &self.doing {
            Some(doing) => format!("{doing}: {} {}{}", self.method, self.target.origin, self.target.path),
            None => format!("{} {}{}", self.method, self.target.origin, self.target.path),
        };
        let body = self.body.map_err(|error| {
            Failure::from(Error::bad_request(format!(
                "{context}: the body cannot be written as JSON: {error}"
            )))
        })?;
        let mut exchange = Exchange {
            method: self.method,
            target: self.target,
            headers: self.headers,
            body,
            timeouts: self.timeouts,
            largest_answer: self.largest_answer,
        };
        for _ in 0..=MOST_REDIRECTS {
            let Answer { status, headers, body } =
                host::send(&exchange).map_err(|fault| failure::of_fault(&fault, &context, &exchange.target.origin))?;
            let response = Response {
                status,
                headers,
                body,
                context: context.clone(),
            };
            let elsewhere = match self.redirects {
                Redirects::SameOrigin if matches!(status, 301 | 302 | 307 | 308) => response.header("location"),
                Redirects::SameOrigin | Redirects::Refuse => None,
            };
            let Some(location) = elsewhere else {
                return Ok(response);
            };
            let next = exchange
                .target
                .resolve(location)
                .map_err(|error| Failure::from(error).while_doing(&context))?;
            if next.origin != exchange.target.origin {
                let message = format!(
                    "{context} points to another origin, {}, and is not followed",
                    next.origin
                );
                return Err(Failure::new(ErrorKind::Other, Outcome::NotDone, message));
            }
            exchange.target = next;
        }
        let message = format!("{context} was redirected more than {MOST_REDIRECTS} times");
        Err(Failure::new(ErrorKind::Other, Outcome::NotDone, message))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    context: String,
}

impl Response {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not understood. Whatever the request did is done, so the outcome of a creating request is unknown.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure {
            error: Error::new(
                ErrorKind::Internal,
                format!(
                    "{} answered {} with a body that is not understood: {error}",
                    self.context, self.status
                ),
            ),
            outcome: Outcome::Unknown,
            status: Some(self.status),
        })
    }

    /// The answer as a failure, in the VIM's own words.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        failure::of_answer(&self)
    }
}
