//! Network services without OSM: keep a document, see what it would do, do it.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde_json::Value;
use vimhost_engine::{Accepted, ServiceSpec};
use vimhost_model::{ActionId, NsrId, Role};

use super::Admin;
use super::input::{Document, IdempotencyKey, IdempotencyParams, Named, NoBody, Paging, PagingParams, typed};
use super::output::{Answer, Listing};
use super::view::{AcceptedView, PlanView, ServiceEntry, ServiceShown};
use crate::failure::Failure;
use crate::path::encoded;

/// List network services
#[utoipa::path(get, path = "/v1/network-services", operation_id = "listServices", tag = "network services", params(PagingParams),
    responses((status = OK, description = "A page of services", body = Listing<ServiceEntry>)))]
pub(super) async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Answer<Listing<ServiceEntry>>, Failure> {
    let page = admin.engine.services(paging.after.as_deref(), paging.limit).await?;
    Ok(Answer::ok(Listing::of(page, |(id, name)| ServiceEntry { id, name })))
}

/// Show a network service with its records
#[utoipa::path(get, path = "/v1/network-services/{name}", operation_id = "showService", tag = "network services", params(("name" = NsrId, Path, description = "Name of the service")),
    responses((status = OK, description = "The service", body = ServiceShown, headers(("ETag" = String, description = "Its revision")))))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(nsr): Named<NsrId>,
) -> Result<Answer<ServiceShown>, Failure> {
    let service = admin.engine.service(&nsr).await?;
    let revision = service.revision;
    Ok(Answer::ok(ServiceShown::of(service, role)).with_revision(revision))
}

/// Keep the document of a network service; deploys nothing
///
/// A document that could not be deployed is refused, and the one before it stays.
#[utoipa::path(put, path = "/v1/network-services/{name}", operation_id = "putService", tag = "network services", params(("name" = NsrId, Path, description = "Name of the service")),
    request_body(content((ServiceSpec = "application/json"), (ServiceSpec = "application/yaml"))),
    responses((status = OK, description = "It was replaced", body = ServiceShown, headers(("ETag" = String, description = "Its revision"))),
        (status = CREATED, description = "It is new", body = ServiceShown, headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is")))))]
pub(super) async fn put(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(nsr): Named<NsrId>,
    Document(document): Document,
) -> Result<Answer<ServiceShown>, Failure> {
    let spec = spec_of(document, &nsr)?;
    let known = match admin.engine.service(&nsr).await {
        Ok(_) => true,
        Err(vimhost_engine::Error::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let service = admin.engine.put_service(&spec).await?;
    let (status, revision) = (
        if known { StatusCode::OK } else { StatusCode::CREATED },
        service.revision,
    );
    let answer = Answer::ok(ServiceShown::of(service, role))
        .with_status(status)
        .with_revision(revision);
    Ok(answer.at(format!("/v1/network-services/{}", encoded(nsr.as_str()))))
}

/// Forget a terminated network service
#[utoipa::path(delete, path = "/v1/network-services/{name}", operation_id = "removeService", tag = "network services", params(("name" = NsrId, Path, description = "Name of the service")),
    responses((status = NO_CONTENT, description = "It is forgotten")))]
pub(super) async fn remove(State(admin): State<Admin>, Named(nsr): Named<NsrId>) -> Result<StatusCode, Failure> {
    admin.engine.remove_service(&nsr).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Plan: what a deploy would do; touches nothing
#[utoipa::path(post, path = "/v1/network-services/{name}/plan", operation_id = "planService", tag = "network services", params(("name" = NsrId, Path, description = "Name of the service")),
    request_body(content((ServiceSpec = "application/json"), (ServiceSpec = "application/yaml")),
        description = "The document, which is not kept; `{}` or no body: the one that is kept"),
    responses((status = OK, description = "The plan", body = PlanView)))]
pub(super) async fn plan(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    Document(document): Document,
) -> Result<Answer<PlanView>, Failure> {
    let plan = if document.as_object().is_some_and(|map| map.is_empty()) {
        let request = admin.engine.service_request(&nsr).await?;
        admin.engine.plan(&nsr, &request).await?
    } else {
        admin.engine.plan_service(&spec_of(document, &nsr)?).await?
    };
    Ok(Answer::ok(PlanView::of(&nsr, plan)))
}

/// Bring a network service to what its document says
#[utoipa::path(post, path = "/v1/network-services/{name}/deploy", operation_id = "deployService", tag = "network services",
    params(("name" = NsrId, Path, description = "Name of the service"), IdempotencyParams),
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", body = AcceptedView, headers(
        ("Location" = String, description = "The action")))))]
pub(super) async fn deploy(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    IdempotencyKey(key): IdempotencyKey,
    _: NoBody,
) -> Result<Answer<AcceptedView>, Failure> {
    let mut request = admin.engine.service_request(&nsr).await?;
    refuse_reuse(&admin, &nsr, key.as_ref(), &request.digest).await?;
    request.action_id = key;
    Ok(accepted(admin.engine.deploy(&nsr, &request).await?))
}

/// Delete everything of a network service from the VIMs
#[utoipa::path(post, path = "/v1/network-services/{name}/terminate", operation_id = "terminateService", tag = "network services",
    params(("name" = NsrId, Path, description = "Name of the service"), IdempotencyParams),
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", body = AcceptedView, headers(
        ("Location" = String, description = "The action")))))]
pub(super) async fn terminate(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    IdempotencyKey(key): IdempotencyKey,
    _: NoBody,
) -> Result<Answer<AcceptedView>, Failure> {
    refuse_reuse(&admin, &nsr, key.as_ref(), TERMINATE_DIGEST).await?;
    Ok(accepted(admin.engine.terminate(&nsr, key).await?))
}

/// What [`vimhost_engine::Engine::terminate`] keeps as the digest of its empty request.
const TERMINATE_DIGEST: &str = "terminate";

/// A key that stands for another request already is the client's mistake. The engine would give the request an id of its own, as
/// NG-RO's clients expect; a client that chose a key looks for the action under it.
async fn refuse_reuse(admin: &Admin, nsr: &NsrId, key: Option<&ActionId>, digest: &str) -> Result<(), Failure> {
    let Some(key) = key else { return Ok(()) };
    match admin.engine.action_state(nsr, key).await {
        Ok(report) if report.header.body_digest != digest => Err(Failure::conflict(format!(
            "idempotency key '{key}' was used for another request"
        ))),
        Ok(_) | Err(vimhost_engine::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn accepted(accepted: Accepted) -> Answer<AcceptedView> {
    let (nsr, action) = (encoded(accepted.nsr_id.as_str()), encoded(accepted.action_id.as_str()));
    let view = AcceptedView {
        nsr_id: accepted.nsr_id,
        action_id: accepted.action_id,
        repeated: accepted.repeated,
    };
    Answer::ok(view)
        .with_status(StatusCode::ACCEPTED)
        .at(format!("/v1/network-services/{nsr}/actions/{action}"))
}

/// A service's document, checked.
fn spec_of(document: Value, nsr: &NsrId) -> Result<ServiceSpec, Failure> {
    let document = with_name(document, nsr)?;
    // For the place of a field of the wrong type, which the engine's reading does not name.
    typed::<ServiceSpec>(document.clone())?;
    Ok(ServiceSpec::parse(document)?)
}

/// The document's name is that of the path; it may be left out.
fn with_name(document: Value, nsr: &NsrId) -> Result<Value, Failure> {
    let Value::Object(mut map) = document else {
        return Err(Failure::shape("", "a network service is a map"));
    };
    match map.get("name") {
        None => {
            map.insert("name".to_owned(), Value::String(nsr.to_string()));
        }
        Some(Value::String(name)) if name == nsr.as_str() => {}
        Some(_) => return Err(Failure::shape("name", "is not the name of the path")),
    }
    Ok(Value::Object(map))
}
