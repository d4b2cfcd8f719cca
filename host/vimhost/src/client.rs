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
        if !global.server.starts_with("http://") {
            bail!(
                "--server {}: the admin interface is reached at http://HOST:PORT; where TLS is in front of it, by a tunnel (ssh -L)",
                global.server
            );
        }
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
        bail!(refusal(status, &problem, &self.server))
    }
}

/// A refusal for people: what is wrong, where, and what to do about it.
fn refusal(status: StatusCode, problem: &Value, server: &str) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let Some(detail) = text("detail").or_else(|| text("title")) else {
        return format!("{server} answered {status}, and not as vimhost does; is it the admin interface of a host?");
    };
    let mut message = detail.to_owned();
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let Some(pointer) = error.get("pointer").and_then(Value::as_str) else {
            continue;
        };
        // The text names the only place by itself.
        if !pointer.is_empty() && !message.starts_with(&format!("'{}'", place(pointer))) {
            message = format!("{message} (at {pointer})");
        }
    }
    if let Some(next) = next_step(status, detail) {
        message = format!("{message}; {next}");
    }
    message
}

/// `/vms/web/count` as `vms:web:count`.
fn place(pointer: &str) -> String {
    let path = pointer.trim_start_matches('/').replace('/', ":");
    path.replace("~1", "/").replace("~0", "~")
}

/// What a person does after a refusal, where the text does not say it.
fn next_step(status: StatusCode, detail: &str) -> Option<&'static str> {
    let about = |what: &str| detail.starts_with(what);
    match status {
        StatusCode::UNAUTHORIZED => Some("give a token by --token or VIMHOST_TOKEN"),
        StatusCode::NOT_FOUND if about("account ") => {
            Some("`vimhost vim list` lists accounts, `vimhost vim add` adds one")
        }
        StatusCode::NOT_FOUND if about("network service ") => {
            Some("`vimhost status` lists network services, `vimhost deploy FILE` makes one")
        }
        StatusCode::NOT_FOUND if about("action ") => {
            Some("`vimhost status NAME` lists the actions of a network service")
        }
        StatusCode::NOT_FOUND if about("plugin ") => Some("`vimhost plugin list` lists plugins"),
        StatusCode::NOT_FOUND if about("token ") => Some("`vimhost token list` lists tokens by their ids"),
        StatusCode::NOT_FOUND if about("seal key ") || about("older seal key ") => {
            Some("`vimhost key list` lists the keys of the host")
        }
        StatusCode::CONFLICT if about("account ") && detail.ends_with(" exists") => {
            Some("`vimhost vim show` shows it; to change it, remove it by `vimhost vim rm` and add it anew")
        }
        _ => None,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, problem: Value) -> String {
        refusal(StatusCode::from_u16(status).unwrap(), &problem, "http://127.0.0.1:9")
    }

    #[test]
    fn a_refusal_names_each_place_once() {
        let errors = |pointer: &str| json!([{"pointer": pointer, "detail": "is above 1000"}]);
        let count = json!({"detail": "'vms:web/1:count' is above 1000", "errors": errors("/vms/web~11/count")});
        assert_eq!(told(400, count), "'vms:web/1:count' is above 1000");
        let whole = json!({"detail": "missing field `vim`", "errors": errors("")});
        assert_eq!(told(400, whole), "missing field `vim`");
        let elsewhere = json!({"detail": "two things are wrong", "errors": errors("/vms")});
        assert_eq!(told(400, elsewhere), "two things are wrong (at /vms)");
    }

    #[test]
    fn a_refusal_names_the_next_step() {
        for (status, detail, step) in [
            (404, "account 'lab' not found", "vimhost vim add"),
            (404, "network service 'web' not found", "vimhost status"),
            (404, "action 'x' not found", "vimhost status NAME"),
            (404, "plugin 'x' not found", "vimhost plugin list"),
            (404, "older seal key 'x' not found", "vimhost key list"),
            (409, "account 'lab' exists", "vimhost vim rm"),
            (401, "no token", "--token"),
        ] {
            let told = told(status, json!({"detail": detail}));
            assert!(told.starts_with(detail) && told.contains(step), "{told}");
        }
    }

    #[test]
    fn an_answer_of_another_server_is_told_as_such() {
        let told = told(404, Value::Null);
        assert!(told.contains("http://127.0.0.1:9") && told.contains("404"), "{told}");
    }
}
