//! Actions: what was asked for and how it stands.

use axum::extract::State;
use vimhost_model::{ActionId, NsrId};

use super::Admin;
use super::input::{Named, Paging};
use super::output::{Answer, Listing};
use super::view::{ActionEntry, ActionView};
use crate::failure::Failure;

pub(super) async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Answer<Listing<ActionEntry>>, Failure> {
    let page = admin
        .engine
        .actions(None, paging.after.as_deref(), paging.limit)
        .await?;
    Ok(Answer::ok(Listing::of(page, ActionEntry::of)))
}

pub(super) async fn of_service(
    State(admin): State<Admin>,
    Named(nsr): Named<NsrId>,
    paging: Paging,
) -> Result<Answer<Listing<ActionEntry>>, Failure> {
    let page = admin
        .engine
        .actions(Some(&nsr), paging.after.as_deref(), paging.limit)
        .await?;
    Ok(Answer::ok(Listing::of(page, ActionEntry::of)))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Named((nsr, action)): Named<(NsrId, ActionId)>,
) -> Result<Answer<ActionView>, Failure> {
    let report = admin.engine.action_state(&nsr, &action).await?;
    Ok(Answer::ok(ActionView::of(&report)))
}
