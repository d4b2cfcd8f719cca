//! What the schema of a request bounds beside its shape: lengths of texts, least values, and addresses, which are kept as they came.

use std::net::IpAddr;

use serde_json::{Map, Value};
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, CreateVnfRequest, ExtCpProtocolInfo,
    ExtManagedVirtualLinkData, ExtVirtualLinkData, HealVnfRequest, InstantiateVnfRequest, ResourceHandle,
    ScaleVnfRequest, TerminateVnfRequest, VnfExtCpConfig, VnfInfoModificationRequest,
};

use super::problem::Problem;

/// Characters of names, ids and causes.
const TEXT: usize = 255;

/// Characters of descriptions.
const DESCRIPTION: usize = 1024;

/// Networks of a request, and connection points of each: a VNFD has some dozens.
const LINKS: usize = 1_000;

/// Addresses of a connection point, and ports of a network: a subnet of IPv4 has some more, nobody writes them down.
const ADDRESSES: usize = 1_000;

/// The protocol of connection points.
pub(super) const LAYER_PROTOCOL: &str = "IP_OVER_ETHERNET";

/// Kinds of addresses.
pub(super) const IP_TYPES: [&str; 2] = ["IPV4", "IPV6"];

/// How addresses are said: in one of these ways.
pub(super) const IP_CHOICES: [&str; 3] = ["fixedAddresses", "numDynamicAddresses", "addressRange"];

/// VNFCs of a request: an instance does not have more.
const VNFCS: usize = 2_000;

/// Seconds of a graceful termination: a week. Nothing cancels it, and until it is over its instance is locked.
const GRACE: u32 = 7 * 24 * 3600;

/// A request whose values are bounded.
pub(super) trait Bounded {
    /// Refuses the first value out of bounds, by its field.
    fn check(&self) -> Result<(), Problem>;
}

fn at_most(field: &str, text: Option<&str>, most: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.chars().count() > most => {
            Err(Problem::field(field, format!("it has more than {most} characters")))
        }
        Some(_) | None => Ok(()),
    }
}

fn id(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::field(field, "it is empty"));
    }
    at_most(field, Some(text), TEXT)
}

fn at_least_one(field: &str, number: u32) -> Result<(), Problem> {
    match number {
        0 => Err(Problem::field(field, "it is less than 1")),
        _ => Ok(()),
    }
}

fn at_most_entries<T>(field: &str, list: &[T], most: usize) -> Result<(), Problem> {
    if list.len() > most {
        return Err(Problem::field(field, format!("it has more than {most} entries")));
    }
    Ok(())
}

fn optional_id(field: &str, text: Option<&str>) -> Result<(), Problem> {
    text.map_or(Ok(()), |text| id(field, text))
}

/// A text of a free object, which may be absent.
fn text(field: &str, name: &str, object: &Map<String, Value>) -> Result<(), Problem> {
    match object.get(name) {
        Some(value) => {
            let field = format!("{field}/{name}");
            let text = value.as_str();
            id(
                &field,
                text.ok_or_else(|| Problem::field(field.clone(), "it is no text"))?,
            )
        }
        None => Ok(()),
    }
}

fn address(field: &str, value: Option<&Value>) -> Result<(), Problem> {
    let text = value.and_then(Value::as_str);
    match text.map(str::parse::<IpAddr>) {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(Problem::field(field, "it is no IP address")),
    }
}

/// Addresses of one kind: exactly one of the three ways to say which.
fn ip_addresses(field: &str, value: &Value) -> Result<(), Problem> {
    let wrong = |name: &str, reason: &str| Problem::field(format!("{field}/{name}"), reason);
    let Some(object) = value.as_object() else {
        return Err(Problem::field(field, "it is no object"));
    };
    let kind = object.get("type").and_then(Value::as_str);
    if !kind.is_some_and(|kind| IP_TYPES.contains(&kind)) {
        return Err(wrong("type", "it is neither IPV4 nor IPV6"));
    }
    text(field, "subnetId", object)?;
    let said = IP_CHOICES.iter().filter(|name| object.contains_key(**name)).count();
    if said != 1 {
        let reason = "it has not exactly one of fixedAddresses, numDynamicAddresses and addressRange";
        return Err(Problem::field(field, reason));
    }
    if let Some(fixed) = object.get("fixedAddresses") {
        let name = "fixedAddresses";
        let fixed = fixed.as_array().filter(|fixed| !fixed.is_empty());
        let fixed = fixed.ok_or_else(|| wrong(name, "it is no list of addresses"))?;
        at_most_entries(&format!("{field}/{name}"), fixed, ADDRESSES)?;
        for (n, fixed) in fixed.iter().enumerate() {
            address(&format!("{field}/{name}/{n}"), Some(fixed))?;
        }
    }
    if let Some(count) = object.get("numDynamicAddresses")
        && count.as_u64().is_none_or(|count| count == 0)
    {
        return Err(wrong("numDynamicAddresses", "it is no number of at least 1"));
    }
    if let Some(range) = object.get("addressRange") {
        for end in ["min", "max"] {
            address(&format!("{field}/addressRange/{end}"), range.get(end))?;
        }
    }
    Ok(())
}

fn protocol(field: &str, data: &ExtCpProtocolInfo) -> Result<(), Problem> {
    if data.layer_protocol != LAYER_PROTOCOL {
        let reason = format!("it is not {LAYER_PROTOCOL}");
        return Err(Problem::field(format!("{field}/layerProtocol"), reason));
    }
    let Some(ethernet) = &data.ip_over_ethernet else {
        return Ok(());
    };
    let field = format!("{field}/ipOverEthernet");
    text(&field, "macAddress", ethernet)?;
    let Some(addresses) = ethernet.get("ipAddresses") else {
        return Ok(());
    };
    let field = format!("{field}/ipAddresses");
    let addresses = addresses
        .as_array()
        .ok_or_else(|| Problem::field(field.clone(), "it is no list"))?;
    at_most_entries(&field, addresses, ADDRESSES)?;
    for (n, addresses) in addresses.iter().enumerate() {
        ip_addresses(&format!("{field}/{n}"), addresses)?;
    }
    Ok(())
}

fn cp_config(field: &str, config: &VnfExtCpConfig) -> Result<(), Problem> {
    optional_id(
        &format!("{field}/parentCpConfigId"),
        config.parent_cp_config_id.as_deref(),
    )?;
    optional_id(&format!("{field}/linkPortId"), config.link_port_id.as_deref())?;
    for (n, data) in config.cp_protocol_data.iter().flatten().enumerate() {
        protocol(&format!("{field}/cpProtocolData/{n}"), data)?;
    }
    Ok(())
}

fn port(field: &str, name: &str, port: &str, handle: &ResourceHandle) -> Result<(), Problem> {
    id(&format!("{field}/{name}"), port)?;
    id(&format!("{field}/resourceHandle/resourceId"), &handle.resource_id)
}

fn links(links: Option<&[ExtVirtualLinkData]>) -> Result<(), Problem> {
    at_most_entries("extVirtualLinks", links.unwrap_or_default(), LINKS)?;
    for (n, link) in links.unwrap_or_default().iter().enumerate() {
        let field = |name: &str| format!("extVirtualLinks/{n}/{name}");
        id(&field("id"), &link.id)?;
        id(&field("resourceId"), &link.resource_id)?;
        if link.ext_cps.is_empty() {
            return Err(Problem::field(field("extCps"), "it is empty"));
        }
        at_most_entries(&field("extCps"), &link.ext_cps, LINKS)?;
        for (point, cp) in link.ext_cps.iter().enumerate() {
            id(&field(&format!("extCps/{point}/cpdId")), &cp.cpd_id)?;
            for (key, config) in &cp.cp_config {
                id(&field(&format!("extCps/{point}/cpConfig")), key)?;
                if let Some(config) = config {
                    cp_config(&field(&format!("extCps/{point}/cpConfig/{key}")), config)?;
                }
            }
        }
        let ports = link.ext_link_ports.as_deref().unwrap_or_default();
        at_most_entries(&field("extLinkPorts"), ports, ADDRESSES)?;
        for (n, known) in ports.iter().enumerate() {
            port(
                &field(&format!("extLinkPorts/{n}")),
                "id",
                &known.id,
                &known.resource_handle,
            )?;
        }
    }
    Ok(())
}

fn managed(links: Option<&[ExtManagedVirtualLinkData]>) -> Result<(), Problem> {
    at_most_entries("extManagedVirtualLinks", links.unwrap_or_default(), LINKS)?;
    for (n, link) in links.unwrap_or_default().iter().enumerate() {
        let field = |name: &str| format!("extManagedVirtualLinks/{n}/{name}");
        id(&field("id"), &link.id)?;
        id(&field("vnfVirtualLinkDescId"), &link.vnf_virtual_link_desc_id)?;
        id(&field("resourceId"), &link.resource_id)?;
        let ports = link.vnf_link_port.as_deref().unwrap_or_default();
        at_most_entries(&field("vnfLinkPort"), ports, ADDRESSES)?;
        for (n, known) in ports.iter().enumerate() {
            let name = "vnfLinkPortId";
            port(
                &field(&format!("vnfLinkPort/{n}")),
                name,
                &known.vnf_link_port_id,
                &known.resource_handle,
            )?;
        }
    }
    Ok(())
}

impl Bounded for CreateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        at_most("vnfInstanceName", self.vnf_instance_name.as_deref(), TEXT)?;
        at_most(
            "vnfInstanceDescription",
            self.vnf_instance_description.as_deref(),
            DESCRIPTION,
        )
    }
}

impl Bounded for VnfInfoModificationRequest {
    fn check(&self) -> Result<(), Problem> {
        let name = self.vnf_instance_name.as_ref().and_then(Option::as_deref);
        at_most("vnfInstanceName", name, TEXT)?;
        let description = self.vnf_instance_description.as_ref().and_then(Option::as_deref);
        at_most("vnfInstanceDescription", description, DESCRIPTION)?;
        let vnfcs = self.vnfc_info_modifications.as_deref().unwrap_or_default();
        at_most_entries("vnfcInfoModifications", vnfcs, VNFCS)?;
        for (n, vnfc) in vnfcs.iter().enumerate() {
            id(&format!("vnfcInfoModifications/{n}/id"), &vnfc.id)?;
        }
        Ok(())
    }
}

impl Bounded for InstantiateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        id("flavourId", &self.flavour_id)?;
        at_most("instantiationLevelId", self.instantiation_level_id.as_deref(), TEXT)?;
        links(self.ext_virtual_links.as_deref())?;
        managed(self.ext_managed_virtual_links.as_deref())
    }
}

impl Bounded for TerminateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        match self.graceful_termination_timeout {
            Some(seconds) if seconds > GRACE => Err(Problem::field(
                "gracefulTerminationTimeout",
                format!("it is more than {GRACE} seconds"),
            )),
            Some(seconds) => at_least_one("gracefulTerminationTimeout", seconds),
            None => Ok(()),
        }
    }
}

impl Bounded for ScaleVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        id("aspectId", &self.aspect_id)?;
        at_least_one("numberOfSteps", self.number_of_steps)
    }
}

impl Bounded for HealVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        at_most("cause", self.cause.as_deref(), TEXT)?;
        let vnfcs = self.vnfc_instance_id.as_deref().unwrap_or_default();
        at_most_entries("vnfcInstanceId", vnfcs, VNFCS)?;
        for (n, vnfc) in vnfcs.iter().enumerate() {
            id(&format!("vnfcInstanceId/{n}"), vnfc)?;
        }
        Ok(())
    }
}

impl Bounded for ChangeExtVnfConnectivityRequest {
    fn check(&self) -> Result<(), Problem> {
        if self.ext_virtual_links.is_empty() {
            return Err(Problem::field("extVirtualLinks", "it is empty"));
        }
        links(Some(&self.ext_virtual_links))
    }
}

impl Bounded for ChangeCurrentVnfPkgRequest {
    fn check(&self) -> Result<(), Problem> {
        links(self.ext_virtual_links.as_deref())?;
        managed(self.ext_managed_virtual_links.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnf_lcm::body::typed;
    use serde_json::json;

    #[track_caller]
    fn refused<T: Bounded + serde::de::DeserializeOwned>(value: Value, field: &str) {
        let problem = typed::<T>(value).unwrap().check().unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(problem.detail().starts_with(field), "{}", problem.detail());
    }

    #[test]
    fn what_is_too_long_or_too_small_is_named() {
        let long = |length: usize| "x".repeat(length);
        refused::<CreateVnfRequest>(json!({"vnfdId": "d", "vnfInstanceName": long(256)}), "vnfInstanceName:");
        refused::<CreateVnfRequest>(
            json!({"vnfdId": "d", "vnfInstanceDescription": long(1025)}),
            "vnfInstanceDescription:",
        );
        refused::<VnfInfoModificationRequest>(json!({"vnfInstanceName": long(256)}), "vnfInstanceName:");
        refused::<InstantiateVnfRequest>(json!({"flavourId": ""}), "flavourId:");
        refused::<InstantiateVnfRequest>(
            json!({"flavourId": "f", "extVirtualLinks": [{"id": "l", "resourceId": "n", "extCps": []}]}),
            "extVirtualLinks/0/extCps:",
        );
        refused::<TerminateVnfRequest>(
            json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0}),
            "gracefulTerminationTimeout:",
        );
        refused::<TerminateVnfRequest>(
            json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": u32::MAX}),
            "gracefulTerminationTimeout:",
        );
        refused::<ScaleVnfRequest>(
            json!({"type": "SCALE_OUT", "aspectId": "a", "numberOfSteps": 0}),
            "numberOfSteps:",
        );
        refused::<HealVnfRequest>(json!({"cause": long(256)}), "cause:");
        refused::<HealVnfRequest>(json!({"vnfcInstanceId": vec!["x"; VNFCS + 1]}), "vnfcInstanceId:");
        let link = json!({"id": "l", "resourceId": "n", "extCps": [{"cpdId": "c", "cpConfig": {}}]});
        refused::<ChangeExtVnfConnectivityRequest>(
            json!({"extVirtualLinks": vec![link; LINKS + 1]}),
            "extVirtualLinks:",
        );
        refused::<ChangeExtVnfConnectivityRequest>(json!({"extVirtualLinks": []}), "extVirtualLinks:");
    }

    fn with_protocol(data: Value) -> Value {
        json!({"extVirtualLinks": [{"id": "l", "resourceId": "n", "extCps": [
            {"cpdId": "c", "cpConfig": {"one": {"cpProtocolData": [data]}}}]}]})
    }

    fn with_addresses(addresses: &Value) -> Value {
        let ethernet = json!({"macAddress": "fa:16:3e:00:00:01", "segmentationId": "5", "ipAddresses": [addresses]});
        with_protocol(json!({"layerProtocol": LAYER_PROTOCOL, "ipOverEthernet": ethernet}))
    }

    #[test]
    fn addresses_are_said_in_one_way_and_what_is_none_is_named() {
        for good in [
            json!({"type": "IPV4", "fixedAddresses": ["10.0.0.5"], "subnetId": "s", "other": null}),
            json!({"type": "IPV6", "numDynamicAddresses": 1}),
            json!({"type": "IPV4", "addressRange": {"min": "10.0.0.1", "max": "10.0.0.9"}}),
        ] {
            let request: ChangeExtVnfConnectivityRequest = typed(with_addresses(&good)).unwrap();
            assert!(request.check().is_ok(), "{good}");
        }
        let point = "extVirtualLinks/0/extCps/0/cpConfig/one/cpProtocolData/0";
        let within = format!("{point}/ipOverEthernet/ipAddresses/0");
        for (bad, field) in [
            (json!(5), ":"),
            (json!({"fixedAddresses": ["10.0.0.5"]}), "/type:"),
            (json!({"type": "ipv4", "fixedAddresses": ["10.0.0.5"]}), "/type:"),
            (json!({"type": "IPV4"}), ":"),
            (json!({"type": "IPV4", "subnetId": "s"}), ":"),
            (
                json!({"type": "IPV4", "fixedAddresses": ["10.0.0.5"], "numDynamicAddresses": 1}),
                ":",
            ),
            (
                json!({"type": "IPV4", "fixedAddresses": null, "numDynamicAddresses": 1}),
                ":",
            ),
            (json!({"type": "IPV4", "fixedAddresses": []}), "/fixedAddresses:"),
            (
                json!({"type": "IPV4", "fixedAddresses": ["10.0.0.5", "x"]}),
                "/fixedAddresses/1:",
            ),
            (
                json!({"type": "IPV4", "numDynamicAddresses": 0}),
                "/numDynamicAddresses:",
            ),
            (
                json!({"type": "IPV4", "addressRange": {"min": "10.0.0.1"}}),
                "/addressRange/max:",
            ),
            (
                json!({"type": "IPV4", "numDynamicAddresses": 1, "subnetId": ""}),
                "/subnetId:",
            ),
        ] {
            refused::<ChangeExtVnfConnectivityRequest>(with_addresses(&bad), &format!("{within}{field}"));
        }
        for (bad, field) in [
            (json!({"layerProtocol": "IP"}), "/layerProtocol:"),
            (
                json!({"layerProtocol": LAYER_PROTOCOL, "ipOverEthernet": {"macAddress": 5}}),
                "/ipOverEthernet/macAddress:",
            ),
            (
                json!({"layerProtocol": LAYER_PROTOCOL, "ipOverEthernet": {"ipAddresses": {}}}),
                "/ipOverEthernet/ipAddresses:",
            ),
        ] {
            refused::<ChangeExtVnfConnectivityRequest>(with_protocol(bad), &format!("{point}{field}"));
        }
    }

    #[test]
    fn ports_that_exist_have_ids_and_a_connection_point_its_configurations() {
        let handle = json!({"resourceId": "port"});
        let with = |config: Value, ports: Value| {
            json!({"flavourId": "f", "extVirtualLinks": [{"id": "l", "resourceId": "n", "extLinkPorts": ports,
                "extCps": [{"cpdId": "c", "cpConfig": {"one": config}}]}]})
        };
        let good = json!([{"id": "p", "resourceHandle": handle}]);
        let request: InstantiateVnfRequest = typed(with(json!({"linkPortId": "p"}), good.clone())).unwrap();
        assert!(request.check().is_ok());
        let one = "extVirtualLinks/0/extCps/0/cpConfig/one";
        for (name, id) in [("linkPortId", ""), ("parentCpConfigId", "x".repeat(256).as_str())] {
            refused::<InstantiateVnfRequest>(with(json!({name: id}), good.clone()), &format!("{one}/{name}:"));
        }
        refused::<InstantiateVnfRequest>(
            with(json!({}), json!([{"id": "", "resourceHandle": handle}])),
            "extVirtualLinks/0/extLinkPorts/0/id:",
        );
        refused::<InstantiateVnfRequest>(
            with(json!({}), json!([{"id": "p", "resourceHandle": {"resourceId": ""}}])),
            "extVirtualLinks/0/extLinkPorts/0/resourceHandle/resourceId:",
        );
        refused::<InstantiateVnfRequest>(
            json!({"flavourId": "f", "extManagedVirtualLinks": [{"id": "l", "vnfVirtualLinkDescId": "v", "resourceId": "n",
                "vnfLinkPort": [{"vnfLinkPortId": "", "resourceHandle": handle}]}]}),
            "extManagedVirtualLinks/0/vnfLinkPort/0/vnfLinkPortId:",
        );
        let link = json!({"id": "l", "resourceId": "n", "extCps": [{"cpdId": "c"}]});
        let problem = typed::<ChangeExtVnfConnectivityRequest>(json!({"extVirtualLinks": [link]})).unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(problem.detail().contains("cpConfig"), "{}", problem.detail());
    }

    #[test]
    fn what_fits_passes_and_unknown_attributes_are_accepted() {
        let name = "ü".repeat(255);
        let request: CreateVnfRequest = typed(json!({"vnfdId": "d", "vnfInstanceName": name, "other": {}})).unwrap();
        assert!(request.check().is_ok());
        assert!(typed::<HealVnfRequest>(json!({})).unwrap().check().is_ok());
    }
}
