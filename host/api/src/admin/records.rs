//! Records of OSM (`nsrs`, `vnfrs`, `vnfds`) where NBI and LCM share no database with vimhost: whoever owns them puts them here and
//! reads results back.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vimhost_model::{Collection, Record, RecordId, Revision, Role};

use super::Admin;
use super::input::{Document, IfMatch, IfMatchParams, Named};
use super::output::Answer;
use crate::failure::Failure;
use crate::mask::mask;
use crate::path::encoded;

/// What was written.
#[derive(Serialize, ToSchema)]
pub(super) struct Written {
    collection: &'static str,
    id: RecordId,
    #[schema(value_type = u64)]
    revision: Revision,
}

/// `{collection}/{id}` of the path.
type Place = (String, RecordId);

fn collection(name: &str) -> Result<Collection, Failure> {
    Collection::from_name(name).ok_or_else(|| Failure::not_found("collections are nsrs, vnfrs and vnfds"))
}

async fn present(admin: &Admin, collection: Collection, id: &RecordId) -> Result<Option<Record>, Failure> {
    Ok(admin.engine.record(collection, id).await?)
}

/// Show a record
#[utoipa::path(get, path = "/v1/records/{collection}/{id}", operation_id = "showRecord", tag = "records",
    params(("collection" = String, Path, description = "nsrs, vnfrs or vnfds"), ("id" = RecordId, Path, description = "`_id` of the record")),
    responses((status = OK, description = "The record as it is kept", body = Object, headers(
        ("ETag" = String, description = "Its revision")))))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named((name, id)): Named<Place>,
) -> Result<Answer<Value>, Failure> {
    let record = present(&admin, collection(&name)?, &id).await?;
    let mut record = record.ok_or_else(|| Failure::not_found(format!("record '{id}' not found")))?;
    if role == Role::Viewer {
        mask(&mut record.document);
    }
    Ok(Answer::ok(record.document).with_revision(record.revision))
}

/// Put a record in its place, for the program that owns it
#[utoipa::path(put, path = "/v1/records/{collection}/{id}", operation_id = "putRecord", tag = "records",
    params(("collection" = String, Path, description = "nsrs, vnfrs or vnfds"), ("id" = RecordId, Path, description = "`_id` of the record"),
        IfMatchParams),
    request_body(content((Object = "application/json"), (Object = "application/yaml"))),
    responses((status = OK, description = "It was replaced", body = Written, headers(("ETag" = String, description = "Its revision"))),
        (status = CREATED, description = "It is new", body = Written, headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is")))))]
pub(super) async fn put(
    State(admin): State<Admin>,
    Named((name, id)): Named<Place>,
    condition: IfMatch,
    Document(document): Document,
) -> Result<Answer<Written>, Failure> {
    let collection = collection(&name)?;
    let document = with_id(document, &id)?;
    let present = present(&admin, collection, &id).await?.map(|record| record.revision);
    condition.check("the record", present)?;
    let revision = admin
        .engine
        .put_record(collection, &id, document, condition.expected(present))
        .await?;
    let status = if present.is_none() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let place = format!("/v1/records/{}/{}", collection.as_str(), encoded(id.as_str()));
    let written = Written {
        collection: collection.as_str(),
        id,
        revision,
    };
    Ok(Answer::ok(written)
        .with_status(status)
        .at(place)
        .with_revision(revision))
}

/// Remove a record, for the program that owns it
#[utoipa::path(delete, path = "/v1/records/{collection}/{id}", operation_id = "removeRecord", tag = "records",
    params(("collection" = String, Path, description = "nsrs, vnfrs or vnfds"), ("id" = RecordId, Path, description = "`_id` of the record"),
        IfMatchParams),
    responses((status = NO_CONTENT, description = "It is removed")))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    Named((name, id)): Named<Place>,
    condition: IfMatch,
) -> Result<StatusCode, Failure> {
    let collection = collection(&name)?;
    if condition != IfMatch::Anything {
        let present = present(&admin, collection, &id).await?.map(|record| record.revision);
        condition.check("the record", present)?;
    }
    admin.engine.delete_record(collection, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A record carries the id it is kept under.
fn with_id(document: Value, id: &RecordId) -> Result<Value, Failure> {
    let Value::Object(mut map) = document else {
        return Err(Failure::shape("", "a record is a map"));
    };
    match map.get("_id") {
        None => {
            map.insert("_id".to_owned(), Value::String(id.to_string()));
        }
        Some(Value::String(text)) if text == id.as_str() => {}
        Some(_) => return Err(Failure::shape("_id", "is not the id of the path")),
    }
    Ok(Value::Object(map))
}
