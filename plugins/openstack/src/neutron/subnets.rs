//! The subnet of a network: chosen where nobody gave one, and made.

use serde_json::{Value, json};
use vimhost_sdk::prelude::*;

use super::pools::Plan;
use super::{SUBNETS, create, drawn, id_of, list, text};
use crate::cidr::{Cidr, Version};
use crate::vim::Vim;

/// Size of a subnet that the connector chooses.
const IPV4_PREFIX: u8 = 24;

/// What all automatic ways to give out addresses need.
const IPV6_PREFIX: u8 = 64;

/// Makes the subnet of a network and answers its id.
pub(super) fn make(vim: &Vim, plan: &Plan, network: &str, network_name: &str, token: &str) -> Result<String, Failure> {
    let subnet = choose(vim, plan, token)?;
    let mut body = plan.body(&subnet)?;
    body.insert("network_id".to_owned(), json!(network));
    body.insert("name".to_owned(), json!(format!("{network_name}-subnet")));
    body.insert("description".to_owned(), json!(token));
    let doing = format!("creating subnet {subnet} of network {network_name}");
    id_of(&create(vim, SUBNETS, &Value::Object(body), doing)?)
}

/// The plan's subnet; else the one around the addresses that the plan names; else one that overlaps none the project sees (O14).
///
/// In IPv4 two networks that are made at the same moment begin their search at different places, which their tokens name.
fn choose(vim: &Vim, plan: &Plan, token: &str) -> Result<Cidr, Failure> {
    if let Some(subnet) = plan.subnet {
        return Ok(subnet);
    }
    let prefix = match plan.version {
        Version::Four => IPV4_PREFIX,
        Version::Six => IPV6_PREFIX,
    };
    if let Some(anchor) = plan.start.or(plan.gateway.filter(|gateway| !is_link_local(*gateway))) {
        let around = format!("{anchor}/{prefix}");
        return around.parse().map_err(|why: String| Error::bad_request(why).into());
    }
    match plan.version {
        Version::Four => free(vim, vim.settings.subnet_range, drawn(token)),
        Version::Six => unique_local(token),
    }
}

fn free(vim: &Vim, range: Cidr, start: u64) -> Result<Cidr, Failure> {
    let fields = [
        ("fields", "id"),
        ("fields", "cidr"),
        ("fields", "project_id"),
        ("fields", "tenant_id"),
    ];
    let seen = list(vim, SUBNETS, &fields)?;
    let project = vim.cloud.scope()?.project_id.clone();
    let is_own = |subnet: &Value| {
        let owner = text(subnet, "project_id").or_else(|| text(subnet, "tenant_id"));
        owner == Some(project.as_str())
    };
    let cidrs = |which: &dyn Fn(&Value) -> bool| -> Vec<Cidr> {
        let chosen = seen.iter().filter(|subnet| which(subnet));
        chosen.filter_map(|subnet| text(subnet, "cidr")?.parse().ok()).collect()
    };
    let search = |used: &[Cidr]| {
        range
            .parts(IPV4_PREFIX, start)
            .find(|part| used.iter().all(|used| !used.overlaps(part)))
    };
    // An administrator sees every project's subnets; those of others stand in the way only as long as there is another choice.
    let found = search(&cidrs(&|_| true)).or_else(|| search(&cidrs(&is_own)));
    found.ok_or_else(|| {
        Error::conflict(format!(
            "the project's subnets leave no /{IPV4_PREFIX} of {range} free; give the network an address plan, or the account a larger \
             `subnet_range`"
        ))
        .into()
    })
}

/// An IPv6 subnet of the project's own kind (RFC 4193): 56 bits are drawn from the token, so no other one is looked at.
fn unique_local(token: &str) -> Result<Cidr, Failure> {
    let all: Cidr = "fd00::/8"
        .parse()
        .map_err(|why: String| Failure::from(Error::other(why)))?;
    let drawn = all.parts(IPV6_PREFIX, drawn(token)).next();
    drawn.ok_or_else(|| Error::other("no IPv6 subnet can be drawn").into())
}

const fn is_link_local(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(_) => false,
        std::net::IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}
