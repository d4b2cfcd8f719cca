//! Subscriptions, `/vnflcm/v2/subscriptions` and `/vnflcm/v1/subscriptions`.
//!
//! Of version 1 nothing else is served: whoever asks for more is told how to make the client speak version 2.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{StatusCode, Uri, header};
use serde_json::Value;
use vimhost_model::SubscriptionId;
use vimhost_model::vnf::ApiVersion;
use vimhost_notify::{Error, LccnSubscriptionRequest};

use super::body::read_json;
use super::problem::Problem;
use super::{Shared, answer, listing, paging};
use crate::failure::{Cause, Failure};

/// Subscriptions read at a time.
const BATCH: usize = 500;

/// What else is asked for of version 1.
pub(super) fn rest_of_v1() -> Router<Shared> {
    Router::new()
        .route("/vnflcm/v1", any(not_served))
        .route("/vnflcm/v1/{*rest}", any(not_served))
}

fn problem(error: Error) -> Problem {
    let text = error.to_string();
    match error {
        Error::BadRequest(_) => Problem::new(400, text),
        Error::NotFound(_) => Problem::new(404, text),
        Error::Unprocessable(_) => Problem::new(422, text),
        Error::Unavailable(_) => Problem::new(503, text),
        // What went wrong inside is for the log.
        Error::Internal(_) => Problem::from(Failure::internal(Cause {
            error: text,
            chain: String::new(),
        })),
    }
}

/// What is no id names no subscription.
fn id_of(text: String) -> Result<SubscriptionId, Problem> {
    SubscriptionId::new(text).map_err(|error| Problem::new(404, error.to_string()))
}

async fn not_served() -> Problem {
    Problem::new(
        404,
        "of version 1 of the VNF LCM interface only subscriptions are served; use version 2 (openstack client: \
         --os-tacker-api-version 2, or OS_TACKER_API_VERSION=2)",
    )
}

async fn list(vnf: &Shared, uri: &Uri, version: ApiVersion) -> Result<Response, Problem> {
    let query = listing::query(uri)?;
    let (filter, mut after) = (listing::filter(&query)?, paging::marker(&query)?);
    let page_size = vnf.options.page_sizes.subscriptions;
    let mut shown: Vec<(String, Value)> = Vec::new();
    let mut more = false;
    'pages: loop {
        let page = vnf
            .notifier
            .subscriptions(after.as_deref(), BATCH)
            .await
            .map_err(problem)?;
        let of_version = page.entries.iter().filter(|entry| entry.api_version == version);
        for subscription in of_version {
            let view = vnf.notifier.view(subscription);
            if !filter.matches(&view).map_err(|reason| Problem::new(400, reason))? {
                continue;
            }
            if page_size > 0 && shown.len() >= page_size {
                more = true;
                break 'pages;
            }
            shown.push((subscription.id.to_string(), view));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let last = shown.last().map(|(id, _)| id.clone());
    let views: Vec<Value> = shown.into_iter().map(|(_, view)| view).collect();
    let size = serde_json::to_vec(&views).map_or(usize::MAX, |text| text.len());
    if size >= vnf.options.max_content_length {
        return Err(Problem::titled(
            400,
            "Response too big",
            "the list is longer than an answer may be; ask with a filter",
        ));
    }
    let listed = answer::json(StatusCode::OK, &views);
    Ok(match last.filter(|_| more) {
        Some(last) => answer::with_header(listed, header::LINK, &paging::link(&vnf.options.endpoint, uri, &last)),
        None => listed,
    })
}

async fn create(vnf: &Shared, request: Request, version: ApiVersion) -> Result<Response, Problem> {
    let asked: LccnSubscriptionRequest = read_json(request, vnf.options.limits).await?;
    let made = vnf.notifier.subscribe(asked, version).await.map_err(problem)?;
    let location = vimhost_notify::notification::subscription_href(&vnf.options.endpoint, version, &made.id);
    Ok(answer::created(location, &vnf.notifier.view(&made)))
}

async fn show(vnf: &Shared, id: String, version: ApiVersion) -> Result<Response, Problem> {
    let found = vnf.notifier.subscription(&id_of(id)?, version).await;
    let found = found.map_err(problem)?;
    Ok(answer::json(StatusCode::OK, &vnf.notifier.view(&found)))
}

async fn delete(vnf: &Shared, id: String, version: ApiVersion) -> Result<Response, Problem> {
    let removed = vnf.notifier.unsubscribe(&id_of(id)?, version).await;
    removed.map_err(problem)?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// List subscriptions
#[utoipa::path(get, path = "/vnflcm/v2/subscriptions", operation_id = "listSubscriptions", tag = "subscriptions",
    responses((status = OK, description = "Those the filter admits", body = ref("#/components/schemas/LccnSubscriptionList"),
            headers(("Link" = String, description = "The next page, where lists have pages")))))]
pub(super) async fn list_v2(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    list(&vnf, &uri, ApiVersion::V2).await
}

/// Subscribe to notifications
#[utoipa::path(post, path = "/vnflcm/v2/subscriptions", operation_id = "createSubscription", tag = "subscriptions",
    request_body = LccnSubscriptionRequest,
    responses((status = CREATED, description = "It is there", body = ref("#/components/schemas/LccnSubscription"), headers(("Location" = String, description = "The subscription")))))]
pub(super) async fn create_v2(State(vnf): State<Shared>, request: Request) -> Result<Response, Problem> {
    create(&vnf, request, ApiVersion::V2).await
}

/// Show a subscription
#[utoipa::path(get, path = "/vnflcm/v2/subscriptions/{id}", operation_id = "showSubscription", tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "Id of the subscription")),
    responses((status = OK, description = "The subscription, without credentials", body = ref("#/components/schemas/LccnSubscription"))))]
pub(super) async fn show_v2(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    show(&vnf, id, ApiVersion::V2).await
}

/// Delete a subscription
#[utoipa::path(delete, path = "/vnflcm/v2/subscriptions/{id}", operation_id = "deleteSubscription", tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "Id of the subscription")),
    responses((status = NO_CONTENT, description = "It is gone, with what was to be sent to it")))]
pub(super) async fn delete_v2(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    delete(&vnf, id, ApiVersion::V2).await
}

/// List subscriptions of version 1
#[utoipa::path(get, path = "/vnflcm/v1/subscriptions", operation_id = "listSubscriptionsV1", tag = "subscriptions of version 1",
    responses((status = OK, description = "Those the filter admits", body = ref("#/components/schemas/LccnSubscriptionList"),
            headers(("Link" = String, description = "The next page, where lists have pages")))))]
pub(super) async fn list_v1(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    list(&vnf, &uri, ApiVersion::V1).await
}

/// Subscribe to notifications of version 1
#[utoipa::path(post, path = "/vnflcm/v1/subscriptions", operation_id = "createSubscriptionV1", tag = "subscriptions of version 1",
    request_body = LccnSubscriptionRequest,
    responses((status = CREATED, description = "It is there", body = ref("#/components/schemas/LccnSubscription"), headers(("Location" = String, description = "The subscription")))))]
pub(super) async fn create_v1(State(vnf): State<Shared>, request: Request) -> Result<Response, Problem> {
    create(&vnf, request, ApiVersion::V1).await
}

/// Show a subscription of version 1
#[utoipa::path(get, path = "/vnflcm/v1/subscriptions/{id}", operation_id = "showSubscriptionV1", tag = "subscriptions of version 1",
    params(("id" = SubscriptionId, Path, description = "Id of the subscription")),
    responses((status = OK, description = "The subscription, without credentials", body = ref("#/components/schemas/LccnSubscription"))))]
pub(super) async fn show_v1(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    show(&vnf, id, ApiVersion::V1).await
}

/// Delete a subscription of version 1
#[utoipa::path(delete, path = "/vnflcm/v1/subscriptions/{id}", operation_id = "deleteSubscriptionV1", tag = "subscriptions of version 1",
    params(("id" = SubscriptionId, Path, description = "Id of the subscription")),
    responses((status = NO_CONTENT, description = "It is gone, with what was to be sent to it")))]
pub(super) async fn delete_v1(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    delete(&vnf, id, ApiVersion::V1).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_host_tells_the_client_nothing_of_it() {
        for (error, status) in [
            (Error::BadRequest("canary".to_owned()), 400),
            (Error::NotFound("canary".to_owned()), 404),
            (Error::Unprocessable("canary".to_owned()), 422),
            (Error::Unavailable("canary".to_owned()), 503),
            (Error::Internal("canary".to_owned()), 500),
        ] {
            let problem = problem(error);
            assert_eq!(problem.status(), status);
            assert_eq!(problem.detail().contains("canary"), status != 500);
        }
    }
}
