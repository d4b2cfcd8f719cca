//! `/vnf_instances`: instances, and what is asked to be done with them.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vimhost_engine::Error;
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, CreateVnfRequest, HealVnfRequest,
    InstantiateVnfRequest, InstantiationState, ScaleVnfRequest, TerminateVnfRequest, VnfInfoModificationRequest,
    VnfInstance,
};
use vimhost_model::{VnfInstanceId, VnfLcmOpOccId};

use super::body::read_json;
use super::limits::Bounded;
use super::listing::{self, Kind};
use super::problem::Problem;
use super::{Shared, Vnf, answer, links};

/// Create an instance, with nothing in a VIM
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances", operation_id = "createInstance", tag = "VNF instances",
    request_body = CreateVnfRequest,
    responses((status = CREATED, description = "It is there", body = VnfInstance, headers(("Location" = String, description = "The instance")))))]
pub(super) async fn create(State(vnf): State<Shared>, request: Request) -> Result<Response, Problem> {
    let request: CreateVnfRequest = bounded(&vnf, request).await?;
    let instance = vnf.engine.lcm().create(request).await?;
    let location = links::instance(&vnf.options.endpoint, instance.id.as_str());
    Ok(answer::created(location, &view(&vnf, &instance)?))
}

/// List instances
#[utoipa::path(get, path = "/vnflcm/v2/vnf_instances", operation_id = "listInstances", tag = "VNF instances",
    responses((status = OK, description = "Those the filter admits, as the selector says", body = ref("#/components/schemas/VnfInstanceList"),
            headers(("Link" = String, description = "The next page, where lists have pages")))))]
pub(super) async fn list(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    listing::list(&vnf, Kind::Instances, &uri, vnf.options.page_sizes.instances).await
}

/// Show an instance
#[utoipa::path(get, path = "/vnflcm/v2/vnf_instances/{id}", operation_id = "showInstance", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    responses((status = OK, description = "All of it", body = VnfInstance)))]
pub(super) async fn show(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let instance = vnf.engine.lcm().instance(&named(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view(&vnf, &instance)?))
}

/// Delete an instance that is not instantiated
#[utoipa::path(delete, path = "/vnflcm/v2/vnf_instances/{id}", operation_id = "deleteInstance", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    responses((status = NO_CONTENT, description = "It is gone")))]
pub(super) async fn delete(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().delete(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Change what is known of an instance
#[utoipa::path(patch, path = "/vnflcm/v2/vnf_instances/{id}", operation_id = "modifyInstance", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body(content((VnfInfoModificationRequest = "application/merge-patch+json"), (VnfInfoModificationRequest = "application/json"))),
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn modify(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().modify(&named(&id)?, request).await)
}

/// Make the stack of an instance
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/instantiate", operation_id = "instantiate", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = InstantiateVnfRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn instantiate(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().instantiate(&named(&id)?, request).await)
}

/// Delete the stack of an instance
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/terminate", operation_id = "terminate", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = TerminateVnfRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn terminate(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().terminate(&named(&id)?, request).await)
}

/// Add VNFCs to an instance, or take them away
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/scale", operation_id = "scale", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = ScaleVnfRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn scale(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().scale(&named(&id)?, request).await)
}

/// Replace VNFCs of an instance, or all of it
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/heal", operation_id = "heal", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = HealVnfRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn heal(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().heal(&named(&id)?, request).await)
}

/// Join an instance to other external networks
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/change_ext_conn", operation_id = "changeExtConn", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = ChangeExtVnfConnectivityRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn change_ext_conn(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let request = bounded(&vnf, request).await?;
    accepted(&vnf, vnf.engine.lcm().change_ext_conn(&named(&id)?, request).await)
}

/// Take an instance to another package
#[utoipa::path(post, path = "/vnflcm/v2/vnf_instances/{id}/change_vnfpkg", operation_id = "changeVnfPkg", tag = "VNF instances",
    params(("id" = VnfInstanceId, Path, description = "Id of the instance")),
    request_body = ChangeCurrentVnfPkgRequest,
    responses((status = ACCEPTED, description = "It is on disk and will be carried out", headers(("Location" = String, description = "The occurrence")))))]
pub(super) async fn change_vnfpkg(
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
