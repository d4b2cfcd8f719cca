//! The mock VIM over HTTP, as a client meets it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod changes;
mod collections;
mod faults;
mod persistence;
mod servers;
mod sessions;
mod stacks;

use std::time::{Duration, Instant};

use mock_vim::{Config, Faults, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Far more than anything here takes; reached only when a test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// A client that is logged in.
struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn log_in(server: &Server) -> Self {
        let http = reqwest::Client::new();
        let body = json!({"user": "mock", "password": "mock", "tenant": "mock"});
        let answer = http
            .post(format!("{}/v1/session", server.url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let token = answer.headers()["x-mock-token"].to_str().unwrap().to_owned();
        Self {
            http,
            url: server.url(),
            token,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((
            status,
            if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).unwrap()
            },
        ))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body)).await.unwrap()
    }

    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::PUT, path, Some(body)).await.unwrap()
    }

    async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::DELETE, path, None).await.unwrap()
    }

    /// Creates an element and returns it.
    async fn create(&self, kind: &str, body: Value) -> Value {
        let (status, created) = self.post(&format!("/v1/{kind}"), body).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        created
    }

    /// The items of a listing.
    async fn list(&self, path: &str) -> Vec<Value> {
        let (status, page) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    /// Waits until an element has a status.
    async fn until(&self, path: &str, wanted: &str) -> Value {
        let start = Instant::now();
        loop {
            let (_, element) = self.get(path).await;
            if element["status"] == wanted {
                return element;
            }
            assert!(start.elapsed() < DEADLINE, "{path} is not {wanted}: {element}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The body of a server that needs nothing else.
    async fn server_body(&self, name: &str) -> Value {
        let image = id(&self.list("/v1/images?name=cirros034").await[0]);
        let flavour = id(&self
            .create("flavours", json!({"name": "small", "vcpus": 1, "ram": 512, "disk": 1}))
            .await);
        json!({"name": name, "image": image, "flavour": flavour})
    }
}

async fn start(faults: Faults) -> (Server, Client) {
    let server = Server::start(Config {
        faults,
        ..Config::default()
    })
    .await
    .unwrap();
    let client = Client::log_in(&server).await;
    (server, client)
}

fn id(element: &Value) -> String {
    element["id"].as_str().unwrap().to_owned()
}

fn refused(answer: (StatusCode, Value), status: u16, kind: &str) {
    assert_eq!(
        (answer.0.as_u16(), answer.1["error"]["kind"].as_str()),
        (status, Some(kind)),
        "{}",
        answer.1
    );
    assert!(!answer.1["error"]["message"].as_str().unwrap().is_empty());
}
