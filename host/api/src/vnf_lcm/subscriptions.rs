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
    // What is wrong on this side is for the log.
    let cause = |error: String| Cause {
        error,
        chain: String::new(),
    };
    match error {
        Error::BadRequest(_) => Problem::new(400, text),
        Error::NotFound(_) => Problem::new(404, text),
        Error::Unprocessable(_) => Problem::new(422, text),
        Error::Unavailable(_) => Problem::from(Failure {
            cause: Some(Box::new(cause(text))),
            ..Failure::unavailable("the store is not available; try again")
        }),
        Error::Internal(_) => Problem::from(Failure::internal(cause(text))),
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
    let most = vnf.options.max_content_length;
    let mut shown: Vec<Value> = Vec::new();
    let (mut last, mut more) = (None, false);
    // The brackets; each entry has a comma behind it but the last one.
    let mut bytes = 1_usize;
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
            let with_it = bytes.saturating_add(view.to_string().len()).saturating_add(1);
            let too_big = with_it > most;
            if too_big && (page_size == 0 || shown.is_empty()) {
                let detail = format!("the list has more than {most} bytes; a filter makes it shorter");
                return Err(Problem::titled(400, "Response too big", detail));
            }
            if page_size > 0 && (too_big || shown.len() >= page_size) {
                more = true;
                break 'pages;
            }
            bytes = with_it;
            last = Some(subscription.id.to_string());
            shown.push(view);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let response = answer::json(StatusCode::OK, &shown);
    Ok(match last.filter(|_| more) {
        Some(last) => answer::with_header(response, header::LINK, &paging::link(&vnf.options.endpoint, uri, &last)),
        None => response,
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
    fn what_is_wrong_on_this_side_is_not_told_to_clients() {
        for (error, status) in [
            (Error::Internal("canary".to_owned()), 500),
            (Error::Unavailable("canary".to_owned()), 503),
        ] {
            let refused = problem(error);
            assert_eq!(refused.status(), status);
            assert!(!refused.detail().contains("canary"), "{}", refused.detail());
        }
        for (error, status) in [
            (Error::BadRequest("why".to_owned()), 400),
            (Error::Unprocessable("why".to_owned()), 422),
        ] {
            let refused = problem(error);
            assert_eq!((refused.status(), refused.detail()), (status, "why"));
        }
    }
}
