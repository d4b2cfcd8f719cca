//! Probes. They need no token and tell nothing but yes or no, and why not.

use axum::extract::State;

use super::Admin;
use crate::failure::Failure;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be accepted: the store can be written.
pub(super) async fn ready(State(admin): State<Admin>) -> Result<&'static str, Failure> {
    match admin.engine.ready().await {
        Ok(()) => Ok("ok\n"),
        Err(error) => {
            let failure = Failure::from(error);
            Err(Failure {
                cause: failure.cause.clone(),
                ..Failure::unavailable(failure.detail)
            })
        }
    }
}
