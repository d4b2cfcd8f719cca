//! Bodies of requests: JSON, whatever the content type says, and refused in the interface's own form.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// A body that was understood.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| Refusal::BadRequest(format!("the body is not understood: {error}")))?;
        Ok(Self(body))
    }
}
