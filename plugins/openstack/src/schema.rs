//! The JSON schema of an account's settings.
//!
//! It is wide where OSM's own connector is: Python takes one text where a list may stand, and a text for a truth. What a setting
//! means is checked when it is read, with an error that says more than a schema can. Settings nobody knows pass: an account may
//! carry those of other programs.

use serde_json::{Value, json};
use vimhost_keystone::declare;

pub(crate) fn schema() -> String {
    declare::schema(own())
}

/// Settings of Nova, Neutron and Cinder.
fn own() -> Vec<(&'static str, Value)> {
    let text = |description: &str| json!({"type": ["string", "null"], "description": description});
    let flag = |description: &str| json!({"type": ["boolean", "string", "null"], "description": description});
    let words = |description: &str| {
        json!({
            "type": ["string", "array", "null"],
            "items": {"type": "string"},
            "description": description,
        })
    };
    let any = |description: &str| json!({"description": description});
    let ranges = |description: &str| {
        json!({
            "type": ["string", "array", "null"],
            "items": {"type": ["string", "integer"]},
            "description": description,
        })
    };
    vec![
        (
            "microversion",
            json!({
                "type": ["string", "number", "null"],
                "description": "Newest microversion of Nova that is spoken, \"2.60\". Without it each request takes the newest it can use.",
            }),
        ),
        ("security_groups", words("Security groups of ports, by name or id.")),
        ("keypair", text("Nova's key pair for servers.")),
        (
            "availability_zone",
            words("Zone of servers and volumes; the first of several is used."),
        ),
        (
            "storage_availability_zone",
            text("Zone of volumes, where it is another one."),
        ),
        (
            "use_floating_ip",
            json!({
                "type": ["boolean", "string", "null"],
                "description": "Management interfaces get a floating address: true from any external network, or the id or name of one.",
            }),
        ),
        (
            "use_existing_flavors",
            flag("Takes the smallest flavour that is large enough in everything, where none is exactly as asked."),
        ),
        (
            "dataplane_physical_net",
            words("Physical network of data-plane networks; of a list no other one may be asked for."),
        ),
        (
            "dataplane_network_type",
            text("Type of data-plane networks; `vlan` when it is not given."),
        ),
        (
            "dataplane_net_vlan_range",
            ranges("With `vim_type` VIO: VLANs, `a - b`, of data-plane networks whose request names none."),
        ),
        (
            "multisegment_vlan_range",
            ranges("VLANs, `a - b`, of the VLAN segment of networks of two segments."),
        ),
        (
            "multisegment_support",
            flag("Data-plane networks have a VXLAN and a VLAN segment."),
        ),
        (
            "l2gw_support",
            flag("Data networks of two segments are joined to every L2 gateway."),
        ),
        (
            "disable_network_port_security",
            flag("Networks are made with port security off."),
        ),
        (
            "no_port_security_extension",
            flag("Neither port security nor security groups are ever named to Neutron."),
        ),
        ("neutron_availability_zone_hints", words("Zones that serve networks.")),
        ("vim_type", text("`VIO` for VMware Integrated OpenStack.")),
        (
            "subnet_range",
            text(
                "Network out of which networks without an address plan get a /24 that overlaps no subnet the project sees; 192.168.0.0/16 when it is not given.",
            ),
        ),
        (
            "management_network_id",
            any("Network of management interfaces. Used by the host, not by the connector."),
        ),
        ("management_network_name", any("The same by name. Used by the host.")),
        (
            "sdn-controller",
            any("SDN controller of the account. Used by the host."),
        ),
        (
            "sdn-port-mapping",
            any("Ports of switches behind compute hosts. Used by the host."),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference of OSM's connector, 7.2.
    const KNOWN_TO_OSM: &str = "APIversion project_domain_id project_domain_name user_domain_id user_domain_name region_name insecure ca_cert \
         ca_cert_content use_internal_endpoint microversion security_groups keypair availability_zone storage_availability_zone \
         use_floating_ip use_existing_flavors dataplane_physical_net dataplane_network_type dataplane_net_vlan_range \
         multisegment_vlan_range multisegment_support l2gw_support disable_network_port_security no_port_security_extension \
         neutron_availability_zone_hints vim_type management_network_id management_network_name sdn-port-mapping sdn-controller";

    #[test]
    fn every_setting_of_osms_connector_is_described() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        for name in KNOWN_TO_OSM.split_whitespace() {
            let described = &schema["properties"][name]["description"];
            assert!(described.as_str().is_some_and(|text| !text.is_empty()), "{name}");
        }
    }

    #[test]
    fn of_a_certificate_in_a_file_nobody_is_told_that_it_is_read() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let described = schema["properties"]["ca_cert"]["description"].as_str().unwrap();
        assert!(described.contains("it is not read"), "{described}");
        assert!(
            described.contains("`ca_cert_content`"),
            "what to give instead: {described}"
        );
    }
}
