//! `/vnf_instances`: instances, and what is asked to be done with them.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vimhost_engine::Error;
use vimhost_model::vnf::{CreateVnfRequest, InstantiationState, VnfInstance};
use vimhost_model::{VnfInstanceId, VnfLcmOpOccId};

use super::body::read_json;
use super::limits::Bounded;
use super::listing::{self, Kind};
use super::problem::Problem;
use super::{Shared, Vnf, answer, links};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/vnflcm/v2/vnf_instances", get(list).post(create))
        .route("/vnflcm/v2/vnf_instances/{id}", get(show).patch(modify).delete(delete))
        .route("/vnflcm/v2/vnf_instances/{id}/instantiate", post(instantiate))
        .route("/vnflcm/v2/vnf_instances/{id}/terminate", post(terminate))
        .route("/vnflcm/v2/vnf_instances/{id}/scale", post(scale))
        .route("/vnflcm/v2/vnf_instances/{id}/heal", post(heal))
        .route("/vnflcm/v2/vnf_instances/{id}/change_ext_conn", post(change_ext_conn))
        .route("/vnflcm/v2/vnf_instances/{id}/change_vnfpkg", post(change_vnfpkg))
}

async fn create(State(vnf): State<Shared>, request: Request) -> Result<Response, Problem> {
    let request: CreateVnfRequest = bounded(&vnf, request).await?;
    let instance = vnf.engine.lcm().create(request).await?;
    let location = links::instance(&vnf.options.endpoint, instance.id.as_str());
    Ok(answer::created(location, &view(&vnf, &instance)?))
}

async fn list(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    listing::list(&vnf, Kind::Instances, &uri, vnf.options.page_sizes.instances).await
}

async fn show(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let instance = vnf.engine.lcm().instance(&named(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view(&vnf, &instance)?))
}

async fn delete(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().delete(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn modify(State(vnf): State<Shared>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().modify(&named(&id)?, request).await)
}

async fn instantiate(State(vnf): State<Shared>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().instantiate(&named(&id)?, request).await)
}

async fn terminate(State(vnf): State<Shared>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().terminate(&named(&id)?, request).await)
}

async fn scale(State(vnf): State<Shared>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().scale(&named(&id)?, request).await)
}

async fn heal(State(vnf): State<Shared>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().heal(&named(&id)?, request).await)
}

async fn change_ext_conn(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().change_ext_conn(&named(&id)?, request).await)
}

async fn change_vnfpkg(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().change_vnfpkg(&named(&id)?, request).await)
}

/// The body as a request whose values are within their bounds.
async fn bounded<T: DeserializeOwned + Bounded>(vnf: &Vnf, request: Request) -> Result<T, Problem> {
    let request: T = read_json(request, vnf.options.limits).await?;
    request.check()?;
    Ok(request)
}

/// An id of the path. What cannot be one names nothing.
fn named(id: &str) -> Result<VnfInstanceId, Problem> {
    VnfInstanceId::new(id).map_err(|_| Error::not_found("VNF instance", id).into())
}

/// 202 with the occurrence, and no body.
fn accepted(vnf: &Vnf, begun: Result<VnfLcmOpOccId, Error>) -> Result<Response, Problem> {
    let op_occ = begun?;
    Ok(answer::accepted(&links::op_occ(&vnf.options.endpoint, op_occ.as_str())))
}

/// An instance as clients see it.
fn view(vnf: &Vnf, instance: &VnfInstance) -> Result<Map<String, Value>, Problem> {
    let instantiated = match instance.instantiation_state {
        InstantiationState::Instantiated => true,
        InstantiationState::NotInstantiated => false,
    };
    let links = links::of_instance(&vnf.options.endpoint, instance.id.as_str(), instantiated);
    listing::whole(instance, &links)
}
