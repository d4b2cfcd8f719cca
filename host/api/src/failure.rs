//! Why a request was refused: one form until the last step, where a dialect turns it into its own.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use vimhost_engine::Error;

/// A place in the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongField {
    /// `vms:web:count`; empty for the whole.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// What happened inside, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The error itself.
    pub error: String,
    /// What it came from, outermost first.
    pub chain: String,
}

/// A refusal. As a response it carries itself as an extension and no body; [`crate::exchange`] lets the dialect write that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// For people. Holds no internals.
    pub detail: String,
    /// In short, where the reason phrase of the status says too little.
    pub title: Option<Box<str>>,
    pub fields: Vec<WrongField>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Boxed, since few refusals have one and every result carries the room for it.
    pub cause: Option<Box<Cause>>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            title: None,
            fields: Vec::new(),
            headers: Vec::new(),
            cause: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// A field, or with an empty path the whole, has the wrong shape.
    pub(crate) fn shape(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let (path, reason) = (path.into(), reason.into());
        let detail = if path.is_empty() {
            reason.clone()
        } else {
            format!("'{path}' {reason}")
        };
        Self {
            fields: vec![WrongField { path, reason }],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-shape", detail)
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(crate) fn changed_meanwhile(what: &str) -> Self {
        let detail = format!("{what} was changed by somebody else; read it again");
        Self::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the body has more than {limit} bytes"),
        )
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            headers: vec![(header::RETRY_AFTER, HeaderValue::from_static("5"))],
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// A fault of the host: the client is told nothing but the number of its request, the log has the cause.
    pub(crate) fn internal(cause: Cause) -> Self {
        let detail = "vimhost could not serve the request; its log has the cause under the request id";
        Self {
            cause: Some(Box::new(cause)),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        }
    }

    /// For a response that the framework refused on its own (no route, method, bad path).
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not-found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "this path does not serve this method"),
            status if status.is_client_error() => (
                "bad-request",
                "the request cannot be understood; is its path percent-encoded UTF-8?",
            ),
            _ => {
                return Self::internal(Cause {
                    error: "a response without a reason".to_owned(),
                    chain: String::new(),
                });
            }
        };
        Self::new(status, code, detail)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Shape { path, reason } => Self::shape(path, reason),
            Error::BadRequest { .. } => Self::bad_request(detail),
            Error::NotFound { .. } => Self::not_found(detail),
            Error::Conflict { .. } => Self::conflict(detail),
            Error::Unprocessable { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail),
            Error::PreconditionFailed { what } => Self::changed_meanwhile(&what),
            Error::Unsupported { .. } => Self::new(StatusCode::NOT_IMPLEMENTED, "not-offered", detail),
            Error::Account { .. } => Self::new(StatusCode::CONFLICT, "account", detail),
            Error::Vim { .. } => Self::new(StatusCode::BAD_GATEWAY, "vim", detail),
            Error::Unavailable { .. } => Self::unavailable(detail),
            Error::Internal { source, .. } => {
                let source = source
                    .as_deref()
                    .map(|source| source as &(dyn std::error::Error + 'static));
                let chain: Vec<String> = std::iter::successors(source, |error| error.source())
                    .map(ToString::to_string)
                    .collect();
                Self::internal(Cause {
                    error: detail,
                    chain: chain.join(": "),
                })
            }
        }
    }
}

/// Wraps the failure of a response; shared because a response's extensions have to be clonable.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response.extensions_mut().insert(Refused(Arc::new(self)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_engine_has_a_status_of_its_own_meaning() {
        let text = || "why".to_owned();
        for (error, status, code) in [
            (Error::shape("a:b", "why"), 422, "wrong-shape"),
            (Error::BadRequest { reason: text() }, 400, "bad-request"),
            (Error::not_found("account", "x"), 404, "not-found"),
            (Error::Conflict { reason: text() }, 409, "conflict"),
            (Error::PreconditionFailed { what: text() }, 412, "changed-meanwhile"),
            (Error::Unsupported { reason: text() }, 501, "not-offered"),
            (Error::Account { reason: text() }, 409, "account"),
            (Error::Vim { reason: text() }, 502, "vim"),
            (Error::Unavailable { reason: text() }, 503, "unavailable"),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.status.as_u16(), failure.code), (status, code));
            assert_eq!(failure.cause, None);
        }
    }

    #[test]
    fn an_internal_error_keeps_its_cause_to_the_log() {
        let source = std::io::Error::other("disk canary");
        let error = Error::Internal {
            doing: "reading canary".to_owned(),
            source: Some(Box::new(source)),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!failure.detail.contains("canary"));
        let cause = failure.cause.unwrap();
        assert_eq!(
            (cause.error.as_str(), cause.chain.as_str()),
            ("internal error while reading canary", "disk canary")
        );
    }
}
