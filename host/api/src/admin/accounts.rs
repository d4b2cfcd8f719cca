//! VIM accounts and plugins.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use vimhost_connector::{CheckReport, PluginInfo};
use vimhost_engine::{AccountEdit, AccountView, NewAccount};
use vimhost_model::{AccountId, TargetId};

use super::Admin;
use super::auth::Role;
use super::input::{IfMatch, Named, Paging, Typed};
use super::output::{Answer, Listing};
use super::view::account_for;
use crate::failure::Failure;
use crate::path::encoded;

/// A check that passed.
#[derive(Serialize)]
pub(super) struct Checked {
    state: &'static str,
    #[serde(flatten)]
    report: CheckReport,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    paging: Paging,
) -> Result<Answer<Listing<AccountView>>, Failure> {
    let page = admin.engine.accounts(paging.after.as_deref(), paging.limit).await?;
    Ok(Answer::ok(Listing::of(page, |account| account_for(role, account))))
}

pub(super) async fn add(
    State(admin): State<Admin>,
    Typed(new): Typed<NewAccount>,
) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.add_account(new).await?;
    let (place, revision) = (format!("/v1/vims/{}", encoded(account.id.as_str())), account.revision);
    Ok(Answer::ok(account)
        .with_status(StatusCode::CREATED)
        .at(place)
        .with_revision(revision))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(id): Named<AccountId>,
) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.account(&TargetId::vim(id)).await?;
    let revision = account.revision;
    Ok(Answer::ok(account_for(role, account)).with_revision(revision))
}

pub(super) async fn edit(
    State(admin): State<Admin>,
    Named(id): Named<AccountId>,
    condition: IfMatch,
    Typed(edit): Typed<AccountEdit>,
) -> Result<Answer<AccountView>, Failure> {
    let target = TargetId::vim(id);
    let present = admin.engine.account(&target).await?.revision;
    condition.check("the account", Some(present))?;
    let account = admin
        .engine
        .edit_account(&target, edit, condition.expected(Some(present)))
        .await?;
    let revision = account.revision;
    Ok(Answer::ok(account).with_revision(revision))
}

pub(super) async fn remove(
    State(admin): State<Admin>,
    Named(id): Named<AccountId>,
    condition: IfMatch,
) -> Result<StatusCode, Failure> {
    let target = TargetId::vim(id);
    condition.check("the account", Some(admin.engine.account(&target).await?.revision))?;
    admin.engine.remove_account(&target).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn check(State(admin): State<Admin>, Named(id): Named<AccountId>) -> Result<Answer<Checked>, Failure> {
    let report = admin.engine.check_account(&TargetId::vim(id)).await?;
    Ok(Answer::ok(Checked {
        state: "ENABLED",
        report,
    }))
}

pub(super) async fn plugins(State(admin): State<Admin>) -> Answer<Listing<PluginInfo>> {
    Answer::ok(Listing {
        items: admin.engine.plugins(),
        next: None,
    })
}
