//! Logging in, and what happens without.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mock_vim::{Config, Credentials, Faults, Server};
use reqwest::Method;
use serde_json::json;

use super::{Client, id, refused, start};

#[tokio::test]
async fn the_token_comes_only_in_the_header_and_the_expiry_in_the_body() {
    let (server, client) = start(Faults::default()).await;
    let body = json!({"user": "mock", "password": "mock", "tenant": "mock"});
    let answer = client
        .http
        .post(format!("{}/v1/session", server.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    let token = answer.headers()["x-mock-token"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    assert!(!text.contains(&token));
    let body: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(body["expires_at"].as_u64().unwrap() > 1_600_000_000_000);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn wrong_credentials_and_wrong_tokens_are_refused() {
    let config = Config {
        credentials: Credentials {
            user: "u".into(),
            password: "p".into(),
            tenant: "t".into(),
        },
        ..Config::default()
    };
    let server = Server::start(config).await.unwrap();
    let client = Client {
        http: reqwest::Client::new(),
        url: server.url(),
        token: "nonsense".to_owned(),
    };
    for (user, password, tenant) in [
        ("mock", "mock", "mock"),
        ("u", "x", "t"),
        ("u", "p", "x"),
        ("x", "p", "t"),
    ] {
        let body = json!({"user": user, "password": password, "tenant": tenant});
        refused(client.post("/v1/session", body).await, 401, "auth");
    }
    refused(client.get("/v1/servers").await, 401, "auth");
    refused(client.get("/v1/changes?kind=servers").await, 401, "auth");
    refused(client.post("/v1/networks", json!({})).await, 401, "auth");
    let bare = client
        .http
        .get(format!("{}/v1/networks", server.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
    let good = client
        .post("/v1/session", json!({"user": "u", "password": "p", "tenant": "t"}))
        .await;
    assert_eq!(good.0, 201);
}

#[tokio::test]
async fn a_token_is_good_until_the_moment_it_was_said_to_expire() {
    // The clock the VIM reads: another one may drift from it by the millisecond that decides.
    let unix_millis = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let lifetime = Duration::from_millis(300);
    let server = Server::start(Config {
        token_lifetime: lifetime,
        ..Config::default()
    })
    .await
    .unwrap();
    let http = reqwest::Client::new();
    let body = json!({"user": "mock", "password": "mock", "tenant": "mock"});
    let answer = http
        .post(format!("{}/v1/session", server.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    let token = answer.headers()["x-mock-token"].to_str().unwrap().to_owned();
    let body: serde_json::Value = answer.json().await.unwrap();
    let expires_at = u128::from(body["expires_at"].as_u64().unwrap());
    let client = Client {
        http,
        url: server.url(),
        token,
    };
    loop {
        let asked_at = unix_millis();
        let answer = client.get("/v1/networks").await;
        if answer.0 != 200 {
            refused(answer, 401, "auth");
            assert!(unix_millis() >= expires_at, "not before");
            break;
        }
        assert!(asked_at < expires_at, "not after");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn expire_tokens_revokes_all_of_them_at_once_and_new_ones_work() {
    let (server, client) = start(Faults::default()).await;
    let answer = client.put("/admin/faults", json!({"expire_tokens": true})).await;
    assert_eq!(
        (answer.0.as_u16(), &answer.1["expire_tokens"]),
        (200, &json!(false)),
        "it is an event, not a state"
    );
    refused(client.get("/v1/networks").await, 401, "auth");
    let again = Client::log_in(&server).await;
    assert_eq!(again.get("/v1/networks").await.0, 200);
}

#[tokio::test]
async fn a_stop_answers_what_is_at_work_and_an_abort_does_not() {
    let slow = || Faults {
        latency_ms: 300,
        ..Faults::default()
    };
    for orderly in [true, false] {
        let (server, client) = start(slow()).await;
        let at_work = tokio::spawn(async move {
            let client = Client {
                http: reqwest::Client::new(),
                ..client
            };
            client.send(Method::GET, "/v1/networks", None).await
        });
        let begin = std::time::Instant::now();
        while server.requests().at_work == 0 {
            assert!(begin.elapsed() < super::DEADLINE, "no request is at work");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if orderly {
            server.stop().await.unwrap()
        } else {
            server.abort().await.unwrap()
        }
        let answer = at_work.await.unwrap();
        assert_eq!(answer.is_ok(), orderly, "{answer:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_the_same_form() {
    let (_server, client) = start(Faults::default()).await;
    refused(client.get("/v1/routers").await, 404, "not-found");
    refused(client.get("/nothing").await, 404, "not-found");
    refused(client.put("/v1/servers", json!({})).await, 405, "unsupported");
    refused(client.get("/v1/session").await, 405, "unsupported");
    refused(
        client.post("/v1/session", json!({"user": "mock"})).await,
        400,
        "bad-request",
    );
    let network = client.create("networks", json!({"name": "n"})).await;
    refused(
        client.get(&format!("/v1/ports/{}", id(&network))).await,
        404,
        "not-found",
    );
}
