//! Networks at Neutron: made once with their subnet, found, observed, deleted without touching what is not theirs.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::network_lab::{Lab, TOKEN};
use crate::stubs::keystone::PROJECT;
use crate::stubs::neutron::{Fate, error};

fn request(name: &str) -> NetworkRequest {
    NetworkRequest {
        name: name.into(),
        ..NetworkRequest::default()
    }
}

fn with_profile(profile: IpProfile) -> NetworkRequest {
    NetworkRequest {
        ip_profile: Some(profile),
        ..request("net")
    }
}

fn create(lab: &Lab, token: &str, request: NetworkRequest) -> Result<String, Error> {
    match OpenStack::create_network(&lab.account, &lab.kit.call(token), request)? {
        CreateStep::Done(created) => Ok(created.id),
        CreateStep::Pending(pending) => Err(Error::other(pending.reason)),
    }
}

/// Calls, with the state as a host keeps it, until it is made or has failed.
fn create_to_the_end(lab: &Lab, token: &str, request: &NetworkRequest) -> Result<String, Error> {
    let mut state = None;
    for _ in 0..10 {
        let call = Call {
            state: state.take(),
            ..lab.kit.call(token)
        };
        match OpenStack::create_network(&lab.account, &call, request.clone())? {
            CreateStep::Done(created) => return Ok(created.id),
            CreateStep::Pending(pending) => state = pending.state,
        }
    }
    panic!("{token} is never made");
}

fn delete(lab: &Lab, token: &str, id: Option<&str>) -> Result<DeleteStep, Error> {
    OpenStack::delete_network(&lab.account, &lab.kit.call(token), id)
}

#[test]
fn a_network_and_its_subnet_carry_their_tokens_from_the_first_moment() {
    let lab = Lab::new();
    let id = create(&lab, TOKEN, request("net")).unwrap();
    let (networks, subnets) = (lab.neutron.all("networks"), lab.neutron.all("subnets"));
    assert_eq!(networks[0]["description"], TOKEN);
    assert_eq!(subnets[0]["description"], format!("{TOKEN}.s0"));
    assert_eq!(subnets[0]["name"], "net-subnet");
    assert_eq!(subnets[0]["gateway_ip"], Value::Null);
    assert_eq!(subnets[0]["network_id"], id);
    let subnet = subnets[0]["id"].as_str().unwrap();
    assert_eq!(
        lab.kit.journal_lines(),
        [
            format!("network {TOKEN} = {id}"),
            format!("subnet {TOKEN}.s0 = {subnet}")
        ]
    );
}

#[test]
fn a_network_whose_answer_was_lost_is_found_by_its_token() {
    let lab = Lab::new();
    lab.neutron.next(Method::Post, "networks", Fate::Lost);
    let failed = create(&lab, TOKEN, request("net")).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unreachable);
    create(&lab, TOKEN, request("net")).unwrap();
    assert_eq!(lab.neutron.all("networks").len(), 1);
}

#[test]
fn nothing_is_lost_or_made_twice_wherever_a_creation_dies() {
    let lab = Lab::new();
    let points = lab.kit.survives_crashes(
        |_| lab.neutron.clear(),
        |_| drop(create(&lab, TOKEN, request("net")).unwrap()),
        |kit, point| {
            assert_eq!(lab.neutron.all("networks").len(), 1, "point {point}");
            assert_eq!(lab.neutron.all("subnets").len(), 1, "point {point}");
            assert_eq!(kit.journal_lines().len(), 2, "point {point}");
        },
    );
    assert!(points > 10, "{points}");
}

#[test]
fn a_network_whose_subnet_is_refused_is_taken_back() {
    let refusals = [
        (409, "Quota exceeded for resources: ['subnet'].", ErrorKind::Quota),
        (400, "Invalid input for operation.", ErrorKind::BadRequest),
    ];
    for (status, words, kind) in refusals {
        let lab = Lab::new();
        lab.neutron
            .next(Method::Post, "subnets", Fate::Refused(error(status, "X", words)));
        let failed = create_to_the_end(&lab, TOKEN, &request("net")).unwrap_err();
        assert_eq!(failed.kind, kind, "{status}");
        assert!(failed.message.contains(words), "{}", failed.message);
        assert!(lab.neutron.all("networks").is_empty(), "{status}");
        assert_eq!(lab.kit.journal_lines(), Vec::<String>::new(), "{status}");
    }
    // What passes by itself is not undone.
    let lab = Lab::new();
    lab.neutron
        .next(Method::Post, "subnets", Fate::Refused(error(429, "X", "too fast")));
    create_to_the_end(&lab, TOKEN, &request("net")).unwrap_err();
    assert_eq!(lab.neutron.all("networks").len(), 1);
    create_to_the_end(&lab, TOKEN, &request("net")).unwrap();
    assert_eq!(lab.neutron.all("networks").len(), 1);
}

#[test]
fn o14_networks_without_an_address_plan_never_overlap() {
    let lab = Lab::new();
    let taken = json!({"id": "s", "cidr": "192.168.0.0/17", "ip_version": 4, "project_id": "another"});
    lab.neutron.put("subnets", taken);
    for number in 0..20 {
        lab.kit.set_journal(Vec::new());
        create(&lab, &format!("abcde-task-{number}"), request("net")).unwrap();
    }
    let subnets = lab.neutron.all("subnets");
    let cidrs: BTreeSet<&str> = subnets.iter().filter_map(|subnet| subnet["cidr"].as_str()).collect();
    assert_eq!(cidrs.len(), 21);
    let third = |cidr: &&str| cidr.split('.').nth(2).unwrap().parse::<u8>().unwrap();
    assert!(
        cidrs
            .iter()
            .filter(|cidr| cidr.ends_with("/24"))
            .all(|cidr| third(cidr) >= 128),
        "{cidrs:?}"
    );
}

#[test]
fn o14_a_range_that_is_used_up_says_so() {
    let lab = Lab::with(json!({"subnet_range": "10.9.8.0/24"}));
    create(&lab, TOKEN, request("one")).unwrap();
    assert_eq!(lab.neutron.all("subnets")[0]["cidr"], "10.9.8.0/24");
    lab.kit.set_journal(Vec::new());
    let failed = create_to_the_end(&lab, "abcde-task-2", &request("two")).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    assert!(failed.message.contains("`subnet_range`"), "{}", failed.message);
    assert_eq!(lab.neutron.all("networks").len(), 1);
}

#[test]
fn o15_an_address_plan_that_cannot_be_is_refused_before_anything_is_made() {
    let lab = Lab::new();
    let profile = IpProfile {
        subnet: Some("10.0.0.0/28".into()),
        dhcp_count: Some(100),
        ..IpProfile::default()
    };
    let failed = create(&lab, TOKEN, with_profile(profile)).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(lab.kit.requests().is_empty());
    assert!(lab.kit.journal().is_empty());
}

#[test]
fn o15_half_an_address_range_is_completed() {
    let lab = Lab::new();
    let profile = IpProfile {
        subnet: Some("10.0.0.0/24".into()),
        dhcp_count: Some(9),
        ..IpProfile::default()
    };
    create(&lab, TOKEN, with_profile(profile)).unwrap();
    let pools = &lab.neutron.all("subnets")[0]["allocation_pools"];
    assert_eq!(*pools, json!([{"start": "10.0.0.1", "end": "10.0.0.9"}]));
}

#[test]
fn an_ipv6_network_without_a_subnet_gets_a_unique_local_one() {
    let lab = Lab::new();
    let profile = IpProfile {
        version: IpVersion::Ipv6,
        ipv6_address_mode: Some("slaac".into()),
        ..IpProfile::default()
    };
    create(&lab, TOKEN, with_profile(profile)).unwrap();
    let subnet = &lab.neutron.all("subnets")[0];
    assert_eq!(subnet["ip_version"], 6);
    let cidr = subnet["cidr"].as_str().unwrap();
    assert!(cidr.starts_with("fd") && cidr.ends_with("/64"), "{cidr}");
    assert_eq!(subnet["ipv6_ra_mode"], "slaac");
}

#[test]
fn a_data_network_is_on_the_physical_network_of_the_account() {
    let lab = Lab::with(json!({"dataplane_physical_net": ["phys1", "phys2"]}));
    let data = NetworkRequest {
        kind: Some(NetworkKind::Data),
        ..request("data")
    };
    create(&lab, TOKEN, data).unwrap();
    let network = &lab.neutron.all("networks")[0];
    assert_eq!(network["provider:physical_network"], "phys1");
    assert_eq!(network["provider:network_type"], "vlan");
    assert!(network.get("provider:segmentation_id").is_none(), "Neutron chooses");
}

#[test]
fn a_physical_network_that_the_account_does_not_list_is_a_conflict() {
    let lab = Lab::with(json!({"dataplane_physical_net": ["phys1"]}));
    let elsewhere = |physical: &str| NetworkRequest {
        provider: Some(ProviderNetwork {
            physical_network: Some(physical.into()),
            segmentation_id: Some(77),
            ..ProviderNetwork::default()
        }),
        ..request("data")
    };
    let failed = create(&lab, TOKEN, elsewhere("phys9")).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    create(&lab, TOKEN, elsewhere("phys1")).unwrap();
    assert_eq!(lab.neutron.all("networks")[0]["provider:segmentation_id"], 77);
    let nowhere = Lab::new();
    let data = NetworkRequest {
        kind: Some(NetworkKind::Ptp),
        ..request("data")
    };
    let failed = create(&nowhere, TOKEN, data).unwrap_err();
    assert!(
        failed.message.contains("`dataplane_physical_net`"),
        "{}",
        failed.message
    );
}

#[test]
fn a_vlan_somebody_else_got_is_replaced_by_the_next_one() {
    let lab = Lab::with(json!({
        "vim_type": "VIO", "dataplane_physical_net": "phys1", "dataplane_net_vlan_range": ["10 - 12"],
    }));
    let used = json!({"id": "n", "provider:network_type": "vlan", "provider:physical_network": "phys1", "provider:segmentation_id": 10});
    lab.neutron.put("networks", used);
    lab.neutron.next(
        Method::Post,
        "networks",
        Fate::Refused(error(409, "VlanIdInUse", "The VLAN 11 is in use.")),
    );
    let data = NetworkRequest {
        kind: Some(NetworkKind::Data),
        ..request("data")
    };
    create(&lab, TOKEN, data).unwrap();
    assert_eq!(lab.neutron.all("networks")[1]["provider:segmentation_id"], 12);
}

#[test]
fn a_network_of_two_segments_is_joined_to_each_gateway_and_leaves_it() {
    let lab = Lab::with(json!({
        "multisegment_support": true, "l2gw_support": true, "dataplane_physical_net": "phys1",
        "multisegment_vlan_range": "100 - 200",
    }));
    let data = NetworkRequest {
        kind: Some(NetworkKind::Data),
        ..request("data")
    };
    let id = create(&lab, TOKEN, data).unwrap();
    let network = &lab.neutron.all("networks")[0];
    assert_eq!(network["segments"][0]["provider:network_type"], "vxlan");
    assert_eq!(network["segments"][1]["provider:segmentation_id"], 100);
    let connection = &lab.neutron.all("l2-gateway-connections")[0];
    assert_eq!(
        (&connection["network_id"], &connection["segmentation_id"]),
        (&json!(id), &json!("100"))
    );
    assert_eq!(delete(&lab, TOKEN, Some(&id)).unwrap(), DeleteStep::Done);
    assert!(lab.neutron.all("l2-gateway-connections").is_empty());
    assert!(lab.kit.journal().is_empty());
}

#[test]
fn o16_ports_of_others_are_never_deleted_with_a_network() {
    let lab = Lab::new();
    let id = create(&lab, TOKEN, request("net")).unwrap();
    let foreign = json!({"id": "port-x", "name": "theirs", "network_id": id, "device_owner": "compute:nova", "device_id": "vm-7"});
    lab.neutron.put("ports", foreign);
    let failed = delete(&lab, TOKEN, Some(&id)).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    assert!(
        failed.message.contains("port-x") && failed.message.contains("vm-7"),
        "{}",
        failed.message
    );
    assert_eq!(lab.neutron.all("ports").len(), 1);
    assert_eq!(lab.count("DELETE /v2.0/ports"), 0);
}

#[test]
fn a_network_goes_with_its_subnet_and_being_gone_is_success() {
    let lab = Lab::new();
    let id = create(&lab, TOKEN, request("net")).unwrap();
    assert_eq!(delete(&lab, TOKEN, Some(&id)).unwrap(), DeleteStep::Done);
    assert!(lab.neutron.all("networks").is_empty() && lab.neutron.all("subnets").is_empty());
    assert!(lab.kit.journal().is_empty());
    assert_eq!(delete(&lab, TOKEN, Some(&id)).unwrap(), DeleteStep::Done);
}

#[test]
fn a_network_whose_answer_was_lost_is_deleted_by_its_token() {
    let lab = Lab::new();
    lab.neutron.next(Method::Post, "networks", Fate::Lost);
    create(&lab, TOKEN, request("net")).unwrap_err();
    assert_eq!(delete(&lab, TOKEN, None).unwrap(), DeleteStep::Done);
    assert!(lab.neutron.all("networks").is_empty());
}

#[test]
fn what_may_still_appear_is_waited_for() {
    let lab = Lab::new();
    lab.neutron.next(Method::Post, "networks", Fate::Lost);
    create(&lab, TOKEN, request("net")).unwrap_err();
    lab.neutron.clear();
    assert!(matches!(delete(&lab, TOKEN, None).unwrap(), DeleteStep::Pending(_)));
    lab.kit.advance(Duration::from_secs(91));
    assert_eq!(delete(&lab, TOKEN, None).unwrap(), DeleteStep::Done);
}

#[test]
fn networks_are_found_by_name_and_a_name_in_several_projects_means_the_own() {
    let lab = Lab::new();
    let network =
        |id: &str, project: &str| json!({"id": id, "name": "mgmt", "project_id": project, "status": "ACTIVE"});
    let find = || {
        let filter = Filter {
            name: Some("mgmt".into()),
            ..Filter::default()
        };
        let found = OpenStack::find_networks(&lab.account, filter).unwrap();
        found.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    assert!(find().is_empty());
    lab.neutron.put("networks", network("theirs", "another"));
    assert_eq!(find(), ["theirs"]);
    lab.neutron.put("networks", network("ours", PROJECT));
    assert_eq!(find(), ["ours"]);
}

#[test]
fn o02_networks_are_observed_together_and_those_that_are_gone_are_named() {
    let lab = Lab::new();
    lab.neutron.page.set(Some(2));
    let ids: Vec<String> = (0..5).map(|number| format!("n{number}")).collect();
    for id in &ids[..4] {
        lab.neutron.put(
            "networks",
            json!({"id": id, "name": id, "status": "ACTIVE", "admin_state_up": id != "n1"}),
        );
        lab.neutron.put(
            "subnets",
            json!({"id": format!("s-{id}"), "network_id": id, "cidr": "10.0.0.0/24"}),
        );
    }
    let observed = OpenStack::observe(&lab.account, ElementKind::Network, &ids, None).unwrap();
    assert_eq!(observed.gone, ["n4"]);
    let states: Vec<_> = observed
        .changed
        .iter()
        .map(|seen| (seen.id.as_str(), seen.status))
        .collect();
    let (active, down) = (ElementStatus::Active, ElementStatus::Down);
    assert_eq!(states, [("n0", active), ("n1", down), ("n2", active), ("n3", active)]);
    let details: Value = serde_json::from_str(&observed.changed[0].details).unwrap();
    assert_eq!(details["subnets"][0]["subnet"]["cidr"], "10.0.0.0/24");
    // Two pages of each; without pages it is one request for all networks and one for all subnets.
    assert_eq!(
        (lab.count("GET /v2.0/networks"), lab.count("GET /v2.0/subnets")),
        (2, 2)
    );
}

#[test]
fn an_audit_lists_what_carries_a_token_of_ours() {
    let lab = Lab::new();
    create(&lab, TOKEN, request("net")).unwrap();
    lab.neutron.put(
        "networks",
        json!({"id": "theirs", "name": "x", "description": "for the printer", "project_id": PROJECT}),
    );
    lab.neutron.put(
        "networks",
        json!({"id": "alike", "name": "z", "description": "abcde- is how we begin", "project_id": PROJECT}),
    );
    // An administrator sees what the same host made for another account.
    lab.neutron.put(
        "networks",
        json!({"id": "other", "name": "y", "description": "abcde-task-9", "project_id": "another"}),
    );
    let page = OpenStack::list_owned(&lab.account, ElementKind::Network, "abcde-", None).unwrap();
    let tokens: Vec<&str> = page.elements.iter().map(|owned| owned.token.as_str()).collect();
    assert_eq!(tokens, [TOKEN]);
    assert!(page.cursor.is_none());
}

#[test]
fn an_audit_reads_a_page_with_each_call() {
    let lab = Lab::new();
    lab.neutron.page.set(Some(2));
    for number in 0..5 {
        lab.neutron.put(
            "ports",
            json!({"id": format!("port-{number}"), "name": "x", "description": format!("abcde-1.p{number}"),
                   "project_id": PROJECT}),
        );
    }
    let (mut tokens, mut cursor, mut pages) = (Vec::new(), None::<Vec<u8>>, 0);
    loop {
        let page = OpenStack::list_owned(&lab.account, ElementKind::Port, "abcde-", cursor.as_deref()).unwrap();
        pages += 1;
        assert_eq!(lab.count("GET /v2.0/ports"), pages);
        tokens.extend(page.elements.into_iter().map(|owned| owned.token));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(tokens, [0, 1, 2, 3, 4].map(|number| format!("abcde-1.p{number}")));
    assert_eq!(pages, 3);
}
