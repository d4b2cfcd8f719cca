//! Floating addresses of servers: one that is free is taken, or a new one is made for the port.
//!
//! OSM's own connector makes an address, forgets it, and looks for a free one again until it finds the one it made; between
//! finding and taking, another server may take it too (O6). Here a new address is made for its port in one request, and a free one
//! is taken on condition that it has not changed since it was seen free (`If-Match` with its revision number).

use serde_json::{Value, json};
use vimhost_sdk::prelude::*;

use super::ports::fixed_addresses;
use super::{FLOATING, FLOATING_IPS, NETWORKS, SETTLED, create, flag, id_of, list, one, text, with_token};
use crate::settings::FloatingPolicy;
use crate::vim::Vim;

/// After so many tries an address that nobody insists on is done without.
const TRIES_FOR_OPTIONAL: u32 = 3;

const PRECONDITION_FAILED: u16 = 412;

/// A floating address that an interface is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whether the server is no use without.
    pub(crate) required: bool,
    /// External network, by id or name; none: any.
    pub(crate) pool: Option<String>,
}

/// Whether an interface is to have a floating address: it asks for one, or it is for management and the account gives those one.
pub(crate) fn wanted(vim: &Vim, interface: &ServerInterface) -> Option<Wanted> {
    let asked = |pool| Wanted { required: true, pool };
    match &interface.floating_ip {
        Some(FloatingIp::Any) => return Some(asked(None)),
        Some(FloatingIp::Pool(pool)) => return Some(asked(Some(pool.clone()))),
        None => {}
    }
    if interface.use_for != InterfaceUse::Mgmt {
        return None;
    }
    let pool = match &vim.settings.floating {
        FloatingPolicy::OnRequest => return None,
        FloatingPolicy::Any => None,
        FloatingPolicy::Pool(pool) => Some(pool.clone()),
    };
    Some(Wanted { required: false, pool })
}

/// Gives a port its floating address, once, and answers the address' id. One that is not required and cannot be had is logged and
/// done without.
///
/// # Errors
///
/// What Neutron said; a conflict when there is no external network.
pub(crate) fn give(
    vim: &Vim,
    call: &Call,
    index: usize,
    port: &str,
    wanted: &Wanted,
) -> Result<Option<String>, Failure> {
    match assign(vim, call, index, port, wanted) {
        Ok(id) => Ok(Some(id)),
        Err(failure) if !wanted.required && (is_final(&failure) || call.attempt >= TRIES_FOR_OPTIONAL) => {
            vimhost_sdk::warn!(
                "a management interface stays without floating address",
                port = port,
                reason = failure
            );
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether trying again cannot help.
const fn is_final(failure: &Failure) -> bool {
    match failure.error.kind {
        ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Internal => false,
        ErrorKind::Auth
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Quota
        | ErrorKind::Unsupported
        | ErrorKind::BadRequest
        | ErrorKind::NotGranted
        | ErrorKind::Other => true,
    }
}

/// Where an address is to lead.
struct End<'a> {
    port: &'a str,
    /// A port with several IPv4 addresses has to say which.
    fixed: String,
}

fn assign(vim: &Vim, call: &Call, index: usize, port: &str, wanted: &Wanted) -> Result<String, Failure> {
    let suffix = format!("f{index}");
    let is_begun = call.entry(FLOATING, &call.sub_token(&suffix)).is_some();
    // One that was taken from the project's shows here, and nowhere in the journal: it is not ours to delete.
    if !is_begun && let Some(has) = list(vim, FLOATING_IPS, &[("port_id", port)])?.first() {
        return id_of(has);
    }
    let end = End {
        port,
        fixed: ipv4_of(vim, port)?,
    };
    let networks = external_networks(vim, wanted.pool.as_deref())?;
    if !is_begun && let Some(taken) = take_free(vim, &end, &networks)? {
        return Ok(taken);
    }
    let id = call.create_once(
        FLOATING,
        &suffix,
        SETTLED,
        |token| with_token(vim, FLOATING_IPS, token),
        |token| make(vim, &end, &networks, token),
    )?;
    if is_begun {
        // Found again, or known from before; it may have lost its port since.
        let address = look(vim, &id)?;
        if text(&address, "port_id") != Some(port) && !claim(vim, &address, &end)? {
            return Err(Error::conflict(format!(
                "floating address {id} was made for port {port} and is used elsewhere"
            ))
            .into());
        }
    }
    Ok(id)
}

fn ipv4_of(vim: &Vim, port: &str) -> Result<String, Failure> {
    let addresses = fixed_addresses(vim, port)?;
    let ipv4 = addresses.into_iter().find(|address| !address.contains(':'));
    ipv4.ok_or_else(|| {
        Error::bad_request(format!(
            "port {port} has no IPv4 address, which a floating address would lead to"
        ))
        .into()
    })
}

/// External networks, by id; of a pool only that one.
fn external_networks(vim: &Vim, pool: Option<&str>) -> Result<Vec<String>, Failure> {
    let filters = [
        ("router:external", "true"),
        ("fields", "id"),
        ("fields", "name"),
        ("fields", "router:external"),
    ];
    let mut found = list(vim, NETWORKS, &filters)?;
    found.retain(|network| flag(network, "router:external"));
    if let Some(pool) = pool {
        let by_id = found.iter().any(|network| text(network, "id") == Some(pool));
        let field = if by_id { "id" } else { "name" };
        found.retain(|network| text(network, field) == Some(pool));
    }
    match (found.is_empty(), pool) {
        (false, _) => found.iter().map(id_of).collect(),
        (true, Some(pool)) => {
            Err(Error::not_found(format!("there is no external network {pool} for floating addresses")).into())
        }
        (true, None) => {
            Err(Error::conflict("the project sees no external network to take a floating address from").into())
        }
    }
}

/// What is to be said about the external networks that the account's settings count on: that there is none, or which of them have no
/// address left. Nothing where no management interface gets an address by itself.
///
/// # Errors
///
/// What Neutron said, what is missing apart.
pub(crate) fn complaints(vim: &Vim) -> Result<Vec<String>, Failure> {
    let pool = match &vim.settings.floating {
        FloatingPolicy::OnRequest => return Ok(Vec::new()),
        FloatingPolicy::Any => None,
        FloatingPolicy::Pool(pool) => Some(pool.as_str()),
    };
    let networks = match external_networks(vim, pool) {
        Ok(networks) => networks,
        Err(failure) if matches!(failure.error.kind, ErrorKind::NotFound | ErrorKind::Conflict) => {
            return Ok(vec![format!("`use_floating_ip` is set, and {failure}")]);
        }
        Err(failure) => return Err(failure),
    };
    let neutron = vim.network()?;
    let mut complaints = Vec::new();
    for network in networks {
        let request = neutron
            .get(["network-ip-availabilities", network.as_str()])
            .doing(format!("counting the addresses of network {network}"));
        // Most clouds show it to administrators only.
        let Some(response) = neutron.send_optional(request)? else {
            continue;
        };
        let told: Value = response.json()?;
        let count = |key: &str| {
            told.pointer(&format!("/network_ip_availability/{key}"))
                .and_then(Value::as_u64)
        };
        if let (Some(used), Some(total)) = (count("used_ips"), count("total_ips"))
            && used >= total
        {
            complaints.push(format!(
                "external network {network} has no address left ({used} of {total} are used): a floating address can only be taken from \
                 those of the project that lead nowhere. Free some, or widen its allocation pools"
            ));
        }
    }
    Ok(complaints)
}

/// Takes an address of the project that leads nowhere.
fn take_free(vim: &Vim, end: &End<'_>, networks: &[String]) -> Result<Option<String>, Failure> {
    let project = vim.cloud.scope()?.project_id.clone();
    let all = list(vim, FLOATING_IPS, &[("project_id", project.as_str())])?;
    let is_usable = |address: &&Value| {
        text(address, "port_id").is_none_or(str::is_empty)
            && text(address, "floating_network_id").is_some_and(|network| networks.iter().any(|known| known == network))
            && !carries_token(text(address, "description").unwrap_or_default())
    };
    for address in all.iter().filter(is_usable) {
        if claim(vim, address, end)? {
            return id_of(address).map(Some);
        }
    }
    Ok(None)
}

/// An address made for a server goes with it, whoever else uses it by then; so it is none to take.
fn carries_token(description: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    description.rsplit_once(".f").is_some_and(|(token, index)| {
        !index.is_empty()
            && index.bytes().all(|byte| byte.is_ascii_digit())
            && token.starts_with(|first: char| first.is_ascii_lowercase())
            && token.bytes().all(fits)
    })
}

/// Lets an address lead to a port, if nobody was faster and it can be reached from there at all.
fn claim(vim: &Vim, address: &Value, end: &End<'_>) -> Result<bool, Failure> {
    let id = id_of(address)?;
    let neutron = vim.network()?;
    let body = json!({ FLOATING_IPS.one: {"port_id": end.port, "fixed_ip_address": end.fixed} });
    let mut request = neutron
        .put([FLOATING_IPS.path, &id])
        .json(&body)
        .doing(format!("giving floating address {id} to port {}", end.port));
    let revision = address.get("revision_number").and_then(Value::as_u64);
    if let Some(revision) = revision {
        request = request.header("if-match", format!("revision_number={revision}"));
    }
    match neutron.send(request) {
        // A Neutron without revisions lets the last one win; who that was is seen afterwards.
        Ok(_) if revision.is_none() => Ok(text(&look(vim, &id)?, "port_id") == Some(end.port)),
        Ok(_) => Ok(true),
        Err(failure) if failure.status == Some(PRECONDITION_FAILED) => Ok(false),
        Err(failure) => match failure.error.kind {
            // Taken, gone, or on an external network that no router leads to.
            ErrorKind::Conflict | ErrorKind::NotFound => Ok(false),
            ErrorKind::Unreachable
            | ErrorKind::Auth
            | ErrorKind::Quota
            | ErrorKind::RateLimited
            | ErrorKind::Unsupported
            | ErrorKind::BadRequest
            | ErrorKind::NotGranted
            | ErrorKind::Timeout
            | ErrorKind::Internal
            | ErrorKind::Other => Err(failure),
        },
    }
}

/// Makes an address for a port. Of several external networks it is the first that a router leads to from there: Neutron says "not
/// found" for the others.
fn make(vim: &Vim, end: &End<'_>, networks: &[String], token: &str) -> Result<String, Failure> {
    let mut refused = None;
    for network in networks {
        let body = json!({
            "floating_network_id": network,
            "port_id": end.port,
            "fixed_ip_address": end.fixed,
            "description": token,
        });
        let doing = format!("creating a floating address of network {network} for port {}", end.port);
        match create(vim, FLOATING_IPS, &body, doing) {
            Err(failure) if failure.is_not_found() => refused = Some(failure),
            Err(failure) => return Err(failure),
            Ok(made) => return id_of(&made),
        }
    }
    Err(refused.unwrap_or_else(|| Error::conflict("there is no external network").into()))
}

fn look(vim: &Vim, id: &str) -> Result<Value, Failure> {
    let neutron = vim.network()?;
    let request = neutron
        .get([FLOATING_IPS.path, id])
        .doing(format!("looking at floating address {id}"));
    one(neutron.read(request)?, FLOATING_IPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_made_for_a_server_is_known_by_its_token() {
        assert!(carries_token("abcde-task-1.f0"));
        for description in ["", "for the web server", "abcde-task-1.p0", "v1.final", "Abc.f0", ".f0"] {
            assert!(!carries_token(description), "{description}");
        }
    }
}
