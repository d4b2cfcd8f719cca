//! Accounts of WAN infrastructure managers, targets `wim:<id>`.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use vimhost_engine::{AccountEdit, AccountView, NewAccount};
use vimhost_model::{AccountId, Role, TargetId, TargetKind};

use super::Admin;
use super::accounts::{Checked, add_of, check_of, edit_of, list_of, remove_of, show_of};
use super::input::{IfMatch, IfMatchParams, Named, Paging, PagingParams, Typed};
use super::output::{Answer, Listing};
use crate::failure::Failure;

fn target(id: AccountId) -> TargetId {
    TargetId {
        kind: TargetKind::Wim,
        account: id,
    }
}

/// List WIM accounts
#[utoipa::path(get, path = "/v1/wims", operation_id = "listWims", tag = "accounts", params(PagingParams),
    responses((status = OK, description = "A page of accounts, without secrets", body = Listing<AccountView>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    paging: Paging,
) -> Result<Answer<Listing<AccountView>>, Failure> {
    list_of(&admin, role, &paging, TargetKind::Wim).await
}

/// Add a WIM account
///
/// Nothing is contacted; a check says whether it works.
#[utoipa::path(post, path = "/v1/wims", operation_id = "addWim", tag = "accounts",
    request_body(content((NewAccount = "application/json"), (NewAccount = "application/yaml"))),
    responses((status = CREATED, description = "The account", body = AccountView, headers(
        ("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its revision")))))]
pub(super) async fn add(
    State(admin): State<Admin>,
    Typed(new): Typed<NewAccount>,
) -> Result<Answer<AccountView>, Failure> {
    add_of(&admin, new, TargetKind::Wim).await
}

/// Show a WIM account
#[utoipa::path(get, path = "/v1/wims/{id}", operation_id = "showWim", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account")),
    responses((status = OK, description = "The account, without secrets", body = AccountView, headers(
        ("ETag" = String, description = "Its revision")))))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(role): Extension<Role>,
    Named(id): Named<AccountId>,
) -> Result<Answer<AccountView>, Failure> {
    show_of(&admin, role, &target(id)).await
}

/// Change a WIM account: its settings, secrets and grants
///
/// What is absent stays.
#[utoipa::path(patch, path = "/v1/wims/{id}", operation_id = "editWim", tag = "accounts",
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
    edit_of(&admin, &target(id), condition, edit).await
}

/// Remove a WIM account
///
/// Refused while it has elements or tasks that are not over.
#[utoipa::path(delete, path = "/v1/wims/{id}", operation_id = "removeWim", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account"), IfMatchParams),
    responses((status = NO_CONTENT, description = "It is removed")))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    Named(id): Named<AccountId>,
    condition: IfMatch,
) -> Result<StatusCode, Failure> {
    remove_of(&admin, &target(id), condition).await
}

/// Check a WIM account: plugin, network, login
///
/// The result is kept with the account. It proposes the origins to grant.
#[utoipa::path(post, path = "/v1/wims/{id}/check", operation_id = "checkWim", tag = "accounts",
    params(("id" = AccountId, Path, description = "Id of the account")),
    responses((status = OK, description = "It works", body = Checked)))]
pub(super) async fn check(State(admin): State<Admin>, Named(id): Named<AccountId>) -> Result<Answer<Checked>, Failure> {
    check_of(&admin, &target(id)).await
}
