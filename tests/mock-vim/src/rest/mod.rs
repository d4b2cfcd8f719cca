//! The REST interface: paths, and who may use them.

mod admin;
mod body;
mod collections;
mod session;
mod stacks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};

pub use admin::Inventory;
pub(crate) use admin::inventory;

use crate::call::Kind;
use crate::elements::{ConnectivityService, Flavour, Group, Image, Network, Port, Server, Stack, Volume};
use crate::refusal::Refusal;
use crate::state::Collection;
use crate::world::World;

/// The header a token is given out in. Not in the body: it imitates Keystone's `X-Subject-Token`.
pub(crate) const TOKEN_GIVEN: &str = "x-mock-token";

/// The header a token is presented in.
const TOKEN_PRESENTED: &str = "x-auth-token";

/// What handlers work on.
#[derive(Debug, Clone)]
pub(crate) struct App(pub(crate) Arc<World>);

pub(crate) fn router(world: Arc<World>) -> Router {
    let app = App(world);
    let elements = Router::new()
        .merge(collection::<Network>())
        .merge(collection::<Image>())
        .merge(collection::<Flavour>())
        .merge(collection::<Group>())
        .merge(collection::<Volume>())
        .merge(collection::<Port>())
        .merge(collection::<Server>())
        .merge(collection::<ConnectivityService>())
        .route("/v1/servers/{id}/action", post(collections::act))
        .route(
            &format!("/v1/{}/{{id}}", Kind::ConnectivityServices),
            put(collections::edit_service),
        )
        .route(
            "/v1/stacks",
            get(collections::list::<Stack>).post(collections::create::<Stack>),
        )
        .route(
            "/v1/stacks/{id}",
            get(stacks::show)
                .patch(stacks::patch)
                .put(stacks::replace)
                .delete(stacks::delete),
        )
        .route("/v1/stacks/{id}/resources", get(stacks::resources))
        .route("/v1/stacks/{id}/resources/{name}", patch(stacks::mark))
        .route("/v1/stacks/{id}/content", get(stacks::content))
        .route("/v1/changes", get(collections::changes))
        .route_layer(middleware::from_fn_with_state(app.clone(), authenticated));
    Router::new()
        .merge(elements)
        .route("/v1/session", post(session::log_in))
        .route(
            "/admin/faults",
            get(admin::faults).put(admin::set_faults).delete(admin::clear_faults),
        )
        .route("/admin/inventory", get(admin::show_inventory))
        .route("/admin/requests", get(admin::requests))
        .route("/admin/reset", post(admin::reset))
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .with_state(app)
}

fn collection<T: Collection>() -> Router<App> {
    Router::new()
        .route(
            &format!("/v1/{}", T::KIND),
            get(collections::list::<T>).post(collections::create::<T>),
        )
        .route(
            &format!("/v1/{}/{{id}}", T::KIND),
            get(collections::show::<T>).delete(collections::delete::<T>),
        )
}

async fn authenticated(State(App(world)): State<App>, request: Request, next: Next) -> Response {
    let token = request
        .headers()
        .get(TOKEN_PRESENTED)
        .and_then(|value| value.to_str().ok());
    let known = token.is_some_and(|token| {
        let held = world.lock();
        held.state.knows(token, held.now)
    });
    if known {
        next.run(request).await
    } else {
        Refusal::Auth("the token is missing, unknown or expired").into_response()
    }
}
