//! Tokens of this interface.

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_engine::{Engine, NewToken};
use vimhost_model::{AccessToken, Role, TokenId, TokenState};

use super::Admin;
use super::auth::Principal;
use super::input::{Named, Paging, PagingParams, Typed};
use super::output::{Answer, Listing};
use crate::failure::Failure;
use crate::path::encoded;
use vimhost_model::date_time::rfc3339;

/// A token, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenView {
    id: TokenId,
    /// Who or what uses it.
    name: String,
    role: Role,
    state: TokenState,
    #[schema(format = DateTime)]
    created_at: String,
    /// Who made it.
    created_by: String,
    /// Null: it has no end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl TokenView {
    fn of(engine: &Engine, token: AccessToken) -> Self {
        Self {
            state: engine.token_state(&token),
            id: token.id,
            name: token.name,
            role: token.role,
            created_at: rfc3339(token.created_at),
            created_by: token.created_by,
            expires_at: token.expires_at.map(rfc3339),
            revoked_at: token.revoked_at.map(rfc3339),
        }
    }
}

/// A token that was made, with its secret: the only answer that has it.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    #[serde(flatten)]
    token: TokenView,
    /// What the bearer sends as `Authorization: Bearer …`. It is shown this once.
    secret: String,
}

/// List tokens, ended ones too
#[utoipa::path(get, path = "/v1/tokens", operation_id = "listTokens", tag = "access", params(PagingParams),
    responses((status = OK, description = "A page of tokens", body = Listing<TokenView>)))]
pub(super) async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Answer<Listing<TokenView>>, Failure> {
    let page = admin.engine.tokens(paging.after.as_deref(), paging.limit).await?;
    Ok(Answer::ok(Listing::of(page, |token| {
        TokenView::of(&admin.engine, token)
    })))
}

/// Make a token
///
/// The first token that is made ends the service of loopback without one.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "addToken", tag = "access",
    request_body(content((NewToken = "application/json"), (NewToken = "application/yaml"))),
    responses((status = CREATED, description = "The token; its secret is shown this once", body = MadeToken,
        headers(("Location" = String, description = "Where it is")))))]
pub(super) async fn add(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Typed(new): Typed<NewToken>,
) -> Result<Answer<MadeToken>, Failure> {
    let (token, secret) = admin.engine.make_token(new, &principal.who).await?;
    let place = format!("/v1/tokens/{}", encoded(token.id.as_str()));
    let made = MadeToken {
        token: TokenView::of(&admin.engine, token),
        secret: secret.expose().to_owned(),
    };
    Ok(Answer::ok(made).with_status(StatusCode::CREATED).at(place))
}

/// Show a token
#[utoipa::path(get, path = "/v1/tokens/{id}", operation_id = "showToken", tag = "access",
    params(("id" = TokenId, Path, description = "Id of the token")),
    responses((status = OK, description = "The token", body = TokenView)))]
pub(super) async fn show(State(admin): State<Admin>, Named(id): Named<TokenId>) -> Result<Answer<TokenView>, Failure> {
    let token = admin.engine.token(&id).await?;
    Ok(Answer::ok(TokenView::of(&admin.engine, token)))
}

/// Revoke a token
///
/// It is refused from the next request on, by every host. It stays listed, so that the audit log can be read.
#[utoipa::path(delete, path = "/v1/tokens/{id}", operation_id = "revokeToken", tag = "access",
    params(("id" = TokenId, Path, description = "Id of the token")),
    responses((status = OK, description = "The token as it is then", body = TokenView)))]
pub(super) async fn revoke(
    State(admin): State<Admin>,
    Named(id): Named<TokenId>,
) -> Result<Answer<TokenView>, Failure> {
    let token = admin.engine.revoke_token(&id).await?;
    Ok(Answer::ok(TokenView::of(&admin.engine, token)))
}
