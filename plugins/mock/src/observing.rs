//! How elements are: by id the first time, by the VIM's feed of changes afterwards.
//!
//! A cursor is a sequence number of the VIM. The first one is the latest change among the elements of the first request:
//! whatever changes after that request has a higher number, so nothing is missed, and what is told twice does no harm.

use std::collections::{BTreeMap, BTreeSet};

use vimhost_sdk::prelude::*;

use crate::vim::{Collection, Element, Vim};

pub(crate) fn observe(
    vim: &Vim<'_>,
    collection: Collection,
    ids: &[String],
    cursor: Option<&[u8]>,
) -> Result<Observed, Error> {
    let asked: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let since = cursor
        .and_then(|cursor| std::str::from_utf8(cursor).ok())
        .and_then(|text| text.parse().ok());
    let changes = match since {
        Some(since) => vim.changes(collection, since)?,
        None => None,
    };
    let Some(changes) = changes else {
        return everything(vim, collection, &asked);
    };
    let ours = |element: &&Element| element.text("id").is_some_and(|id| asked.contains(id));
    let changed: Vec<&Element> = changes.changed.iter().filter(ours).collect();
    Ok(Observed {
        changed: show(vim, collection, &changed)?,
        gone: changes
            .deleted
            .iter()
            .filter(ours)
            .filter_map(|element| element.owned("id"))
            .collect(),
        cursor: Some(changes.seq.to_string().into_bytes()),
        more: changes.more,
    })
}

fn everything(vim: &Vim<'_>, collection: Collection, asked: &BTreeSet<&str>) -> Result<Observed, Error> {
    let ids: Vec<&str> = asked.iter().copied().collect();
    let lists = vim.list_many(collection, "id", &ids)?;
    let latest = lists
        .first()
        .and_then(|list| list.iter().filter_map(|element| element.number("seq")).max());
    let found: Vec<&Element> = lists.iter().flatten().collect();
    let there: BTreeSet<&str> = found.iter().filter_map(|element| element.text("id")).collect();
    Ok(Observed {
        changed: show(vim, collection, &found)?,
        gone: asked.difference(&there).map(|id| (*id).to_owned()).collect(),
        cursor: latest.map(|seq| seq.to_string().into_bytes()),
        more: false,
    })
}

fn show(vim: &Vim<'_>, collection: Collection, elements: &[&Element]) -> Result<Vec<Observation>, Error> {
    let mut interfaces = if collection == Collection::Servers {
        interfaces(vim, elements)?
    } else {
        BTreeMap::new()
    };
    elements
        .iter()
        .map(|element| {
            let id = element.id()?;
            let server = (collection == Collection::Servers)
                .then(|| server(element, interfaces.remove(&id).unwrap_or_default()));
            let fault = element
                .field("fault")
                .get("message")
                .and_then(serde_json::Value::as_str);
            Ok(Observation {
                id,
                name: element.owned("name"),
                status: status(element.status()),
                status_text: element.status().to_owned(),
                message: fault.map(str::to_owned),
                details: element.details(),
                server,
            })
        })
        .collect()
}

/// The engine's word for the VIM's.
pub(crate) fn status(word: &str) -> ElementStatus {
    match word {
        "ACTIVE" | "active" | "available" | "in-use" => ElementStatus::Active,
        "BUILD" | "REBOOT" | "REBUILD" | "MIGRATING" | "RESIZE" | "creating" => ElementStatus::Build,
        "PAUSED" => ElementStatus::Paused,
        "SUSPENDED" => ElementStatus::Suspended,
        "SHUTOFF" | "INACTIVE" => ElementStatus::Inactive,
        "DOWN" => ElementStatus::Down,
        "ERROR" | "error" => ElementStatus::Error,
        _ => ElementStatus::Other,
    }
}

fn server(element: &Element, interfaces: Vec<InterfaceObservation>) -> ServerObservation {
    ServerObservation {
        interfaces,
        volumes: element.texts("volumes"),
        flavour: element.owned("flavour"),
        image: element.owned("image"),
        compute_node: element.owned("host"),
    }
}

/// Interfaces by server, for all servers at once.
fn interfaces(vim: &Vim<'_>, servers: &[&Element]) -> Result<BTreeMap<String, Vec<InterfaceObservation>>, Error> {
    let with_ports = |server: &&&Element| server.field("ports").as_array().is_some_and(|ports| !ports.is_empty());
    let ids: Vec<&str> = servers
        .iter()
        .filter(with_ports)
        .filter_map(|server| server.text("id"))
        .collect();
    let mut by_server: BTreeMap<String, Vec<InterfaceObservation>> = BTreeMap::new();
    for port in vim.list_many(Collection::Ports, "server", &ids)?.iter().flatten() {
        let Some(server) = port.owned("server") else { continue };
        by_server.entry(server).or_default().push(interface(port)?);
    }
    Ok(by_server)
}

fn interface(port: &Element) -> Result<InterfaceObservation, Error> {
    Ok(InterfaceObservation {
        id: port.id()?,
        network: port.owned("network"),
        mac_address: port.owned("mac"),
        ip_addresses: port.owned("ip").into_iter().collect(),
        compute_node: port.owned("host"),
        pci: port.owned("pci"),
        vlan: port.number("vlan").and_then(|vlan| vlan.try_into().ok()),
        details: port.details(),
    })
}

/// One page of the elements whose token begins with `prefix`.
pub(crate) fn list_owned(
    vim: &Vim<'_>,
    collection: Collection,
    prefix: &str,
    cursor: Option<&[u8]>,
) -> Result<OwnedPage, Error> {
    let after = cursor
        .and_then(|cursor| std::str::from_utf8(cursor).ok())
        .and_then(|text| text.parse().ok());
    let (page, next) = vim.page(collection, &[("token_prefix", prefix)], after)?;
    let owned = |element: &Element| {
        Some(Owned {
            id: element.owned("id")?,
            token: element.owned("token")?,
            name: element.owned("name"),
        })
    };
    Ok(OwnedPage {
        elements: page.iter().filter_map(owned).collect(),
        cursor: next.map(|next| next.to_string().into_bytes()),
    })
}
