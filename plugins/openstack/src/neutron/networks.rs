//! Networks: found, made with their subnet, observed, deleted.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::*;

use super::pools::Plan;
use super::provider::{self, Underlay};
use super::{
    CONFLICT, L2_CONNECTION, L2_CONNECTIONS, NETWORK, NETWORKS, PORTS, SETTLED, SUBNET, SUBNETS, flag, id_of, list,
    list_many, subnets, text, with_token,
};
use crate::undo;
use crate::vim::Vim;

/// What is waited for when a network goes: Neutron is asked again after this, and at most after that.
const FIRST_LOOK_MS: u32 = 1000;
const LONGEST_LOOK_MS: u32 = 15_000;

/// How many of the ports in the way are named.
const MOST_NAMED: usize = 5;

/// Networks that match; none is an answer.
pub(crate) fn find(vim: &Vim, filter: &Filter) -> Result<Vec<Found>, Error> {
    // A network has no checksum, so there is none with this one.
    if filter.checksum.is_some() {
        return Ok(Vec::new());
    }
    let mut filters = Vec::new();
    filters.extend(filter.name.as_deref().map(|name| ("name", name)));
    filters.extend(filter.id.as_deref().map(|id| ("id", id)));
    filters.extend(
        filter
            .shared
            .map(|shared| ("shared", if shared { "true" } else { "false" })),
    );
    let found = list(vim, NETWORKS, &filters)?;
    // An administrator sees every project's networks. A name that is given in several projects means the own one, or one that is
    // there for all.
    let project = vim.cloud.scope()?.project_id.clone();
    let is_meant = |network: &&Value| {
        let owner = text(network, "project_id").or_else(|| text(network, "tenant_id"));
        owner == Some(project.as_str()) || flag(network, "shared") || flag(network, "router:external")
    };
    let meant: Vec<&Value> = found.iter().filter(is_meant).collect();
    if found.len() > 1 && filter.id.is_none() && !meant.is_empty() {
        return Ok(meant.into_iter().filter_map(show).collect());
    }
    Ok(found.iter().filter_map(show).collect())
}

fn show(network: &Value) -> Option<Found> {
    Some(Found {
        id: text(network, "id")?.to_owned(),
        name: text(network, "name").map(str::to_owned),
        status_text: text(network, "status").map(str::to_owned),
        details: json(network),
    })
}

/// Makes a network with its subnet. What fails for good is undone.
pub(crate) fn create(vim: &Vim, call: &Call, request: &NetworkRequest) -> Result<CreateStep, Error> {
    if let Some(step) = undo::going_on(call, || remove_all(vim, call, None)) {
        return step;
    }
    let mut something_made = !call.journal.is_empty();
    make(vim, call, request, &mut something_made).or_else(|failure| undo::of(failure, something_made))
}

fn make(vim: &Vim, call: &Call, request: &NetworkRequest, something_made: &mut bool) -> Result<CreateStep, Failure> {
    // Everything that can be wrong in the request is found before there is something to undo.
    let plan = Plan::of(request.ip_profile.as_ref())?;
    let underlay = Underlay::of(&vim.settings, request)?;
    let network = call.create_once(
        NETWORK,
        "",
        SETTLED,
        |token| with_token(vim, NETWORKS, token),
        |token| provider::make(vim, &body(vim, request, token), underlay.as_ref(), &request.name),
    )?;
    *something_made = true;
    call.create_once(
        SUBNET,
        "s0",
        SETTLED,
        |token| with_token(vim, SUBNETS, token),
        |token| subnets::make(vim, &plan, &network, &request.name, token),
    )?;
    if underlay.is_some_and(|underlay| underlay.joins_gateways(&vim.settings, request)) {
        provider::join_gateways(vim, call, &network)?;
    }
    Ok(Created::element(network, request.name.clone()).into())
}

fn body(vim: &Vim, request: &NetworkRequest, token: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(request.name));
    body.insert("description".to_owned(), json!(token));
    body.insert("admin_state_up".to_owned(), json!(true));
    // Only an administrator may say `shared` at all.
    if request.shared {
        body.insert("shared".to_owned(), json!(true));
    }
    if vim.settings.disable_network_port_security && vim.settings.port_security_extension {
        body.insert("port_security_enabled".to_owned(), json!(false));
    }
    if !vim.settings.network_zone_hints.is_empty() {
        body.insert(
            "availability_zone_hints".to_owned(),
            json!(vim.settings.network_zone_hints),
        );
    }
    body
}

/// Deletes a network that this connector made, with its subnets and its connections to L2 gateways; never a port (O16).
///
/// Ports of our own servers are gone when the host deletes their network. Whatever else is on it belongs to somebody, so Neutron's
/// refusal stands, and names what is in the way.
pub(crate) fn delete(vim: &Vim, call: &Call, id: Option<&str>) -> Result<DeleteStep, Error> {
    Ok(remove_all(vim, call, id)?.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

fn remove_all(vim: &Vim, call: &Call, id: Option<&str>) -> Result<Removal, Failure> {
    let journalled = call
        .entry(NETWORK, &call.token)
        .and_then(|entry| entry.element.as_deref());
    let is_joined = call.journal.iter().any(|entry| entry.kind == L2_CONNECTION);
    if (vim.settings.l2gw || is_joined)
        && let Some(network) = id.or(journalled)
    {
        leave_gateways(vim, network)?;
    }
    // A connection is journalled after its network, so whatever of them there was is gone with the lines above.
    call.forget(|entry| entry.kind == L2_CONNECTION)?;
    let find = |kind: &str, token: &str| super::find(vim, kind, token);
    let network = call.delete_journalled(|kind| kind == NETWORK, SETTLED, find, |_, id| remove(vim, id))?;
    let network = match id.filter(|id| journalled != Some(*id)) {
        Some(id) => network.and(remove(vim, id)?),
        None => network,
    };
    // After the network, which takes its subnets along: where it is refused, they stay too.
    let subnet = call.delete_journalled(
        |kind| kind == SUBNET,
        SETTLED,
        find,
        |kind, id| super::delete(vim, kind, id),
    )?;
    Ok(network.and(subnet))
}

fn remove(vim: &Vim, id: &str) -> Result<Removal, Failure> {
    match super::delete(vim, NETWORK, id) {
        Err(failure) if failure.status == Some(CONFLICT) => {
            let mut failure = failure;
            let there = ports_on(vim, id).unwrap_or_else(|failure| failure.to_string());
            failure.error.message = format!("{} (on it: {there})", failure.error.message);
            Err(failure)
        }
        result => result,
    }
}

/// What is on a network, for people.
fn ports_on(vim: &Vim, network: &str) -> Result<String, Failure> {
    let fields = ["id", "name", "device_owner", "device_id"].map(|field| ("fields", field));
    let filters: Vec<(&str, &str)> = std::iter::once(("network_id", network)).chain(fields).collect();
    let ports = list(vim, PORTS, &filters)?;
    let named: Vec<String> = ports
        .iter()
        .take(MOST_NAMED)
        .map(|port| {
            let field = |name| text(port, name).filter(|text| !text.is_empty()).unwrap_or("none");
            format!(
                "port {} named {}, of {} {}",
                field("id"),
                field("name"),
                field("device_owner"),
                field("device_id")
            )
        })
        .collect();
    Ok(match ports.len() {
        0 => "no port that this user sees".to_owned(),
        more if more > MOST_NAMED => format!("{}; and {} more", named.join("; "), more - MOST_NAMED),
        _ => named.join("; "),
    })
}

fn leave_gateways(vim: &Vim, network: &str) -> Result<(), Failure> {
    for connection in list(vim, L2_CONNECTIONS, &[("network_id", network)])? {
        // A service that does not know the filter answers all there are.
        if text(&connection, "network_id") == Some(network) {
            super::delete(vim, L2_CONNECTION, &id_of(&connection)?)?;
        }
    }
    Ok(())
}

/// How networks are: two requests for all of them. Their subnets stand in the details in the form that OSM's own connector gives
/// them.
pub(crate) fn observe(vim: &Vim, ids: &[String]) -> Result<Observed, Error> {
    let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = list_many(vim, NETWORKS, "id", &wanted)?;
    let there: Vec<&str> = found.iter().filter_map(|network| text(network, "id")).collect();
    let mut subnets: HashMap<String, Vec<Value>> = HashMap::new();
    for subnet in list_many(vim, SUBNETS, "network_id", &there)? {
        if let Some(network) = text(&subnet, "network_id").map(str::to_owned) {
            subnets.entry(network).or_default().push(json!({"subnet": subnet}));
        }
    }
    let gone = wanted.iter().filter(|id| !there.contains(*id));
    let gone = gone.map(|id| (*id).to_owned()).collect();
    let seen = |network: &Value| {
        let id = text(network, "id")?;
        Some(observation(
            network,
            subnets.get(id).map(Vec::as_slice).unwrap_or_default(),
        ))
    };
    Ok(Observed {
        changed: found.iter().filter_map(seen).collect(),
        gone,
        ..Observed::default()
    })
}

fn observation(network: &Value, subnets: &[Value]) -> Observation {
    let word = text(network, "status").unwrap_or_default();
    let is_down = network.get("admin_state_up").and_then(Value::as_bool) == Some(false);
    let (status, word) = match word {
        "ACTIVE" if is_down => (ElementStatus::Down, "DOWN"),
        "ACTIVE" => (ElementStatus::Active, word),
        "BUILD" => (ElementStatus::Build, word),
        "PAUSED" => (ElementStatus::Paused, word),
        "INACTIVE" => (ElementStatus::Inactive, word),
        "DOWN" => (ElementStatus::Down, word),
        "ERROR" => (ElementStatus::Error, word),
        _ => (ElementStatus::Other, word),
    };
    let mut details = network.clone();
    if let Some(details) = details.as_object_mut() {
        details.insert("subnets".to_owned(), json!(subnets));
    }
    Observation {
        id: text(network, "id").unwrap_or_default().to_owned(),
        name: text(network, "name").map(str::to_owned),
        message: (status == ElementStatus::Other).then(|| format!("VIM status reported {word}")),
        status,
        status_text: word.to_owned(),
        details: json(&details),
        server: None,
    }
}
