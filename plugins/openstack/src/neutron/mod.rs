//! Neutron: networks with their subnets, ports, floating addresses, security groups.
//!
//! Everything that is made carries its token as its `description`: it is set by the request that makes the element, so there is no
//! moment in which it exists without, and Neutron's listings filter by it.

pub(crate) mod floating;
pub(crate) mod networks;
pub(crate) mod observed;
mod pools;
pub(crate) mod ports;
mod provider;
pub(crate) mod security_groups;
mod subnets;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;
use vimhost_sdk::cache;
use vimhost_sdk::prelude::*;
use vimhost_sdk::tokens;

use crate::vim::Vim;

/// Kind of a network in the journal.
pub(crate) const NETWORK: &str = "network";

/// Kind of a subnet in the journal.
pub(crate) const SUBNET: &str = "subnet";

/// Kind of a port in the journal.
pub(crate) const PORT: &str = "port";

/// Kind of a floating address in the journal.
pub(crate) const FLOATING: &str = "floating-address";

/// Kind of a connection of a network with an L2 gateway in the journal.
pub(crate) const L2_CONNECTION: &str = "l2gw-connection";

/// How long after a lost answer Neutron may still make what was asked for. It works on without its client, at most until its own
/// calls to drivers and agents time out, which is 60 s by default; the rest is for its queue.
pub(crate) const SETTLED: Duration = Duration::from_secs(90);

/// How long Neutron's extensions are believed.
const EXTENSIONS_KEPT: Duration = Duration::from_hours(1);

/// Elements of one page of an audit: some 150 bytes each, and Neutron reads them in well below a second.
const OWNED_PAGE: usize = 500;

const CONFLICT: u16 = 409;

/// A collection of Neutron: its word in paths and listings, and the one for a single element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collection {
    pub(crate) path: &'static str,
    pub(crate) many: &'static str,
    pub(crate) one: &'static str,
    /// For people.
    pub(crate) word: &'static str,
}

pub(crate) const NETWORKS: Collection = Collection::of("networks", "networks", "network", "network");
pub(crate) const SUBNETS: Collection = Collection::of("subnets", "subnets", "subnet", "subnet");
pub(crate) const PORTS: Collection = Collection::of("ports", "ports", "port", "port");
pub(crate) const FLOATING_IPS: Collection =
    Collection::of("floatingips", "floatingips", "floatingip", "floating address");
pub(crate) const L2_CONNECTIONS: Collection = Collection::of(
    "l2-gateway-connections",
    "l2_gateway_connections",
    "l2_gateway_connection",
    "connection with an L2 gateway",
);

impl Collection {
    const fn of(path: &'static str, many: &'static str, one: &'static str, word: &'static str) -> Self {
        Self { path, many, one, word }
    }

    fn of_kind(kind: &str) -> Option<Self> {
        match kind {
            NETWORK => Some(NETWORKS),
            SUBNET => Some(SUBNETS),
            PORT => Some(PORTS),
            FLOATING => Some(FLOATING_IPS),
            L2_CONNECTION => Some(L2_CONNECTIONS),
            _ => None,
        }
    }
}

/// Elements of a journalled kind that carry a token.
///
/// # Errors
///
/// What Neutron said; a kind that is not Neutron's.
pub(crate) fn find(vim: &Vim, kind: &str, token: &str) -> Result<Vec<String>, Failure> {
    let collection = collection(kind)?;
    if collection == L2_CONNECTIONS {
        // They have no description; who makes one looks for it by its ends.
        return Ok(Vec::new());
    }
    with_token(vim, collection, token)
}

/// Deletes an element of a journalled kind. Not existing is success; Neutron has deleted when it answers.
///
/// # Errors
///
/// What Neutron said; a kind that is not Neutron's.
pub(crate) fn delete(vim: &Vim, kind: &str, id: &str) -> Result<Removal, Failure> {
    let collection = collection(kind)?;
    let neutron = vim.network()?;
    let request = neutron
        .delete([collection.path, id])
        .doing(format!("deleting {} {id}", collection.word));
    neutron.send_optional(request)?;
    Ok(Removal::Gone)
}

fn collection(kind: &str) -> Result<Collection, Failure> {
    Collection::of_kind(kind)
        .ok_or_else(|| Error::unsupported(format!("Neutron has no elements of the journal's kind {kind:?}")).into())
}

/// Elements of a collection that carry a token.
fn with_token(vim: &Vim, collection: Collection, token: &str) -> Result<Vec<String>, Failure> {
    let found = list(
        vim,
        collection,
        &[("description", token), ("fields", "id"), ("fields", "description")],
    )?;
    // A Neutron that does not know the filter answers all there is.
    let carries = |element: &&Value| text(element, "description") == Some(token);
    found.iter().filter(carries).map(id_of).collect()
}

/// Elements that match filters.
fn list(vim: &Vim, collection: Collection, filters: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
    let neutron = vim.network()?;
    let mut request = neutron
        .get([collection.path])
        .doing(format!("looking for each {}", collection.word));
    for (name, value) in filters {
        request = request.query(name, value);
    }
    neutron.list(&request, collection.many)
}

/// Elements by a filter that is given many times.
fn list_many(vim: &Vim, collection: Collection, filter: &str, values: &[&str]) -> Result<Vec<Value>, Failure> {
    let neutron = vim.network()?;
    let request = neutron
        .get([collection.path])
        .doing(format!("looking at each {}", collection.word));
    neutron.list_many(&request, collection.many, filter, values)
}

/// Makes an element of `body`, which stands under the collection's word for one.
fn create(vim: &Vim, collection: Collection, body: &Value, doing: String) -> Result<Value, Failure> {
    let neutron = vim.network()?;
    let body = serde_json::json!({ collection.one: body });
    let answer: Value = neutron.read(neutron.post([collection.path]).json(&body).doing(doing))?;
    one(answer, collection)
}

/// Changes an element.
fn update(vim: &Vim, collection: Collection, id: &str, body: &Value, doing: String) -> Result<Value, Failure> {
    let neutron = vim.network()?;
    let body = serde_json::json!({ collection.one: body });
    let answer: Value = neutron.read(neutron.put([collection.path, id]).json(&body).doing(doing))?;
    one(answer, collection)
}

fn one(mut answer: Value, collection: Collection) -> Result<Value, Failure> {
    match answer.get_mut(collection.one).map(Value::take) {
        Some(element @ Value::Object(_)) => Ok(element),
        Some(_) | None => Err(unreadable(&format!("an answer holds no {}", collection.word))),
    }
}

fn id_of(element: &Value) -> Result<String, Failure> {
    let id = text(element, "id").filter(|id| !id.is_empty()).map(str::to_owned);
    id.ok_or_else(|| unreadable("an element has no id"))
}

fn unreadable(why: &str) -> Failure {
    Failure::new(
        ErrorKind::Internal,
        Outcome::Unknown,
        format!("Neutron is not understood: {why}"),
    )
}

fn text<'e>(element: &'e Value, field: &str) -> Option<&'e str> {
    element.get(field).and_then(Value::as_str)
}

fn flag(element: &Value, field: &str) -> bool {
    element.get(field).and_then(Value::as_bool).unwrap_or_default()
}

fn number(element: &Value, field: &str) -> Option<u32> {
    let number = element.get(field).and_then(Value::as_u64)?;
    u32::try_from(number).ok()
}

fn items<'e>(element: &'e Value, field: &str) -> &'e [Value] {
    let items = element.get(field).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

/// Aliases of the extensions this Neutron has.
///
/// # Errors
///
/// What Neutron said.
pub(crate) fn extensions(vim: &Vim) -> Result<Vec<String>, Failure> {
    cache::get_or("neutron:extensions", EXTENSIONS_KEPT, || {
        let neutron = vim.network()?;
        let request = neutron.get(["extensions"]).doing("asking for Neutron's extensions");
        let found = neutron.list(&request, "extensions")?;
        Ok(found
            .iter()
            .filter_map(|extension| text(extension, "alias").map(str::to_owned))
            .collect())
    })
}

/// A number that is drawn from a token: the same at each repetition, and another one for another token (FNV-1a).
fn drawn(token: &str) -> u64 {
    token.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Elements whose token begins with `prefix`, a page of them, for an audit.
///
/// Neutron filters by whole descriptions only, so all of the project is listed with the fields that matter, one request a page. Of the project alone: an
/// administrator sees those of others too, where another account of the same host may have made what carries its tokens.
///
/// # Errors
///
/// What Neutron said; a kind that is not Neutron's.
pub(crate) fn list_owned(
    vim: &Vim,
    kind: ElementKind,
    prefix: &str,
    after: Option<&str>,
) -> Result<OwnedPage, Failure> {
    let collection = match kind {
        ElementKind::Network => NETWORKS,
        ElementKind::Port => PORTS,
        ElementKind::FloatingAddress => FLOATING_IPS,
        ElementKind::Image
        | ElementKind::Flavour
        | ElementKind::Group
        | ElementKind::Volume
        | ElementKind::Server
        | ElementKind::Stack
        | ElementKind::ConnectivityService => {
            return Err(Error::unsupported(format!("Neutron has no elements of kind {kind:?}")).into());
        }
    };
    let project = vim.cloud.scope()?.project_id.clone();
    let neutron = vim.network()?;
    let mut request = neutron
        .get([collection.path])
        .query("project_id", project.as_str())
        .query("fields", "id")
        .query("fields", "description")
        .query("limit", OWNED_PAGE.to_string())
        .doing(format!("listing each {} of ours", collection.word));
    if collection != FLOATING_IPS {
        request = request.query("fields", "name");
    }
    let (found, next) = neutron.page(&request, collection.many, after)?;
    let owned = |element: &Value| {
        let token = tokens::ours(text(element, "description")?, prefix)?;
        Some(Owned {
            id: text(element, "id")?.to_owned(),
            token: token.to_owned(),
            name: text(element, "name").map(str::to_owned),
        })
    };
    Ok(OwnedPage {
        elements: found.iter().filter_map(owned).collect(),
        cursor: next.map(String::into_bytes),
    })
}
