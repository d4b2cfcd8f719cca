//! The parameter `nfv`: what a template asks for, filled from VNFD and request.

use serde_json::{Map, Value, json};
use vimhost_model::vnf::{DeploymentFlavour, ExtVirtualLinkData, VnfExtCpConfig, VnfExtCpData};

use super::template;
use crate::lcm::work::{Content, Kept, Script};

/// Content of the whole stack as it is to be, `nfv` kept in `kept`.
///
/// # Errors
/// When the template cannot be used.
pub(crate) fn content(kept: &mut Kept, flavour: &DeploymentFlavour) -> Result<Content, String> {
    let text = match kept.script {
        Script::Default => kept.template.clone(),
        Script::Standard => template::with_members(&kept.template, flavour, &kept.members)?,
    };
    kept.nfv = nfv(kept, flavour, &template::parse(&text)?);
    Ok(Content {
        template: Some(text),
        files: kept.files.clone(),
        parameters: parameters(&kept.nfv),
    })
}

/// Parameters of a stack.
pub(crate) fn parameters(nfv: &Map<String, Value>) -> Map<String, Value> {
    [("nfv".to_owned(), Value::Object(nfv.clone()))].into_iter().collect()
}

fn nfv(kept: &Kept, flavour: &DeploymentFlavour, parsed: &Value) -> Map<String, Value> {
    let mut nfv = Map::new();
    for path in template::paths(parsed) {
        let value = match path.as_slice() {
            [kind, name, field, ..] => match kind.as_str() {
                "VDU" => of_vdu(kept, flavour, name, field),
                "CP" => of_cp(kept, flavour, name, field),
                "VL" => of_link(kept, flavour, name, field),
                _ => Value::Null,
            },
            _ => Value::Null,
        };
        template::put(&mut nfv, &path, value);
    }
    if let Value::Object(patch) = &kept.nfv_of_client {
        template::merge_object(&mut nfv, patch);
    }
    nfv
}

fn of_vdu(kept: &Kept, flavour: &DeploymentFlavour, name: &str, field: &str) -> Value {
    let is_known = |name: &str| flavour.vdus.contains_key(name) || flavour.storages.contains_key(name);
    // The image of a volume stands at `VDU1-VirtualStorage`.
    let storage = flavour.vdus.iter().find_map(|(vdu, described)| {
        let storage = name.strip_prefix(vdu.as_str())?.strip_prefix('-')?;
        described.storages.iter().find(|known| *known == storage)
    });
    let name = storage
        .map(String::as_str)
        .or_else(|| template::base_name(name, is_known))
        .unwrap_or(name);
    let vdu = flavour.vdus.get(name);
    let value = match field {
        "computeFlavourId" => vdu.and_then(|vdu| vdu.compute_flavour.clone()).map(Value::from),
        "vcImageId" => {
            let of_storage = || flavour.storages.get(name).and_then(|storage| storage.image.as_ref());
            let image = vdu.and_then(|vdu| vdu.image.as_ref()).or_else(of_storage);
            image.map(|image| Value::from(image.name.clone()))
        }
        "desired_capacity" => kept.members.get(name).map(|members| Value::from(members.len())),
        // The internal grant names no zone.
        _ => None,
    };
    value.unwrap_or(Value::Null)
}

/// The external network and the configuration of a CPD.
pub(crate) fn external<'k>(kept: &'k Kept, cpd: &str) -> Option<(&'k ExtVirtualLinkData, &'k VnfExtCpData)> {
    kept.ext_links.iter().find_map(|link| {
        let cp = link.ext_cps.iter().find(|cp| cp.cpd_id == cpd)?;
        Some((link, cp))
    })
}

fn of_cp(kept: &Kept, flavour: &DeploymentFlavour, name: &str, field: &str) -> Value {
    let is_known = |name: &str| flavour.cps.contains_key(name);
    let number = template::number_of(name, is_known);
    let index = number.and_then(|number| usize::try_from(number).ok());
    let cpd = template::base_name(name, is_known).unwrap_or(name);
    match (field, external(kept, cpd)) {
        ("network", Some((link, _))) => Value::from(link.resource_id.clone()),
        ("network", None) => {
            let link = flavour.cps.get(cpd).and_then(|cp| cp.virtual_link.as_ref());
            let managed = kept
                .ext_managed
                .iter()
                .find(|managed| Some(&managed.vnf_virtual_link_desc_id) == link);
            managed.map_or(Value::Null, |managed| Value::from(managed.resource_id.clone()))
        }
        ("fixed_ips", Some((_, cp))) => {
            let configs: Vec<&VnfExtCpConfig> = cp.cp_config.values().flatten().collect();
            // With a resource for each member, each has its own configuration where there are several.
            let config = index.and_then(|index| configs.get(index)).or_else(|| configs.first());
            config.map_or(Value::Null, |config| fixed_ips(config))
        }
        ("port", Some((link, cp))) => {
            let mut configs = cp.cp_config.values().flatten();
            // One port is for one VM, so no member takes that of another's configuration.
            let config = match index {
                Some(index) => configs.nth(index),
                None => configs.find(|config| config.link_port_id.is_some()),
            };
            let port = config.and_then(|config| config.link_port_id.as_ref());
            let ports = link.ext_link_ports.iter().flatten();
            let found = port.and_then(|port| ports.into_iter().find(|known| known.id == *port));
            found.map_or(Value::Null, |port| {
                Value::from(port.resource_handle.resource_id.clone())
            })
        }
        _ => Value::Null,
    }
}

/// Addresses as Neutron takes them; null: any.
fn fixed_ips(config: &VnfExtCpConfig) -> Value {
    let mut fixed = Vec::new();
    for protocol in config.cp_protocol_data.iter().flatten() {
        let addresses = protocol
            .ip_over_ethernet
            .as_ref()
            .and_then(|ethernet| ethernet.get("ipAddresses"))
            .and_then(Value::as_array);
        for address in addresses.into_iter().flatten() {
            let subnet = address.get("subnetId").filter(|subnet| subnet.is_string());
            let given = address.get("fixedAddresses").and_then(Value::as_array);
            match (given.filter(|given| !given.is_empty()), subnet) {
                (Some(given), Some(subnet)) => {
                    fixed.extend(given.iter().map(|ip| json!({"ip_address": ip, "subnet": subnet})));
                }
                (Some(given), None) => fixed.extend(given.iter().map(|ip| json!({"ip_address": ip}))),
                (None, Some(subnet)) => fixed.push(json!({"subnet": subnet})),
                (None, None) => {}
            }
        }
    }
    if fixed.is_empty() {
        Value::Null
    } else {
        Value::Array(fixed)
    }
}

fn of_link(kept: &Kept, flavour: &DeploymentFlavour, name: &str, field: &str) -> Value {
    let managed = kept
        .ext_managed
        .iter()
        .find(|managed| managed.vnf_virtual_link_desc_id == name);
    match (field, managed) {
        ("network", Some(managed)) => Value::from(managed.resource_id.clone()),
        _ => {
            let link = flavour.virtual_links.get(name);
            let property = link.and_then(|link| link.properties.get(field));
            property.cloned().unwrap_or(Value::Null)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_filled_from_vnfd_and_request_and_the_client_has_the_last_word() {
        let flavour: DeploymentFlavour = serde_json::from_value(json!({
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1,
                              "compute_flavour": "m1.tiny", "storages": ["Disk"]}},
            "storages": {"Disk": {"image": {"id": "Disk", "name": "cirros"}}},
            "cps": {"VDU1_CP1": {"vdu": "VDU1"}}}))
        .unwrap();
        let link = json!({"id": "l", "resourceId": "net-1", "extCps": [{"cpdId": "VDU1_CP1", "cpConfig": {"a": {
            "cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [
                {"type": "IPV4", "fixedAddresses": ["10.0.0.5"], "subnetId": "sub"}]}}]}}}]});
        let mut kept = Kept {
            template: "resources:\n  g:\n    a: {get_param: [nfv, VDU, VDU1, computeFlavourId]}\n    b: {get_param: [nfv, VDU, VDU1-Disk, vcImageId]}\n    c: {get_param: [nfv, VDU, VDU1, desired_capacity]}\n    d: {get_param: [nfv, CP, VDU1_CP1, network]}\n    e: {get_param: [nfv, CP, VDU1_CP1, fixed_ips]}\n    f: {get_param: [nfv, VDU, VDU1, locationConstraints]}\n".to_owned(),
            members: [("VDU1".to_owned(), vec![0, 1])].into(),
            ext_links: vec![serde_json::from_value(link).unwrap()],
            nfv_of_client: json!({"VDU": {"VDU1": {"computeFlavourId": "m1.big"}}}),
            ..Kept::default()
        };
        let made = content(&mut kept, &flavour).unwrap();
        assert_eq!(
            made.parameters["nfv"],
            json!({"VDU": {"VDU1": {"computeFlavourId": "m1.big", "desired_capacity": 2, "locationConstraints": null},
                           "VDU1-Disk": {"vcImageId": "cirros"}},
                   "CP": {"VDU1_CP1": {"network": "net-1", "fixed_ips": [{"ip_address": "10.0.0.5", "subnet": "sub"}]}}})
        );
    }

    #[test]
    fn a_port_of_the_client_goes_to_the_member_whose_configuration_names_it() {
        let flavour: DeploymentFlavour = serde_json::from_value(json!({"cps": {"CP1": {}}})).unwrap();
        let config = |port: &str| json!({"linkPortId": port});
        let port = |id: &str| json!({"id": id, "resourceHandle": {"resourceId": format!("{id}-in-vim")}});
        let link = json!({"id": "l", "resourceId": "net-1", "extLinkPorts": [port("p"), port("q")],
            "extCps": [{"cpdId": "CP1", "cpConfig": {"a": config("p"), "b": config("q")}}]});
        let kept = Kept {
            ext_links: vec![serde_json::from_value(link).unwrap()],
            ..Kept::default()
        };
        let port_of = |name: &str| of_cp(&kept, &flavour, name, "port");
        assert_eq!(
            (port_of("CP1"), port_of("CP1-0")),
            (json!("p-in-vim"), json!("p-in-vim"))
        );
        assert_eq!((port_of("CP1-1"), port_of("CP1-2")), (json!("q-in-vim"), Value::Null));
    }
}
