//! Which versions there are: asked without a version.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer;

/// The version of the interface.
pub(super) const V2: &str = "2.0.0";

/// The version of the subscriptions below `/vnflcm/v1`.
pub(super) const V1: &str = "1.3.0";

const ALL: &str = "/vnflcm/api_versions";
const OF_V1: &str = "/vnflcm/v1/api_versions";
const OF_V2: &str = "/vnflcm/v2/api_versions";

/// Whether a path is one of these, which anybody may ask, whoever he is. Others may end like them: a file of a package has any name.
pub(super) fn are_at(path: &str) -> bool {
    [ALL, OF_V1, OF_V2].contains(&path)
}

/// Show all versions of the interface
#[utoipa::path(get, path = "/vnflcm/api_versions", operation_id = "showVersions", tag = "versions",
    responses((status = OK, description = "The versions", body = ref("#/components/schemas/ApiVersionInformation"))))]
pub(super) async fn all() -> Response {
    of("/vnflcm", &[V1, V2])
}

/// Show the versions below `/vnflcm/v1`
#[utoipa::path(get, path = "/vnflcm/v1/api_versions", operation_id = "showVersionsV1", tag = "versions",
    responses((status = OK, description = "The versions", body = ref("#/components/schemas/ApiVersionInformation"))))]
pub(super) async fn of_v1() -> Response {
    of("/vnflcm/v1", &[V1])
}

/// Show the versions below `/vnflcm/v2`
#[utoipa::path(get, path = "/vnflcm/v2/api_versions", operation_id = "showVersionsV2", tag = "versions",
    responses((status = OK, description = "The versions", body = ref("#/components/schemas/ApiVersionInformation"))))]
pub(super) async fn of_v2() -> Response {
    of("/vnflcm/v2", &[V2])
}

fn of(prefix: &str, versions: &[&str]) -> Response {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"version": version, "isDeprecated": false}))
        .collect();
    answer::json(StatusCode::OK, &json!({"uriPrefix": prefix, "apiVersions": versions}))
}
