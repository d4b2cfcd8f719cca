//! The settings of an account, read once into what the connector acts on.
//!
//! Names and meanings are those of OSM's own connector, so that an account that worked there works here. What is about reaching
//! the cloud is read by [`vimhost_keystone::Access`]. The schema that the host checks is beside it in `schema`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value;
use vimhost_keystone::Microversion;
use vimhost_keystone::told::{Flag, Words};
use vimhost_sdk::prelude::*;

use crate::cidr::{Cidr, Version};

/// The network type of underlay networks when nobody says another.
const VLAN: &str = "vlan";

/// Where subnets are taken from when a network has no address plan: what OSM's own connector takes them from.
const SUBNETS: &str = "192.168.0.0/16";

/// An account's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Newest microversion of Nova that is spoken; none: as new as each request can use.
    pub(crate) microversion: Option<Microversion>,
    /// Security groups of ports, by name or id.
    pub(crate) security_groups: Vec<String>,
    /// Nova's key pair of servers.
    pub(crate) keypair: Option<String>,
    /// Zones of servers; the first is used.
    pub(crate) availability_zones: Vec<String>,
    /// Zone of volumes; without one the servers' zone.
    pub(crate) storage_availability_zone: Option<String>,
    /// Whether management interfaces get a floating address.
    pub(crate) floating: FloatingPolicy,
    /// Whether a flavour that is larger than asked for will do.
    pub(crate) use_existing_flavors: bool,
    /// Physical networks under data-plane networks.
    pub(crate) physical_networks: PhysicalNetworks,
    /// Type of underlay networks.
    pub(crate) dataplane_network_type: String,
    /// VLANs that the connector chooses from for a network of one segment.
    pub(crate) dataplane_vlans: VlanRanges,
    /// VLANs that it chooses from for networks of several segments.
    pub(crate) multisegment_vlans: VlanRanges,
    /// Data-plane networks are made of a VXLAN and a VLAN segment.
    pub(crate) multisegment: bool,
    /// Networks of several segments are joined to all L2 gateways.
    pub(crate) l2gw: bool,
    /// Networks are made with port security off.
    pub(crate) disable_network_port_security: bool,
    /// Whether Neutron knows port security and security groups.
    pub(crate) port_security_extension: bool,
    /// Hints to Neutron, where networks are served.
    pub(crate) network_zone_hints: Vec<String>,
    /// VMware Integrated OpenStack.
    pub(crate) vio: bool,
    /// Subnets of networks without an address plan are taken from here.
    pub(crate) subnet_range: Cidr,
    /// The network that the host puts management interfaces on, by id and by name; only a check looks at it here.
    pub(crate) management_network_id: Option<String>,
    pub(crate) management_network_name: Option<String>,
}

/// What `use_floating_ip` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FloatingPolicy {
    /// Only interfaces that ask for one.
    OnRequest,
    /// Management interfaces too, from any external network.
    Any,
    /// Management interfaces too, from this external network.
    Pool(String),
}

/// What `dataplane_physical_net` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PhysicalNetworks {
    /// Their names; the first is the default.
    pub(crate) names: Vec<String>,
    /// Whether no other one may be asked for: so when it is a list.
    pub(crate) only_these: bool,
}

/// Ranges of VLANs, each within 1 to 4094.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VlanRanges(Vec<RangeInclusive<u16>>);

impl VlanRanges {
    /// The first VLAN that is not used.
    pub(crate) fn first_free(&self, used: &BTreeSet<u32>) -> Option<u16> {
        let mut all = self.0.iter().cloned().flatten();
        all.find(|vlan| !used.contains(&u32::from(*vlan)))
    }

    /// Whether none is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    microversion: Value,
    security_groups: Words,
    keypair: Option<String>,
    availability_zone: Words,
    storage_availability_zone: Option<String>,
    use_floating_ip: Value,
    use_existing_flavors: Flag,
    dataplane_physical_net: Value,
    dataplane_network_type: Option<String>,
    dataplane_net_vlan_range: Words,
    multisegment_vlan_range: Words,
    multisegment_support: Flag,
    l2gw_support: Flag,
    disable_network_port_security: Flag,
    no_port_security_extension: Flag,
    neutron_availability_zone_hints: Words,
    vim_type: Option<String>,
    subnet_range: Option<String>,
    management_network_id: Value,
    management_network_name: Value,
}

impl Settings {
    /// Reads an account's settings.
    ///
    /// # Errors
    ///
    /// A bad request that names the setting and what it may be.
    pub(crate) fn of(account: &Account) -> Result<Self, Error> {
        let told: Told = account.settings()?;
        let wrong = |why: String| Error::bad_request(format!("the settings of account {}: {why}", account.name));
        let vio = match given(told.vim_type.as_ref()) {
            None => false,
            Some(vim_type) if vim_type.eq_ignore_ascii_case("VIO") => true,
            // An account of OSM may repeat its own type there.
            Some(vim_type) if vim_type.eq_ignore_ascii_case("openstack") => false,
            Some(other) => return Err(wrong(format!("`vim_type` is {other:?}; it may be VIO"))),
        };
        let subnet_range = given(told.subnet_range.as_ref()).unwrap_or(SUBNETS);
        Ok(Self {
            microversion: microversion(&told.microversion).map_err(wrong)?,
            security_groups: told.security_groups.0,
            keypair: owned(told.keypair.as_ref()),
            availability_zones: told.availability_zone.0,
            storage_availability_zone: owned(told.storage_availability_zone.as_ref()),
            floating: floating(&told.use_floating_ip).map_err(wrong)?,
            use_existing_flavors: told.use_existing_flavors.0,
            physical_networks: physical_networks(told.dataplane_physical_net).map_err(wrong)?,
            dataplane_network_type: given(told.dataplane_network_type.as_ref()).unwrap_or(VLAN).to_owned(),
            dataplane_vlans: vlans("dataplane_net_vlan_range", &told.dataplane_net_vlan_range).map_err(wrong)?,
            multisegment_vlans: vlans("multisegment_vlan_range", &told.multisegment_vlan_range).map_err(wrong)?,
            multisegment: told.multisegment_support.0,
            l2gw: told.l2gw_support.0,
            disable_network_port_security: told.disable_network_port_security.0,
            port_security_extension: !told.no_port_security_extension.0,
            network_zone_hints: told.neutron_availability_zone_hints.0,
            vio,
            subnet_range: subnets(subnet_range).map_err(wrong)?,
            management_network_id: named(&told.management_network_id),
            management_network_name: named(&told.management_network_name),
        })
    }

    /// The zone of servers: what is asked for, else the first that is configured.
    pub(crate) fn zone<'a>(&'a self, asked: Option<&'a str>) -> Option<&'a str> {
        asked.or_else(|| self.availability_zones.first().map(String::as_str))
    }
}

/// A number is taken where it can be nothing else: 2.60 and 2.6 are the same number, and not the same microversion.
fn microversion(told: &Value) -> Result<Option<Microversion>, String> {
    let text = match told {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => {
            let text = number.to_string();
            let digits = text.split_once('.').map_or(0, |(_, minor)| minor.len());
            if digits < 2 {
                return Err(format!(
                    "`microversion` is the number {text}; write it as a text, \"2.60\""
                ));
            }
            text
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err("`microversion` is a text such as \"2.60\"".to_owned());
        }
    };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|why: String| format!("`microversion`: {why}"))
}

fn floating(told: &Value) -> Result<FloatingPolicy, String> {
    match told {
        Value::Null | Value::Bool(false) => Ok(FloatingPolicy::OnRequest),
        Value::Bool(true) => Ok(FloatingPolicy::Any),
        Value::String(text) => Ok(match text.trim() {
            "" | "false" | "False" => FloatingPolicy::OnRequest,
            "true" | "True" => FloatingPolicy::Any,
            pool => FloatingPolicy::Pool(pool.to_owned()),
        }),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err("`use_floating_ip` is true, false or an external network".to_owned())
        }
    }
}

fn subnets(text: &str) -> Result<Cidr, String> {
    let range: Cidr = text.parse().map_err(|why: String| format!("`subnet_range`: {why}"))?;
    match range.version() {
        Version::Four => Ok(range),
        Version::Six => Err(format!(
            "`subnet_range` is {range}; IPv4 is meant, since subnets of IPv6 are drawn from fd00::/8"
        )),
    }
}

fn physical_networks(told: Value) -> Result<PhysicalNetworks, String> {
    let only_these = told.is_array();
    let names: Words = serde_json::from_value(told)
        .map_err(|_| "`dataplane_physical_net` is a physical network or a list of them".to_owned())?;
    Ok(PhysicalNetworks {
        names: names.0.into_iter().filter(|name| !name.trim().is_empty()).collect(),
        only_these,
    })
}

fn vlans(setting: &str, told: &Words) -> Result<VlanRanges, String> {
    let range = |text: &String| {
        let wrong = || format!("`{setting}` holds {text:?}; a range is `a - b` with 1 <= a <= b <= 4094");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u16, u16) = (
            first.trim().parse().map_err(|_| wrong())?,
            last.trim().parse().map_err(|_| wrong())?,
        );
        if first < 1 || first > last || last > 4094 {
            return Err(wrong());
        }
        Ok(first..=last)
    };
    told.0.iter().map(range).collect::<Result<_, _>>().map(VlanRanges)
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// As the host reads it: what is no text names nothing.
fn named(told: &Value) -> Option<String> {
    told.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn owned(text: Option<&String>) -> Option<String> {
    given(text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &str) -> Result<Settings, Error> {
        Settings::of(&Account {
            name: "lab".into(),
            config: config.into(),
            ..Account::default()
        })
    }

    #[test]
    fn no_settings_are_the_defaults_of_osm() {
        let settings = settings("").unwrap();
        assert_eq!(settings.dataplane_network_type, "vlan");
        assert_eq!(settings.floating, FloatingPolicy::OnRequest);
        assert!(settings.port_security_extension);
        assert_eq!(settings.zone(None), None);
        assert_eq!(settings.subnet_range.to_string(), "192.168.0.0/16");
    }

    #[test]
    fn one_text_is_as_good_as_a_list() {
        let settings = settings(
            r#"{"security_groups": "a", "availability_zone": ["z1", "z2"], "dataplane_physical_net": "physnet",
                "use_floating_ip": "d9a3", "microversion": "2.6"}"#,
        )
        .unwrap();
        assert_eq!(settings.security_groups, ["a"]);
        assert_eq!(settings.zone(None), Some("z1"));
        assert_eq!(settings.zone(Some("z9")), Some("z9"));
        assert!(!settings.physical_networks.only_these);
        assert_eq!(settings.floating, FloatingPolicy::Pool("d9a3".into()));
        assert_eq!(settings.microversion, Some(Microversion::new(2, 6)));
    }

    #[test]
    fn vlan_ranges_are_checked_and_used_in_order() {
        let settings = settings(r#"{"dataplane_net_vlan_range": ["10 - 11", "3000-3001"]}"#).unwrap();
        let vlans = settings.dataplane_vlans;
        assert_eq!(vlans.first_free(&BTreeSet::new()), Some(10));
        assert_eq!(vlans.first_free(&BTreeSet::from([10, 11])), Some(3000));
        assert_eq!(vlans.first_free(&BTreeSet::from([10, 11, 3000, 3001])), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (config, named) in [
            (r#"{"dataplane_net_vlan_range": ["0 - 5"]}"#, "dataplane_net_vlan_range"),
            (r#"{"multisegment_vlan_range": "9 - 5"}"#, "multisegment_vlan_range"),
            (r#"{"multisegment_vlan_range": ["5000"]}"#, "multisegment_vlan_range"),
            (r#"{"vim_type": "AWS"}"#, "vim_type"),
            (r#"{"microversion": "newest"}"#, "microversion"),
            (r#"{"microversion": 2.60}"#, "write it as a text"),
            (r#"{"use_floating_ip": 7}"#, "use_floating_ip"),
            (r#"{"subnet_range": "10.0.0.0"}"#, "subnet_range"),
        ] {
            let error = settings(config).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest);
            assert!(error.message.contains(named), "{}", error.message);
        }
    }
}
