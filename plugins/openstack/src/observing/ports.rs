//! Which servers have ports that changed: an address or a binding that changes does not move its server's own time.
//!
//! Neutron filters ports by `changed_since`, unless it validates filters, as most do: then it refuses this one, which it forgot to declare.
//! There the times of all of the project's ports are read, and nothing else of them.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use vimhost_keystone::{Api, time};
use vimhost_sdk::cache;
use vimhost_sdk::prelude::*;

use crate::calendar;
use crate::vim::Vim;

/// Whether Neutron knows the filter, once it has been asked.
const FILTERS: &str = "neutron:changed-since";

/// How long that is believed; it changes with Neutron's configuration.
const FILTERS_KEPT: Duration = Duration::from_hours(1);

/// Servers with a port that changed since a time, in seconds since 1970. A port that is gone is in no such list; looking at everything,
/// which the host does now and then, finds that.
pub(super) fn changed_servers(vim: &Vim, since: u64) -> Result<Vec<String>, Failure> {
    let neutron = vim.network()?;
    // An administrator would be shown every project's.
    let project = vim.cloud.scope()?.project_id.clone();
    let ports = neutron
        .get(["ports"])
        .query("project_id", project)
        .query("fields", "id")
        .query("fields", "device_id")
        .doing("looking for ports that changed");
    let ports = match filtered(&neutron, &ports, since)? {
        Some(changed) => changed,
        None => {
            let mut all = neutron.list(&ports.query("fields", "updated_at"), "ports")?;
            all.retain(|port| changed_at(port) >= Some(since));
            all
        }
    };
    let mut seen = HashSet::new();
    Ok(ports
        .iter()
        .filter_map(|port| port.get("device_id")?.as_str())
        .filter(|id| !id.is_empty() && seen.insert((*id).to_owned()))
        .map(str::to_owned)
        .collect())
}

/// Ports that changed, as Neutron filters them; `None` when it does not.
fn filtered(neutron: &Api<'_>, ports: &Request, since: u64) -> Result<Option<Vec<Value>>, Failure> {
    if cache::get(FILTERS) == Some(false) {
        return Ok(None);
    }
    let request = ports.clone().query("changed_since", calendar::written(since));
    match neutron.list(&request, "ports") {
        Err(failure) if failure.error.kind == ErrorKind::BadRequest => {
            cache::set(FILTERS, &false, FILTERS_KEPT);
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// When a port changed; none where Neutron keeps no times.
fn changed_at(port: &Value) -> Option<u64> {
    time::epoch_seconds(port.get("updated_at")?.as_str()?)
}
