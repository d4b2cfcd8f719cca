//! `/vnf_lcm_op_occs`: what was asked for, how it goes, and what is to become of what failed.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{StatusCode, Uri};
use serde_json::{Map, Value};
use vimhost_engine::Error;
use vimhost_model::VnfLcmOpOccId;
use vimhost_model::vnf::VnfLcmOpOcc;

use super::listing::{self, Kind};
use super::problem::Problem;
use super::{Shared, Vnf, answer, links};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/vnflcm/v2/vnf_lcm_op_occs", get(list))
        .route("/vnflcm/v2/vnf_lcm_op_occs/{id}", get(show))
        .route("/vnflcm/v2/vnf_lcm_op_occs/{id}/retry", post(retry))
        .route("/vnflcm/v2/vnf_lcm_op_occs/{id}/rollback", post(rollback))
        .route("/vnflcm/v2/vnf_lcm_op_occs/{id}/fail", post(fail))
}

async fn list(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    listing::list(&vnf, Kind::OpOccs, &uri, vnf.options.page_sizes.op_occs).await
}

async fn show(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let op_occ = vnf.engine.lcm().op_occ(&named(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view(&vnf, &op_occ)?))
}

async fn retry(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().retry(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

async fn rollback(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.engine.lcm().rollback(&named(&id)?).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

async fn fail(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
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
