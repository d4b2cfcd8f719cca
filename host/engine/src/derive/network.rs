//! Networks: found by name or id, the VIM's management network, or created.

use serde_json::{Map, Value, json};

use super::{Derived, Error, Field, Item, NAME_PART, NsContext, cut, sdn};

/// Derives the task of a network on one target.
///
/// `record_ref` is the reference of the network's record item; `target_info` is the value of `vim_info.<target>`.
///
/// # Errors
/// The NS has no name and the network must be created, or a field is not of the agreed shape.
pub fn network(
    ns: &NsContext<'_>,
    record_ref: &str,
    item: &Field<'_>,
    target: &str,
    target_info: &Field<'_>,
) -> Result<Derived, Error> {
    if sdn::is_service(target, target_info)? {
        return sdn::service(record_ref, item, target, target_info);
    }
    let mut derived = Derived {
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::Net)
    };
    if let Some(name) = target_info.text_of("vim_network_name")? {
        derived.find_params = Some(json!({"filter_dict": {"name": name}}));
    } else if let Some(id) = target_info.text_of("vim_network_id")? {
        derived.find_params = Some(json!({"filter_dict": {"id": id}}));
    } else if item.is_set("mgmt-network")? && !target_info.is_set("provider_network")? {
        derived.find_params = Some(json!({"mgmt": true, "name": item.require_text("id")?}));
    } else {
        derived.params = Some(creation(ns, item, target_info)?);
    }
    Ok(derived)
}

fn creation(ns: &NsContext<'_>, item: &Field<'_>, target_info: &Field<'_>) -> Result<Value, Error> {
    let name = match item.text_of("name")? {
        Some(name) => name,
        None => item.require_text("id")?,
    };
    let net_type = match (item.is_set("underlay")?, item.text_of("type")?.as_deref()) {
        (false, _) => "bridge",
        (true, Some("ELINE")) => "ptp",
        (true, _) => "data",
    };
    let provider_network = match target_info.get("provider_network")? {
        Some(provider) if !provider.object()?.is_empty() => provider.value().clone(),
        Some(_) | None => Value::Null,
    };
    Ok(json!({
        "net_name": format!("{}-{}", ns.name_prefix()?, cut(&name, NAME_PART)),
        "ip_profile": ip_profile(target_info)?,
        "provider_network_profile": provider_network,
        "net_type": net_type,
    }))
}

/// Keys that only the dialect up to release 13 has, with the two that SOL006 descriptors bring and release 13 dropped.
const DASHED: [&str; 8] = [
    "ip-version",
    "subnet-address",
    "cidr",
    "gateway-address",
    "gateway-ip",
    "dns-server",
    "dhcp-params",
    "security-group",
];

/// The connector's `ip_profile`, from either dialect.
///
/// A profile without a dashed key is in the later dialect and passes through as it is, since its keys are those of
/// connectors. A dashed one is translated; keys of the later dialect that stand beside dashed ones win.
fn ip_profile(target_info: &Field<'_>) -> Result<Value, Error> {
    let Some(profile) = target_info.get("ip_profile")? else {
        return Ok(Value::Null);
    };
    let given = profile.object()?;
    if given.is_empty() {
        return Ok(Value::Null);
    }
    if !DASHED.iter().any(|key| given.contains_key(*key)) {
        return Ok(profile.value().clone());
    }
    let mut translated = translate(&profile)?;
    for (key, value) in given {
        if !DASHED.contains(&key.as_str()) && !value.is_null() {
            translated.insert(key.clone(), value.clone());
        }
    }
    Ok(Value::Object(translated))
}

fn translate(profile: &Field<'_>) -> Result<Map<String, Value>, Error> {
    let first_of = |keys: [&str; 2]| -> Result<Option<String>, Error> {
        let [first, second] = keys;
        Ok(match profile.text_of(first)? {
            Some(text) => Some(text),
            None => profile.text_of(second)?,
        })
    };
    let version = match profile.text_of("ip-version")? {
        Some(version) if !version.contains("v4") => "IPv6",
        Some(_) | None => "IPv4",
    };
    let (mut enabled, mut start, mut count) = (false, None, None);
    if let Some(dhcp) = profile.get("dhcp-params")? {
        enabled = dhcp.is_set("enabled")?;
        start = dhcp.text_of("start-address")?;
        count = dhcp.whole_of("count")?;
    }
    let mut servers = Vec::new();
    for server in profile.list("dns-server")? {
        servers.extend(server.text_of("address")?);
    }
    let mut translated = Map::from_iter([
        ("ip_version".to_owned(), json!(version)),
        (
            "subnet_address".to_owned(),
            json!(first_of(["subnet-address", "cidr"])?),
        ),
        (
            "gateway_address".to_owned(),
            json!(first_of(["gateway-address", "gateway-ip"])?),
        ),
        ("dhcp_enabled".to_owned(), json!(enabled)),
        ("dhcp_start_address".to_owned(), json!(start)),
        ("dhcp_count".to_owned(), json!(count)),
    ]);
    if !servers.is_empty() {
        translated.insert("dns_address".to_owned(), json!(servers.join(";")));
    }
    if let Some(group) = profile.text_of("security-group")? {
        translated.insert("security_group".to_owned(), json!(group));
    }
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::Kind;

    const NS: NsContext<'static> = NsContext {
        id: "ns",
        name: Some("a network service"),
    };

    fn derive(item: Value, target: &str, info: Value) -> Result<Derived, Error> {
        let info = Field::new("ns:vld:0:vim_info", &info);
        network(&NS, "nsrs:ns:vld.n", &Field::new("ns:vld:0", &item), target, &info)
    }

    fn profile(given: Value) -> Value {
        let params = derive(json!({"id": "n"}), "vim:1", json!({"ip_profile": given}))
            .unwrap()
            .params
            .unwrap();
        params["ip_profile"].clone()
    }

    #[test]
    fn the_first_matching_rule_says_how_a_network_comes_to_be() {
        let mgmt = json!({"id": "mgmt", "mgmt-network": true});
        let table = [
            (
                json!({"vim_network_name": "ext", "vim_network_id": "1"}),
                json!({"filter_dict": {"name": "ext"}}),
            ),
            (
                json!({"vim_network_name": null, "vim_network_id": "1"}),
                json!({"filter_dict": {"id": "1"}}),
            ),
            (
                json!({"vim_account_id": "a", "vim_network_name": null}),
                json!({"mgmt": true, "name": "mgmt"}),
            ),
        ];
        for (info, find) in table {
            let derived = derive(mgmt.clone(), "vim:1", info.clone()).unwrap();
            assert_eq!((derived.find_params, derived.params), (Some(find), None), "{info}");
        }
        let provider = json!({"network-type": "vlan", "segmentation-id": 7});
        let derived = derive(mgmt, "vim:1", json!({"provider_network": provider})).unwrap();
        assert_eq!(derived.find_params, None);
        assert_eq!(derived.params.unwrap()["provider_network_profile"], provider);
    }

    #[test]
    fn a_created_network_has_all_parameters() {
        let derived = derive(
            json!({"id": "n", "name": "data network number one"}),
            "vim:1",
            json!({}),
        )
        .unwrap();
        let params = json!({
            "net_name": "a network servic-data network num", "ip_profile": null, "provider_network_profile": null,
            "net_type": "bridge",
        });
        assert_eq!(derived.params, Some(params));
    }

    #[test]
    fn a_network_without_name_is_called_by_its_id() {
        let derived = derive(json!({"id": 3, "name": null}), "vim:1", json!({})).unwrap();
        assert_eq!(derived.params.unwrap()["net_name"], "a network servic-3");
    }

    #[test]
    fn underlay_and_type_decide_the_net_type() {
        let table = [
            (json!({"id": "n", "type": "ELINE"}), "bridge"),
            (json!({"id": "n", "type": "ELINE", "underlay": false}), "bridge"),
            (json!({"id": "n", "type": "ELINE", "underlay": true}), "ptp"),
            (json!({"id": "n", "type": "ELAN", "underlay": true}), "data"),
            (json!({"id": "n", "type": null, "underlay": {"x": 1}}), "data"),
        ];
        for (item, net_type) in table {
            assert_eq!(
                derive(item.clone(), "vim:1", json!({})).unwrap().params.unwrap()["net_type"],
                net_type,
                "{item}"
            );
        }
    }

    #[test]
    fn the_dashed_ip_profile_is_translated() {
        let given = json!({
            "ip-version": "ipv6", "subnet-address": "2001::/64", "gateway-address": "2001::1",
            "dns-server": [{"address": "8.8.8.8"}, {}, {"address": "8.8.4.4"}],
            "dhcp-params": {"enabled": true, "start-address": "2001::10", "count": "100"}, "security-group": "sg",
        });
        let wanted = json!({
            "ip_version": "IPv6", "subnet_address": "2001::/64", "gateway_address": "2001::1", "dhcp_enabled": true,
            "dhcp_start_address": "2001::10", "dhcp_count": 100, "dns_address": "8.8.8.8;8.8.4.4",
            "security_group": "sg",
        });
        assert_eq!(profile(given), wanted);
    }

    #[test]
    fn a_sparse_dashed_ip_profile_gets_defaults() {
        let wanted = json!({
            "ip_version": "IPv4", "subnet_address": "10.0.0.0/24", "gateway_address": "10.0.0.1", "dhcp_enabled": false,
            "dhcp_start_address": null, "dhcp_count": null,
        });
        assert_eq!(
            profile(json!({"cidr": "10.0.0.0/24", "gateway-ip": "10.0.0.1"})),
            wanted
        );
    }

    #[test]
    fn the_later_ip_profile_passes_through() {
        let given = json!({"ip_version": "IPv6", "ipv6_address_mode": "slaac", "dns_address": "a;b", "something": [1]});
        assert_eq!(profile(given.clone()), given);
        assert_eq!(profile(json!({})), Value::Null);
    }

    #[test]
    fn later_keys_win_in_a_mixed_ip_profile() {
        let mixed = profile(json!({"subnet-address": "10.0.0.0/24", "subnet_address": "10.1.0.0/24", "x": 1}));
        assert_eq!(
            (&mixed["subnet_address"], &mixed["x"]),
            (&json!("10.1.0.0/24"), &json!(1))
        );
    }

    #[test]
    fn sdn_and_wim_targets_make_connectivity_services() {
        let info = json!({
            "sdn": true, "target_vim": "vim:1", "vlds": ["nsrs:ns:vld.n"], "type": "ELAN", "sdn-ports": [], "other": 1,
        });
        for target in ["sdn:9", "wim:9", "vim:9"] {
            let derived = derive(json!({"id": "n"}), target, info.clone()).unwrap();
            assert_eq!(derived.item, Item::SdnNet, "{target}");
            assert_eq!(derived.depends_on, ["vim:1 nsrs:ns:vld.n"]);
            let params = json!({"target_vim": "vim:1", "vlds": ["nsrs:ns:vld.n"], "type": "ELAN"});
            assert_eq!(derived.params, Some(params));
        }
        let derived = derive(json!({"id": "n"}), "wim:9", json!({})).unwrap();
        assert_eq!((derived.params, derived.depends_on), (Some(json!({})), vec![]));
    }

    #[test]
    fn a_wim_without_a_vim_of_its_own_waits_for_the_network_on_every_vim() {
        let item =
            json!({"id": "n", "vim_info": {"vim:1": {}, "vim:2": {"x": 1}, "vim:3": null, "wim:9": {}, "sdn:8": {}}});
        let derived = derive(item, "wim:9", json!({})).unwrap();
        let mut needs = derived.depends_on;
        needs.sort();
        assert_eq!(needs, ["vim:1 nsrs:ns:vld.n", "vim:2 nsrs:ns:vld.n"]);
    }

    #[test]
    fn hostile_networks_are_errors_with_their_place() {
        let table = [
            (json!([]), json!({}), "ns:vld:0"),
            (json!({"id": "n"}), json!(7), "ns:vld:0:vim_info"),
            (
                json!({"id": "n"}),
                json!({"vim_network_name": {}}),
                "ns:vld:0:vim_info:vim_network_name",
            ),
            (
                json!({"id": "n"}),
                json!({"ip_profile": "10.0.0.0/8"}),
                "ns:vld:0:vim_info:ip_profile",
            ),
            (
                json!({"id": "n"}),
                json!({"provider_network": [1]}),
                "ns:vld:0:vim_info:provider_network",
            ),
            (
                json!({"id": "n"}),
                json!({"ip_profile": {"dhcp-params": {"count": -1}}}),
                "ns:vld:0:vim_info:ip_profile:dhcp-params:count",
            ),
            (
                json!({"id": "n"}),
                json!({"ip_profile": {"dns-server": ["8.8.8.8"]}}),
                "ns:vld:0:vim_info:ip_profile:dns-server:0",
            ),
            (
                json!({"id": "n"}),
                json!({"sdn": true, "sdn-ports": [1]}),
                "ns:vld:0:vim_info:sdn-ports:0",
            ),
        ];
        for (item, info, path) in table {
            let error = derive(item, "vim:1", info).unwrap_err();
            assert_eq!((error.kind(), error.path()), (Kind::Shape, Some(path)));
        }
    }

    #[test]
    fn a_network_cannot_be_created_without_the_name_of_the_ns() {
        let ns = NsContext { id: "ns", name: None };
        let (item, info) = (json!({"id": "n"}), json!({}));
        let error = network(&ns, "r", &Field::new("i", &item), "vim:1", &Field::new("t", &info)).unwrap_err();
        assert_eq!(error.path(), Some("name"));
    }
}
