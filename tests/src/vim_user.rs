//! A user of the mock VIM beside vimhost: its operator, or another tenant of what vimhost works on.

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::PASSWORD;

/// A user of one mock VIM, logged in.
#[derive(Debug, Clone)]
pub struct VimUser {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl VimUser {
    /// Logs in.
    ///
    /// # Errors
    /// When the VIM gives no token.
    pub async fn log_in(vim: &mock_vim::Server) -> anyhow::Result<Self> {
        Self::log_in_at(vim.url()).await
    }

    /// Logs in at a URL, where the VIM is a process of its own.
    ///
    /// # Errors
    /// When the VIM gives no token.
    pub async fn log_in_at(url: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let who = json!({"user": "mock", "password": PASSWORD, "tenant": "mock"});
        let answer = http.post(format!("{url}/v1/session")).json(&who).send().await?;
        let token = answer.headers().get("x-mock-token");
        let token = token.context("the mock VIM gave no token")?.to_str()?.to_owned();
        Ok(Self { http, url, token })
    }

    /// A request to a path below `/v1/` that has to be answered by a status; the body, null when it is empty.
    ///
    /// # Errors
    /// When it is answered otherwise, or not at all.
    pub async fn expect(&self, status: u16, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method.clone(), format!("{}/v1/{path}", self.url));
        let mut request = request.header("x-auth-token", &self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let answered = answer.status().as_u16();
        let text = answer.text().await?;
        if answered != status {
            bail!("{method} {path} answered {answered} instead of {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path} answered no JSON: {text}"))
    }

    /// Makes an element of a collection; answers its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn make(&self, collection: &str, body: &Value) -> anyhow::Result<String> {
        let made = self.expect(201, Method::POST, collection, Some(body)).await?;
        let id = made.get("id").and_then(Value::as_str);
        id.map(str::to_owned).with_context(|| format!("no id in {made}"))
    }

    /// Deletes an element, which has to be gone with the answer.
    ///
    /// # Errors
    /// When it is refused, or takes its time.
    pub async fn delete(&self, collection: &str, id: &str) -> anyhow::Result<()> {
        let path = format!("{collection}/{id}");
        self.expect(204, Method::DELETE, &path, None).await?;
        Ok(())
    }
}
