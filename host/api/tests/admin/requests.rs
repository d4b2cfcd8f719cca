//! Requests that are not understood.

use reqwest::Method;
use serde_json::json;
use vimhost_api::admin::Options;
use vimhost_api::{RequestLimits, ng_ro};

use crate::refused;
use crate::support::{Host, VIM, problem};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_told_what_is_wrong_where() {
    let limits = RequestLimits {
        body: 1 << 16,
        ..RequestLimits::default()
    };
    let host = Host::with(
        Options {
            limits,
            ..Options::default()
        },
        ng_ro::Options::default(),
    )
    .await;
    host.add_vim().await;
    let post = |body: &str| host.admin(Method::POST, "/v1/vims").body(body.to_owned());
    let origin = "name: x\nvim_type: stub\nurl: http://x\ngrants: {origins: [ftp://x]}";
    let shape = refused(post(origin), 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/grants/origins/0");
    let shape = refused(post("name: x"), 400, "wrong-shape").await;
    assert!(shape["detail"].as_str().unwrap().contains("vim_type"), "{shape:#}");
    refused(
        post("name: x\nvim_type: stub\nurl: http://x\nnonsense: 1"),
        400,
        "wrong-shape",
    )
    .await;
    let malformed = refused(post("name: x\nname: y"), 400, "malformed-body").await;
    assert!(
        malformed["detail"].as_str().unwrap().contains("line 2"),
        "{malformed:#}"
    );
    let json = host
        .admin(Method::POST, "/v1/vims")
        .header("Content-Type", "application/json")
        .body("{\n\"a\": }");
    let malformed = refused(json, 400, "malformed-body").await;
    assert!(
        malformed["detail"].as_str().unwrap().contains("line 2 column"),
        "{malformed:#}"
    );
    refused(post(&"#".repeat((1 << 16) + 1)), 413, "too-large").await;
    let taken = json!({"id": VIM, "name": "b", "vim_type": "stub", "url": "http://x"});
    refused(host.admin(Method::POST, "/v1/vims").json(&taken), 409, "conflict").await;
    let other = json!({"name": "b", "vim_type": "abacus", "url": "http://x"});
    refused(host.admin(Method::POST, "/v1/vims").json(&other), 400, "bad-request").await;

    for (method, path, status, code) in [
        (Method::GET, "/v1/nothing", 404, "not-found"),
        (Method::GET, "/", 404, "not-found"),
        (Method::PUT, "/v1/plugins", 405, "method-not-allowed"),
        (Method::POST, "/livez", 405, "method-not-allowed"),
        (Method::GET, "/v1/vims/unknown", 404, "not-found"),
        (Method::GET, "/v1/vims/%00", 400, "bad-request"),
        (Method::GET, "/v1/vims/%ff", 400, "bad-request"),
        (Method::GET, "/v1/vims?limit=0", 400, "bad-request"),
        (Method::GET, "/v1/vims?limit=x", 400, "bad-request"),
        (Method::POST, "/v1/vims/unknown/check", 404, "not-found"),
        (Method::GET, "/v1/records/vims/x", 404, "not-found"),
        (Method::GET, "/v1/records/nsrs/x", 404, "not-found"),
        (Method::DELETE, "/v1/records/nsrs/x", 404, "not-found"),
        (Method::GET, "/v1/network-services/x", 404, "not-found"),
        (Method::DELETE, "/v1/network-services/x", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/plan", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/deploy", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/terminate", 404, "not-found"),
        (Method::GET, "/v1/network-services/x/actions/y", 404, "not-found"),
        (Method::GET, "/v1/network-services/x/actions/y/events", 404, "not-found"),
    ] {
        let answer = host.admin(method.clone(), path).send().await.unwrap();
        if status == 405 {
            assert!(answer.headers().contains_key("allow"), "{method} {path}");
        }
        let id = answer.headers()["x-request-id"].clone();
        assert_eq!(
            problem(answer, status, code).await["request_id"],
            id.to_str().unwrap(),
            "{method} {path}"
        );
    }
}
