//! The client of the admin interface.

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::cli::Global;

/// Talks to a host.
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            http,
            server: global.server.trim_end_matches('/').to_owned(),
            token: global.token.clone(),
        })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.json(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.json(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.json(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::DELETE, path, None).await
    }

    /// Sends bytes.
    pub async fn upload(&self, path: &str, kind: &'static str, bytes: Vec<u8>) -> anyhow::Result<Value> {
        let body = |request: reqwest::RequestBuilder| request.header("Content-Type", kind).body(bytes);
        let response = self.send_with(Method::PUT, path, body).await?;
        response
            .json()
            .await
            .with_context(|| format!("the host's answer to {path} is not JSON"))
    }

    /// All entries of a listing, page by page.
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = match &cursor {
                Some(cursor) => self.get(&format!("{path}?cursor={}", encode(cursor))).await?,
                None => self.get(path).await?,
            };
            entries.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(entries);
            }
        }
    }

    /// A stream of server-sent events.
    pub async fn events(&self, path: &str) -> anyhow::Result<Response> {
        self.send(Method::GET, path, None).await
    }

    async fn json(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let response = self.send(method, path, body).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        response
            .json()
            .await
            .with_context(|| format!("the host's answer to {path} is not JSON"))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Response> {
        self.send_with(method, path, |request| match &body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> anyhow::Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = body(request).send().await.with_context(|| {
            format!(
                "cannot reach the host at {}; is `vimhost serve` running? Another one is named by --server",
                self.server
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Value = response.json().await.unwrap_or(Value::Null);
        let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut message = text("detail")
            .or_else(|| text("title"))
            .unwrap_or_else(|| format!("the host answered {status}"));
        for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
            if let Some(field) = error
                .get("field")
                .or_else(|| error.get("pointer"))
                .and_then(Value::as_str)
            {
                message = format!("{message} (at {field})");
            }
        }
        if status == StatusCode::UNAUTHORIZED {
            message = format!("{message}; give a token by --token or VIMHOST_TOKEN");
        }
        bail!(message)
    }
}

/// Percent-encodes a path segment or query value.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
