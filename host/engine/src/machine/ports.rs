//! Where interfaces of VMs are, and the switch ports behind them: what a connectivity service joins.
//!
//! The VIM tells the host and the PCI address of an interface at the data plane; which port of which switch that is, the operator says in
//! the VIM account's setting `sdn-port-mapping`. It is read when the service is made or changed, so a mapping that is mended later
//! counts from then on.

use std::collections::HashMap;

use serde_json::{Map, Value};
use vimhost_connector::{Encapsulation, Endpoint};
use vimhost_model::{Item, Resource, TargetId, Task, TaskAction, TaskStatus};

/// An interface at the data plane, where the VIM has put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Which interface of the VM: index in `net_list`.
    pub interface: usize,
    /// The account that the VM is on.
    pub target: TargetId,
    /// How traffic arrives: tagged for SR-IOV, the whole device for passthrough.
    pub encapsulation: Encapsulation,
    /// Host.
    pub compute_node: String,
    /// PCI address.
    pub pci: String,
    /// VLAN, where the VIM tells one.
    pub vlan: Option<u32>,
    /// MAC address.
    pub mac_address: Option<String>,
}

impl Port {
    /// A text that is another one when the interface has moved.
    #[must_use]
    pub fn key(&self) -> String {
        let vlan = self.vlan.map(|vlan| vlan.to_string()).unwrap_or_default();
        let mac = self.mac_address.as_deref().unwrap_or_default();
        format!("{} {}:{} {vlan} {mac}", self.target, self.compute_node, self.pci)
    }
}

/// Where the interfaces of a VM are that are at the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// It is not made yet, or on its way to another host.
    Awaited,
    /// All of them; none for what is no such VM.
    Known(Vec<Port>),
    /// They will not be known, and why.
    Failed(String),
    /// Nobody wants the VM any more.
    Over,
}

/// An interface at the data plane as it was asked for.
pub(crate) struct DataPlane<'v> {
    /// Index in `net_list`.
    pub(crate) interface: usize,
    /// Its network: an id, or what stands for one.
    pub(crate) network: &'v str,
    encapsulation: Encapsulation,
}

/// The interfaces of a VM's parameters that are at the data plane.
pub(crate) fn data_plane(params: Option<&Value>) -> Vec<DataPlane<'_>> {
    let list = params
        .and_then(|params| params.get("net_list"))
        .and_then(Value::as_array);
    let entries = list.into_iter().flatten().enumerate();
    entries
        .filter_map(|(interface, entry)| {
            let encapsulation = match entry.get("type").and_then(Value::as_str)? {
                "SR-IOV" | "VF" | "VFnotShared" => Encapsulation::Dot1q,
                "PCI-PASSTHROUGH" | "PF" => Encapsulation::None,
                _ => return None,
            };
            Some(DataPlane {
                interface,
                network: entry.get("net_id").and_then(Value::as_str)?,
                encapsulation,
            })
        })
        .collect()
}

/// Where a VM's interfaces are.
pub(crate) fn location(resource: &Resource) -> Location {
    let Some(creation) = resource.live_creates().last().filter(|_| resource.item == Item::Vdu) else {
        return if resource.item == Item::Vdu {
            Location::Over
        } else {
            Location::Known(Vec::new())
        };
    };
    let wanted = data_plane(creation.params.as_ref());
    if wanted.is_empty() {
        return Location::Known(Vec::new());
    }
    if resource.tasks.iter().any(moves) {
        return Location::Awaited;
    }
    let ports: Vec<Port> = wanted.iter().filter_map(|wanted| port(resource, wanted)).collect();
    if resource.vim.vim_id.is_some() && ports.len() == wanted.len() {
        return Location::Known(ports);
    }
    match creation.status {
        TaskStatus::Failed => Location::Failed(creation.message.clone().unwrap_or_else(|| "unknown".to_owned())),
        // It was seen in service, and this was not seen with it: no later sight is promised.
        TaskStatus::Done => Location::Failed(format!(
            "the VIM does not tell host and PCI address of {} of the VM's {} data-plane interfaces",
            wanted.len() - ports.len(),
            wanted.len()
        )),
        TaskStatus::Scheduled | TaskStatus::Build | TaskStatus::Finished | TaskStatus::Superseded => Location::Awaited,
    }
}

/// Whether a command may take its VM to another host and is not over.
fn moves(task: &Task) -> bool {
    task.action == TaskAction::Exec && task.status.is_open() && matches!(task.item, Item::Migrate | Item::VerticalScale)
}

fn port(resource: &Resource, wanted: &DataPlane<'_>) -> Option<Port> {
    let seen = resource.vim.interfaces.get(wanted.interface)?.as_ref()?;
    Some(Port {
        interface: wanted.interface,
        target: resource.target.clone(),
        encapsulation: wanted.encapsulation,
        compute_node: seen.compute_node.clone()?,
        pci: seen.pci.clone()?,
        vlan: seen.vlan,
        mac_address: seen.mac_address.clone(),
    })
}

/// The ends of a service at interfaces of VMs. `configs` are the settings of the VMs' accounts.
///
/// # Errors
/// The text names every interface for which the operator has mapped no switch port.
pub(super) fn endpoints(
    ports: &[Port],
    configs: &HashMap<TargetId, Map<String, Value>>,
) -> Result<Vec<Endpoint>, String> {
    let (mut ends, mut unmapped) = (Vec::new(), Vec::new());
    for port in ports {
        let config = configs.get(&port.target);
        let mapping = config.and_then(|config| mapping_of(config, port));
        let needed = !config.is_some_and(|config| is_set(config.get("mapping_not_needed")));
        if mapping.is_none() && needed {
            unmapped.push(format!(
                "Port mapping not found for compute_node={} pci={} in 'sdn-port-mapping' of {}",
                port.compute_node, port.pci, port.target
            ));
            continue;
        }
        ends.push(endpoint(port, mapping.unwrap_or(&Value::Null)));
    }
    if unmapped.is_empty() {
        Ok(ends)
    } else {
        Err(unmapped.join("; "))
    }
}

fn endpoint(port: &Port, mapping: &Value) -> Endpoint {
    let tagged = port.encapsulation == Encapsulation::Dot1q;
    Endpoint {
        id: text(mapping, "service_endpoint_id").unwrap_or_else(|| format!("{}:{}", port.compute_node, port.pci)),
        encapsulation: port.encapsulation,
        vlan: port.vlan.filter(|_| tagged),
        mac_address: port.mac_address.clone(),
        device_id: text(mapping, "device_id"),
        device_interface_id: text(mapping, "device_interface_id"),
        switch_dpid: text(mapping, "switch_id").or_else(|| text(mapping, "switch_dpid")),
        switch_port: text(mapping, "switch_port"),
        mapping_info: mapping
            .get("service_mapping_info")
            .filter(|info| !info.is_null())
            .cloned(),
    }
}

/// What the operator says about a PCI address of a host.
fn mapping_of<'v>(config: &'v Map<String, Value>, port: &Port) -> Option<&'v Value> {
    let hosts = config.get("sdn-port-mapping").and_then(Value::as_array)?;
    let of_host = |host: &&Value| text(host, "compute_node").as_deref() == Some(port.compute_node.as_str());
    hosts
        .iter()
        .filter(of_host)
        .filter_map(|host| host.get("ports").and_then(Value::as_array))
        .flatten()
        .find(|entry| text(entry, "pci").is_some_and(|pattern| matches(&pattern, &port.pci)))
}

/// Whether a PCI address is of a pattern, in which brackets stand for one of the characters in them: `0000:af:1[01].[1-7]`.
fn matches(pattern: &str, address: &str) -> bool {
    let (mut pattern, mut address) = (pattern.chars(), address.chars());
    loop {
        match (pattern.next(), address.next()) {
            (None, None) => return true,
            (Some('['), Some(character)) => {
                let class: Vec<char> = pattern.by_ref().take_while(|next| *next != ']').collect();
                if !is_in(&class, character) {
                    return false;
                }
            }
            (Some(wanted), Some(character)) if wanted == character => {}
            _ => return false,
        }
    }
}

fn is_in(class: &[char], character: char) -> bool {
    let range = |part: &[char]| matches!(part, [from, '-', to] if (*from..=*to).contains(&character));
    class.contains(&character) || class.windows(3).any(range)
}

/// A text, or a number as text: YAML makes numbers of unquoted ports.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_set(flag: Option<&Value>) -> bool {
    match flag {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn port(pci: &str) -> Port {
        Port {
            interface: 0,
            target: "vim:x".parse().unwrap(),
            encapsulation: Encapsulation::Dot1q,
            compute_node: "compute1".to_owned(),
            pci: pci.to_owned(),
            vlan: Some(7),
            mac_address: Some("fa:16:3e:00:00:01".to_owned()),
        }
    }

    fn configs(config: &Value) -> HashMap<TargetId, Map<String, Value>> {
        HashMap::from([("vim:x".parse().unwrap(), config.as_object().unwrap().clone())])
    }

    #[test]
    fn brackets_of_a_mapping_stand_for_one_character() {
        for (pattern, address, fits) in [
            ("0000:af:10.1", "0000:af:10.1", true),
            ("0000:af:1[01].[1357]", "0000:af:11.7", true),
            ("0000:af:1[01].[1357]", "0000:af:12.1", false),
            ("0000:af:1[01].[1357]", "0000:af:11.72", false),
            ("0000:af:1[0-4].[0-7]", "0000:af:13.6", true),
            ("0000:af:1[0-4].[0-7]", "0000:af:15.6", false),
            ("0000:af:1[01", "0000:af:10", true),
            ("[", "0", false),
            ("", "", true),
            ("", "0", false),
        ] {
            assert_eq!(matches(pattern, address), fits, "{pattern} {address}");
        }
    }

    #[test]
    fn an_interface_is_the_switch_port_that_the_account_maps_it_to() {
        let config = json!({"sdn-port-mapping": [
            {"compute_node": "compute2", "ports": [{"pci": "0000:af:10.1", "switch_id": "other"}]},
            {"compute_node": "compute1", "ports": [
                {"pci": "0000:af:10.[0-7]", "switch_id": "of:1", "switch_port": 3, "device_id": "d", "device_interface_id": "e",
                 "service_endpoint_id": "end", "service_mapping_info": {"own": true}}]},
        ]});
        let ends = endpoints(&[port("0000:af:10.1")], &configs(&config)).unwrap();
        let wanted = Endpoint {
            id: "end".to_owned(),
            encapsulation: Encapsulation::Dot1q,
            vlan: Some(7),
            mac_address: Some("fa:16:3e:00:00:01".to_owned()),
            device_id: Some("d".to_owned()),
            device_interface_id: Some("e".to_owned()),
            switch_dpid: Some("of:1".to_owned()),
            switch_port: Some("3".to_owned()),
            mapping_info: Some(json!({"own": true})),
        };
        assert_eq!(ends, [wanted]);
    }

    #[test]
    fn interfaces_without_a_mapping_are_all_named_unless_none_is_needed() {
        let ports = [port("0000:af:10.1"), port("0000:af:10.2")];
        let error = endpoints(&ports, &configs(&json!({}))).unwrap_err();
        assert!(
            error.contains("pci=0000:af:10.1") && error.contains("pci=0000:af:10.2"),
            "{error}"
        );
        let ends = endpoints(&ports, &configs(&json!({"mapping_not_needed": true}))).unwrap();
        assert_eq!(ends[1].id, "compute1:0000:af:10.2");
        assert!(
            endpoints(&ports, &HashMap::new()).is_err(),
            "an account that is gone maps nothing"
        );
    }

    #[test]
    fn hostile_mappings_map_nothing() {
        for mapping in [
            json!(7),
            json!([7]),
            json!([{"compute_node": "compute1", "ports": [{"pci": 7}, 8]}]),
        ] {
            let config = json!({"sdn-port-mapping": mapping});
            assert!(
                endpoints(&[port("0000:af:10.1")], &configs(&config)).is_err(),
                "{config}"
            );
        }
    }

    #[test]
    fn a_passthrough_device_has_no_tag() {
        let config = configs(&json!({"mapping_not_needed": "true"}));
        let whole = Port {
            encapsulation: Encapsulation::None,
            ..port("0000:af:10.1")
        };
        let ends = endpoints(&[whole], &config).unwrap();
        assert_eq!((ends[0].encapsulation, ends[0].vlan), (Encapsulation::None, None));
    }
}
