//! The physical network under a network: which one, of which type, with which VLAN.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::*;

use super::{CONFLICT, L2_CONNECTION, L2_CONNECTIONS, NETWORKS, SETTLED, create, id_of, items, list, number, text};
use crate::settings::{Settings, VlanRanges};
use crate::vim::Vim;

const VLAN: &str = "vlan";
const FLAT: &str = "flat";

/// How often another VLAN is taken when somebody else was faster. Each time the next one is free as far as can be seen, so more
/// than a few mean that this user does not see who has them.
const VLAN_TRIES: u8 = 8;

/// An underlay, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Underlay<'s> {
    physical_network: Option<String>,
    network_type: String,
    segment: Segment<'s>,
    /// Two segments: a VXLAN and a VLAN.
    multisegment: bool,
}

/// Who chooses the VLAN or VNI.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment<'s> {
    /// The request did.
    Asked(u32),
    /// The connector, from these.
    From(&'s VlanRanges),
    /// Neutron.
    Neutron,
}

impl<'s> Underlay<'s> {
    /// What a request and an account ask for; `None` is an overlay network.
    ///
    /// # Errors
    ///
    /// What is missing or not allowed, as a conflict with the account's settings; a VLAN that is none.
    pub(super) fn of(settings: &'s Settings, request: &NetworkRequest) -> Result<Option<Self>, Error> {
        let is_data = match request.kind {
            Some(NetworkKind::Data | NetworkKind::Ptp) => true,
            Some(NetworkKind::Bridge) | None => false,
        };
        if !is_data && request.provider.is_none() {
            return Ok(None);
        }
        let asked = request.provider.as_ref();
        let network_type = given(asked.and_then(|asked| asked.network_type.as_ref()))
            .unwrap_or(&settings.dataplane_network_type)
            .to_ascii_lowercase();
        let multisegment = settings.multisegment;
        let is_vlan = multisegment || network_type == VLAN;
        let segment = match asked.and_then(|asked| asked.segmentation_id) {
            Some(id) if is_vlan && !(1..=4094).contains(&id) => {
                let message = format!("network {}: VLAN {id} is not one of 1 to 4094", request.name);
                return Err(Error::bad_request(message));
            }
            Some(id) => Segment::Asked(id),
            None if multisegment => from(&settings.multisegment_vlans, "multisegment_vlan_range", request)?,
            None if settings.vio => from(&settings.dataplane_vlans, "dataplane_net_vlan_range", request)?,
            None => Segment::Neutron,
        };
        let named = given(asked.and_then(|asked| asked.physical_network.as_ref()));
        let needs_physical = is_vlan || network_type == FLAT;
        Ok(Some(Self {
            physical_network: physical_network(settings, named, needs_physical, request)?,
            network_type,
            segment,
            multisegment,
        }))
    }

    fn set(&self, body: &mut Map<String, Value>, id: Option<u32>) {
        if self.multisegment {
            let vlan = json!({
                "provider:physical_network": self.physical_network,
                "provider:network_type": VLAN,
                "provider:segmentation_id": id,
            });
            let vxlan = json!({"provider:physical_network": "", "provider:network_type": "vxlan"});
            body.insert("segments".to_owned(), json!([vxlan, vlan]));
            return;
        }
        body.insert("provider:network_type".to_owned(), json!(self.network_type));
        if let Some(physical) = &self.physical_network {
            body.insert("provider:physical_network".to_owned(), json!(physical));
        }
        if let Some(id) = id {
            body.insert("provider:segmentation_id".to_owned(), json!(id));
        }
    }

    /// Whether the network is to be joined to L2 gateways.
    pub(super) fn joins_gateways(&self, settings: &Settings, request: &NetworkRequest) -> bool {
        self.multisegment && settings.l2gw && request.kind == Some(NetworkKind::Data)
    }
}

fn from<'s>(ranges: &'s VlanRanges, setting: &str, request: &NetworkRequest) -> Result<Segment<'s>, Error> {
    if ranges.is_empty() {
        return Err(Error::conflict(format!(
            "network {} names no VLAN, and the account has no `{setting}` to choose one from",
            request.name
        )));
    }
    Ok(Segment::From(ranges))
}

fn physical_network(
    settings: &Settings,
    named: Option<&str>,
    needed: bool,
    request: &NetworkRequest,
) -> Result<Option<String>, Error> {
    let known = &settings.physical_networks;
    match named {
        Some(named) if known.only_these && !known.names.iter().any(|name| name == named) => {
            Err(Error::conflict(format!(
                "network {} is to be on physical network {named}, and `dataplane_physical_net` of the account has only {}",
                request.name,
                known.names.join(", ")
            )))
        }
        Some(named) => Ok(Some(named.to_owned())),
        None if !needed => Ok(None),
        None => match known.names.first() {
            Some(first) => Ok(Some(first.clone())),
            None => Err(Error::conflict(format!(
                "missing information: network {} names no physical network, and the account has no `dataplane_physical_net`",
                request.name
            ))),
        },
    }
}

/// Makes a network, on its underlay if it has one, and answers its id.
///
/// A VLAN that the connector chose and somebody else got in the meantime is replaced by the next one: that refusal says that
/// nothing was made.
pub(super) fn make(
    vim: &Vim,
    body: &Map<String, Value>,
    underlay: Option<&Underlay<'_>>,
    name: &str,
) -> Result<String, Failure> {
    let send = |body: Map<String, Value>| {
        id_of(&create(
            vim,
            NETWORKS,
            &Value::Object(body),
            format!("creating network {name}"),
        )?)
    };
    let mut body = body.clone();
    let Some(underlay) = underlay else {
        return send(body);
    };
    let ranges = match underlay.segment {
        Segment::From(ranges) => ranges,
        Segment::Asked(id) => {
            underlay.set(&mut body, Some(id));
            return send(body);
        }
        Segment::Neutron => {
            underlay.set(&mut body, None);
            return send(body);
        }
    };
    let mut used = used_vlans(vim, underlay.physical_network.as_deref())?;
    let mut refused = None;
    for _ in 0..VLAN_TRIES {
        let Some(vlan) = ranges.first_free(&used) else {
            break;
        };
        underlay.set(&mut body, Some(u32::from(vlan)));
        match send(body.clone()) {
            Err(failure) if failure.status == Some(CONFLICT) && failure.error.kind == ErrorKind::Conflict => {
                used.insert(u32::from(vlan));
                refused = Some(failure);
            }
            result => return result,
        }
    }
    Err(refused.unwrap_or_else(|| {
        let message = format!("creating network {name}: every VLAN that the account may choose from is used");
        Error::conflict(message).into()
    }))
}

/// VLANs of a physical network that are seen to be used; those of which it is not told where they are count too.
fn used_vlans(vim: &Vim, physical: Option<&str>) -> Result<BTreeSet<u32>, Failure> {
    const FIELDS: [(&str, &str); 5] = [
        ("fields", "id"),
        ("fields", "provider:network_type"),
        ("fields", "provider:physical_network"),
        ("fields", "provider:segmentation_id"),
        ("fields", "segments"),
    ];
    let vlan = |segment: &Value| {
        let is_here = match (text(segment, "provider:physical_network"), physical) {
            (Some(theirs), Some(ours)) => theirs == ours,
            (None, _) | (_, None) => true,
        };
        let is_vlan = text(segment, "provider:network_type") == Some(VLAN);
        number(segment, "provider:segmentation_id").filter(|_| is_vlan && is_here)
    };
    let networks = list(vim, NETWORKS, &FIELDS)?;
    Ok(networks
        .iter()
        .flat_map(|network| std::iter::once(network).chain(items(network, "segments")))
        .filter_map(vlan)
        .collect())
}

/// Joins a network's VLAN segment to every L2 gateway.
///
/// A connection has nowhere to keep a token; it is found by its two ends, which no other one has.
pub(super) fn join_gateways(vim: &Vim, call: &Call, network: &str) -> Result<(), Failure> {
    let neutron = vim.network()?;
    let request = neutron.get(["l2-gateways"]).doing("looking for each L2 gateway");
    let gateways = neutron.list(&request, "l2_gateways")?;
    if gateways.is_empty() {
        return Ok(());
    }
    let vlan = vlan_of(vim, network)?;
    for gateway in &gateways {
        let gateway = id_of(gateway)?;
        let suffix = suffix(&gateway);
        call.create_once(
            L2_CONNECTION,
            &suffix,
            SETTLED,
            |_| {
                let ends = [("network_id", network), ("l2_gateway_id", gateway.as_str())];
                list(vim, L2_CONNECTIONS, &ends)?.iter().map(id_of).collect()
            },
            |_| {
                let vlan = vlan.map(|vlan| vlan.to_string());
                let body = json!({"network_id": network, "l2_gateway_id": gateway, "segmentation_id": vlan});
                id_of(&create(
                    vim,
                    L2_CONNECTIONS,
                    &body,
                    format!("joining network {network} to L2 gateway {gateway}"),
                )?)
            },
        )?;
    }
    Ok(())
}

fn vlan_of(vim: &Vim, network: &str) -> Result<Option<u32>, Failure> {
    let found = list(vim, NETWORKS, &[("id", network)])?;
    let segments = found.iter().flat_map(|network| items(network, "segments"));
    let mut vlans = segments.filter(|segment| text(segment, "provider:network_type") == Some(VLAN));
    Ok(vlans.find_map(|segment| number(segment, "provider:segmentation_id")))
}

/// A suffix that is the same for the same gateway, however many there are next time: as much of its id as a token has room for.
fn suffix(gateway: &str) -> String {
    const MOST: usize = 8;
    let usable = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let short: String = gateway.chars().filter(usable).take(MOST).collect();
    format!("g-{short}")
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}
