//! Accounts of VIMs, and what those of WIMs ([`super::wims`]) and SDN controllers ([`super::sdns`]) share with them.
//!
//! The three kinds are three collections, as in OSM, since an id is unique only within its kind.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_connector::CheckReport;
use vimhost_engine::{AccountEdit, AccountView, NewAccount};
use vimhost_model::{AccountId, Role, TargetId, TargetKind};

use super::Admin;
use super::input::{IfMatch, IfMatchParams, Named, Paging, PagingParams, Typed};
use super::output::{Answer, Listing};
use super::view::account_for;
use crate::failure::Failure;
use crate::path::encoded;

/// A check that passed.
#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    /// `ENABLED`
    state: &'static str,
    #[serde(flatten)]
    report: CheckReport,
}

/// A page of the accounts of a kind.
pub(super) async fn list_of(
    admin: &Admin,
    role: Role,
    paging: &Paging,
    kind: TargetKind,
) -> Result<Answer<Listing<AccountView>>, Failure> {
    let page = admin
        .engine
        .accounts_of_kind(kind, paging.after.as_deref(), paging.limit)
        .await?;
    Ok(Answer::ok(Listing::of(page, |account| account_for(role, account))))
}

/// Adds an account of a kind.
pub(super) async fn add_of(admin: &Admin, new: NewAccount, kind: TargetKind) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.add_account_of(kind, new).await?;
    let place = format!("/v1/{}s/{}", kind.as_str(), encoded(account.id.as_str()));
    let revision = account.revision;
    Ok(Answer::ok(account)
        .with_status(StatusCode::CREATED)
        .at(place)
        .with_revision(revision))
}

/// Shows an account.
pub(super) async fn show_of(admin: &Admin, role: Role, target: &TargetId) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.account(target).await?;
    let revision = account.revision;
    Ok(Answer::ok(account_for(role, account)).with_revision(revision))
}

/// Changes an account.
pub(super) async fn edit_of(
    admin: &Admin,
    target: &TargetId,
    condition: IfMatch,
    edit: AccountEdit,
) -> Result<Answer<AccountView>, Failure> {
    let present = admin.engine.account(target).await?.revision;
    condition.check("the account", Some(present))?;
    let account = admin
        .engine
        .edit_account(target, edit, condition.expected(Some(present)))
        .await?;
    let revision = account.revision;
    Ok(Answer::ok(account).with_revision(revision))
}

/// Removes an account.
pub(super) async fn remove_of(admin: &Admin, target: &TargetId, condition: IfMatch) -> Result<StatusCode, Failure> {
    let present = admin.engine.account(target).await?.revision;
    condition.check("the account", Some(present))?;
    // The revision goes along, so that a change between the two is met too.
    admin
        .engine
        .remove_account(target, condition.expected(Some(present)))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries an account.
pub(super) async fn check_of(admin: &Admin, target: &TargetId) -> Result<Answer<Checked>, Failure> {
    let report = admin.engine.check_account(target).await?;
    Ok(Answer::ok(Checked {
        state: "ENABLED",
        report,
    }))
}

/// List VIM accounts
#[utoipa::path(get, path = "/v1/vims", operation_id = "listAccounts", tag = "accounts", params(PagingParams),
    responses((status = OK, description = "A page of accounts, without secrets", body = Listing<AccountView>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    paging: Paging,
) -> Result<Answer<Listing<AccountView>>, Failure> {
    list_of(&admin, role, &paging, TargetKind::Vim).await
}

/// Add a VIM account
///
/// Nothing is contacted; a check says whether it works.
#[utoipa::path(post, path = "/v1/vims", operation_id = "addAccount", tag = "accounts",
    request_body(content((NewAccount = "application/json"), (NewAccount = "application/yaml"))),
    responses((status = CREATED, description = "The account", body = AccountView, headers(
        ("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its revision")))))]
pub(super) async fn add(
    State(admin): State<Admin>,
    Typed(new): Typed<NewAccount>,
) -> Result<Answer<AccountView>, Failure> {
    add_of(&admin, new, TargetKind::Vim).await
}

/// Show a VIM account
#[utoipa::path(get, path = "/v1/vims/{id}", operation_id = "showAccount", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account")),
    responses((status = OK, description = "The account, without secrets", body = AccountView, headers(
        ("ETag" = String, description = "Its revision")))))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(id): Named<AccountId>,
) -> Result<Answer<AccountView>, Failure> {
    show_of(&admin, role, &TargetId::vim(id)).await
}

/// Change a VIM account: its settings, secrets and grants
///
/// What is absent stays.
#[utoipa::path(patch, path = "/v1/vims/{id}", operation_id = "editAccount", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account"), IfMatchParams),
    request_body(content((AccountEdit = "application/json"), (AccountEdit = "application/yaml"))),
    responses((status = OK, description = "The account as it is then", body = AccountView, headers(
        ("ETag" = String, description = "Its revision")))))]
pub(super) async fn edit(
    State(admin): State<Admin>,
    Named(id): Named<AccountId>,
    condition: IfMatch,
    Typed(edit): Typed<AccountEdit>,
) -> Result<Answer<AccountView>, Failure> {
    edit_of(&admin, &TargetId::vim(id), condition, edit).await
}

/// Remove a VIM account
///
/// Refused while it has elements or tasks that are not over.
#[utoipa::path(delete, path = "/v1/vims/{id}", operation_id = "removeAccount", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account"), IfMatchParams),
    responses((status = NO_CONTENT, description = "It is removed")))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    Named(id): Named<AccountId>,
    condition: IfMatch,
) -> Result<StatusCode, Failure> {
    remove_of(&admin, &TargetId::vim(id), condition).await
}

/// Check a VIM account: plugin, network, login
///
/// The result is kept with the account. It proposes the origins to grant.
#[utoipa::path(post, path = "/v1/vims/{id}/check", operation_id = "checkAccount", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account")),
    responses((status = OK, description = "It works", body = Checked)))]
pub(super) async fn check(State(admin): State<Admin>, Named(id): Named<AccountId>) -> Result<Answer<Checked>, Failure> {
    check_of(&admin, &TargetId::vim(id)).await
}
