//! A full run at the finest level of logging shows no secret.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::json;
use support::{Host, VIM, service};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_reaches_no_log() {
    let log = Log::default();
    let writer = log.clone();
    // Of this project only: the client in the same process logs what it sends at its finest level.
    let filter =
        tracing_subscriber::EnvFilter::new("off,vimhost_api=trace,vimhost_engine=trace,vimhost_store_sqlite=trace");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let host = Host::start().await;
    host.add_vim().await;
    let post = |body: serde_json::Value| host.admin(Method::POST, "/v1/vims").json(&body);
    for body in [
        json!({"credentials": "canary"}),
        json!({"name": {"password": "canary"}}),
        json!("canary"),
    ] {
        assert_eq!(post(body).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    let malformed = || host.admin(Method::POST, "/v1/vims").body("password: !canary canary\n");
    assert_eq!(malformed().send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let stranger = malformed().bearer_auth("canary");
    assert_eq!(stranger.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let edit = json!({"credentials": {"password": "canary"}});
    assert_eq!(
        host.admin(Method::PATCH, &format!("/v1/vims/{VIM}"))
            .json(&edit)
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    let mut spec = service();
    spec["vms"]["web"]["user-data"] = json!("#cloud-config\npassword: {{ db_password }}\n");
    let answer = host
        .admin(Method::PUT, "/v1/network-services/shop")
        .json(&spec)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let deploy = host
        .admin(Method::POST, "/v1/network-services/shop/deploy")
        .header("Idempotency-Key", "a");
    assert_eq!(deploy.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(host.settled("shop", "a").await["status"], "DONE");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("request served") && log.contains("action accepted"),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
}
