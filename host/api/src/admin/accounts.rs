//! Accounts of VIMs, WIMs and SDN controllers.
//!
//! The three kinds are three collections, as in OSM, since an id is unique only within its kind. Their endpoints differ in nothing but
//! names.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_connector::CheckReport;
use vimhost_engine::{AccountEdit, AccountView, NewAccount};
use vimhost_model::{Role, TargetId, TargetKind};

use super::Admin;
use super::input::{IfMatch, Paging};
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
async fn list_of(
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
async fn add_of(admin: &Admin, new: NewAccount, kind: TargetKind) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.add_account_of(kind, new).await?;
    let place = format!("/v1/{}s/{}", kind.as_str(), encoded(account.id.as_str()));
    let revision = account.revision;
    Ok(Answer::ok(account)
        .with_status(StatusCode::CREATED)
        .at(place)
        .with_revision(revision))
}

/// Shows an account.
async fn show_of(admin: &Admin, role: Role, target: &TargetId) -> Result<Answer<AccountView>, Failure> {
    let account = admin.engine.account(target).await?;
    let revision = account.revision;
    Ok(Answer::ok(account_for(role, account)).with_revision(revision))
}

/// Changes an account.
async fn edit_of(
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
async fn remove_of(admin: &Admin, target: &TargetId, condition: IfMatch) -> Result<StatusCode, Failure> {
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
async fn check_of(admin: &Admin, target: &TargetId) -> Result<Answer<Checked>, Failure> {
    let report = admin.engine.check_account(target).await?;
    Ok(Answer::ok(Checked {
        state: "ENABLED",
        report,
    }))
}

/// The endpoints of a kind: `one` and `all` are how summaries call its accounts, `operation` is how operation ids do.
macro_rules! collection {
    ($(#[$doc:meta])* $module:ident: $kind:ident, $path:literal, one $one:literal, all $all:literal, operation $operation:literal) => {
        $(#[$doc])*
        pub(super) mod $module {
            use axum::Extension;
            use axum::extract::State;
            use axum::response::Response;
            use http::StatusCode;
            use vimhost_engine::{AccountEdit, AccountView, NewAccount};
            use vimhost_model::{AccountId, Role, TargetId, TargetKind};

            use super::{Checked, add_of, check_of, edit_of, list_of, remove_of, show_of};
            use crate::admin::Admin;
            use crate::admin::stream_event::StreamEvent;
            use crate::admin::input::{IfMatch, IfMatchParams, Named, Paging, PagingParams, Typed};
            use crate::admin::output::{Answer, Listing};
            use crate::admin::vim_audit::audit_of;
            use crate::failure::Failure;

            fn target(account: AccountId) -> TargetId {
                TargetId {
                    kind: TargetKind::$kind,
                    account,
                }
            }

            #[utoipa::path(get, path = $path, operation_id = concat!("list", $operation, "s"), tag = "accounts",
                summary = concat!("List ", $all), params(PagingParams),
                responses((status = OK, description = "A page of accounts, without secrets", body = Listing<AccountView>)))]
            pub(in crate::admin) async fn list(
                State(admin): State<Admin>,
                Extension(role): Extension<Role>,
                paging: Paging,
            ) -> Result<Answer<Listing<AccountView>>, Failure> {
                list_of(&admin, role, &paging, TargetKind::$kind).await
            }

            #[utoipa::path(post, path = $path, operation_id = concat!("add", $operation), tag = "accounts",
                summary = concat!("Add ", $one),
                description = "Nothing is contacted; a check says whether it works.",
                request_body(content((NewAccount = "application/json"), (NewAccount = "application/yaml"))),
                responses((status = CREATED, description = "The account", body = AccountView, headers(
                    ("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its revision")))))]
            pub(in crate::admin) async fn add(
                State(admin): State<Admin>,
                Typed(new): Typed<NewAccount>,
            ) -> Result<Answer<AccountView>, Failure> {
                add_of(&admin, new, TargetKind::$kind).await
            }

            #[utoipa::path(get, path = concat!($path, "/{id}"), operation_id = concat!("show", $operation), tag = "accounts",
                summary = concat!("Show ", $one),
                params(("id" = AccountId, Path, description = "Id of the account")),
                responses((status = OK, description = "The account, without secrets", body = AccountView, headers(
                    ("ETag" = String, description = "Its revision")))))]
            pub(in crate::admin) async fn show(
                State(admin): State<Admin>,
                Extension(role): Extension<Role>,
                Named(id): Named<AccountId>,
            ) -> Result<Answer<AccountView>, Failure> {
                show_of(&admin, role, &target(id)).await
            }

            #[utoipa::path(patch, path = concat!($path, "/{id}"), operation_id = concat!("edit", $operation), tag = "accounts",
                summary = concat!("Change ", $one, ": its settings, secrets and grants"),
                description = "What is absent stays. Where it would lead elsewhere (URL, tenant, project domain, region) it is refused while something is on it, unless it is forced.",
                params(("id" = AccountId, Path, description = "Id of the account"), IfMatchParams),
                request_body(content((AccountEdit = "application/json"), (AccountEdit = "application/yaml"))),
                responses((status = OK, description = "The account as it is then", body = AccountView, headers(
                    ("ETag" = String, description = "Its revision")))))]
            pub(in crate::admin) async fn edit(
                State(admin): State<Admin>,
                Named(id): Named<AccountId>,
                condition: IfMatch,
                Typed(edit): Typed<AccountEdit>,
            ) -> Result<Answer<AccountView>, Failure> {
                edit_of(&admin, &target(id), condition, edit).await
            }

            #[utoipa::path(delete, path = concat!($path, "/{id}"), operation_id = concat!("remove", $operation), tag = "accounts",
                summary = concat!("Remove ", $one),
                description = "Refused while it has elements or tasks that are not over.",
                params(("id" = AccountId, Path, description = "Id of the account"), IfMatchParams),
                responses((status = NO_CONTENT, description = "It is removed")))]
            pub(in crate::admin) async fn remove(
                State(admin): State<Admin>,
                Named(id): Named<AccountId>,
                condition: IfMatch,
            ) -> Result<StatusCode, Failure> {
                remove_of(&admin, &target(id), condition).await
            }

            #[utoipa::path(post, path = concat!($path, "/{id}/check"), operation_id = concat!("check", $operation), tag = "accounts",
                summary = concat!("Check ", $one, ": plugin, network, login"),
                description = "The result is kept with the account. It proposes the origins to grant.",
                params(("id" = AccountId, Path, description = "Id of the account")),
                responses((status = OK, description = "It works", body = Checked)))]
            pub(in crate::admin) async fn check(
                State(admin): State<Admin>,
                Named(id): Named<AccountId>,
            ) -> Result<Answer<Checked>, Failure> {
                check_of(&admin, &target(id)).await
            }

            #[utoipa::path(get, path = concat!($path, "/{id}/audit"), operation_id = concat!("audit", $operation), tag = "accounts",
                summary = concat!("Compare ", $one, " with the records"),
                description = "Elements that carry a mark of this host and that no record owns, elements that are gone from the VIM, and what could not be looked at.\nChanges nothing. The stream has a `page` for each step, then `end`; without it not everything was looked at (`failed` has the reason).",
                params(("id" = AccountId, Path, description = "Id of the account")),
                responses((status = OK, description = "The stream; the data of a `page` is an `AuditPage`, that of `failed` a `Problem`", body = StreamEvent, content_type = "text/event-stream")))]
            pub(in crate::admin) async fn audit(
                State(admin): State<Admin>,
                Named(id): Named<AccountId>,
            ) -> Result<Response, Failure> {
                audit_of(&admin, &target(id)).await
            }
        }
    };
}

collection! {
    /// Targets `vim:<id>`.
    vims: Vim, "/v1/vims", one "a VIM account", all "VIM accounts", operation "Account"
}

collection! {
    /// Targets `wim:<id>`.
    wims: Wim, "/v1/wims", one "a WIM account", all "WIM accounts", operation "Wim"
}

collection! {
    /// Targets `sdn:<id>`.
    sdns: Sdn, "/v1/sdns", one "an SDN controller account", all "SDN controller accounts", operation "Sdn"
}
