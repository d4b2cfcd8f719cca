//! Answers: a view as JSON with its status, entity tag and place.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_model::Revision;
use vimhost_store::Page;

use crate::failure::{Cause, Failure};

/// An answer with a view.
pub(super) struct Answer<T> {
    view: T,
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
}

impl<T> Answer<T> {
    pub(super) fn ok(view: T) -> Self {
        Self {
            view,
            status: StatusCode::OK,
            headers: Vec::new(),
        }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_revision(mut self, revision: Revision) -> Self {
        self.headers.push((header::ETAG, format!("\"{revision}\"")));
        self
    }

    pub(super) fn at(mut self, location: String) -> Self {
        self.headers.push((header::LOCATION, location));
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let body = match serde_json::to_vec(&self.view) {
            Ok(body) => body,
            Err(error) => {
                let cause = Cause {
                    error: "a view cannot be written".to_owned(),
                    chain: error.to_string(),
                };
                return Failure::internal(cause).into_response();
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listing<T> {
    pub items: Vec<T>,
    /// For `?cursor=` of the next request; null on the last page.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    pub(super) fn of<S>(page: Page<S>, view: impl Fn(S) -> T) -> Self {
        Self {
            items: page.entries.into_iter().map(view).collect(),
            next: page.next,
        }
    }
}
