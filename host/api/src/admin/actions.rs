//! Actions: what was asked for and how it stands.

#![expect(unused_qualifications, reason = "written by the macro that describes handlers")]

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use vimhost_engine::{ActionFilter, Cancelled};
use vimhost_model::{ActionId, ActionKind, ActionStatus, NsrId};

use super::Admin;
use super::audit::since;
use super::input::{Named, Paging, PagingParams, Queried};
use super::output::{Answer, Listing};
use super::view::{ActionEntry, ActionView};
use crate::failure::Failure;

/// Which actions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ActionParams {
    /// Those that stand like this. They are looked for a hundred at a time: a page may be empty and have a next one.
    state: Option<ActionStatus>,
    /// Those of this kind. A page may be empty and have a next one.
    kind: Option<ActionKind>,
    /// Those accepted then or later (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
}

/// Which service's actions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ServiceParam {
    /// Those of this network service.
    service: Option<NsrId>,
}

impl ActionParams {
    fn filter(&self, service: Option<NsrId>) -> Result<ActionFilter, Failure> {
        Ok(ActionFilter {
            service,
            state: self.state,
            kind: self.kind,
            since: since(self.since.as_deref())?,
        })
    }
}

async fn listing(admin: &Admin, filter: ActionFilter, paging: Paging) -> Result<Answer<Listing<ActionEntry>>, Failure> {
    let page = admin
        .engine
        .actions_where(&filter, paging.after.as_deref(), paging.limit)
        .await?;
    Ok(Answer::ok(Listing::of(page, |(header, state)| {
        ActionEntry::of(header, state)
    })))
}

/// List actions of all services, newest first
#[utoipa::path(get, path = "/v1/actions", operation_id = "listActions", tag = "actions",
    params(ServiceParam, ActionParams, PagingParams),
    responses((status = OK, description = "A page of actions", body = Listing<ActionEntry>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Queried(of): Queried<ServiceParam>,
    Queried(asked): Queried<ActionParams>,
    paging: Paging,
) -> Result<Answer<Listing<ActionEntry>>, Failure> {
    listing(&admin, asked.filter(of.service)?, paging).await
}

/// List actions of a network service, newest first
#[utoipa::path(get, path = "/v1/network-services/{name}/actions", operation_id = "listActionsOfService", tag = "actions",
    params(("name" = NsrId, Path, description = "Name of the service"), ActionParams, PagingParams),
    responses((status = OK, description = "A page of actions", body = Listing<ActionEntry>)))]
pub(super) async fn of_service(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    Queried(asked): Queried<ActionParams>,
    paging: Paging,
) -> Result<Answer<Listing<ActionEntry>>, Failure> {
    listing(&admin, asked.filter(Some(nsr))?, paging).await
}

/// Cancel what has not begun of an action
///
/// What has begun goes on, and what is done stays. A cancelled task is FAILED with that reason, and so is its action.
#[utoipa::path(post, path = "/v1/network-services/{name}/actions/{action}/cancel", operation_id = "cancelAction", tag = "actions",
    params(("name" = NsrId, Path, description = "Name of the service"), ("action" = ActionId, Path, description = "Id of the action")),
    responses((status = OK, description = "What was cancelled and what was not", body = Cancelled)))]
pub(super) async fn cancel(
    State(admin): State<Admin>,
    Named((nsr, action)): Named<(NsrId, ActionId)>,
) -> Result<Answer<Cancelled>, Failure> {
    Ok(Answer::ok(admin.engine.cancel(&nsr, &action).await?))
}

/// Show an action with its tasks
#[utoipa::path(get, path = "/v1/network-services/{name}/actions/{action}", operation_id = "showAction", tag = "actions",
    params(("name" = NsrId, Path, description = "Name of the service"), ("action" = ActionId, Path, description = "Id of the action")), responses((status = OK, description = "The action", body = ActionView)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Named((nsr, action)): Named<(NsrId, ActionId)>,
) -> Result<Answer<ActionView>, Failure> {
    let report = admin.engine.action_state(&nsr, &action).await?;
    Ok(Answer::ok(ActionView::of(&report)))
}
