//! Interfaces of servers as they are: ports, their floating addresses and their VLANs, for many servers in a few requests (O2).

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use vimhost_sdk::cache;
use vimhost_sdk::prelude::*;

use super::{FLOATING_IPS, NETWORKS, PORTS, items, list, list_many, number, text};
use crate::vim::Vim;

/// Above so many ports all floating addresses of the project are listed instead of those of each port.
const PORTS_ASKED_ONE_BY_ONE: usize = 100;

/// How long a network's VLAN is believed. It never changes while the network lives; the bound is for the cache's sake.
const VLAN_KEPT: Duration = Duration::from_hours(1);

const VLANS: &str = "neutron:vlans";

/// How many networks the cache remembers.
const MOST_VLANS: usize = 2000;

/// Interfaces by server.
///
/// # Errors
///
/// What Neutron said; a part of the interfaces is never shown as all of them.
pub(crate) fn of_servers(vim: &Vim, servers: &[&str]) -> Result<HashMap<String, Vec<InterfaceObservation>>, Failure> {
    let ports = list_many(vim, PORTS, "device_id", servers)?;
    let floating = floating_by_port(vim, &ports)?;
    let vlans = vlans_by_network(vim, &ports)?;
    let mut by_server: HashMap<String, Vec<InterfaceObservation>> = HashMap::new();
    for port in &ports {
        if let (Some(server), Some(interface)) = (text(port, "device_id"), interface(port, &floating, &vlans)) {
            by_server.entry(server.to_owned()).or_default().push(interface);
        }
    }
    Ok(by_server)
}

fn interface(
    port: &Value,
    floating: &HashMap<String, String>,
    vlans: &HashMap<String, Option<u32>>,
) -> Option<InterfaceObservation> {
    let id = text(port, "id")?;
    let network = text(port, "network_id");
    let fixed = items(port, "fixed_ips")
        .iter()
        .filter_map(|fixed| text(fixed, "ip_address"));
    let addresses = floating.get(id).map(String::as_str).into_iter().chain(fixed);
    let known = |field: &str| text(port, field).filter(|text| !text.is_empty()).map(str::to_owned);
    let pci = port
        .get("binding:profile")
        .and_then(|profile| text(profile, "pci_slot"));
    Some(InterfaceObservation {
        id: id.to_owned(),
        network: network.map(str::to_owned),
        mac_address: known("mac_address"),
        ip_addresses: addresses.map(str::to_owned).collect(),
        compute_node: known("binding:host_id"),
        pci: pci.map(str::to_owned),
        vlan: own_vlan(port).or_else(|| *vlans.get(network?)?),
        details: json(port),
    })
}

/// The VLAN that the port's own binding tells.
fn own_vlan(port: &Value) -> Option<u32> {
    let vlan = port.get("binding:vif_details")?.get("vlan")?;
    // Some drivers write it as a text.
    let number = vlan.as_u64().or_else(|| vlan.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

/// The first floating address of each port.
fn floating_by_port(vim: &Vim, ports: &[Value]) -> Result<HashMap<String, String>, Failure> {
    let ids: Vec<&str> = ports.iter().filter_map(|port| text(port, "id")).collect();
    let found = if ids.len() <= PORTS_ASKED_ONE_BY_ONE {
        list_many(vim, FLOATING_IPS, "port_id", &ids)
    } else {
        let project = vim.cloud.scope()?.project_id.clone();
        list(vim, FLOATING_IPS, &[("project_id", project.as_str())])
    };
    let found = match found {
        // A Neutron without routers has no floating addresses and does not know the word.
        Err(failure) if failure.is_not_found() => Vec::new(),
        result => result?,
    };
    let mut by_port = HashMap::new();
    for address in &found {
        if let (Some(port), Some(ip)) = (text(address, "port_id"), text(address, "floating_ip_address")) {
            by_port.entry(port.to_owned()).or_insert_with(|| ip.to_owned());
        }
    }
    Ok(by_port)
}

/// VLANs of the networks whose ports do not tell one; none for networks that are not of that type, or not shown to be.
fn vlans_by_network(vim: &Vim, ports: &[Value]) -> Result<HashMap<String, Option<u32>>, Failure> {
    let mut known: HashMap<String, Option<u32>> = cache::get(VLANS).unwrap_or_default();
    let mut asked: Vec<&str> = ports
        .iter()
        .filter(|port| own_vlan(port).is_none())
        .filter_map(|port| text(port, "network_id"))
        .filter(|network| !known.contains_key(*network))
        .collect();
    asked.sort_unstable();
    asked.dedup();
    if asked.is_empty() {
        return Ok(known);
    }
    if known.len() + asked.len() > MOST_VLANS {
        known.clear();
        // Those that were known are asked for again with the next call.
        asked = ports.iter().filter_map(|port| text(port, "network_id")).collect();
        asked.sort_unstable();
        asked.dedup();
    }
    for network in list_many(vim, NETWORKS, "id", &asked)? {
        if let Some(id) = text(&network, "id") {
            known.insert(id.to_owned(), vlan_of(&network));
        }
    }
    cache::set(VLANS, &known, VLAN_KEPT);
    Ok(known)
}

fn vlan_of(network: &Value) -> Option<u32> {
    let segments = std::iter::once(network).chain(items(network, "segments"));
    let mut vlans = segments.filter(|segment| text(segment, "provider:network_type") == Some("vlan"));
    vlans.find_map(|segment| number(segment, "provider:segmentation_id"))
}
