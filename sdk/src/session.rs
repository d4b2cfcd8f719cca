//! Logging in once, for all calls of an account: of calls that need a token at the same time, one logs in and the others wait for it.
//!
//! The handle of the VIM's token is kept in the host's cache until shortly before it ends. A 401 means that the VIM has
//! forgotten it earlier: the connector logs in again and repeats the request, once. A 401 on a token of this very call is
//! the VIM's answer and is passed on.

use std::cell::RefCell;
use std::time::Duration;

use crate::cache;
use crate::error::Failure;
use crate::http::{Request, Response};

/// A token is not used in the last part of its life, so that it does not end on the way. keystoneauth leaves 120 s;
/// tokens that live shorter than twice that are used for half of their life.
const MARGIN: Duration = Duration::from_secs(120);

const UNAUTHORIZED: u16 = 401;

/// What a log in answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The handle of the token, as it stood in the answer.
    pub token: String,
    /// How long the VIM says it lives.
    pub lifetime: Duration,
}

/// A session with a VIM.
pub struct Session<L> {
    key: String,
    header: &'static str,
    log_in: L,
    token: RefCell<Option<String>>,
}

impl<L: Fn() -> Result<Login, Failure>> Session<L> {
    /// A session whose token is presented in `header` and obtained by `log_in`.
    ///
    /// `key` is where it is kept; it must name everything the token depends on: origin, user, tenant.
    pub fn new(key: impl Into<String>, header: &'static str, log_in: L) -> Self {
        Self {
            key: format!("session:{}", key.into()),
            header,
            log_in,
            token: RefCell::new(None),
        }
    }

    /// Sends a request with the token; another status than 2xx is a failure.
    ///
    /// # Errors
    ///
    /// The log in's or the request's failure.
    pub fn send(&self, request: Request) -> Result<Response, Failure> {
        self.with(|token| request.clone().header(self.header, token).send())
    }

    /// Sends a request with the token; 404 is `None`.
    ///
    /// # Errors
    ///
    /// The log in's or the request's failure.
    pub fn send_optional(&self, request: Request) -> Result<Option<Response>, Failure> {
        match self.send(request) {
            Ok(response) => Ok(Some(response)),
            Err(failure) if failure.status == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Runs something with the token, and once more with another one when the VIM does not know it any more.
    ///
    /// # Errors
    ///
    /// The log in's or `run`'s failure.
    pub fn with<T>(&self, run: impl Fn(&str) -> Result<T, Failure>) -> Result<T, Failure> {
        let known = self.token.borrow().clone().or_else(|| cache::get(&self.key));
        let Some(token) = known else {
            return run(&self.renew(None)?);
        };
        match run(&token) {
            Err(failure) if failure.status == Some(UNAUTHORIZED) => {
                crate::debug!("the VIM does not know its token any more");
                run(&self.renew(Some(&token))?)
            }
            result => {
                *self.token.borrow_mut() = Some(token);
                result
            }
        }
    }

    /// Another token than `refused`: that of a call which has logged in meanwhile, else one of its own.
    fn renew(&self, refused: Option<&String>) -> Result<String, Failure> {
        if let Some(token) = cache::get_or_claim::<String>(&self.key, refused) {
            *self.token.borrow_mut() = Some(token.clone());
            return Ok(token);
        }
        let login = (self.log_in)().map_err(|failure| {
            // For those who wait.
            cache::remove(&self.key);
            failure.while_doing("logging in")
        })?;
        let kept = login.lifetime.saturating_sub(MARGIN).max(login.lifetime / 2);
        cache::set(&self.key, &login.token, kept);
        *self.token.borrow_mut() = Some(login.token.clone());
        Ok(login.token)
    }
}
