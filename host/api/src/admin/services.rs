//! Network services without OSM: keep a document, see what it would do, do it.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde_json::Value;
use vimhost_engine::{Accepted, ServiceSpec};
use vimhost_model::{ActionId, NsrId};

use super::Admin;
use super::auth::Role;
use super::input::{Document, IdempotencyKey, Named, Paging, typed};
use super::output::{Answer, Listing};
use super::view::{AcceptedView, PlanView, ServiceEntry, ServiceShown};
use crate::failure::Failure;
use crate::path::encoded;

pub(super) async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Answer<Listing<ServiceEntry>>, Failure> {
    let page = admin.engine.services(paging.after.as_deref(), paging.limit).await?;
    Ok(Answer::ok(Listing::of(page, |(id, name)| ServiceEntry { id, name })))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(nsr): Named<NsrId>,
) -> Result<Answer<ServiceShown>, Failure> {
    let service = admin.engine.service(&nsr).await?;
    let revision = service.revision;
    Ok(Answer::ok(ServiceShown::of(service, role)).with_revision(revision))
}

pub(super) async fn put(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(nsr): Named<NsrId>,
    Document(document): Document,
) -> Result<Answer<ServiceShown>, Failure> {
    let document = with_name(document, &nsr)?;
    // For the place of a field of the wrong type, which the engine's reading does not name.
    typed::<ServiceSpec>(document.clone())?;
    let spec = ServiceSpec::parse(document)?;
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

pub(super) async fn remove(State(admin): State<Admin>, Named(nsr): Named<NsrId>) -> Result<StatusCode, Failure> {
    admin.engine.remove_service(&nsr).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn plan(State(admin): State<Admin>, Named(nsr): Named<NsrId>) -> Result<Answer<PlanView>, Failure> {
    let request = admin.engine.service_request(&nsr).await?;
    let plan = admin.engine.plan(&nsr, &request).await?;
    Ok(Answer::ok(PlanView::of(&nsr, plan)))
}

pub(super) async fn deploy(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Answer<AcceptedView>, Failure> {
    let mut request = admin.engine.service_request(&nsr).await?;
    refuse_reuse(&admin, &nsr, key.as_ref(), &request.digest).await?;
    request.action_id = key;
    Ok(accepted(admin.engine.deploy(&nsr, &request).await?))
}

pub(super) async fn terminate(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    IdempotencyKey(key): IdempotencyKey,
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
