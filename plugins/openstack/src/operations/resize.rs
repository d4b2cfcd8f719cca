//! Another flavour for a server: asked for, confirmed, and waited for until the server is as it was, running or stopped (O11).

use serde_json::json;
use vimhost_keystone::Api;
use vimhost_sdk::prelude::*;

use super::{Asking, act, ask_once, asked, busy, look, operated, wait, why_not};
use crate::compute::{Server, nova};
use crate::flavours;
use crate::vim::Vim;

/// Journal kind.
const RESIZE: &str = "resize";

/// Journal kind of what ends a resize or a cold migration.
const CONFIRM: &str = "confirm";

/// Gives a server another flavour.
pub(crate) fn resize(vim: &Vim, call: &Call, id: &str, flavour: &str) -> Result<OperateStep, Error> {
    let nova = nova(vim)?;
    let server = look(&nova, id)?;
    if busy(&server) {
        return wait(call, &server);
    }
    if server.status() == "VERIFY_RESIZE" && server.flavour() == Some(flavour) {
        return confirm(&nova, call, id);
    }
    let asked = asked(call, RESIZE);
    match server.status() {
        "ACTIVE" | "SHUTOFF" if server.flavour() == Some(flavour) => Ok(operated(&server)),
        _ if asked => Err(why_not(&nova, &server, RESIZE)),
        "ACTIVE" | "SHUTOFF" => {
            fits(&nova, &server, flavour)?;
            let asking = Asking {
                kind: RESIZE,
                note: flavour,
                action: RESIZE,
            };
            let body = json!({"resize": {"flavorRef": flavour}});
            ask_once(call, &nova, id, &asking, || act(&nova, id, "resizing", &body))?;
            wait(call, &look(&nova, id)?)
        }
        status => Err(Error::conflict(format!(
            "server {id} is in status {status}; it is resized when it is ACTIVE or SHUTOFF"
        ))),
    }
}

/// Confirms a resize or a cold migration. While Nova is at it the server shows no task and the same status as before.
pub(super) fn confirm(nova: &Api<'_>, call: &Call, id: &str) -> Result<OperateStep, Error> {
    if !asked(call, CONFIRM) {
        let asking = Asking {
            kind: CONFIRM,
            note: id,
            action: "confirmResize",
        };
        ask_once(call, nova, id, &asking, || {
            let asked = act(nova, id, "confirming the resize of", &json!({ "confirmResize": null }));
            match asked {
                // It is being confirmed, or has been since it was looked at: by a try whose answer was lost, or by Nova itself.
                Err(failure) if matches!(failure.status, Some(400 | 409)) => Ok(()),
                other => other,
            }
        })?;
    }
    wait(call, &look(nova, id)?)
}

/// A disk cannot shrink. That of a server that boots from a volume is not the flavour's.
fn fits(nova: &Api<'_>, server: &Server, flavour: &str) -> Result<(), Failure> {
    let Some(new) = flavours::disk(nova, flavour)? else {
        return Err(Error::not_found(format!("flavour {flavour} does not exist")).into());
    };
    if server.image().is_none() {
        return Ok(());
    }
    // A flavour that was deleted says nothing; then Nova decides.
    let old = match server.flavour() {
        Some(old) => flavours::disk(nova, old)?,
        None => None,
    };
    match old {
        Some(old) if new < old => Err(Error::bad_request(format!(
            "server {} has a disk of {old} GiB and flavour {flavour} one of {new} GiB; a disk cannot shrink",
            server.id()
        ))
        .into()),
        Some(_) | None => Ok(()),
    }
}
