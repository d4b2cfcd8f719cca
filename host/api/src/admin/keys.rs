//! The keys that seal secrets at rest.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use vimhost_engine::{Rotation, SealKeyView};

use super::Admin;
use super::input::{Named, Typed};
use super::output::{Answer, Listing};
use crate::failure::Failure;

/// Which key is to seal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// Id of a key that the host has; a new one is made without it. The present one: what a rotation left is sealed anew.
    #[serde(default)]
    key: Option<String>,
}

/// List the seal keys, and how many secrets are sealed with each
#[utoipa::path(get, path = "/v1/keys", operation_id = "listKeys", tag = "keys",
    responses((status = OK, description = "The present key and the older ones", body = Listing<SealKeyView>)))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Answer<Listing<SealKeyView>>, Failure> {
    Ok(Answer::ok(Listing {
        items: admin.engine.seal_keys().await?,
        next: None,
    }))
}

/// Rotate the seal key: every secret is sealed anew
///
/// The older key stays and opens what it has sealed, until it is removed. Asking again is safe, and so is a crash at any point: the
/// next start goes on.
#[utoipa::path(post, path = "/v1/keys/rotate", operation_id = "rotateKeys", tag = "keys",
    request_body(content((Rotate = "application/json"), (Rotate = "application/yaml"))),
    responses((status = OK, description = "Every secret is sealed with the key", body = Rotation)))]
pub(super) async fn rotate(
    State(admin): State<Admin>,
    Typed(asked): Typed<Rotate>,
) -> Result<Answer<Rotation>, Failure> {
    Ok(Answer::ok(admin.engine.rotate_keys(asked.key.as_deref()).await?))
}

/// Remove an older seal key for good
///
/// Refused while anything is sealed with it.
#[utoipa::path(delete, path = "/v1/keys/{id}", operation_id = "removeKey", tag = "keys",
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = NO_CONTENT, description = "It is removed")))]
pub(super) async fn remove(State(admin): State<Admin>, Named(id): Named<String>) -> Result<StatusCode, Failure> {
    admin.engine.forget_key(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
