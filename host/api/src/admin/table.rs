//! The endpoints: the least role for each and whether it changes anything. Routing, the description and the generated tests are
//! all made from this one table, so none of them can forget an endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use utoipa::openapi::HttpMethod;
use utoipa::{OpenApi, Path as _};
use vimhost_model::Role;

use super::accounts::{sdns, vims, wims};
use super::auth::Principal;
use super::{Admin, actions, audit, events, keys, leases, openapi, plugins, records, services, tokens};
use crate::failure::Failure;
use crate::method::filter;

/// Whether an endpoint changes anything; if so, its requests are in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Changes,
}

/// What is known of an endpoint beside its description.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub method: HttpMethod,
    pub path: String,
    /// Its `operationId`.
    pub operation: String,
    pub role: Role,
    pub effect: Effect,
}

/// An endpoint with what serves it.
type Served = (Endpoint, MethodRouter<Admin>);

macro_rules! endpoints {
    ($($role:ident $effect:ident $module:ident::$handler:ident;)+) => {
        #[derive(OpenApi)]
        #[openapi(paths($($module::$handler),+), components(schemas(super::problem::Problem, super::plugins::PluginName, vimhost_engine::AuditPage)))]
        struct Described;

        fn served() -> Vec<Served> {
            pastey::paste! { vec![$({
                type Description = $module::[<__path_ $handler>];
                let method = Description::methods().pop().unwrap_or(HttpMethod::Get);
                let endpoint = Endpoint {
                    path: Description::path(),
                    operation: Description::operation().operation_id.unwrap_or_default(),
                    role: Role::$role,
                    effect: Effect::$effect,
                    method: method.clone(),
                };
                (endpoint, on(filter(&method), $module::$handler))
            }),+] }
        }
    };
}

endpoints! {
    Viewer Reads vims::list;
    Admin Changes vims::add;
    Viewer Reads vims::show;
    Admin Changes vims::edit;
    Admin Changes vims::remove;
    Operator Changes vims::check;
    Operator Reads vims::audit;
    Viewer Reads wims::list;
    Admin Changes wims::add;
    Viewer Reads wims::show;
    Admin Changes wims::edit;
    Admin Changes wims::remove;
    Operator Changes wims::check;
    Operator Reads wims::audit;
    Viewer Reads sdns::list;
    Admin Changes sdns::add;
    Viewer Reads sdns::show;
    Admin Changes sdns::edit;
    Admin Changes sdns::remove;
    Operator Changes sdns::check;
    Operator Reads sdns::audit;
    Viewer Reads plugins::list;
    Admin Changes plugins::reload_all;
    Viewer Reads plugins::show;
    Admin Changes plugins::load;
    Admin Changes plugins::reload;
    Viewer Reads leases::list;
    Viewer Reads records::show;
    Operator Changes records::put;
    Operator Changes records::remove;
    Viewer Reads services::list;
    Viewer Reads services::show;
    Operator Changes services::put;
    Operator Changes services::remove;
    Operator Reads services::plan;
    Operator Changes services::deploy;
    Operator Changes services::terminate;
    Viewer Reads actions::of_service;
    Viewer Reads actions::show;
    Operator Changes actions::cancel;
    Viewer Reads events::watch;
    Viewer Reads actions::list;
    Admin Reads tokens::list;
    Admin Changes tokens::add;
    Admin Reads tokens::show;
    Admin Changes tokens::revoke;
    Admin Reads audit::list;
    Admin Reads keys::list;
    Admin Changes keys::rotate;
    Admin Changes keys::remove;
    Viewer Reads openapi::show;
}

/// Every endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    served().into_iter().map(|(endpoint, _)| endpoint).collect()
}

/// What the handlers say of themselves; [`openapi`] adds what the table knows.
pub(super) fn described() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The routes, each behind its guard.
pub(super) fn router(admin: &Admin) -> Router<Admin> {
    let mut router = Router::new();
    for (endpoint, served) in served() {
        let path = endpoint.path.clone();
        let guard = Guard {
            admin: admin.clone(),
            endpoint: Arc::new(endpoint),
        };
        router = router.route(&path, served.route_layer(from_fn_with_state(guard, admit)));
    }
    router
}

#[derive(Clone)]
struct Guard {
    admin: Admin,
    endpoint: Arc<Endpoint>,
}

/// Lets a request pass whose bearer may make it. One that changes something is in the audit log before it is looked at, whatever
/// becomes of it.
async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Some(principal) = request.extensions().get::<Principal>().cloned() else {
        return Failure::forbidden("nobody has authenticated the request").into_response();
    };
    let endpoint = guard.endpoint.clone();
    let (role, least) = (principal.role, endpoint.role);
    let serve = async move |request| {
        if role < least {
            let detail = format!("this needs the role '{least}', and the token has the role '{role}'");
            return Failure::forbidden(detail).into_response();
        }
        next.run(request).await
    };
    match endpoint.effect {
        Effect::Reads => serve(request).await,
        Effect::Changes => audit::traced(&guard.admin, &endpoint, &principal, request, serve).await,
    }
}
