//! Changing a server that exists.
//!
//! Start, stop, pause and their like say which state is wanted: the server is looked at, and asked only when it is in
//! another state. Reboot, rebuild, migration and resize are journalled, so that a repetition does not do them twice; where
//! an answer was lost, the server itself often shows whether it is at it.

use serde_json::{Value, json};
use vimhost_sdk::prelude::{Call, Console, ElementStatus, Error, JournalStatus, OperateStep, Operated, PowerAction};

use crate::elements::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::observing::status;
use crate::vim::{Collection, Element, Vim};

pub(crate) fn power(vim: &Vim<'_>, call: &Call, server: &str, action: PowerAction) -> Result<OperateStep, Error> {
    let (wanted, word) = match action {
        PowerAction::Start => ("ACTIVE", "start"),
        PowerAction::Stop => ("SHUTOFF", "stop"),
        PowerAction::Pause => ("PAUSED", "pause"),
        PowerAction::Unpause => ("ACTIVE", "unpause"),
        PowerAction::Suspend => ("SUSPENDED", "suspend"),
        PowerAction::Resume => ("ACTIVE", "resume"),
        PowerAction::Reboot => {
            return once(
                vim,
                call,
                server,
                "reboot",
                "REBOOT",
                &json!({ "action": "reboot" }),
                |_| false,
            );
        }
        PowerAction::Rebuild => {
            return once(
                vim,
                call,
                server,
                "rebuild",
                "REBUILD",
                &json!({ "action": "rebuild" }),
                |_| false,
            );
        }
    };
    let seen = look(vim, server)?;
    if seen.status() == wanted {
        return Ok(operated(&seen).into());
    }
    if status(seen.status()) == ElementStatus::Build {
        return Ok(busy(call, server, &seen));
    }
    // `start` also brings back what was paused or suspended.
    let word = match (action, seen.status()) {
        (PowerAction::Start, "PAUSED") => "unpause",
        (PowerAction::Start, "SUSPENDED") => "resume",
        _ => word,
    };
    Ok(operated(&vim.act(server, &json!({ "action": word }))?).into())
}

pub(crate) fn migrate(vim: &Vim<'_>, call: &Call, server: &str, host: Option<&str>) -> Result<OperateStep, Error> {
    let there = |seen: &Element| host.is_some() && seen.text("host") == host;
    once(
        vim,
        call,
        server,
        "migrate",
        "MIGRATING",
        &json!({ "action": "migrate", "host": host }),
        there,
    )
}

pub(crate) fn resize(vim: &Vim<'_>, call: &Call, server: &str, flavour: &str) -> Result<OperateStep, Error> {
    let has = |seen: &Element| seen.text("flavour") == Some(flavour);
    once(
        vim,
        call,
        server,
        "resize",
        "RESIZE",
        &json!({ "action": "resize", "flavour": flavour }),
        has,
    )
}

pub(crate) fn console(vim: &Vim<'_>, server: &str, console_type: Option<&str>) -> Result<Console, Error> {
    let opened = vim.act(server, &json!({ "action": "console", "type": console_type }))?;
    let port = opened.number("port").and_then(|port| u16::try_from(port).ok());
    Ok(Console {
        protocol: opened.owned("protocol").unwrap_or_default(),
        server: opened.owned("server").unwrap_or_default(),
        port: port.ok_or_else(|| Error::other(format!("the console of server {server} has no port")))?,
        suffix: opened.owned("suffix").unwrap_or_default(),
    })
}

/// Does something that takes time once, and waits for its end.
///
/// `under_way` is the VIM's word while it lasts; `already` sees in a server at rest that nothing is left to do.
fn once(
    vim: &Vim<'_>,
    call: &Call,
    server: &str,
    kind: &str,
    under_way: &str,
    body: &Value,
    already: impl Fn(&Element) -> bool,
) -> Result<OperateStep, Error> {
    let seen = look(vim, server)?;
    let asked = call
        .entry(kind, call.operation())
        .is_some_and(|entry| entry.status == JournalStatus::Committed);
    let resting = status(seen.status()) != ElementStatus::Build;
    if resting && (asked || already(&seen)) {
        return Ok(operated(&seen).into());
    }
    let at_it = seen.status() == under_way;
    if asked || (!resting && !at_it) {
        return Ok(busy(call, server, &seen));
    }
    // Under way without an entry is somebody else's doing; it is let to end before it is done once more.
    if at_it && call.entry(kind, call.operation()).is_none() {
        return Ok(busy(call, server, &seen));
    }
    call.do_once(kind, server, || Ok(at_it), || vim.act(server, body).map(drop))?;
    let seen = look(vim, server)?;
    if status(seen.status()) == ElementStatus::Build {
        return Ok(busy(call, server, &seen));
    }
    Ok(operated(&seen).into())
}

fn look(vim: &Vim<'_>, server: &str) -> Result<Element, Error> {
    vim.get(Collection::Servers, server)?
        .ok_or_else(|| Error::not_found(format!("server {server} does not exist")))
}

fn busy(call: &Call, server: &str, seen: &Element) -> OperateStep {
    call.wait(
        format!("server {server} is in {}", seen.status()),
        FIRST_LOOK_MS,
        LONGEST_LOOK_MS,
    )
    .into()
}

fn operated(seen: &Element) -> Operated {
    Operated {
        status: status(seen.status()),
        status_text: seen.status().to_owned(),
        compute_node: seen.owned("host"),
        console: None,
    }
}
