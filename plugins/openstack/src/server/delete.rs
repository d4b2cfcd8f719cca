//! Deleting a server and what belongs to it.
//!
//! The floating addresses go and the server is asked to go in the first call; ports and volumes follow when nobody has them any
//! more. What is gone already is success, and everything else is still dealt with (O5).

use vimhost_keystone::Api;
use vimhost_sdk::prelude::*;

use super::{SERVER, belongs, body};
use crate::compute::{self, SETTLED, nova};
use crate::neutron::{self, FLOATING, PORT};
use crate::patience::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::vim::Vim;
use crate::volumes::{self, KEPT, Progress, VOLUME};
use crate::{deleting, operations};

/// Deletes a server by id and by journal; volumes in `hold` and those to be kept stay.
pub(crate) fn delete(vim: &Vim, call: &Call, id: Option<&str>, hold: &[String]) -> Result<DeleteStep, Error> {
    let held = |volume: &str| hold.iter().any(|held| held == volume);
    let removal = remove(vim, call, id, |kind| kind == VOLUME, held)?;
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

/// Deletes what a failed creation made, volumes that were to be kept as well: nothing has been written to them. What the server
/// was to get from another one has tokens of that one and stays (O9).
pub(super) fn undo(vim: &Vim, call: &Call) -> Result<Removal, Failure> {
    let ours = Call {
        token: call.token.clone(),
        journal: call
            .journal
            .iter()
            .filter(|entry| belongs(call, &entry.token))
            .cloned()
            .collect(),
        ..Call::default()
    };
    remove(vim, &ours, None, |kind| kind == VOLUME || kind == KEPT, |_| false)
}

fn remove(
    vim: &Vim,
    call: &Call,
    id: Option<&str>,
    is_volume: impl Fn(&str) -> bool,
    held: impl Fn(&str) -> bool,
) -> Result<Removal, Failure> {
    let floating = call.delete_journalled(
        |kind| kind == FLOATING,
        neutron::SETTLED,
        |kind, token| neutron::find(vim, kind, token),
        |kind, id| neutron::delete(vim, kind, id),
    );
    let server = servers(vim, call, id);
    // Each is tried, whatever became of the other.
    let (floating, server) = (floating?, server?);
    if server != Removal::Gone {
        return Ok(floating.and(server));
    }
    let ports = call.delete_journalled(
        |kind| kind == PORT,
        neutron::SETTLED,
        |kind, token| neutron::find(vim, kind, token),
        |kind, id| neutron::delete(vim, kind, id),
    );
    let volumes = if call.journal.iter().any(|entry| is_volume(&entry.kind)) {
        let cinder = volumes::cinder(vim)?;
        call.delete_journalled(
            is_volume,
            SETTLED,
            |_, token| volumes::with_token(&cinder, token),
            |_, volume| {
                if held(volume) {
                    Ok(Removal::Gone)
                } else {
                    gone(&cinder, volume)
                }
            },
        )
    } else {
        Ok(Removal::Gone)
    };
    Ok(floating.and(ports?).and(volumes?))
}

/// A volume beside the server: what is observed is the server, so the volume is waited for.
fn gone(cinder: &Api<'_>, volume: &str) -> Result<Removal, Failure> {
    volumes::remove(cinder, volume).map(|progress| match progress {
        Progress::Gone => Removal::Gone,
        Progress::Going => Removal::Waiting(format!("volume {volume} is being deleted")),
        Progress::Held(why) => Removal::Waiting(why),
    })
}

fn servers(vim: &Vim, call: &Call, id: Option<&str>) -> Result<Removal, Failure> {
    let announced = call.journal.iter().any(|entry| entry.kind == SERVER);
    if !announced && id.is_none() {
        return Ok(Removal::Gone);
    }
    let nova = nova(vim)?;
    deleting::delete(
        call,
        &[SERVER],
        id,
        |token| body::with_token(vim, None, token),
        |id| server(&nova, id),
    )
}

/// Asks Nova to delete a server, unless it is at it.
fn server(nova: &Api<'_>, id: &str) -> Result<Removal, Failure> {
    let Some(shown) = compute::server(nova, id)? else {
        return Ok(Removal::Gone);
    };
    match shown.status() {
        "DELETED" => return Ok(Removal::Gone),
        _ if shown.goes() => return Ok(Removal::Accepted),
        // Nova only hides it, for as long as its operator has set; ports and volumes stay with it.
        "SOFT_DELETED" => {
            operations::act(nova, id, "deleting", &serde_json::json!({ "forceDelete": null }))?;
            return Ok(Removal::Accepted);
        }
        _ => {}
    }
    let request = nova.delete(["servers", id]).doing(format!("deleting server {id}"));
    Ok(match nova.send_optional(request)? {
        Some(_) => Removal::Accepted,
        None => Removal::Gone,
    })
}
