//! The interfaces of a VM: their order, and what each one is connected to.

use serde_json::{Map, Value, json};

use super::vdu::VduContext;
use super::{Error, Field, Misplaced, PositionProblem, ns_reference, placeholder, push_new, vnf_reference};

/// Names in requests, and the names that connectors and, after a deployment, records have instead.
const RENAMED: [(&str, &str); 2] = [
    ("port-security-enabled", "port_security"),
    ("port-security-disable-strategy", "port_security_disable_strategy"),
];

/// What the interfaces contribute to the task of their VM.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    pub(super) net_list: Vec<Value>,
    pub(super) depends_on: Vec<String>,
    pub(super) mgmt_vnf: Option<u32>,
    pub(super) mgmt_vdu: Option<u32>,
    /// Of each entry of `net_list`, its place among the interfaces of the record; empty where no interface was skipped before one.
    pub(super) places: Vec<usize>,
    pub(super) data_networks: Vec<String>,
    /// The interfaces as the record is to have them, if that differs from the request.
    pub(super) record: Option<Value>,
}

/// Derives `net_list` and what follows from it. `vdu` is the VDU's name, for errors.
pub(super) fn interfaces(cx: &VduContext<'_>, vdu: &str, vdur: &Field<'_>) -> Result<Interfaces, Error> {
    let given = vdur.list("interfaces")?;
    let ordered = ordered(cx, vdu, &given)?;
    let mut result = Interfaces::default();
    let mut record = Vec::with_capacity(ordered.len());
    for (place, interface) in ordered.iter().enumerate() {
        record.push(renamed(interface.object()?));
        let Some(network) = network_of(cx, interface)? else {
            tracing::debug!(
                vnf = cx.member_index,
                vdu,
                interface = interface.path(),
                "interface without network skipped"
            );
            continue;
        };
        push_new(&mut result.depends_on, network.clone());
        let kind = Kind::of(interface)?;
        if matches!(kind, Kind::Data(_)) {
            push_new(&mut result.data_networks, network.clone());
        }
        // The position in net_list, not among all interfaces: results come back in the order of net_list.
        let index = u32::try_from(result.net_list.len()).ok();
        if interface.is_set("mgmt-vnf")? {
            result.mgmt_vnf = index;
        } else if interface.is_set("mgmt-interface")? {
            result.mgmt_vdu = index;
        }
        result.net_list.push(entry(interface, &network, kind)?);
        result.places.push(place);
    }
    if result.places.iter().enumerate().all(|(index, place)| index == *place) {
        result.places.clear();
    }
    if !given.iter().map(Field::value).eq(&record) {
        result.record = Some(Value::Array(record));
    }
    Ok(result)
}

fn network_of(cx: &VduContext<'_>, interface: &Field<'_>) -> Result<Option<String>, Error> {
    if let Some(id) = interface.text_of("ns-vld-id")? {
        return Ok(Some(ns_reference(cx.ns.id, "vld", &id)));
    }
    Ok(interface
        .text_of("vnf-vld-id")?
        .map(|id| vnf_reference(cx.vnf_id, "vld", &id)))
}

/// What an interface is for; decides type, use and model.
enum Kind {
    /// SR-IOV or passthrough.
    Data(String),
    Management,
    /// Any other, with the model that the descriptor asks for.
    Ordinary(Option<String>),
}

impl Kind {
    fn of(interface: &Field<'_>) -> Result<Self, Error> {
        let text = interface.text_of("type")?;
        Ok(match text {
            Some(text) if text == "SR-IOV" || text == "PCI-PASSTHROUGH" => Self::Data(text),
            Some(text) if text == "OM-MGMT" => Self::Management,
            Some(_) | None if interface.is_set("mgmt-interface")? || interface.is_set("mgmt-vnf")? => Self::Management,
            model => Self::Ordinary(model),
        })
    }
}

fn entry(interface: &Field<'_>, network: &str, kind: Kind) -> Result<Value, Error> {
    let mut entry = Map::new();
    for key in ["name", "vpci"] {
        if let Some(text) = interface.text_of(key)? {
            entry.insert(key.to_owned(), text.into());
        }
    }
    if let Some(floating) = interface.get("floating_ip")? {
        // A flag, or the pool to take the address from.
        let value = match floating.value() {
            Value::Bool(flag) => json!(flag),
            Value::String(_) | Value::Number(_) => json!(floating.text()?),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(floating.unlike("a flag or the name of a pool"));
            }
        };
        entry.insert("floating_ip".to_owned(), value);
    }
    let [(dashed_security, security), (dashed_strategy, strategy)] = RENAMED;
    for key in [dashed_security, security] {
        if interface.get(key)?.is_some() {
            entry.insert(security.to_owned(), interface.is_set(key)?.into());
            break;
        }
    }
    for key in [dashed_strategy, strategy] {
        if let Some(text) = interface.text_of(key)? {
            entry.insert(strategy.to_owned(), text.into());
            break;
        }
    }
    entry.insert("net_id".to_owned(), placeholder(network).into());
    let (kind, used, model) = match kind {
        Kind::Data(text) => (text.clone(), "data", Some(json!(text))),
        Kind::Management => ("virtual".to_owned(), "mgmt", None),
        Kind::Ordinary(model) => ("virtual".to_owned(), "bridge", Some(json!(model))),
    };
    entry.insert("type".to_owned(), kind.into());
    entry.insert("use".to_owned(), used.into());
    if let Some(model) = model {
        entry.insert("model".to_owned(), model);
    }
    if let Some(text) = interface.text_of("ip-address")? {
        // Two addresses, one of each version, from release 14 on.
        let mut addresses: Vec<&str> = text.split(';').filter(|address| !address.is_empty()).collect();
        if interface.is_set("floating_ip")? && starts_with_floating(&addresses) {
            addresses.remove(0);
        }
        let value = match addresses.as_slice() {
            [_, _, ..] => json!(addresses),
            [one] => json!(one),
            [] => json!(""),
        };
        entry.insert("ip_address".to_owned(), value);
    }
    if let Some(address) = interface.text_of("mac-address")? {
        entry.insert("mac_address".to_owned(), address.into());
    }
    Ok(Value::Object(entry))
}

/// Whether addresses that a record shows begin with a floating one, which is not the port's own: then another one of its version
/// follows.
fn starts_with_floating(addresses: &[&str]) -> bool {
    addresses
        .split_first()
        .is_some_and(|(first, rest)| rest.iter().any(|other| other.contains(':') == first.contains(':')))
}

/// The interface as the record has it after a deployment.
fn renamed(interface: &Map<String, Value>) -> Value {
    let mut record = interface.clone();
    for (dashed, name) in RENAMED {
        if let Some(value) = record.remove(dashed) {
            record.insert(name.to_owned(), value);
        }
    }
    Value::Object(record)
}

/// The interfaces in the order the guest is to see them.
///
/// If all have positions these only order, so gaps, negative ones and two of the same are harmless: those stay as they
/// were given. If some have, a position is a place among all interfaces, counted from 1 (from 0 if any position is 0), and
/// the others fill the free places in turn; a place that two ask for, or that is none, is an error.
fn ordered<'v>(cx: &VduContext<'_>, vdu: &str, given: &[Field<'v>]) -> Result<Vec<Field<'v>>, Error> {
    let mut positions = Vec::with_capacity(given.len());
    for interface in given {
        let position = interface
            .get("position")?
            .map(|position| position.integer())
            .transpose()?;
        positions.push(position);
    }
    let refuse = |interface: &Field<'v>, position: i64, problem: PositionProblem| {
        Error::from(Box::new(Misplaced {
            path: format!("{}:position", interface.path()),
            vnf: cx.member_index.to_owned(),
            vdu: vdu.to_owned(),
            interface: label(interface),
            position,
            problem,
        }))
    };
    let positioned: Vec<(i64, &Field<'v>)> = positions
        .iter()
        .zip(given)
        .filter_map(|(position, interface)| Some(((*position)?, interface)))
        .collect();
    if positioned.is_empty() {
        return Ok(given.to_vec());
    }
    let mut sorted = positioned;
    // Stable: what asks for the same position stays in the order of the request.
    sorted.sort_by_key(|(position, _)| *position);
    if sorted.len() == given.len() {
        return Ok(sorted.into_iter().map(|(_, interface)| interface.clone()).collect());
    }
    let from_zero = sorted.iter().any(|(position, _)| *position == 0);
    let first: i64 = if from_zero { 0 } else { 1 };
    let last = i64::try_from(given.len())
        .unwrap_or(i64::MAX)
        .saturating_sub(1)
        .saturating_add(first);
    let mut free = positions
        .iter()
        .zip(given)
        .filter(|(position, _)| position.is_none())
        .map(|(_, interface)| interface);
    let mut result: Vec<Field<'v>> = Vec::with_capacity(given.len());
    let mut before: Option<(i64, &Field<'v>)> = None;
    for (position, interface) in sorted {
        if position < first || position > last {
            return Err(refuse(interface, position, PositionProblem::OutOfRange { first, last }));
        }
        if let Some((taken, other)) = before
            && taken == position
        {
            return Err(refuse(
                interface,
                position,
                PositionProblem::Clash { with: label(other) },
            ));
        }
        // Places before this one that nobody asked for.
        let place = usize::try_from(position - first).unwrap_or(usize::MAX);
        while result.len() < place
            && let Some(filler) = free.next()
        {
            result.push(filler.clone());
        }
        result.push(interface.clone());
        before = Some((position, interface));
    }
    result.extend(free.cloned());
    Ok(result)
}

/// How an error calls an interface: by name, or by its place when it has none.
fn label(interface: &Field<'_>) -> String {
    match interface.text_of("name") {
        Ok(Some(name)) => name,
        Ok(None) | Err(_) => interface.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{self, testing};

    fn derive(list: Value) -> Result<Interfaces, Error> {
        let vdur = json!({ "interfaces": list });
        interfaces(&testing::context(), "vm", &Field::new("vnf:0:vdur:1", &vdur))
    }

    fn names(list: Value) -> Vec<String> {
        let entries = derive(list).unwrap().net_list;
        entries
            .iter()
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Interfaces a, b, c … with these positions.
    fn positioned(positions: &[Option<i64>]) -> Value {
        let one = |(letter, position): (char, &Option<i64>)| {
            let name = letter.to_string();
            json!({"name": name, "ns-vld-id": "n", "position": position})
        };
        ('a'..='z').zip(positions).map(one).collect()
    }

    #[test]
    fn positions_order_the_interfaces() {
        for (positions, order) in [
            (vec![None, None, None], "abc"),
            (vec![Some(2), Some(0), Some(1)], "bca"),
            (vec![Some(30), Some(10), Some(20)], "bca"),
            (vec![Some(3), None, None], "bca"),
            (vec![None, None, Some(1)], "cab"),
            (vec![None, Some(0), None], "bac"),
            (vec![None, Some(2), Some(0)], "cab"),
            (vec![None, None, Some(2), None], "acbd"),
            (vec![Some(1), Some(1)], "ab"),
            (vec![Some(2), Some(1), Some(2), Some(1)], "bdac"),
            (vec![Some(-1), Some(1), Some(-2)], "cab"),
            (vec![Some(i64::MAX), Some(i64::MIN)], "ba"),
        ] {
            assert_eq!(names(positioned(&positions)).concat(), order, "{positions:?}");
        }
    }

    #[test]
    fn the_order_of_ng_ros_test_data_is_kept() {
        let constants = testing::ng_ro_constants();
        assert_eq!(
            names(constants["interfaces_wthout_positions"].clone()),
            ["vdu-eth1", "vdu-eth2", "vdu-eth3"]
        );
        assert_eq!(
            names(constants["interfaces_wth_all_positions"].clone()),
            ["vdu-eth2", "vdu-eth3", "vdu-eth1"]
        );
    }

    #[test]
    fn d14_positions_out_of_range_are_refused() {
        for (positions, path, text) in [
            (
                vec![Some(4), None, None],
                0,
                "interface a asks for position 4, which is not among 1 to 3",
            ),
            (
                vec![None, Some(0), Some(3)],
                2,
                "interface c asks for position 3, which is not among 0 to 2",
            ),
            (
                vec![Some(-1), Some(1), None],
                0,
                "interface a asks for position -1, which is not among 1 to 3",
            ),
        ] {
            let error = derive(positioned(&positions)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("cannot order the interfaces of VDU vm of VNF vnf1: {text}")
            );
            assert_eq!(
                error.path(),
                Some(format!("vnf:0:vdur:1:interfaces:{path}:position").as_str())
            );
            assert_eq!(error.kind(), derive::Kind::Shape);
        }
    }

    #[test]
    fn d14_clashing_positions_are_refused() {
        for positions in [vec![Some(2), Some(2), None], vec![Some(0), Some(0), None]] {
            let error = derive(positioned(&positions)).unwrap_err();
            assert!(error.to_string().contains("interface b asks for position"), "{error}");
            assert!(error.to_string().ends_with("which interface a has"), "{error}");
        }
    }

    #[test]
    fn the_kind_of_interface_decides_type_use_and_model() {
        let base = json!({"net_id": "TASK-nsrs:ns-id:vld.n"});
        for (interface, wanted) in [
            (
                json!({"type": "SR-IOV"}),
                json!({"type": "SR-IOV", "model": "SR-IOV", "use": "data"}),
            ),
            (
                json!({"type": "PCI-PASSTHROUGH", "mgmt-vnf": true}),
                json!({"type": "PCI-PASSTHROUGH", "model": "PCI-PASSTHROUGH", "use": "data"}),
            ),
            (json!({"type": "OM-MGMT"}), json!({"type": "virtual", "use": "mgmt"})),
            (
                json!({"type": "PARAVIRT", "mgmt-interface": true}),
                json!({"type": "virtual", "use": "mgmt"}),
            ),
            (json!({"mgmt-vnf": true}), json!({"type": "virtual", "use": "mgmt"})),
            (
                json!({"type": "VIRTIO"}),
                json!({"type": "virtual", "use": "bridge", "model": "VIRTIO"}),
            ),
            (json!({}), json!({"type": "virtual", "use": "bridge", "model": null})),
        ] {
            let (mut interface, mut expected) = (interface, base.clone());
            interface["ns-vld-id"] = json!("n");
            expected
                .as_object_mut()
                .unwrap()
                .extend(wanted.as_object().unwrap().clone());
            assert_eq!(derive(json!([interface])).unwrap().net_list, [expected], "{interface}");
        }
    }

    #[test]
    fn an_interface_of_both_versions_asks_for_two_addresses() {
        let derived = derive(json!([{"ns-vld-id": "n", "ip-address": "10.0.0.5;2001:db8::5"}])).unwrap();
        assert_eq!(derived.net_list[0]["ip_address"], json!(["10.0.0.5", "2001:db8::5"]));
        let derived = derive(json!([{"ns-vld-id": "n", "ip-address": "10.0.0.5;"}])).unwrap();
        assert_eq!(derived.net_list[0]["ip_address"], "10.0.0.5");
    }

    #[test]
    fn the_floating_address_that_a_record_shows_is_not_asked_for_as_one_of_the_ports_own() {
        let derived = |floating: Value, addresses: &str| {
            let list = json!([{"ns-vld-id": "n", "floating_ip": floating, "ip-address": addresses}]);
            derive(list).unwrap().net_list[0]["ip_address"].clone()
        };
        for floating in [json!(true), json!("pool")] {
            for (shown, asked) in [
                ("203.0.113.1;10.0.0.5", json!("10.0.0.5")),
                ("203.0.113.1;10.0.0.5;2001:db8::5", json!(["10.0.0.5", "2001:db8::5"])),
                ("203.0.113.1;2001:db8::5;10.0.0.5", json!(["2001:db8::5", "10.0.0.5"])),
                ("10.0.0.5;2001:db8::5", json!(["10.0.0.5", "2001:db8::5"])),
                ("10.0.0.5", json!("10.0.0.5")),
            ] {
                assert_eq!(derived(floating.clone(), shown), asked, "{shown}");
            }
        }
        assert_eq!(
            derived(json!(false), "10.0.0.4;10.0.0.5"),
            json!(["10.0.0.4", "10.0.0.5"])
        );
    }

    #[test]
    fn an_entry_has_what_the_interface_says() {
        let interface = json!({
            "name": "eth0", "vpci": "0000:00:0b.0", "floating_ip": true, "port-security-enabled": false,
            "port-security-disable-strategy": "full", "vnf-vld-id": "int", "ip-address": "10.0.0.5",
            "mac-address": "fa:16:3e:00:00:01",
            "unknown": {"kept": true},
        });
        let derived = derive(json!([interface])).unwrap();
        let wanted = json!({
            "name": "eth0", "vpci": "0000:00:0b.0", "floating_ip": true, "port_security": false,
            "port_security_disable_strategy": "full", "net_id": "TASK-vnfrs:vnf-id:vld.int", "type": "virtual",
            "use": "bridge", "model": null, "ip_address": "10.0.0.5", "mac_address": "fa:16:3e:00:00:01",
        });
        assert_eq!(
            (derived.net_list, derived.depends_on),
            (vec![wanted], vec!["vnfrs:vnf-id:vld.int".to_owned()])
        );
        let record = &derived.record.unwrap()[0];
        assert_eq!(
            (&record["port_security"], &record["unknown"]),
            (&json!(false), &json!({"kept": true}))
        );
        assert_eq!(record.get("port-security-enabled"), None);
    }

    #[test]
    fn interfaces_of_an_earlier_record_are_understood() {
        let interface = json!({"ns-vld-id": "n", "port_security": false, "port_security_disable_strategy": "full"});
        let derived = derive(json!([interface])).unwrap();
        assert_eq!(derived.net_list[0]["port_security"], false);
        assert_eq!(derived.net_list[0]["port_security_disable_strategy"], "full");
        assert_eq!(derived.record, None);
    }

    #[test]
    fn a_new_order_is_written_to_the_record() {
        let record = derive(positioned(&[Some(2), Some(1)])).unwrap().record.unwrap();
        assert_eq!((&record[0]["name"], &record[1]["name"]), (&json!("b"), &json!("a")));
        assert!(derive(positioned(&[Some(1), Some(2)])).unwrap().record.is_none());
    }

    #[test]
    fn d23_management_indexes_count_net_list() {
        let derived = derive(json!([
            {"name": "skipped"},
            {"name": "m", "ns-vld-id": "n", "mgmt-vnf": true, "mgmt-interface": true},
            {"name": "also skipped", "mgmt-interface": true},
            {"name": "d", "ns-vld-id": "n", "mgmt-interface": true},
        ]));
        let derived = derived.unwrap();
        assert_eq!(
            (derived.mgmt_vnf, derived.mgmt_vdu, derived.net_list.len()),
            (Some(0), Some(1), 2)
        );
        assert_eq!(
            derived.places,
            [1, 3],
            "their places in the record, which keeps those that are skipped"
        );
        assert!(derive(json!([{"ns-vld-id": "n"}, {}])).unwrap().places.is_empty());
    }

    #[test]
    fn sr_iov_turns_networks_into_data_networks() {
        let derived = derive(json!([
            {"ns-vld-id": "n", "type": "SR-IOV"}, {"vnf-vld-id": "i", "type": "PCI-PASSTHROUGH"},
            {"ns-vld-id": "n", "type": "SR-IOV"},
            {"ns-vld-id": "o", "type": "VIRTIO"},
        ]));
        let derived = derived.unwrap();
        assert_eq!(derived.data_networks, ["nsrs:ns-id:vld.n", "vnfrs:vnf-id:vld.i"]);
        assert_eq!(
            derived.depends_on,
            ["nsrs:ns-id:vld.n", "vnfrs:vnf-id:vld.i", "nsrs:ns-id:vld.o"]
        );
    }

    #[test]
    fn hostile_interfaces_are_errors_with_their_place() {
        let base = "vnf:0:vdur:1:interfaces";
        for (list, path) in [
            (json!({}), base.to_owned()),
            (json!([[]]), format!("{base}:0")),
            (json!([{"position": "first"}]), format!("{base}:0:position")),
            (json!([{"position": 1.5}]), format!("{base}:0:position")),
            (json!([{}, {"ns-vld-id": ["n"]}]), format!("{base}:1:ns-vld-id")),
            (
                json!([{"ns-vld-id": "n", "floating_ip": {}}]),
                format!("{base}:0:floating_ip"),
            ),
            (
                json!([{"ns-vld-id": "n", "ip-address": []}]),
                format!("{base}:0:ip-address"),
            ),
            (json!([{"position": i64::MAX}, {}]), format!("{base}:0:position")),
            (json!([{"position": i64::MIN}, {}]), format!("{base}:0:position")),
        ] {
            let error = derive(list).unwrap_err();
            assert_eq!(error.path(), Some(path.as_str()));
        }
    }
}
