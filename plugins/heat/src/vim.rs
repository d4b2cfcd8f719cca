//! Heat of an account, as one call sees it: how requests about stacks are sent, and what Heat's refusals mean.
//!
//! Redirects are followed here and not by the SDK. Heat builds `Location` from the `Host` header that reached it, which behind a
//! proxy is often another origin than the catalogue's. So only what stands behind `<project>/stacks/` is taken from it, and the
//! request is made again at the endpoint it was made at, with the same method, query and body: the token goes nowhere else.

use std::iter;

use serde_json::Value;
use vimhost_keystone::{Api, Cloud, Service};
use vimhost_sdk::prelude::*;

use crate::settings::Settings;

/// How many redirects are followed. Heat needs one; more than five are a loop.
const MOST_REDIRECTS: u8 = 5;

/// How much of a `Location` that leads nowhere is shown.
const SHOWN_LOCATION: usize = 200;

/// Heat answers 404 also for what is no stack.
pub(crate) const NOT_FOUND: u16 = 404;

/// Something else is going on with the stack, or its name is taken.
pub(crate) const CONFLICT: u16 = 409;

/// A VIM. Making one sends nothing.
pub(crate) struct Vim {
    pub(crate) settings: Settings,
    pub(crate) cloud: Cloud,
}

impl Vim {
    pub(crate) fn of(account: &Account) -> Result<Self, Error> {
        Ok(Self {
            settings: Settings::of(account)?,
            cloud: Cloud::of(account)?,
        })
    }

    /// Heat, where the settings say or the catalogue.
    pub(crate) fn heat(&self) -> Result<Api<'_>, Failure> {
        match &self.settings.heat_endpoint {
            Some(url) => self.cloud.api_at(Service::Orchestration, url),
            None => self.cloud.api(Service::Orchestration),
        }
    }

    /// Sends a request about stacks, and again where Heat says that the stack is elsewhere. `path` is what stands behind `stacks`;
    /// `make` makes the request for a whole path.
    ///
    /// # Errors
    ///
    /// What Heat refuses; a redirect to something else than a stack of the project.
    pub(crate) fn send(&self, path: &[&str], make: impl Fn(&Api<'_>, &[&str]) -> Request) -> Result<Response, Failure> {
        let heat = self.heat()?;
        let mut behind: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        for _ in 0..=MOST_REDIRECTS {
            let whole: Vec<&str> = iter::once("stacks").chain(behind.iter().map(String::as_str)).collect();
            let response = heat.send_any(make(&heat, &whole))?;
            if response.is_success() {
                return Ok(response);
            }
            if !matches!(response.status, 301 | 302 | 307 | 308) {
                return Err(refused(&heat, response));
            }
            let location = response.header("location").unwrap_or_default().to_owned();
            match behind_stacks(&location, &self.cloud.scope()?.project_id) {
                Some(next) => behind = next,
                None => return Err(astray(&heat, response, &location)),
            }
        }
        let message = format!(
            "Heat at {} pointed from one stack to the next more than {MOST_REDIRECTS} times",
            heat.origin()
        );
        Err(Failure::new(ErrorKind::Other, Outcome::NotDone, message))
    }
}

/// What Heat means by an answer that is no success.
fn refused(heat: &Api<'_>, response: Response) -> Failure {
    let status = response.status;
    let is_page = response.bytes().trim_ascii_start().starts_with(b"<");
    let is_limit = error_type(&response).as_deref() == Some("RequestLimitExceeded");
    let mut failure = heat.failure(response);
    if is_limit {
        // 400, as if the request were wrong in itself.
        failure.error.kind = ErrorKind::Quota;
    }
    if status == NOT_FOUND && is_page {
        // Heat speaks of a stack that is not there in JSON. A page comes from a proxy, or from a path that Heat has not: nothing is
        // known about the stack then, so nobody is to read this as "gone".
        failure.status = None;
        failure.error.kind = ErrorKind::Internal;
        failure
            .error
            .message
            .push_str(" (this is no answer of Heat's: is its endpoint right?)");
    }
    failure
}

/// Heat's own word for what went wrong.
fn error_type(response: &Response) -> Option<String> {
    let told: Value = serde_json::from_slice(response.bytes()).ok()?;
    told.get("error")?.get("type")?.as_str().map(str::to_owned)
}

/// A redirect that leads to no stack.
fn astray(heat: &Api<'_>, response: Response, location: &str) -> Failure {
    let shown: String = location.chars().take(SHOWN_LOCATION).collect();
    let mut failure = heat.failure(response);
    failure
        .error
        .message
        .push_str(&format!(" (it points to {shown:?}, which is no stack of the project)"));
    failure
}

/// What stands behind `<project>/stacks/` in a `Location`.
fn behind_stacks(location: &str, project: &str) -> Option<Vec<String>> {
    let url = location.split(['?', '#']).next()?;
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.windows(2).position(|pair| pair == [project, "stacks"])?;
    let behind = parts.get(at + 2..)?;
    // Names and ids of stacks have no other characters; what must be decoded first is none.
    let plain = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    (!behind.is_empty() && behind.iter().all(plain)).then(|| behind.iter().map(|part| (*part).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_location_only_the_stack_is_taken() {
        let behind = |location: &str| behind_stacks(location, "p1").map(|parts| parts.join("/"));
        for location in [
            "http://heat.example:8004/v1/p1/stacks/vnf-1/i-1",
            "http://10.0.0.5/heat/v1/p1/stacks/vnf-1/i-1?resolve_outputs=false",
            "/v1/p1/stacks/vnf-1/i-1",
        ] {
            assert_eq!(behind(location).as_deref(), Some("vnf-1/i-1"), "{location}");
        }
        assert_eq!(
            behind("http://h/v1/p1/stacks/stacks/i-1").as_deref(),
            Some("stacks/i-1")
        );
        for location in [
            "",
            "http://h/v1/p2/stacks/vnf-1/i-1",
            "http://h/v1/p1/stacks",
            "http://h/v1/p1/stacks/",
            "http://h/v1/p1/stacks/a%2Fb/i-1",
            "https://login.example/?next=/v1/p1/stacks/vnf-1/i-1",
        ] {
            assert_eq!(behind(location), None, "{location}");
        }
    }
}
