//! Records that are their owner's.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::Host;
use crate::{refused, status_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_kept_for_their_owner() {
    let host = Host::start().await;
    let path = "/v1/records/vnfds/d%201";
    let put = |body: Value| host.admin(Method::PUT, path).json(&body);
    refused(put(json!({"_id": "other"})), 400, "wrong-shape").await;
    refused(put(json!({})).header("If-Match", "*"), 412, "changed-meanwhile").await;
    let answer = put(json!({"vdu": [{"id": "a"}], "secret": "canary"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["location"], path);
    let tag = answer.headers()["etag"].clone();
    let shown = host.admin(Method::GET, path).send().await.unwrap();
    assert_eq!(shown.headers()["etag"], tag);
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown, json!({"_id": "d 1", "vdu": [{"id": "a"}], "secret": "canary"}));
    let answer = put(json!({"_id": "d 1"}))
        .header("If-Match", tag.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    refused(
        put(json!({"_id": "d 1"})).header("If-Match", tag.clone()),
        412,
        "changed-meanwhile",
    )
    .await;
    refused(
        host.admin(Method::DELETE, path).header("If-Match", tag),
        412,
        "changed-meanwhile",
    )
    .await;
    assert_eq!(
        status_of(host.admin(Method::DELETE, path)).await,
        StatusCode::NO_CONTENT
    );
    refused(host.admin(Method::PUT, path).body("- 1"), 400, "wrong-shape").await;
}
