//! Logging in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::{App, TOKEN_GIVEN};
use crate::refusal::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    user: String,
    password: String,
    tenant: String,
}

pub(super) async fn log_in(
    State(App(world)): State<App>,
    Body(body): Body<LogIn>,
) -> Result<impl IntoResponse, Refusal> {
    let known = &world.credentials;
    if (&body.user, &body.password, &body.tenant) != (&known.user, &known.password, &known.tenant) {
        return Err(Refusal::Auth("user, password or tenant is wrong"));
    }
    let mut held = world.lock();
    let now = held.now;
    let (token, expires_at) = held.state.log_in(now, world.token_lifetime);
    Ok((
        StatusCode::CREATED,
        [(TOKEN_GIVEN, token)],
        Json(json!({ "expires_at": expires_at })),
    ))
}
