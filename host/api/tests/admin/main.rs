//! The admin interface: accounts, plugins, records, network services, actions, probes, roles.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod accounts;
mod actions;
mod probes;
mod records;
mod requests;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use support::{json_of, problem};

/// The problem a request is refused with.
async fn refused(request: RequestBuilder, status: u16, code: &str) -> Value {
    problem(request.send().await.unwrap(), status, code).await
}

/// How a request is answered, whatever the body.
async fn status_of(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}
