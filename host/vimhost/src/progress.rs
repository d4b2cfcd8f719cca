//! Follows an action by its server-sent events.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Response;
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

/// How long a host that went away while an action is followed is tried again: about what a restart takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// After which time without progress a person is told where to look. A VM may well take as long; a VIM that is down takes for ever.
const QUIET: Duration = Duration::from_secs(10);

/// What shows how an action goes on that nobody follows any more.
pub fn next_step(name: &str, action: &str) -> String {
    format!("`vimhost status {name} {action}` shows how it stands and what holds it up")
}

/// Shows progress until the action is over. On a terminal one line is overwritten, elsewhere each state has a line. A host that goes
/// away meanwhile takes the action up when it comes back, so it is waited for.
///
/// # Errors
/// [`ActionFailed`] when a task failed.
pub async fn watch(client: &Client, name: &str, action: &str) -> anyhow::Result<()> {
    let path = format!("/v1/network-services/{}/actions/{}", encode(name), encode(action));
    let (mut shown, next_step) = (String::new(), next_step(name, action));
    let view = follow(client, &path, &mut shown, &next_step)
        .await
        .with_context(|| format!("following the action, which goes on ({next_step})"))?;
    finish(&shown)?;
    match text(&view, "status").as_str() {
        "DONE" => Ok(()),
        "FAILED" => Err(ActionFailed(format!("action {action} failed: {}", reasons(&view))).into()),
        status => bail!("action {action} is {status}; {next_step}"),
    }
}

/// Reads the action's events until it is over, again when the connection breaks or a host that stops ends them; answers the action.
async fn follow(client: &Client, path: &str, shown: &mut String, next_step: &str) -> anyhow::Result<Value> {
    let events = format!("{path}/events");
    let mut until: Option<Instant> = None;
    loop {
        let broken = match client.events(&events).await {
            Ok(response) => match read(response, shown, next_step).await {
                Ok(()) => match end(client, path).await {
                    Ok(view) => return Ok(view),
                    Err(error) => error,
                },
                Err(error) => error,
            },
            // A host that was never there is not waited for.
            Err(error) if until.is_none_or(|until| Instant::now() > until) => return Err(error),
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        finish(shown)?;
        eprintln!("{broken:#}; trying again");
        until = Some(Instant::now() + PATIENCE);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Shows one stream to its end.
async fn read(response: Response, shown: &mut String, next_step: &str) -> anyhow::Result<()> {
    let mut events = Events::of(response);
    let (mut since, mut told) = (Instant::now(), false);
    loop {
        let before = shown.clone();
        // A wait that is given up loses nothing: what has come is kept with the stream.
        if let Ok(event) = tokio::time::timeout(QUIET, events.next()).await {
            match event? {
                Some(event) => show(&event.data, shown),
                None => return Ok(()),
            }
        }
        if *shown != before {
            (since, told) = (Instant::now(), false);
        } else if !told && since.elapsed() >= QUIET {
            finish(shown)?;
            eprintln!("no progress for {} s; {next_step}", QUIET.as_secs());
            told = true;
        }
    }
}

/// The action once its stream has ended. A host that stops ends it too, before the action is over.
async fn end(client: &Client, path: &str) -> anyhow::Result<Value> {
    let view = client.get(path).await?;
    match text(&view, "status").as_str() {
        "DONE" | "FAILED" => Ok(view),
        status => bail!("the host stopped telling while the action is {status}"),
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
