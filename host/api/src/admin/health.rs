//! Probes and metrics. The probes need no token and tell nothing but yes or no, and which part is not ready.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use vimhost_connector::PluginState;
use vimhost_engine::Engine;

use super::Admin;
use crate::failure::Failure;

/// The text form that Prometheus reads.
const TEXT_FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Work can be accepted and done: the store can be written, and a connector serves.
pub(super) async fn ready(State(admin): State<Admin>) -> Result<&'static str, Failure> {
    let mut parts = Vec::new();
    let mut cause = None;
    if let Err(error) = admin.engine.ready().await {
        let failure = Failure::from(error);
        parts.push(format!("store: {}", failure.detail));
        cause = failure.cause;
    }
    parts.extend(connectors(&admin.engine));
    if parts.is_empty() {
        return Ok("ok\n");
    }
    Err(Failure {
        cause,
        ..Failure::unavailable(format!("not ready: {}", parts.join("; ")))
    })
}

/// Why no connector serves, if none does.
fn connectors(engine: &Engine) -> Option<String> {
    let plugins = engine.plugins();
    let serves = plugins.iter().any(|plugin| plugin.state == PluginState::Ready);
    (!serves).then(|| {
        format!(
            "connectors: none of {} can be used; `vimhost plugins` says why",
            plugins.len()
        )
    })
}

/// Everything that is counted.
pub(super) async fn metrics(State(admin): State<Admin>) -> Result<Response, Failure> {
    match &admin.metrics {
        Some(render) => Ok(([(header::CONTENT_TYPE, TEXT_FORM)], render()).into_response()),
        None => Err(Failure::of_status(StatusCode::NOT_FOUND)),
    }
}
