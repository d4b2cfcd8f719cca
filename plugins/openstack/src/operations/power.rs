//! Power and life-cycle actions.

use serde_json::{Value, json};
use vimhost_keystone::{Api, Microversion};
use vimhost_sdk::prelude::*;

use super::{Asking, act, ask_once, asked, busy, failed, look, operated, wait, why_not};
use crate::compute::{Server, nova, nova_with};
use crate::vim::Vim;
use crate::volumes;

/// From here on a server that boots from a volume can be rebuilt.
const REBUILD_VOLUME: Microversion = Microversion::new(2, 93);

/// Performs a power action.
pub(crate) fn power(vim: &Vim, call: &Call, id: &str, action: PowerAction) -> Result<OperateStep, Error> {
    match action {
        PowerAction::Start => reach(vim, call, id, "ACTIVE", start),
        PowerAction::Stop => reach(vim, call, id, "SHUTOFF", |_| Some(("stop", "os-stop"))),
        PowerAction::Pause => reach(vim, call, id, "PAUSED", |_| Some(("pause", "pause"))),
        PowerAction::Unpause => reach(vim, call, id, "ACTIVE", |_| Some(("unpause", "unpause"))),
        PowerAction::Suspend => reach(vim, call, id, "SUSPENDED", |_| Some(("suspend", "suspend"))),
        PowerAction::Resume => reach(vim, call, id, "ACTIVE", |_| Some(("resume", "resume"))),
        PowerAction::Reboot => reboot(vim, call, id),
        PowerAction::Rebuild => rebuild(vim, call, id),
    }
}

/// What brings a server to life, by how it rests: Nova's word in the list of actions, and that of the request.
fn start(server: &Server) -> Option<(&'static str, &'static str)> {
    match server.status() {
        "PAUSED" => Some(("unpause", "unpause")),
        "SUSPENDED" => Some(("resume", "resume")),
        "SHELVED" | "SHELVED_OFFLOADED" => Some(("unshelve", "unshelve")),
        "SHUTOFF" => Some(("start", "os-start")),
        _ => None,
    }
}

/// Brings a server into a status. Being in it is success, whoever brought it there.
fn reach(
    vim: &Vim,
    call: &Call,
    id: &str,
    wanted: &str,
    how: impl FnOnce(&Server) -> Option<(&'static str, &'static str)>,
) -> Result<OperateStep, Error> {
    let nova = nova(vim)?;
    let server = look(&nova, id)?;
    if busy(&server) {
        return wait(call, &server);
    }
    if server.status() == wanted {
        return Ok(operated(&server));
    }
    if let Some(word) = call
        .entry("power", call.operation())
        .and_then(|entry| entry.element.as_deref())
    {
        // Nova has rested since it took the action, and the status is another one.
        return Err(why_not(&nova, &server, word));
    }
    let Some((word, request)) = how(&server) else {
        return Err(Error::conflict(format!(
            "server {id} is in status {} and cannot be brought to {wanted} from there",
            server.status()
        )));
    };
    let asking = Asking {
        kind: "power",
        note: word,
        action: word,
    };
    ask_once(call, &nova, id, &asking, || {
        act(&nova, id, word, &json!({ request: null }))
    })?;
    wait(call, &look(&nova, id)?)
}

fn reboot(vim: &Vim, call: &Call, id: &str) -> Result<OperateStep, Error> {
    let nova = nova(vim)?;
    anew(&nova, call, id, "reboot", || {
        Ok((json!({"reboot": {"type": "SOFT"}}), None))
    })
}

/// Makes a server anew from its image. One that boots from a volume gets the image its volume was made from (O12).
fn rebuild(vim: &Vim, call: &Call, id: &str) -> Result<OperateStep, Error> {
    let nova = nova(vim)?;
    let step = anew(&nova, call, id, "rebuild", || {
        let server = look(&nova, id)?;
        if let Some(image) = server.image() {
            return Ok((json!({"rebuild": {"imageRef": image}}), None));
        }
        let what = format!("rebuilding server {id}, which boots from a volume,");
        let newer = nova_with(vim, REBUILD_VOLUME, &what)?;
        let image = root_image(vim, &server)?;
        Ok((json!({"rebuild": {"imageRef": image}}), Some(newer)))
    })?;
    if matches!(step, OperateStep::Done(_)) {
        check_volumes(vim, &look(&nova, id)?)?;
    }
    Ok(step)
}

/// Nova shows a server as ACTIVE whose volume Cinder could not fill again.
fn check_volumes(vim: &Vim, server: &Server) -> Result<(), Failure> {
    if server.image().is_some() {
        return Ok(());
    }
    let cinder = volumes::cinder(vim)?;
    for id in server.volumes() {
        let volume = volumes::get(&cinder, &id)?;
        if let Some(volume) = volume.filter(|volume| volume.status().starts_with("error")) {
            return Err(volumes::not_done(format!(
                "rebuilding server {} left volume {id} in status {}",
                server.id(),
                volume.status()
            )));
        }
    }
    Ok(())
}

/// The image that a server's root volume was made from.
fn root_image(vim: &Vim, server: &Server) -> Result<String, Failure> {
    let cinder = volumes::cinder(vim)?;
    for id in server.volumes() {
        let volume = volumes::get(&cinder, &id)?.filter(volumes::Volume::bootable);
        if let Some(image) = volume.as_ref().and_then(volumes::Volume::image) {
            return Ok(image.to_owned());
        }
    }
    Err(Error::unsupported(format!(
        "server {} cannot be rebuilt: none of its volumes is bootable and was made from an image",
        server.id()
    ))
    .into())
}

/// Does something that ends in the status it began in. `body` is the request and the Nova to send it to, if not this one.
fn anew<'n>(
    nova: &Api<'n>,
    call: &Call,
    id: &str,
    word: &str,
    body: impl FnOnce() -> Result<(Value, Option<Api<'n>>), Failure>,
) -> Result<OperateStep, Error> {
    let server = look(nova, id)?;
    if busy(&server) {
        return wait(call, &server);
    }
    if asked(call, word) {
        // What fails before the host is at it, for want of Cinder for instance, leaves the server as it was; the list of actions alone
        // tells. A host that fails at a reboot and still runs the server is a success to Nova, and to be seen nowhere.
        if server.status() == "ERROR" || failed(nova, &server, word)? {
            return Err(why_not(nova, &server, word));
        }
        return Ok(operated(&server));
    }
    let asking = Asking {
        kind: word,
        note: id,
        action: word,
    };
    ask_once(call, nova, id, &asking, || {
        let (body, newer) = body()?;
        act(newer.as_ref().unwrap_or(nova), id, word, &body)
    })?;
    wait(call, &look(nova, id)?)
}
