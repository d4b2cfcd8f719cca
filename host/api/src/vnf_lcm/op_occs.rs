//! `/vnf_lcm_op_occs`: what was asked for, how it goes, and what is to become of what failed.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::{Map, Value};
use vimhost_engine::Error;
use vimhost_model::VnfLcmOpOccId;
use vimhost_model::vnf::VnfLcmOpOcc;

use super::listing::{self, Kind};
use super::problem::Problem;
use super::{Shared, Vnf, answer, links};

/// List occurrences
#[utoipa::path(get, path = "/vnflcm/v2/vnf_lcm_op_occs", operation_id = "listOpOccs", tag = "operation occurrences",
    responses((status = OK, description = "Those the filter admits, as the selector says", body = ref("#/components/schemas/VnfLcmOpOccList"),
            headers(("Link" = String, description = "The next page, where lists have pages")))))]
pub(super) async fn list(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    listing::list(&vnf, Kind::OpOccs, &uri, vnf.options.page_sizes.op_occs).await
}

/// Show an occurrence
#[utoipa::path(get, path = "/vnflcm/v2/vnf_lcm_op_occs/{id}", operation_id = "showOpOcc", tag = "operation occurrences",
    params(("id" = VnfLcmOpOccId, Path, description = "Id of the occurrence")),
    responses((status = OK, description = "All of it", body = VnfLcmOpOcc)))]
pub(super) async fn show(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let op_occ = vnf.engine.lcm().op_occ(&named(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view(&vnf, &op_occ)?))
}

/// Try an operation again that failed, from the step that failed
#[utoipa::path(post, path = "/vnflcm/v2/vnf_lcm_op_occs/{id}/retry", operation_id = "retry", tag = "operation occurrences",
    params(("id" = VnfLcmOpOccId, Path, description = "Id of the occurrence")),
    responses((status = ACCEPTED, description = "It goes on")))]
pub(super) async fn retry(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().retry(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

/// Undo an operation that failed
#[utoipa::path(post, path = "/vnflcm/v2/vnf_lcm_op_occs/{id}/rollback", operation_id = "rollback", tag = "operation occurrences",
    params(("id" = VnfLcmOpOccId, Path, description = "Id of the occurrence")),
    responses((status = ACCEPTED, description = "It is being undone")))]
pub(super) async fn rollback(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().rollback(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

/// Give an operation up that failed
#[utoipa::path(post, path = "/vnflcm/v2/vnf_lcm_op_occs/{id}/fail", operation_id = "fail", tag = "operation occurrences",
    params(("id" = VnfLcmOpOccId, Path, description = "Id of the occurrence")),
    responses((status = OK, description = "It is FAILED, and its instance free", body = VnfLcmOpOcc)))]
pub(super) async fn fail(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let op_occ = vnf.engine.lcm().fail(&named(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view(&vnf, &op_occ)?))
}

/// An id of the path. What cannot be one names nothing.
fn named(id: &str) -> Result<VnfLcmOpOccId, Problem> {
    VnfLcmOpOccId::new(id).map_err(|_| Error::not_found("VNF LCM operation occurrence", id).into())
}

/// An occurrence as clients see it.
fn view(vnf: &Vnf, op_occ: &VnfLcmOpOcc) -> Result<Map<String, Value>, Problem> {
    let links = links::of_op_occ(
        &vnf.options.endpoint,
        op_occ.id.as_str(),
        op_occ.vnf_instance_id.as_str(),
    );
    listing::whole(op_occ, &links)
}
