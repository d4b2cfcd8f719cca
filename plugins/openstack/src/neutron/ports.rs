//! Ports of servers: made before their server, and their port security, which is taken away only when it runs.

use serde_json::{Map, Value, json};
use vimhost_sdk::infrastructure::PortSecurityDisableStrategy;
use vimhost_sdk::prelude::*;

pub(crate) use super::observed::of_servers;
use super::{PORT, PORTS, SETTLED, create as make, id_of, items, one, text, update, with_token};
use crate::vim::Vim;

/// Any address, in the form of an allowed address pair.
const ANY_IPV4: &str = "0.0.0.0/0";
const ANY_IPV6: &str = "::/0";

/// Makes the port of an interface, once, and answers its id. `groups` are ids ([`resolve`](super::security_groups::resolve)).
///
/// # Errors
///
/// What Neutron said.
pub(crate) fn create(
    vim: &Vim,
    call: &Call,
    index: usize,
    server_name: &str,
    interface: &ServerInterface,
    groups: &[String],
) -> Result<String, Failure> {
    call.create_once(
        PORT,
        &format!("p{index}"),
        SETTLED,
        |token| with_token(vim, PORTS, token),
        |token| {
            let name = name_of(interface, server_name);
            let body = body(vim, name, interface, groups, token);
            let doing = format!(
                "creating port {name} of server {server_name} on network {}",
                interface.network
            );
            id_of(&make(vim, PORTS, &Value::Object(body), doing)?)
        },
    )
}

/// What the port of a server's interface is named.
pub(crate) fn name_of<'n>(interface: &'n ServerInterface, server_name: &'n str) -> &'n str {
    interface.name.as_deref().unwrap_or(server_name)
}

fn body(vim: &Vim, name: &str, interface: &ServerInterface, groups: &[String], token: &str) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("network_id", json!(interface.network));
    set("name", json!(name));
    set("description", json!(token));
    set("admin_state_up", json!(true));
    if !groups.is_empty() && interface.port_security != Some(false) && vim.settings.port_security_extension {
        set("security_groups", json!(groups));
    }
    match interface.kind {
        InterfaceKind::Virtual => {}
        InterfaceKind::SrIov => {
            set("binding:vnic_type", json!("direct"));
            if vim.settings.vio {
                // VIO refuses a virtual function with any of it.
                set("port_security_enabled", json!(false));
                set("provider_security_groups", json!([]));
                set("security_groups", json!([]));
            }
        }
        InterfaceKind::PciPassthrough | InterfaceKind::VfNotShared => {
            set("binding:vnic_type", json!("direct-physical"));
        }
    }
    if let Some(mac) = interface.mac_address.as_deref().filter(|mac| !mac.is_empty()) {
        set("mac_address", json!(mac));
    }
    let fixed: Vec<Value> = interface
        .ip_addresses
        .iter()
        .filter(|address| !address.is_empty())
        .map(|address| json!({ "ip_address": address }))
        .collect();
    if !fixed.is_empty() {
        set("fixed_ips", Value::Array(fixed));
    }
    body
}

/// Whether an interface loses its port security once its server runs. Not before: some virtual switches never let traffic of a
/// port through that was plugged without.
pub(crate) fn takes_security_off(vim: &Vim, interface: &ServerInterface) -> bool {
    interface.port_security == Some(false) && vim.settings.port_security_extension
}

/// Takes a port's security away, wholly or for any address. May be repeated.
///
/// # Errors
///
/// What Neutron said.
pub(crate) fn disable_security(
    vim: &Vim,
    port: &str,
    strategy: Option<PortSecurityDisableStrategy>,
) -> Result<(), Failure> {
    match strategy {
        Some(PortSecurityDisableStrategy::AllowAddressPairs) => {
            let is_ipv6 = fixed_addresses(vim, port)?.iter().any(|address| address.contains(':'));
            let mut pairs = vec![json!({ "ip_address": ANY_IPV4 })];
            if is_ipv6 {
                pairs.push(json!({ "ip_address": ANY_IPV6 }));
            }
            let body = json!({ "allowed_address_pairs": pairs });
            let doing = format!("allowing any address on port {port}");
            update(vim, PORTS, port, &body, doing).map(drop)
        }
        Some(PortSecurityDisableStrategy::Full) | None => {
            let body = json!({"port_security_enabled": false, "security_groups": []});
            let doing = format!("switching port security of port {port} off");
            update(vim, PORTS, port, &body, doing).map(drop)
        }
    }
}

/// The addresses of a port.
pub(super) fn fixed_addresses(vim: &Vim, port: &str) -> Result<Vec<String>, Failure> {
    let neutron = vim.network()?;
    let request = neutron.get([PORTS.path, port]).doing(format!("looking at port {port}"));
    let port = one(neutron.read(request)?, PORTS)?;
    let addresses = items(&port, "fixed_ips").iter();
    Ok(addresses
        .filter_map(|fixed| text(fixed, "ip_address").map(str::to_owned))
        .collect())
}
