//! Refusals as problem details (RFC 9457).

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::exchange::RequestId;
use crate::failure::Failure;

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// `urn:vimhost:problem:<code>`: stable, for programs.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, for people.
    detail: &'a str,
    /// Number of the request in the log.
    request_id: &'a str,
    /// Where the body is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WrongField<'a>>,
}

/// A place in the body that is wrong.
#[derive(Serialize, ToSchema)]
struct WrongField<'a> {
    /// JSON pointer into the body; empty for the whole.
    pointer: String,
    /// Why.
    detail: &'a str,
}

/// The status a client sees. A wrong shape is 400 here and 422 in NG-RO's dialect, which has that number from its own schema check.
pub(super) fn shown_status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        other => other,
    }
}

/// Writes a refusal.
pub(super) fn write(failure: &Failure, _asked: &HeaderMap, id: &RequestId) -> Response {
    let status = shown_status(failure.status);
    let problem = Problem {
        kind: format!("urn:vimhost:problem:{}", failure.code),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: &failure.detail,
        request_id: id.as_str(),
        errors: failure
            .fields
            .iter()
            .map(|field| WrongField {
                pointer: pointer(&field.path),
                detail: &field.reason,
            })
            .collect(),
    };
    // Writing texts and numbers to memory does not fail.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

/// `vms:web:count` as `/vms/web/count`.
fn pointer(path: &str) -> String {
    path.split(':')
        .filter(|part| !part.is_empty())
        .map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")))
        .collect()
}

/// For paths that no route has.
pub(super) async fn no_such_path() -> Failure {
    Failure::of_status(StatusCode::NOT_FOUND)
}

/// Answers are about now and may name what is secret: nobody keeps them on the way.
pub(super) async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_engine_becomes_a_json_pointer() {
        assert_eq!(pointer(""), "");
        assert_eq!(pointer("vms:web/1:count~"), "/vms/web~11/count~0");
    }
}
