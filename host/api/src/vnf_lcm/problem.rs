//! Refusals as SOL013 has them (6.3): problem details with `status` and `detail`, which are all that a client shows.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use vimhost_engine::Error;
use vimhost_model::vnf::ProblemDetails;

use crate::exchange::RequestId;
use crate::failure::{Failure, WrongField};

/// A refusal in the dialect's words. It is logged and written where every refusal is, in [`crate::exchange`].
#[derive(Debug)]
pub(crate) struct Problem(Failure);

impl Problem {
    /// A refusal whose title is the status in words.
    pub(crate) fn new(status: u16, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Failure::new(status, code(status), detail))
    }

    /// A refusal with a title of its own.
    pub(crate) fn titled(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Self {
        let Self(failure) = Self::new(status, detail);
        Self(Failure {
            title: Some(title.into().into_boxed_str()),
            ..failure
        })
    }

    /// A field, or with an empty path the whole, breaks the schema. The log has the place only, since the reason may repeat the value.
    pub(crate) fn field(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let (path, reason) = (path.into(), reason.into());
        let detail = if path.is_empty() {
            reason.clone()
        } else {
            format!("{path}: {reason}")
        };
        let Self(failure) = Self::new(400, detail);
        Self(Failure {
            fields: vec![WrongField { path, reason }],
            ..failure
        })
    }

    /// With a header that says something about it.
    pub(crate) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self(self.0.with_header(name, value))
    }

    /// Its status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// What it says.
    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }
}

/// Stable word in the log.
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not-found",
        405 => "method-not-allowed",
        406 => "not-acceptable",
        409 => "conflict",
        412 => "changed-meanwhile",
        413 => "too-large",
        415 => "unsupported-media-type",
        416 => "range-not-satisfiable",
        422 => "unprocessable",
        503 => "unavailable",
        400..=499 => "bad-request",
        _ => "internal",
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<ProblemDetails> for Problem {
    fn from(details: ProblemDetails) -> Self {
        match details.title {
            Some(title) => Self::titled(details.status, title, details.detail),
            None => Self::new(details.status, details.detail),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            // NG-RO's dialect has 422 for a wrong shape; here that is a request that cannot be carried out.
            Error::Shape { path, reason } => Self::field(path.replace(':', "/"), reason),
            error @ (Error::BadRequest { .. }
            | Error::NotFound { .. }
            | Error::Unprocessable { .. }
            | Error::Conflict { .. }
            | Error::PreconditionFailed { .. }
            | Error::Unsupported { .. }
            | Error::Account { .. }
            | Error::Vim { .. }
            | Error::Unavailable { .. }
            | Error::Internal { .. }) => Self(Failure::from(error)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // No `Retry-After`: clients of this dialect never see one.
        let failure = Failure {
            headers: self
                .0
                .headers
                .into_iter()
                .filter(|(name, _)| *name != header::RETRY_AFTER)
                .collect(),
            ..self.0
        };
        failure.into_response()
    }
}

/// Writes a refusal.
pub(super) fn write(failure: &Failure, _asked: &HeaderMap, id: &RequestId) -> Response {
    let detail = match failure.cause {
        Some(_) => format!("{} ({})", failure.detail, id.as_str()),
        None => failure.detail.clone(),
    };
    let title = failure
        .title
        .as_deref()
        .or_else(|| failure.status.canonical_reason())
        .unwrap_or("Error");
    let details = ProblemDetails::titled(failure.status.as_u16(), title, detail);
    // Writing texts and numbers to memory does not fail.
    let mut response = Response::new(Body::from(serde_json::to_vec(&details).unwrap_or_default()));
    *response.status_mut() = failure.status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_engine_has_the_status_of_the_standard() {
        let text = || "why".to_owned();
        for (error, status) in [
            (Error::shape("a:b", "why"), 400),
            (Error::BadRequest { reason: text() }, 400),
            (Error::not_found("VNF instance", "x"), 404),
            (Error::Conflict { reason: text() }, 409),
            (Error::Unprocessable { reason: text() }, 422),
            (Error::Unavailable { reason: text() }, 503),
        ] {
            assert_eq!(Problem::from(error).status(), status);
        }
        assert_eq!(Problem::from(Error::shape("a:b", "why")).detail(), "a/b: why");
    }
}
