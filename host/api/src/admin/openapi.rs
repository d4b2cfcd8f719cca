//! The description of the interface (OpenAPI 3.1), made of what the handlers say and what the table knows.

use std::fmt::Write as _;

use axum::extract::State;
use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::Admin;
use super::output::Answer;
use super::table::{self, Effect, Endpoint};
use crate::method;

const ABOUT: &str = "Accounts of VIMs, WIMs and SDN controllers, network services and their actions, records, plugins, tokens and the audit log of a vimhost.\n\n\
Bodies are JSON, or YAML on the way in. Refusals are problem details (RFC 9457). Listings are paged by cursors. What has a revision \
carries it as `ETag`, and a change of it honours `If-Match`. A request for work is answered with 202 and the place to look; its \
`Idempotency-Key` becomes the id of the action.\n\n\
Each operation names the least role that may ask for it as `x-role`, and with `x-effect` whether it changes anything: those that \
do are in the audit log.";

/// The document.
pub(super) fn document() -> OpenApi {
    let mut document = table::described();
    document.info = InfoBuilder::new()
        .title("vimhost admin interface")
        .version("v1")
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    if let Some(components) = &mut document.components {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
    }
    for endpoint in table::endpoints() {
        let item = document.paths.paths.get_mut(&endpoint.path);
        if let Some(operation) = item.and_then(|item| operation_of(item, &endpoint.method)) {
            complete(operation, &endpoint);
        }
    }
    document
}

fn operation_of<'a>(item: &'a mut PathItem, method: &HttpMethod) -> Option<&'a mut Operation> {
    match method {
        HttpMethod::Get => item.get.as_mut(),
        HttpMethod::Put => item.put.as_mut(),
        HttpMethod::Post => item.post.as_mut(),
        HttpMethod::Delete => item.delete.as_mut(),
        HttpMethod::Options => item.options.as_mut(),
        HttpMethod::Head => item.head.as_mut(),
        HttpMethod::Patch => item.patch.as_mut(),
        HttpMethod::Trace => item.trace.as_mut(),
    }
}

/// Adds to an operation its role, and the refusals that its parts can lead to.
fn complete(operation: &mut Operation, endpoint: &Endpoint) {
    operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    let effect = match endpoint.effect {
        Effect::Reads => "reads",
        Effect::Changes => "changes",
    };
    let known = [("x-role", endpoint.role.as_str()), ("x-effect", effect)];
    operation.extensions = Some(known.into_iter().collect::<Extensions>());
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |test: fn(&Parameter) -> bool| parameters.iter().any(test);
    let mut refusals = vec![
        ("401", "No token, or one that is not taken"),
        ("403", "The token's role may not ask for this"),
        ("default", "Any other refusal, or a fault of the host"),
    ];
    if !parameters.is_empty() || operation.request_body.is_some() {
        refusals.push(("400", "The request is not understood; `errors` says where it is wrong"));
    }
    if has(|parameter| matches!(parameter.parameter_in, ParameterIn::Path)) {
        refusals.push(("404", "There is no such thing"));
    }
    if has(|parameter| parameter.name == "If-Match") {
        refusals.push(("412", "It was changed by somebody else"));
    }
    if operation.request_body.is_some() {
        refusals.push(("413", "The body is too large"));
    }
    if endpoint.effect == Effect::Changes {
        refusals.push(("409", "Something stands in the way"));
    }
    for (status, description) in refusals {
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}

/// The document as it is served and committed.
#[must_use]
pub fn json() -> Value {
    // Writing texts and numbers to memory does not fail.
    serde_json::to_value(document()).unwrap_or_default()
}

/// The endpoints with their roles, for people.
#[must_use]
pub fn endpoint_list() -> String {
    let mut text = String::from(
        "# Endpoints of the admin interface\n\n\
         Generated from the table in `host/api/src/admin/table.rs`; the test `the_description_is_up_to_date` says how to renew \
         it. Each role may do what the roles before it may: viewer, operator, admin. That every endpoint refuses who brings no \
         token, a wrong one, or one of a lesser role is shown by the test `every_endpoint_refuses_who_may_not` in \
         `host/api/tests/access.rs`, which walks this same table.\n\n\
         | method | path | operation | least role | in the audit log |\n| --- | --- | --- | --- | --- |\n",
    );
    for endpoint in table::endpoints() {
        let method = method::name(&endpoint.method);
        let audited = match endpoint.effect {
            Effect::Reads => "",
            Effect::Changes => "yes",
        };
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "| {method} | `{}` | {} | {} | {audited} |",
            endpoint.path, endpoint.operation, endpoint.role
        );
    }
    text
}

/// Show this description
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "showDescription", tag = "access",
    responses((status = OK, description = "The OpenAPI document", body = Object)))]
pub(super) async fn show(State(_): State<Admin>) -> Answer<Value> {
    Answer::ok(json())
}
