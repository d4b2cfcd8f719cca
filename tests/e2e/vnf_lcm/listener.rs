//! A subscriber: answers the test of its callback, and keeps what it is told by path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::World;

/// The token that `/token` hands out.
pub(super) const ACCESS_TOKEN: &str = "canary-access-token-51f0";

#[derive(Default)]
pub(super) struct Heard {
    /// Bodies of notifications by path, in the order they came.
    told: BTreeMap<String, Vec<Value>>,
    /// Values of headers of all requests, by path and name.
    headers: BTreeMap<(String, &'static str), BTreeSet<String>>,
}

/// Listens on loopback. Below `/dead` no notification is taken; `/token` gives OAuth 2.0 tokens.
pub(super) struct Listener {
    pub(super) url: String,
    heard: Arc<Mutex<Heard>>,
}

async fn hear(
    State(heard): State<Arc<Mutex<Heard>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let mut heard = heard.lock().unwrap();
    for name in ["version", "authorization"] {
        if let Some(value) = headers.get(name) {
            let value = value.to_str().unwrap().to_owned();
            heard.headers.entry((path.clone(), name)).or_default().insert(value);
        }
    }
    if path == "/token" {
        let token = json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600});
        return Json(token).into_response();
    }
    if method == Method::POST {
        if path.starts_with("/dead") {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let told = serde_json::from_slice(&body).unwrap_or_default();
        heard.told.entry(path).or_default().push(told);
    }
    StatusCode::NO_CONTENT.into_response()
}

impl Listener {
    pub(super) async fn start() -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let router = Router::new().fallback(hear).with_state(heard.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard }
    }

    /// What came to a path.
    pub(super) fn told(&self, path: &str) -> Vec<Value> {
        self.heard.lock().unwrap().told.get(path).cloned().unwrap_or_default()
    }

    /// How many notifications came to any path.
    pub(super) fn count(&self) -> usize {
        self.heard.lock().unwrap().told.values().map(Vec::len).sum()
    }

    /// Paths to which something came.
    pub(super) fn paths(&self) -> usize {
        self.heard.lock().unwrap().told.len()
    }

    /// What a header said on a path.
    pub(super) fn header(&self, path: &str, name: &'static str) -> BTreeSet<String> {
        let heard = self.heard.lock().unwrap();
        heard.headers.get(&(path.to_owned(), name)).cloned().unwrap_or_default()
    }
}

/// Makes a subscription; answers its id.
pub(super) async fn subscribe(world: &World, callback: &str, filter: Value) -> String {
    let body = json!({"callbackUri": callback, "filter": filter});
    let path = "/vnflcm/v2/subscriptions";
    let made = world.client.expect(201, Method::POST, path, Some(&body)).await.unwrap();
    made.json["id"].as_str().unwrap().to_owned()
}

/// The states that notifications tell of.
pub(super) fn states(told: &[Value]) -> Vec<&str> {
    told.iter()
        .map(|notification| notification["operationState"].as_str().unwrap_or("-"))
        .collect()
}
