//! What goes wrong on request.

use std::time::Duration;

use http::{Method, StatusCode};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The VIM does the work, and nobody is told: the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed before the VIM sees the request.
    Cut,
    /// It waits, and is then worked on.
    Delay(Duration),
    /// It is refused without the VIM seeing it.
    Refuse {
        /// The status of the answer.
        status: StatusCode,
        /// Sent as `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
}

/// An effect, and the requests it is for.
#[derive(Debug, Clone)]
pub struct Fault {
    service: Option<String>,
    method: Option<Method>,
    path: Option<String>,
    skip: u64,
    times: u64,
    effect: Effect,
}

impl Fault {
    /// For every request, for good.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self {
            service: None,
            method: None,
            path: None,
            skip: 0,
            times: u64::MAX,
            effect,
        }
    }

    /// Only requests to a service.
    #[must_use]
    pub fn service(mut self, name: &str) -> Self {
        self.service = Some(name.to_owned());
        self
    }

    /// Only requests of a method to a path as it is counted: `/servers/{id}/action`.
    #[must_use]
    pub fn request(mut self, method: Method, path: &str) -> Self {
        self.method = Some(method);
        self.path = Some(path.to_owned());
        self
    }

    /// Not the first ones.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Only so many.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    /// What happens to a request of these; counts it.
    pub(crate) fn judge(&mut self, service: &str, method: &Method, path: &str) -> Option<Effect> {
        let meant = self.service.as_deref().is_none_or(|name| name == service)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.path.as_deref().is_none_or(|wanted| wanted == path);
        if !meant {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.effect.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_the_requests_it_is_for_and_no_others() {
        let mut fault = Fault::new(Effect::Cut)
            .service("compute")
            .request(Method::POST, "/servers")
            .after(1)
            .times(2);
        let mut judge = |service, method: &Method, path| fault.judge(service, method, path);
        assert_eq!(judge("network", &Method::POST, "/servers"), None);
        assert_eq!(judge("compute", &Method::GET, "/servers"), None);
        assert_eq!(judge("compute", &Method::POST, "/servers/{id}/action"), None);
        let four: Vec<_> = (0..4).map(|_| judge("compute", &Method::POST, "/servers")).collect();
        assert_eq!(four, [None, Some(Effect::Cut), Some(Effect::Cut), None]);
    }
}
