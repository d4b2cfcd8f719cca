//! What can be told about a document without asking anybody: addresses, sizes, names that stand twice.
//!
//! A VIM would refuse most of it too, minutes later and in words of its own, with half of the service made; some of it a VIM takes
//! and nobody notices. What only the VIM knows (whether it has an image of that name, how long user data may be) is left to it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::spec::{FlavourSpec, NetworkSpec, ServiceSpec, VmSpec};
use crate::Error;

/// Largest size or count. VIMs keep them as signed numbers of 32 bits.
const MAX_SIZE: u64 = 2_147_483_647;

/// What an interface may be.
const INTERFACE_TYPES: [&str; 5] = ["PARAVIRT", "VIRTIO", "E1000", "SR-IOV", "PCI-PASSTHROUGH"];

/// Checks a document whose references are known to lead somewhere.
pub(super) fn check(spec: &ServiceSpec) -> Result<(), Error> {
    for (name, network) in &spec.networks {
        check_network(&format!("networks:{name}"), network)?;
    }
    for (name, flavour) in &spec.flavours {
        check_flavour(&format!("flavours:{name}"), flavour)?;
    }
    for (name, vm) in &spec.vms {
        check_vm(&format!("vms:{name}"), vm, spec)?;
    }
    Ok(())
}

fn check_network(path: &str, network: &NetworkSpec) -> Result<(), Error> {
    if network.existing.is_some() {
        let given = [
            ("subnet", network.subnet.is_some()),
            ("gateway", network.gateway.is_some()),
            ("dns", !network.dns.is_empty()),
            ("dhcp", network.dhcp.is_some()),
            ("underlay", network.underlay),
        ];
        if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
            let reason = "is for a network that is made, and 'existing' names one that is there; leave one of them out";
            return Err(Error::shape(format!("{path}:{key}"), reason));
        }
        return Ok(());
    }
    let subnet = match &network.subnet {
        // Bits behind the prefix may be set: VIMs take `10.10.0.5/24` for `10.10.0.0/24`.
        Some(text) => Some(text.parse::<IpNet>().map_err(|_| {
            let reason = format!("'{text}' is no range of addresses like 10.10.0.0/24 or fd00:10::/64");
            Error::shape(format!("{path}:subnet"), reason)
        })?),
        None => None,
    };
    if let Some(gateway) = &network.gateway {
        let path = format!("{path}:gateway");
        let address = address(&path, gateway)?;
        // It may be outside the subnet: some routers are reached over the link only.
        if subnet.is_some_and(|subnet| subnet.addr().is_ipv4() != address.is_ipv4()) {
            let reason = format!("'{gateway}' is of another version of IP than the subnet");
            return Err(Error::shape(path, reason));
        }
    }
    for (index, server) in network.dns.iter().enumerate() {
        address(&format!("{path}:dns:{index}"), server)?;
    }
    Ok(())
}

fn check_flavour(path: &str, flavour: &FlavourSpec) -> Result<(), Error> {
    size(&format!("{path}:vcpus"), u64::from(flavour.vcpus), 1)?;
    size(&format!("{path}:memory-mb"), flavour.memory_mb, 1)?;
    size(&format!("{path}:disk-gb"), flavour.disk_gb, 0)
}

fn check_vm(path: &str, vm: &VmSpec, spec: &ServiceSpec) -> Result<(), Error> {
    for (index, interface) in vm.interfaces.iter().enumerate() {
        let path = format!("{path}:interfaces:{index}");
        if let Some(text) = &interface.ip_address {
            let path = format!("{path}:ip-address");
            let address = address(&path, text)?;
            let network = spec.networks.get(&interface.network);
            let subnet = network.and_then(|network| network.subnet.as_ref());
            let is_outside = |subnet: &IpNet| !subnet.contains(&address);
            if let Some(subnet) = subnet.filter(|subnet| subnet.parse().is_ok_and(|range| is_outside(&range))) {
                let reason = format!(
                    "{text} is not in {subnet}, the subnet of network '{}'",
                    interface.network
                );
                return Err(Error::shape(path, reason));
            }
        }
        if let Some(text) = interface.mac_address.as_ref().filter(|text| !is_mac(text)) {
            let reason = format!("'{text}' is no MAC address like fa:16:3e:00:00:01");
            return Err(Error::shape(format!("{path}:mac-address"), reason));
        }
        if let Some(kind) = interface.kind.as_deref().filter(|kind| !INTERFACE_TYPES.contains(kind)) {
            let reason = format!("'{kind}' is none of {}", INTERFACE_TYPES.join(", "));
            return Err(Error::shape(format!("{path}:type"), reason));
        }
    }
    let mut volumes = BTreeSet::new();
    for (index, volume) in vm.volumes.iter().enumerate() {
        let path = format!("{path}:volumes:{index}");
        size(&format!("{path}:size-gb"), volume.size_gb, 1)?;
        if !volumes.insert(&volume.name) {
            let reason = format!("another volume of the VM has the name '{}'", volume.name);
            return Err(Error::shape(format!("{path}:name"), reason));
        }
    }
    if let Some(index) = vm.ssh_keys.iter().position(|key| !is_public_key(key)) {
        let reason = "is no public key of one line like 'ssh-ed25519 AAAA… who@where'";
        return Err(Error::shape(format!("{path}:ssh-keys:{index}"), reason));
    }
    Ok(())
}

fn size(path: &str, size: u64, least: u64) -> Result<(), Error> {
    if (least..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    Err(Error::shape(
        path,
        format!("is not a number from {least} to {MAX_SIZE}"),
    ))
}

fn address(path: &str, text: &str) -> Result<IpAddr, Error> {
    text.parse()
        .map_err(|_| Error::shape(path, format!("'{text}' is no IP address")))
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut parts = 0;
    text.split(separator).all(|part| {
        parts += 1;
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    }) && parts == 6
}

/// A line of `authorized_keys`. Options may stand before the type; the key itself begins with the length of its type's name, which
/// makes it `AAAA`.
fn is_public_key(text: &str) -> bool {
    let line = text.trim_end();
    !line.contains(['\n', '\r']) && line.split_whitespace().skip(1).any(|word| word.starts_with("AAAA"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "name": "svc", "vim": "x",
            "networks": {"mgmt": {"existing": "mgmt"},
                         "data": {"subnet": "10.10.0.0/24", "gateway": "10.10.0.1", "dns": ["192.0.2.1", "2001:db8::1"], "dhcp": true},
                         "six": {"subnet": "fd00:10::/64"}},
            "flavours": {"f": {"vcpus": 1, "memory-mb": 1, "disk-gb": 0}},
            "vms": {"vm": {"image": "ubuntu", "flavour": "f",
                "interfaces": [{"network": "mgmt", "management": true, "ip-address": "172.16.0.9"},
                               {"network": "data", "ip-address": "10.10.0.9", "mac-address": "fa:16:3E:00:00:01", "type": "SR-IOV"},
                               {"network": "six", "ip-address": "fd00:10::9", "mac-address": "FA-16-3E-00-00-02"}],
                "volumes": [{"name": "a", "size-gb": 1}, {"name": "b", "size-gb": 2}],
                "ssh-keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here\n", "no-pty ssh-rsa AAAAB3NzaC1yc2E"]}},
        })
    }

    /// Where a document with another value is refused, and why; none when it is taken.
    fn refusal(pointer: &str, value: Value) -> Option<(String, String)> {
        let mut document = document();
        *document.pointer_mut(pointer).unwrap() = value;
        match ServiceSpec::parse(document) {
            Ok(_) => None,
            Err(Error::Shape { path, reason }) => Some((path, reason)),
            Err(other) => panic!("{pointer}: {other}"),
        }
    }

    #[test]
    fn a_document_of_good_values_is_taken() {
        ServiceSpec::parse(document()).unwrap();
        for (pointer, value) in [
            ("/networks/data/subnet", json!("10.10.0.5/24")),
            ("/networks/data/subnet", json!("0.0.0.0/0")),
            ("/networks/data/gateway", json!("169.254.0.1")),
            ("/networks/six/subnet", json!("::/0")),
            ("/vms/vm/interfaces", json!([])),
        ] {
            assert_eq!(refusal(pointer, value.clone()), None, "{pointer} {value}");
        }
    }

    #[test]
    fn what_no_vim_could_make_is_refused_at_its_place() {
        for (pointer, value, said) in [
            ("/networks/data/subnet", json!("10.10.0.0/33"), "10.10.0.0/33"),
            ("/networks/data/subnet", json!("10.10.0.0"), "range"),
            ("/networks/data/subnet", json!("10.10.0.0/+8"), "range"),
            ("/networks/data/subnet", json!("data"), "range"),
            ("/networks/six/subnet", json!("fd00::/129"), "range"),
            ("/networks/data/gateway", json!("x"), "no IP address"),
            ("/networks/data/gateway", json!("fd00::1"), "another version"),
            ("/networks/data/dns/1", json!("ns.example"), "no IP address"),
            ("/flavours/f/vcpus", json!(0), "from 1"),
            ("/flavours/f/memory-mb", json!(0), "from 1"),
            ("/flavours/f/disk-gb", json!(1u64 << 31), "to 2147483647"),
            ("/vms/vm/interfaces/1/ip-address", json!("300.1.1.1"), "no IP address"),
            (
                "/vms/vm/interfaces/1/ip-address",
                json!("10.11.0.9"),
                "not in 10.10.0.0/24",
            ),
            (
                "/vms/vm/interfaces/1/ip-address",
                json!("fd00:10::9"),
                "not in 10.10.0.0/24",
            ),
            (
                "/vms/vm/interfaces/2/ip-address",
                json!("fd00:11::9"),
                "not in fd00:10::/64",
            ),
            ("/vms/vm/interfaces/1/mac-address", json!("zz"), "MAC"),
            ("/vms/vm/interfaces/1/mac-address", json!("fa:16:3e:00:00"), "MAC"),
            ("/vms/vm/interfaces/1/type", json!("FAST"), "SR-IOV"),
            ("/vms/vm/volumes/0/size-gb", json!(0), "from 1"),
            ("/vms/vm/volumes/1/name", json!("a"), "another volume"),
            ("/vms/vm/ssh-keys/0", json!("nonsense"), "public key"),
            ("/vms/vm/ssh-keys/1", json!("ssh-rsa AAAA\nssh-rsa AAAA"), "public key"),
        ] {
            let (path, reason) =
                refusal(pointer, value.clone()).unwrap_or_else(|| panic!("{pointer} {value} is taken"));
            assert_eq!(format!("/{}", path.replace(':', "/")), pointer, "{reason}");
            assert!(reason.contains(said), "{pointer}: {reason}");
        }
    }

    #[test]
    fn an_existing_network_is_not_described() {
        for (key, value) in [
            ("subnet", json!("10.0.0.0/24")),
            ("gateway", json!("10.0.0.1")),
            ("dns", json!(["10.0.0.1"])),
            ("dhcp", json!(false)),
            ("underlay", json!(true)),
        ] {
            let (path, reason) = refusal("/networks/mgmt", json!({"existing": "mgmt", key: value})).unwrap();
            assert_eq!(path, format!("networks:mgmt:{key}"));
            assert!(reason.contains("existing"), "{reason}");
        }
    }
}
