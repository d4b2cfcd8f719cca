//! Networks, their addresses, and ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use super::{Collection, Naming, State};
use crate::call::Kind;
use crate::clock::UnixMillis;
use crate::elements::{Network, Port};
use crate::faults::Armed;
use crate::refusal::Refusal;

/// The networks that are always there. A /16 each: tests put thousands of ports on `mgmt`.
const NETWORKS: [(&str, Ipv4Net); 2] = [
    ("mgmt", Ipv4Net::new_assert(Ipv4Addr::new(172, 20, 0, 0), 16)),
    ("osm-ext", Ipv4Net::new_assert(Ipv4Addr::new(172, 21, 0, 0), 16)),
];

/// The size of an allocated subnet: 4093 ports, more than a test puts on one network; 4096 of them fit into 10.0.0.0/8
/// before they repeat, and networks are separate anyhow.
const SUBNET_PREFIX: u8 = 20;

/// Segmentation ids given out: 100 to 3999, below it is room for those a client chooses.
const VLANS: std::ops::Range<u16> = 100..4000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNetwork {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(rename = "type")]
    network_type: Option<String>,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    provider: Value,
    #[serde(default)]
    ip_profile: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPort {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    network: String,
    #[serde(rename = "type")]
    port_type: Option<String>,
    mac: Option<String>,
    ip: Option<String>,
    port_security: Option<bool>,
}

/// What is taken in a network.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    ips: BTreeSet<IpAddr>,
    macs: BTreeSet<String>,
    /// Where the search for a free address goes on; from the start it would be slower with every port.
    cursor: u128,
}

impl AddressBook {
    pub(super) fn take(&mut self, port: &Port) {
        self.ips.insert(port.ip);
        self.macs.insert(port.mac.clone());
    }

    fn release(&mut self, port: &Port) {
        self.ips.remove(&port.ip);
        self.macs.remove(&port.mac);
    }

    /// The next free host address after the last one given, once around the subnet.
    fn free(&mut self, network: &Network) -> Option<IpAddr> {
        let base = number(network.subnet.network());
        let size = 1_u128.checked_shl(u32::from(network.subnet.max_prefix_len() - network.subnet.prefix_len()));
        // Neither the network's own address, nor the first (by custom the gateway's), nor the last (broadcast).
        let hosts = 2..size.unwrap_or(u128::MAX).saturating_sub(1);
        let start = self.cursor.max(hosts.start);
        let found = (start..hosts.end)
            .chain(hosts.start..start.min(hosts.end))
            .find_map(|offset| {
                let ip = address(base + offset, network.subnet);
                let free = !self.ips.contains(&ip) && network.gateway != Some(ip);
                free.then_some((offset, ip))
            });
        let (offset, ip) = found?;
        self.cursor = offset + 1;
        Some(ip)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn address(number: u128, like: IpNet) -> IpAddr {
    match like {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(number.into()),
    }
}

/// A field of free JSON, under any of its names.
fn named<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names
        .iter()
        .find_map(|name| value.get(name))
        .filter(|value| !value.is_null())
}

/// A text of free JSON that must be parsed as something.
fn parsed<T: std::str::FromStr>(value: &Value, names: &[&str]) -> Result<Option<T>, Refusal> {
    let Some(found) = named(value, names) else {
        return Ok(None);
    };
    let parsed = found.as_str().and_then(|text| text.parse().ok());
    parsed
        .map(Some)
        .ok_or_else(|| Refusal::BadRequest(format!("{} {found} cannot be understood", names.join("|"))))
}

/// Whether a port's type is one that passes a device to the guest.
fn passes_device(port_type: &str) -> bool {
    ["SR-IOV", "VF", "VFnotShared", "PCI-PASSTHROUGH", "PF"].contains(&port_type)
}

impl State {
    pub(super) fn add_preset_networks(&mut self) {
        for (name, subnet) in NETWORKS {
            let network = Network {
                meta: self.preset_meta(Kind::Networks, name),
                network_type: Some("bridge".to_owned()),
                shared: true,
                provider: Value::Null,
                ip_profile: Value::Null,
                subnet: subnet.into(),
                gateway: subnet.hosts().next().map(IpAddr::V4),
                vlan: self.next_vlan(),
                status: "ACTIVE".to_owned(),
            };
            self.addresses.insert(network.meta.id.clone(), AddressBook::default());
            self.networks.insert(network);
        }
    }

    /// Attaches a port to a server on a host, or detaches it.
    pub(super) fn assign_port(&mut self, id: &str, to: Option<(&str, &str)>) {
        let Some(port) = self.ports.get(id) else { return };
        let keeps = port.pci.clone();
        let pci = (to.is_some() && passes_device(&port.port_type)).then(|| keeps.unwrap_or_else(|| self.next_pci()));
        self.update::<Port>(id, |port| {
            port.server = to.map(|(server, _)| server.to_owned());
            port.host = to.map(|(_, host)| host.to_owned());
            port.status = if to.is_some() { "ACTIVE" } else { "DOWN" }.to_owned();
            port.pci = pci;
        });
    }

    fn next_vlan(&mut self) -> u16 {
        let given = self.given.vlans;
        self.given.vlans = given.wrapping_add(1);
        let offset = given % u32::from(VLANS.end - VLANS.start);
        VLANS.start.saturating_add(u16::try_from(offset).unwrap_or_default())
    }

    fn next_subnet(&mut self) -> IpNet {
        let given = self.given.subnets;
        self.given.subnets = given.wrapping_add(1);
        // A network of 10.0.0.0/8: the number of the subnet stands between the first octet and the hosts' bits.
        let base = 0x0A00_0000 | ((given % (1 << (SUBNET_PREFIX - 8))) << (32 - SUBNET_PREFIX));
        // The default is never taken: the prefix is a constant that fits.
        Ipv4Net::new(Ipv4Addr::from(base), SUBNET_PREFIX)
            .unwrap_or_default()
            .into()
    }

    fn next_mac(&mut self) -> String {
        self.given.macs = self.given.macs.wrapping_add(1);
        let [_, a, b, c] = self.given.macs.to_be_bytes();
        format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
    }

    /// Functions of a network card, eight a device, sixteen devices a bus, from `0000:af:10.1`.
    fn next_pci(&mut self) -> String {
        self.given.pcis = self.given.pcis.wrapping_add(1);
        let given = self.given.pcis;
        let bus = 0xaf + (given / 128) % 0x50;
        let device = 0x10 + (given / 8) % 16;
        format!("0000:{bus:02x}:{device:02x}.{}", given % 8)
    }
}

impl Collection for Network {
    type New = NewNetwork;

    fn create(state: &mut State, new: NewNetwork, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        let subnet = parsed::<IpNet>(&new.ip_profile, &["subnet_address", "subnet-address", "cidr"])?;
        let gateway = parsed(&new.ip_profile, &["gateway_address", "gateway-address", "gateway"])?;
        let vlan = named(&new.provider, &["segmentation_id", "segmentation-id", "vlan"])
            .map(|id| {
                id.as_u64()
                    .or_else(|| id.as_str()?.parse().ok())
                    .and_then(|id| u16::try_from(id).ok())
            })
            .map(|id| id.ok_or_else(|| Refusal::BadRequest("the segmentation id is no number up to 65535".to_owned())))
            .transpose()?;
        let network = Self {
            network_type: new.network_type,
            shared: new.shared,
            provider: new.provider,
            ip_profile: new.ip_profile,
            subnet: subnet.map_or_else(|| state.next_subnet(), |subnet| subnet.trunc()),
            gateway,
            vlan: vlan.unwrap_or_else(|| state.next_vlan()),
            status: "ACTIVE".to_owned(),
            meta: state.meta(
                Naming {
                    name: new.name,
                    token: new.token,
                    metadata: new.metadata,
                },
                now,
            ),
        };
        state.addresses.insert(network.meta.id.clone(), AddressBook::default());
        Ok(state.networks.insert(network))
    }

    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.find::<Self>(id)?;
        let ports = state.addresses.get(id).map_or(0, |book| book.ips.len());
        if ports > 0 {
            return Err(Refusal::Conflict(format!("network {id} has {ports} ports")));
        }
        state.remove::<Self>(id)?;
        state.addresses.remove(id);
        Ok(())
    }

    fn table(state: &State) -> &Table<Self> {
        &state.networks
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.networks
    }
}

impl Collection for Port {
    type New = NewPort;

    fn create(state: &mut State, new: NewPort, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        let network = Arc::clone(state.referred::<Network>(&new.network)?);
        let book = state.addresses.entry(new.network.clone()).or_default();
        let wanted = new
            .ip
            .as_deref()
            .map(|text| {
                text.parse::<IpAddr>()
                    .map_err(|_| Refusal::BadRequest(format!("{text} is no address")))
            })
            .transpose()?;
        let mac = new.mac.map(|mac| mac.to_ascii_lowercase());
        if let Some(mac) = &mac
            && book.macs.contains(mac)
        {
            return Err(Refusal::Conflict(format!("{mac} is taken in network {}", new.network)));
        }
        let ip = match wanted {
            Some(ip) if !network.subnet.contains(&ip) => {
                return Err(Refusal::BadRequest(format!("{ip} is not in {}", network.subnet)));
            }
            Some(ip) if book.ips.contains(&ip) => {
                return Err(Refusal::Conflict(format!("{ip} is taken in network {}", new.network)));
            }
            Some(ip) => ip,
            None => book
                .free(&network)
                .ok_or_else(|| Refusal::Conflict(format!("no free address in {}", network.subnet)))?,
        };
        let port = Self {
            network: new.network,
            port_type: new.port_type.unwrap_or_else(|| "virtual".to_owned()),
            mac: mac.unwrap_or_else(|| state.next_mac()),
            ip,
            port_security: new.port_security,
            server: None,
            host: None,
            vlan: network.vlan,
            pci: None,
            status: "DOWN".to_owned(),
            meta: state.meta(
                Naming {
                    name: new.name,
                    token: new.token,
                    metadata: new.metadata,
                },
                now,
            ),
        };
        state.addresses.entry(port.network.clone()).or_default().take(&port);
        Ok(state.ports.insert(port))
    }

    /// Like Neutron: a port may go while a server has it; the server loses the interface.
    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        let port = state.remove::<Self>(id)?;
        if let Some(book) = state.addresses.get_mut(&port.network) {
            book.release(&port);
        }
        if let Some(server) = &port.server {
            state.update::<super::Server>(server, |server| server.ports.retain(|port| port != id));
        }
        Ok(())
    }

    fn table(state: &State) -> &Table<Self> {
        &state.ports
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.ports
    }
}

/// The address books of stored ports.
pub(super) fn address_books<'p>(
    networks: impl Iterator<Item = &'p Arc<Network>>,
    ports: impl Iterator<Item = &'p Arc<Port>>,
) -> BTreeMap<String, AddressBook> {
    let mut books: BTreeMap<_, _> = networks
        .map(|network| (network.meta.id.clone(), AddressBook::default()))
        .collect();
    for port in ports {
        books.entry(port.network.clone()).or_default().take(port);
    }
    books
}
