//! Creating and deleting all but servers: one request each, journalled.

use serde_json::{Map, Value, json};
use vimhost_sdk::connectivity::{Encapsulation, Endpoint};
use vimhost_sdk::prelude::{
    Call, CreateStep, Created, DeleteStep, Error, FlavourData, GroupRequest, IpProfile, IpVersion, NetworkKind,
    NetworkRequest, ProviderNetwork, Removal, ServiceRequest, ServiceType, VolumeRequest, from_json,
};

use crate::finding::{SWAP_FACTOR, extended};
use crate::vim::{Collection, SETTLED, Vim};

/// Deletions are confirmed in the answer here; only a volume that a server still has is waited for.
pub(crate) const FIRST_LOOK_MS: u32 = 20;

/// A mock VIM is quick; looking more seldom than this would be what takes the time.
pub(crate) const LONGEST_LOOK_MS: u32 = 100;

pub(crate) fn network(vim: &Vim<'_>, call: &Call, request: &NetworkRequest) -> Result<CreateStep, Error> {
    let provider = request.provider.as_ref().map(provider).transpose()?;
    create(vim, Collection::Networks, call, &request.name, &|token| {
        json!({
            "name": request.name,
            "token": token,
            "type": request.kind.map(|kind| match kind {
                NetworkKind::Bridge => "bridge",
                NetworkKind::Data => "data",
                NetworkKind::Ptp => "ptp",
            }),
            "shared": request.shared,
            "provider": provider,
            "ip_profile": request.ip_profile.as_ref().map(ip_profile),
        })
    })
}

fn provider(provider: &ProviderNetwork) -> Result<Value, Error> {
    let extra: Option<Map<String, Value>> = match provider.extra.as_str() {
        "" => None,
        text => from_json("the provider network", text)?,
    };
    let mut all = extra.unwrap_or_default();
    let known = [
        ("network_type", provider.network_type.as_ref().map(|kind| json!(kind))),
        (
            "physical_network",
            provider.physical_network.as_ref().map(|name| json!(name)),
        ),
        ("segmentation_id", provider.segmentation_id.map(|id| json!(id))),
    ];
    all.extend(
        known
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    Ok(Value::Object(all))
}

fn ip_profile(profile: &IpProfile) -> Value {
    json!({
        "ip_version": match profile.version { IpVersion::Ipv4 => "IPv4", IpVersion::Ipv6 => "IPv6" },
        "subnet_address": profile.subnet,
        "gateway_address": profile.gateway,
        "dns_address": profile.dns.join(";"),
        "dhcp_enabled": profile.dhcp_enabled,
        "dhcp_start_address": profile.dhcp_start,
        "dhcp_count": profile.dhcp_count,
        "ipv6_address_mode": profile.ipv6_address_mode,
        "security_group": profile.security_group,
    })
}

pub(crate) fn flavour(vim: &Vim<'_>, call: &Call, data: &FlavourData) -> Result<CreateStep, Error> {
    let extended = extended(data)?;
    let name = data.name.as_deref().unwrap_or(&call.token);
    create(vim, Collection::Flavours, call, name, &|token| {
        json!({
            "name": name,
            "token": token,
            "vcpus": data.vcpus,
            "ram": data.ram,
            "disk": data.disk,
            "ephemeral": data.ephemeral,
            "swap": data.swap.saturating_mul(SWAP_FACTOR),
            "extended": extended,
        })
    })
}

pub(crate) fn group(vim: &Vim<'_>, call: &Call, request: &GroupRequest) -> Result<CreateStep, Error> {
    create(
        vim,
        Collection::Groups,
        call,
        &request.name,
        &|token| json!({ "name": request.name, "token": token, "type": request.policy, "metadata": { "scope": request.scope } }),
    )
}

pub(crate) fn volume(vim: &Vim<'_>, call: &Call, request: &VolumeRequest) -> Result<CreateStep, Error> {
    create(vim, Collection::Volumes, call, &request.name, &|token| {
        json!({
            "name": request.name,
            "token": token,
            "size": request.size,
            "metadata": { "multi_attach": request.multi_attach, "availability_zone": request.availability_zone },
        })
    })
}

pub(crate) fn service(vim: &Vim<'_>, call: &Call, request: &ServiceRequest) -> Result<CreateStep, Error> {
    let endpoints = endpoints(request)?;
    create(
        vim,
        Collection::Services,
        call,
        &request.name,
        &|token| json!({ "name": request.name, "token": token, "type": service_type(request), "endpoints": endpoints }),
    )
}

/// The whole new form; doing it twice changes nothing.
pub(crate) fn edit_service(vim: &Vim<'_>, id: &str, request: &ServiceRequest) -> Result<(), Error> {
    let body = json!({ "name": request.name, "type": service_type(request), "endpoints": endpoints(request)? });
    vim.edit(Collection::Services, id, &body)?;
    Ok(())
}

fn service_type(request: &ServiceRequest) -> &'static str {
    match request.service_type {
        ServiceType::Eline => "ELINE",
        ServiceType::Elan => "ELAN",
    }
}

fn endpoints(request: &ServiceRequest) -> Result<Vec<Value>, Error> {
    if request.endpoints.len() < 2 {
        return Err(Error::bad_request(format!(
            "service {} needs at least two endpoints",
            request.name
        )));
    }
    request.endpoints.iter().map(endpoint).collect()
}

fn endpoint(end: &Endpoint) -> Result<Value, Error> {
    let mapping: Value = end
        .mapping_info
        .as_deref()
        .map_or(Ok(Value::Null), |text| from_json("mapping-info", text))?;
    Ok(json!({
        "service_endpoint_id": end.id,
        "service_endpoint_encapsulation_type": match end.encapsulation {
            Encapsulation::None => "none",
            Encapsulation::Dot1q => "dot1q",
        },
        "vlan": end.vlan,
        "mac": end.mac_address,
        "device_id": end.device_id,
        "device_interface_id": end.device_interface_id,
        "switch_dpid": end.switch_dpid,
        "switch_port": end.switch_port,
        "mapping_info": mapping,
    }))
}

fn create(
    vim: &Vim<'_>,
    collection: Collection,
    call: &Call,
    name: &str,
    body: &dyn Fn(&str) -> Value,
) -> Result<CreateStep, Error> {
    let id = vim.create_once(collection, call, collection.kind(), "", body)?;
    Ok(Created::element(id, name).into())
}

/// Deletes what the journal names and what the id names.
pub(crate) fn delete(
    vim: &Vim<'_>,
    collection: Collection,
    call: &Call,
    id: Option<&str>,
) -> Result<DeleteStep, Error> {
    let removal = delete_kind(vim, collection, call, id)?;
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

pub(crate) fn delete_kind(
    vim: &Vim<'_>,
    collection: Collection,
    call: &Call,
    id: Option<&str>,
) -> Result<Removal, Error> {
    let removal = call.delete_journalled(
        |kind| kind == collection.kind(),
        SETTLED,
        |_, token| vim.with_token(collection, token),
        |_, element| vim.delete(collection, element),
    )?;
    let journalled = |id: &str| call.journal.iter().any(|entry| entry.element.as_deref() == Some(id));
    Ok(match id.filter(|id| !journalled(id)) {
        Some(id) => removal.and(vim.delete(collection, id)?),
        None => removal,
    })
}
