//! Follows an action by its server-sent events.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::client::{Client, encode};
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

/// Longest event; a longer one is no event of this host.
const MAX_EVENT: usize = 16 << 20;

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
    let response = client.events(&path).await?;
    let mut stream = response.bytes_stream();
    let mut buffer = Vec::new();
    let mut shown = String::new();
    while let Some(chunk) = stream.next().await {
        buffer.extend_from_slice(&chunk.context("the connection to the host broke; the action goes on")?);
        if buffer.len() > MAX_EVENT {
            bail!("the host sent an event that is too long");
        }
        while let Some(end) = find(&buffer, b"\n\n") {
            let event: Vec<u8> = buffer.drain(..end + 2).collect();
            let Some(state) = data_of(&event) else { continue };
            show(&state, &mut shown);
        }
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

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn data_of(event: &[u8]) -> Option<Value> {
    let event = std::str::from_utf8(event).ok()?;
    let data: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    serde_json::from_str(&data.join("\n")).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_data_lines() {
        let event = b"id: 3\nevent: state\ndata: {\"status\":\ndata:  \"DONE\"}\n\n";
        assert_eq!(data_of(event).unwrap()["status"], "DONE");
        assert!(data_of(b": keep-alive\n\n").is_none());
    }
}
