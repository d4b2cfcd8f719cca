//! Why a request was not done, and how that looks over HTTP: `{"error": {"kind", "message"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::call::Kind;
use crate::faults::Fail;

/// The reasons a well-behaved VIM gives; scripted failures are [`Fail`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Auth(&'static str),
    #[error("{kind}: no element {id}")]
    NotFound { kind: Kind, id: String },
    #[error("no such path")]
    NoSuchPath,
    #[error("method not allowed here")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(String),
    #[error("{kind}: the quota of {limit} is used up")]
    Quota { kind: Kind, limit: u64 },
    #[error("{0}")]
    BadRequest(String),
    #[error("changes since {since} are no longer known; start over from 0")]
    CursorExpired { since: u64 },
    #[error("the state file cannot be written")]
    NotWritten,
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Quota { .. } => StatusCode::FORBIDDEN,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::CursorExpired { .. } => StatusCode::GONE,
            Self::NotWritten => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Auth(_) => "auth",
            Self::NotFound { .. } | Self::NoSuchPath => "not-found",
            Self::MethodNotAllowed => "unsupported",
            Self::Conflict(_) => "conflict",
            Self::Quota { .. } => "quota",
            Self::BadRequest(_) => "bad-request",
            Self::CursorExpired { .. } => "cursor-expired",
            Self::NotWritten => "internal",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.status(), self.kind(), &self.to_string())
    }
}

/// The answer of a scripted failure, in the same form as an honest refusal.
pub(crate) fn scripted(fail: &Fail) -> Response {
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(status, kind_of(status), &fail.message);
    if let Some(seconds) = fail.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A client learns the kind from the status; the word in the body agrees with it.
fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "auth",
        404 => "not-found",
        409 => "conflict",
        408 | 504 => "timeout",
        429 => "rate-limited",
        405 | 501 => "unsupported",
        400..=499 => "bad-request",
        _ => "internal",
    }
}

fn answer(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "kind": kind, "message": message } }))).into_response()
}
