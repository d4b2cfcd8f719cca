//! Changing a server that exists.
//!
//! Nova takes an action and does it later. While it is at it the server shows a task or a transitional status; when both are over
//! the action has ended, well or not, and the list of the server's actions tells which. So every operation is the same walk:
//!
//! ```text
//! look ─► Nova at it? ─yes─► pending
//!              └─no─► asked for by this operation? ─no──► ask (journalled) ─► pending
//!                             └─yes─► did it come about? ─yes─► done
//!                                             └─no─► error, in Nova's words
//! ```
//!
//! Where an answer was lost, the list of actions also tells whether the request arrived.

mod console;
mod migrate;
mod power;
mod resize;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use vimhost_keystone::{Api, time};
use vimhost_sdk::prelude::*;
use vimhost_sdk::{clock, debug};

use crate::calendar;
use crate::compute::{self, Server};
use crate::observing::status;
use crate::patience::{self, LONGEST_MS};

pub(crate) use console::console;
pub(crate) use migrate::migrate;
pub(crate) use power::power;
pub(crate) use resize::resize;

/// How far the clocks of Nova's API and of its database may be apart, as seconds are cut off.
const SKEW_S: u64 = 2;

/// The server, which must exist.
fn look(nova: &Api<'_>, id: &str) -> Result<Server, Failure> {
    compute::server(nova, id)?.ok_or_else(|| Error::not_found(format!("server {id} does not exist")).into())
}

/// Whether Nova is doing something to a server.
fn busy(server: &Server) -> bool {
    server.task().is_some() || status::transitional(server.status())
}

/// Asks Nova for an action.
pub(crate) fn act(nova: &Api<'_>, id: &str, doing: &str, body: &Value) -> Result<(), Failure> {
    let request = nova
        .post(["servers", id, "action"])
        .json(body)
        .doing(format!("{doing} server {id}"));
    nova.send(request).map(drop)
}

/// Whether this operation has asked for something.
fn asked(call: &Call, kind: &str) -> bool {
    call.entry(kind, call.operation())
        .is_some_and(|entry| entry.status == JournalStatus::Committed)
}

/// Asks for something once. `note` is kept with the announcement ([`noted`]); `action` is Nova's word in the list of actions.
fn ask_once(
    call: &Call,
    nova: &Api<'_>,
    id: &str,
    asking: &Asking<'_>,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let age = call.entry(asking.kind, call.operation()).map(|entry| entry.age_ms);
    call.do_once(
        asking.kind,
        asking.note,
        || arrived(nova, id, asking.action, age.unwrap_or_default()),
        act,
    )
}

/// What is asked for once.
struct Asking<'a> {
    /// Journal kind.
    kind: &'a str,
    /// What is known of the server before.
    note: &'a str,
    /// Nova's word in the list of actions.
    action: &'a str,
}

/// What was noted when this operation asked for something.
fn noted<'a>(call: &'a Call, kind: &str) -> Option<&'a str> {
    call.entry(kind, call.operation())?.element.as_deref()
}

/// An action that Nova was asked for.
#[derive(Debug, Deserialize)]
struct Action {
    action: String,
    start_time: String,
    #[serde(default)]
    message: Option<String>,
}

/// A server's actions, the newest first, and the time at Nova.
fn actions(nova: &Api<'_>, id: &str) -> Result<(Vec<Action>, u64), Failure> {
    #[derive(Deserialize)]
    struct Listed {
        #[serde(rename = "instanceActions")]
        actions: Vec<Action>,
    }
    let request = nova
        .get(["servers", id, "os-instance-actions"])
        .doing(format!("looking at what was done to server {id}"));
    let response = nova.send(request)?;
    let at = response.header("date").and_then(calendar::of_http);
    let mut actions = response.json::<Listed>()?.actions;
    actions.sort_by_key(|action| std::cmp::Reverse(time::epoch_seconds(&action.start_time)));
    Ok((actions, at.unwrap_or_else(|| clock::now().as_secs())))
}

/// Whether a request whose answer was lost so long ago arrived.
fn arrived(nova: &Api<'_>, id: &str, word: &str, age_ms: u64) -> Result<bool, Failure> {
    let (actions, at) = actions(nova, id)?;
    let begun = announced(at, age_ms);
    let ours = |action: &&Action| action.action == word && time::epoch_seconds(&action.start_time) >= Some(begun);
    Ok(actions.iter().any(|action| ours(&action)))
}

/// The second at Nova, where it is `at` now, before which nothing of what was announced so long ago has begun.
fn announced(at: u64, age_ms: u64) -> u64 {
    at.saturating_sub(Duration::from_millis(age_ms).as_secs() + SKEW_S)
}

/// Whether the newest action of this word failed. Where the list is not shown nothing is known of it.
fn failed(nova: &Api<'_>, server: &Server, word: &str) -> Result<bool, Failure> {
    let all = match actions(nova, server.id()) {
        Err(failure) if failure.status == Some(403) => return Ok(false),
        listed => listed?.0,
    };
    let last = all.into_iter().find(|action| action.action == word);
    Ok(last
        .and_then(|action| action.message)
        .is_some_and(|message| !message.is_empty()))
}

/// Why an action that was taken did not come about.
fn why_not(nova: &Api<'_>, server: &Server, word: &str) -> Error {
    let said = actions(nova, server.id()).ok().and_then(|(actions, _)| {
        let last = actions.into_iter().find(|action| action.action == word)?;
        last.message.filter(|message| !message.is_empty())
    });
    let fault = server.fault().map(str::to_owned);
    let status = server.status();
    let why = fault.or(said).unwrap_or_else(|| "Nova does not say why".to_owned());
    debug!("an action did not come about", action = word, status = status);
    Error::other(format!(
        "Nova took the action {word} of server {} and did not bring it about; the server is in status {status}: {why}",
        server.id()
    ))
}

/// Asks to be called again while Nova is at it, unless it has been for too long.
fn wait(call: &Call, server: &Server) -> Result<OperateStep, Error> {
    let what = match server.task() {
        Some(task) => format!("server {} is in status {}, {task}", server.id(), server.status()),
        None => format!("server {} is in status {}", server.id(), server.status()),
    };
    match patience::wait(call, &what) {
        Some(pending) => Ok(pending.into()),
        None => Err(Error::other(format!(
            "{what}, and nothing has changed for {} s",
            LONGEST_MS / 1000
        ))),
    }
}

fn operated(server: &Server) -> OperateStep {
    Operated {
        status: status::of(server),
        status_text: server.status().to_owned(),
        compute_node: server.host().map(str::to_owned),
        console: None,
    }
    .into()
}
