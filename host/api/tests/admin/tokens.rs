//! Who may look and who may change.

use reqwest::{Method, StatusCode};
use serde_json::json;
use vimhost_api::admin::{Options, Role, TokenDigest};
use vimhost_api::ng_ro;

use crate::support::{Host, problem};
use crate::{json_of, refused, status_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_decide_who_may_look_and_who_may_change() {
    let tokens = vec![
        TokenDigest::of_token("boss", Role::Admin),
        TokenDigest::of_token("guest", Role::Viewer),
    ];
    let host = Host::with(
        Options {
            tokens,
            ..Options::default()
        },
        ng_ro::Options::default(),
    )
    .await;
    let record = || {
        host.admin(Method::PUT, "/v1/records/nsrs/n")
            .json(&json!({"name": "n", "password": "canary"}))
    };
    let answer = record().send().await.unwrap();
    assert!(
        answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
    problem(answer, 401, "unauthorised").await;
    refused(record().bearer_auth("bos"), 401, "unauthorised").await;
    refused(record().basic_auth("boss", Some("boss")), 401, "unauthorised").await;
    refused(record().bearer_auth("guest"), 403, "forbidden").await;
    assert_eq!(status_of(record().bearer_auth("boss")).await, StatusCode::CREATED);
    let shown = |token: &'static str| json_of(host.admin(Method::GET, "/v1/records/nsrs/n").bearer_auth(token), 200);
    assert_eq!(shown("boss").await["password"], "canary");
    assert_eq!(shown("guest").await["password"], "***");
    refused(host.admin(Method::GET, "/v1/nothing"), 401, "unauthorised").await;
    assert_eq!(status_of(host.admin(Method::GET, "/livez")).await, StatusCode::OK);

    // Without tokens loopback is enough, but not for a page, nor under a name that was bent to loopback.
    let host = Host::start().await;
    assert_eq!(status_of(host.admin(Method::GET, "/v1/plugins")).await, StatusCode::OK);
    for (header, value) in [
        ("Origin", "http://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Host", "evil.example"),
    ] {
        let asked = host.admin(Method::GET, "/v1/plugins").header(header, value);
        refused(asked, 403, "forbidden").await;
    }
}
