//! What the next deployment would meet, as far as a check can see it: no compute host that serves, no image, a management network
//! that is not there or not the only one.
//!
//! What a descriptor names is not known here; a deployment that names something wrong says so itself.

use serde_json::Value;
use vimhost_keystone::{Api, Service};
use vimhost_sdk::debug;
use vimhost_sdk::prelude::*;

use crate::neutron::networks;
use crate::vim::Vim;

/// How many hosts or networks are named.
const MOST_NAMED: usize = 5;

/// What is to be said about a service; `seen` is the small listing that it was looked at by.
///
/// # Errors
///
/// When the service does not answer; that it shows nothing is none.
pub(crate) fn complaints(vim: &Vim, api: &Api<'_>, seen: &Value) -> Result<Vec<String>, Failure> {
    match api.service() {
        Service::Compute => hosts(api),
        Service::Network => management_network(vim),
        Service::Image => Ok(without_image(seen).into_iter().collect()),
        Service::BlockStorage | Service::Identity | Service::Placement | Service::Orchestration => Ok(Vec::new()),
    }
}

fn hosts(nova: &Api<'_>) -> Result<Vec<String>, Failure> {
    let request = nova
        .get(["os-services"])
        .query("binary", "nova-compute")
        .doing("looking at the compute hosts");
    match nova.read(request) {
        Ok(told) => Ok(without_host(&told).into_iter().collect()),
        // By the policy of most clouds only administrators see them.
        Err(failure) if matches!(failure.status, Some(400..=499)) => {
            debug!("compute hosts are not shown", reason = failure);
            Ok(Vec::new())
        }
        Err(failure) => Err(failure),
    }
}

fn without_host(told: &Value) -> Option<String> {
    fn text<'v>(host: &'v Value, key: &str) -> &'v str {
        host.get(key).and_then(Value::as_str).unwrap_or("unknown")
    }
    let hosts = told.get("services")?.as_array()?;
    let serves = |host: &Value| text(host, "state") == "up" && text(host, "status") == "enabled";
    if hosts.iter().any(serves) {
        return None;
    }
    let named: Vec<String> = hosts
        .iter()
        .take(MOST_NAMED)
        .map(|host| {
            format!(
                "{} is {} and {}",
                text(host, "host"),
                text(host, "state"),
                text(host, "status")
            )
        })
        .collect();
    let named = if named.is_empty() {
        "there is none".to_owned()
    } else {
        named.join(", ")
    };
    Some(format!(
        "no compute host is up and enabled ({named}), so that no server finds a place: start or enable one"
    ))
}

fn management_network(vim: &Vim) -> Result<Vec<String>, Failure> {
    let settings = &vim.settings;
    // In the order in which the host looks at them.
    let (setting, wanted, by_id) = match (&settings.management_network_id, &settings.management_network_name) {
        (Some(id), _) => ("management_network_id", id, true),
        (None, Some(name)) => ("management_network_name", name, false),
        (None, None) => return Ok(Vec::new()),
    };
    let filter = Filter {
        id: by_id.then(|| wanted.clone()),
        name: (!by_id).then(|| wanted.clone()),
        ..Filter::default()
    };
    let found = networks::find(vim, &filter)?;
    Ok(match found.as_slice() {
        [_] => Vec::new(),
        [] => vec![format!(
            "`{setting}` is {wanted}, and there is no such network: make it, or name another one"
        )],
        several => {
            let ids: Vec<&str> = several
                .iter()
                .take(MOST_NAMED)
                .map(|network| network.id.as_str())
                .collect();
            vec![format!(
                "`{setting}` is {wanted}, and {} networks have this name ({}): name one by `management_network_id`",
                several.len(),
                ids.join(", ")
            )]
        }
    })
}

fn without_image(seen: &Value) -> Option<String> {
    let images = seen.get("images")?.as_array()?;
    images.is_empty().then(|| {
        "Glance shows this user no image: without one only servers that boot from a volume can be made. Upload one, or share one with \
         the project"
            .to_owned()
    })
}
