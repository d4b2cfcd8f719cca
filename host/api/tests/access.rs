//! Who may do what, over a real listener: tokens, roles, the audit log, and the description all of it is generated from.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Host, is_up_to_date, json_of, problem};
use vimhost_api::admin::{self, Options, Role, TokenDigest};
use vimhost_api::ng_ro;

async fn guarded() -> Host {
    let tokens = vec![
        TokenDigest::of_token("boss", Role::Admin),
        TokenDigest::of_token("worker", Role::Operator),
        TokenDigest::of_token("guest", Role::Viewer),
    ];
    let options = Options {
        tokens,
        ..Options::default()
    };
    Host::with(options, ng_ro::Options::default()).await
}

/// Every operation of the description: method, path, operation.
fn operations() -> Vec<(Method, String, Value)> {
    let description = admin::description();
    let mut found = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
        }
    }
    found
}

/// A path with something in the place of its parameters.
fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{collection}" => "nsrs",
            "{id}" => "bad7338b-ae46-43d4-a434-c3337a8054ac",
            part if part.starts_with('{') => "shop",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// All that could have been changed.
async fn everything(host: &Host) -> Value {
    let mut all = json!({});
    for path in [
        "/v1/vims",
        "/v1/wims",
        "/v1/sdns",
        "/v1/tokens",
        "/v1/plugins",
        "/v1/network-services",
        "/v1/network-services/shop",
        "/v1/actions",
        "/v1/records/nsrs/shop",
    ] {
        all[path] = json_of(host.admin(Method::GET, path).bearer_auth("boss"), 200).await;
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_refuses_who_may_not() {
    let host = guarded().await;
    let boss = |method, path: &str| host.admin(method, path).bearer_auth("boss");
    let account = json!({"id": support::VIM, "name": "a", "vim_type": "stub", "url": "http://vim.example"});
    json_of(boss(Method::POST, "/v1/vims").json(&account), 201).await;
    json_of(
        boss(Method::PUT, "/v1/network-services/shop").json(&support::service()),
        201,
    )
    .await;
    let before = everything(&host).await;
    let operations = operations();
    assert!(operations.len() > 20, "only {} operations", operations.len());
    for (method, path, operation) in operations {
        let path = concrete(&path);
        let ask = || host.admin(method.clone(), &path).json(&json!({}));
        let what = format!("{method} {path}");
        problem(ask().send().await.unwrap(), 401, "unauthorised").await;
        problem(ask().bearer_auth("wrong").send().await.unwrap(), 401, "unauthorised").await;
        let least: Role = operation["x-role"].as_str().unwrap().parse().unwrap();
        for (token, role) in [("guest", Role::Viewer), ("worker", Role::Operator)] {
            if role < least {
                let refused = ask().bearer_auth(token).send().await.unwrap();
                let refused = problem(refused, 403, "forbidden").await;
                assert!(refused["detail"].as_str().unwrap().contains(least.as_str()), "{what}");
            }
        }
        assert_eq!(everything(&host).await, before, "{what}");
    }
    assert_eq!(host.vim.count(), 0);
}

#[test]
fn every_operation_is_described_whole() {
    let description = admin::description();
    assert_eq!(description["openapi"], "3.1.0");
    let schemas = description["components"]["schemas"].as_object().unwrap();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations() {
        let what = format!("{method} {path}");
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{what}: id used twice"
        );
        assert!(
            operation["summary"].as_str().is_some_and(|text| text.len() > 10),
            "{what}"
        );
        assert_eq!(operation["security"], json!([{"bearer": []}]), "{what}");
        assert!(
            operation["x-role"].is_string() && operation["x-effect"].is_string(),
            "{what}"
        );
        // GET never changes anything, so no page can make a browser do it by a link.
        assert!(method != Method::GET || operation["x-effect"] == "reads", "{what}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
        for refusal in ["401", "403", "default"] {
            let content = &responses[refusal]["content"]["application/problem+json"];
            assert_eq!(
                content["schema"]["$ref"], "#/components/schemas/Problem",
                "{what} {refusal}"
            );
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let name = part.trim_end_matches('}');
            assert!(
                parameters.iter().any(|p| p["name"] == name && p["in"] == "path"),
                "{what}: {name}"
            );
        }
    }
    // Every reference leads somewhere.
    let text = description.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn the_description_is_up_to_date() {
    let description = serde_json::to_string_pretty(&admin::description()).unwrap() + "\n";
    is_up_to_date("openapi.json", &description, "access");
    is_up_to_date("admin-endpoints.md", &admin::endpoint_list(), "access");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_and_taken_until_it_is_revoked() {
    let host = Host::start().await;
    let made = json_of(
        host.admin(Method::POST, "/v1/tokens")
            .json(&json!({"name": "ci", "role": "admin"})),
        201,
    )
    .await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(secret.starts_with(&format!("vimhost_{id}_")) && secret.len() > 80);
    assert_eq!(
        (&made["created_by"], &made["state"]),
        (&json!("loopback"), &json!("active"))
    );

    // From now on loopback alone is not enough.
    problem(
        host.admin(Method::GET, "/v1/vims").send().await.unwrap(),
        401,
        "unauthorised",
    )
    .await;
    let ci = |method, path: &str| host.admin(method, path).bearer_auth(&secret);
    let listed = json_of(ci(Method::GET, "/v1/tokens"), 200).await;
    assert_eq!(listed["items"][0]["id"], id.as_str());
    let shown = json_of(ci(Method::GET, &format!("/v1/tokens/{id}")), 200).await;
    for answer in [&listed, &shown] {
        assert!(!answer.to_string().contains(&secret) && !answer.to_string().contains("digest"));
    }
    // Nothing that was written helps who reads the files.
    for entry in std::fs::read_dir(host.directory()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    // One changed digit, another one's id, the digest itself: none is a token.
    let mut changed = secret.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == '0' { '1' } else { '0' });
    for wrong in [
        changed,
        secret.replace(&id, "000000000000"),
        format!("vimhost_{id}_"),
        id.clone(),
    ] {
        let refused = host
            .admin(Method::GET, "/v1/vims")
            .bearer_auth(wrong)
            .send()
            .await
            .unwrap();
        problem(refused, 401, "unauthorised").await;
    }

    let other = json_of(
        ci(Method::POST, "/v1/tokens").json(&json!({"name": "short", "role": "viewer", "lifetime_seconds": 1})),
        201,
    )
    .await;
    assert_eq!(other["created_by"], id.as_str());
    let short = other["secret"].as_str().unwrap().to_owned();
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while host
        .admin(Method::GET, "/v1/vims")
        .bearer_auth(&short)
        .send()
        .await
        .unwrap()
        .status()
        != 401
    {
        assert!(std::time::Instant::now() < deadline, "a token outlives its end");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for wrong in [
        json!({"name": "", "role": "viewer"}),
        json!({"name": "x", "role": "root"}),
        json!({"name": "x", "role": "viewer", "lifetime_seconds": 0}),
    ] {
        problem(
            ci(Method::POST, "/v1/tokens").json(&wrong).send().await.unwrap(),
            400,
            "wrong-shape",
        )
        .await;
    }

    let revoked = json_of(ci(Method::DELETE, &format!("/v1/tokens/{id}")), 200).await;
    assert_eq!(revoked["state"], "revoked");
    problem(ci(Method::GET, "/v1/vims").send().await.unwrap(), 401, "unauthorised").await;
    // The end of the last token does not open loopback again.
    problem(
        host.admin(Method::GET, "/v1/vims").send().await.unwrap(),
        401,
        "unauthorised",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_in_the_audit_log_and_looks_are_not() {
    let host = guarded().await;
    let account = json!({"id": "a", "name": "a", "vim_type": "stub", "url": "http://vim.example", "credentials": {"password": "canary"}});
    let answer = host
        .admin(Method::POST, "/v1/vims")
        .bearer_auth("boss")
        .json(&account)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let number = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    json_of(host.admin(Method::GET, "/v1/vims").bearer_auth("guest"), 200).await;
    for (token, path, status) in [
        ("guest", "/v1/vims/a", 403),
        ("boss", "/v1/vims/b", 404),
        ("boss", "/v1/vims/a", 204),
    ] {
        let answer = host
            .admin(Method::DELETE, path)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{token} {path}");
    }
    problem(
        host.admin(Method::POST, "/v1/vims")
            .bearer_auth("boss")
            .body("x")
            .send()
            .await
            .unwrap(),
        400,
        "wrong-shape",
    )
    .await;
    // Who brings no token leaves no trace here: nobody could be named, and anybody could fill the log.
    problem(
        host.admin(Method::DELETE, "/v1/vims/a").send().await.unwrap(),
        401,
        "unauthorised",
    )
    .await;

    let log = |query: &'static str| {
        json_of(
            host.admin(Method::GET, &format!("/v1/audit{query}"))
                .bearer_auth("boss"),
            200,
        )
    };
    let all = log("").await;
    assert!(!all.to_string().contains("canary"));
    let seen: Vec<(String, String, u64)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            (text("operation"), text("target"), entry["status"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("addAccount", "/v1/vims", 400),
        ("removeAccount", "/v1/vims/a", 204),
        ("removeAccount", "/v1/vims/b", 404),
        ("removeAccount", "/v1/vims/a", 403),
        ("addAccount", "/v1/vims/a", 201),
    ];
    assert_eq!(seen, expected.map(|(o, t, s)| (o.to_owned(), t.to_owned(), s)));
    let first = &all["items"][4];
    assert_eq!(
        (&first["request_id"], &first["role"]),
        (&json!(number), &json!("admin"))
    );
    let boss = first["who"].as_str().unwrap();
    assert!(boss.starts_with("configured-"), "{boss}");
    let guest = all["items"][3]["who"].as_str().unwrap();
    assert_ne!(guest, boss);

    let who = format!("/v1/audit?who={guest}&operation=removeAccount");
    let of_guest = json_of(host.admin(Method::GET, &who).bearer_auth("boss"), 200).await;
    assert_eq!(of_guest["items"], json!([all["items"][3]]));
    assert_eq!(
        log("?since=2999-01-01T00:00:00Z").await,
        json!({"items": [], "next": null})
    );
    assert_eq!(log("?since=2000-01-01T00:00:00%2B01:00").await["items"], all["items"]);
    let page = log("?limit=2&operation=removeAccount").await;
    let next = page["next"].as_str().unwrap();
    let next = host
        .admin(Method::GET, "/v1/audit")
        .query(&[("operation", "removeAccount"), ("cursor", next)]);
    assert_eq!(
        json_of(next.bearer_auth("boss"), 200).await["items"],
        json!([all["items"][3]])
    );
    let wrong = host.admin(Method::GET, "/v1/audit?since=yesterday").bearer_auth("boss");
    problem(wrong.send().await.unwrap(), 400, "bad-request").await;
}
