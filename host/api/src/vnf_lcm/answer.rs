//! Answers: JSON, or nothing at all. A 202 has to be truly empty: the client takes any body for the thing itself.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::problem::Problem;
use crate::failure::{Cause, Failure};

/// A thing as JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => text_of(status, text),
        Err(error) => {
            let cause = Cause {
                error: "an answer cannot be written".to_owned(),
                chain: error.to_string(),
            };
            Problem::from(Failure::internal(cause)).into_response()
        }
    }
}

/// A text that is JSON already.
pub(super) fn text_of(status: StatusCode, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Nothing.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 201 with the thing that was made, and where it is.
pub(crate) fn created(location: String, body: &impl Serialize) -> Response {
    with_header(json(StatusCode::CREATED, body), header::LOCATION, &location)
}

/// 202 with where to look how it goes, and no body.
pub(super) fn accepted(location: &str) -> Response {
    with_header(empty(StatusCode::ACCEPTED), header::LOCATION, location)
}

/// Adds a header. A text that cannot be one is left out: ids are encoded before they come here.
pub(super) fn with_header(mut response: Response, name: HeaderName, text: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
    response
}
