//! The audit log: who changed what, when, and how it ended.
//!
//! An entry is written before the request is looked at and completed with the outcome before it is answered. So an acknowledged
//! change is always in the log: where the first write fails, nothing is done; where the host dies in between or the second
//! write fails, the entry stands without an outcome, and the log of the program says so. Entries hold neither bodies nor
//! headers, hence no secrets.

#![expect(unused_qualifications, reason = "written by the macro that describes handlers")]

use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vimhost_model::{AuditEntry, AuditId, Role, Timestamp};
use vimhost_store::AuditFilter;

use super::auth::Principal;
use super::input::{Paging, PagingParams, Queried};
use super::output::{Answer, Listing};
use super::table::Endpoint;
use super::{Admin, problem};
use crate::exchange::RequestId;
use crate::failure::Failure;
use vimhost_model::date_time::{parse_rfc3339, rfc3339};

/// Entries between two looks at the size of the log: a look reads the ids of all that are kept.
const TRIM_EVERY: u64 = 1000;

/// Characters of a path in an entry. Ids have at most a thousand.
const MAX_TARGET: usize = 2048;

/// Runs a request that changes something, with its entry in the log.
pub(super) async fn traced(
    admin: &Admin,
    endpoint: &Endpoint,
    principal: &Principal,
    request: Request,
    serve: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let (id, at) = admin.engine.new_audit_id();
    let request_id = request.extensions().get::<RequestId>();
    let mut entry = AuditEntry {
        id,
        at,
        who: principal.who.clone(),
        role: principal.role,
        method: request.method().to_string(),
        operation: endpoint.operation.clone(),
        target: request.uri().path().chars().take(MAX_TARGET).collect(),
        request_id: request_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        status: None,
    };
    if let Err(error) = admin.engine.write_audit(&entry).await {
        return Failure::from(error).into_response();
    }
    trim(admin).await;
    let response = serve(request).await;
    entry.status = Some(problem::shown_status(response.status()).as_u16());
    let place = response
        .headers()
        .get(header::LOCATION)
        .and_then(|place| place.to_str().ok());
    if let (StatusCode::CREATED, Some(place)) = (response.status(), place) {
        entry.target = place.chars().take(MAX_TARGET).collect();
    }
    if let Err(error) = admin.engine.write_audit(&entry).await {
        tracing::error!(
            error = %error, audit_id = %entry.id, operation = entry.operation, status = entry.status,
            "the outcome of a change is missing in the audit log"
        );
    }
    response
}

/// Keeps the log bounded.
async fn trim(admin: &Admin) {
    if admin.changes.fetch_add(1, Ordering::Relaxed).is_multiple_of(TRIM_EVERY)
        && let Err(error) = admin.engine.trim_audit(admin.audit_entries).await
    {
        tracing::warn!(error = %error, "the audit log is not trimmed; the next look at it does");
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Token id, `configured-…`, or `loopback`.
    who: Option<String>,
    /// Operation of this description, `deployService` for instance.
    operation: Option<String>,
    /// Not older than this (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditView {
    id: AuditId,
    /// When the request was taken up.
    #[schema(format = DateTime)]
    at: String,
    /// Token id, `configured-…`, or `loopback`.
    who: String,
    role: Role,
    method: String,
    /// Operation of this description.
    operation: String,
    /// The path, or the place of what was made.
    target: String,
    /// HTTP status of the answer; null where the outcome is not known.
    status: Option<u16>,
    request_id: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: rfc3339(entry.at),
            who: entry.who,
            role: entry.role,
            method: entry.method,
            operation: entry.operation,
            target: entry.target,
            status: entry.status,
            request_id: entry.request_id,
        }
    }
}

/// List the audit log, newest first
///
/// The newest 100000 entries are kept, and some beyond until the next look at the size.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAudit", tag = "access", params(AuditParams, PagingParams),
    responses((status = OK, description = "A page of entries", body = Listing<AuditView>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Queried(asked): Queried<AuditParams>,
    paging: Paging,
) -> Result<Answer<Listing<AuditView>>, Failure> {
    let since = since(asked.since.as_deref())?;
    let filter = AuditFilter {
        who: asked.who,
        operation: asked.operation,
    };
    let page = admin
        .engine
        .audit(&filter, since, paging.after.as_deref(), paging.limit)
        .await?;
    Ok(Answer::ok(Listing::of(page, AuditView::from)))
}

/// A point in time of a query.
pub(super) fn since(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match parse_rfc3339(text) {
        Some(at) => Ok(Some(at)),
        None => Err(Failure::bad_request(
            "'since' is a time like 2030-01-31T12:00:00Z (RFC 3339)",
        )),
    }
}
