//! Follows an action by its server-sent events.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::client::{Client, encode};
use crate::events::Events;
use crate::output::text;

/// The action ended in FAILED; the text holds the reasons.
#[derive(Debug)]
pub struct ActionFailed(String);

impl std::fmt::Display for ActionFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for ActionFailed {}

/// Shows progress until the action is over. On a terminal one line is overwritten, elsewhere each state has a line.
///
/// # Errors
/// [`ActionFailed`] when a task failed.
pub async fn watch(client: &Client, name: &str, action: &str) -> anyhow::Result<()> {
    let path = format!(
        "/v1/network-services/{}/actions/{}/events",
        encode(name),
        encode(action)
    );
    let mut events = Events::of(client.events(&path).await?);
    let mut shown = String::new();
    while let Some(event) = events.next().await.context("following the action; it goes on")? {
        show(&event.data, &mut shown);
    }
    let view = client
        .get(&format!(
            "/v1/network-services/{}/actions/{}",
            encode(name),
            encode(action)
        ))
        .await?;
    finish(&shown)?;
    match text(&view, "status").as_str() {
        "DONE" => Ok(()),
        "FAILED" => Err(ActionFailed(format!("action {action} failed: {}", reasons(&view))).into()),
        status => bail!("the host stopped telling; action {action} is {status}"),
    }
}

fn reasons(state: &Value) -> String {
    let failures: Vec<&str> = state
        .get("failures")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if failures.is_empty() {
        "no reason was given".to_owned()
    } else {
        failures.join("; ")
    }
}

fn show(state: &Value, shown: &mut String) {
    let line = format!(
        "{} {}/{} tasks",
        text(state, "status"),
        text(state, "done"),
        text(state, "total")
    );
    if *shown == line {
        return;
    }
    let mut err = std::io::stderr().lock();
    // A terminal that went away is no reason to stop following.
    let _ = if err.is_terminal() {
        write!(err, "\r{line}\x1b[K").and_then(|()| err.flush())
    } else {
        writeln!(err, "{line}")
    };
    *shown = line;
}

fn finish(shown: &str) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() && !shown.is_empty() {
        writeln!(err)?;
    }
    Ok(())
}
