//! Ports, floating addresses and interfaces, which are made and seen as parts of servers.

use std::rc::Rc;

use serde_json::{Value, json};
use vimhost_sdk::http::{Fault, Method};
use vimhost_sdk::infrastructure::PortSecurityDisableStrategy;
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;

#[path = "../../tests/connector/stubs/keystone.rs"]
#[allow(dead_code, reason = "it is shared with the tests of the connector")]
mod keystone;
#[path = "../../tests/connector/stubs/neutron.rs"]
#[allow(dead_code, reason = "it is shared with the tests of the connector")]
mod stub;

use keystone::{Keystone, PROJECT, account};
use stub::{Fate, Neutron, error};

use super::floating::{self, Wanted};
use super::{FLOATING, PORT, drawn, ports, security_groups};
use crate::vim::Vim;

const TOKEN: &str = "abcde-task-1";

const REQUIRED: Wanted = Wanted {
    required: true,
    pool: None,
};

struct Lab {
    kit: TestKit,
    neutron: Rc<Neutron>,
    vim: Vim,
}

impl Lab {
    fn new(config: &Value) -> Self {
        let kit = TestKit::new();
        let (keystone, neutron) = (Keystone::default(), Rc::new(Neutron::default()));
        let told = Rc::clone(&neutron);
        kit.vim(move |exchange| {
            let nobody = || Err(Fault::NotReached("nobody is there".into()));
            match keystone.stops(exchange) {
                Some(answer) => Ok(answer),
                None => told.answer(exchange).unwrap_or_else(nobody),
            }
        });
        let vim = Vim::of(&account(&config.to_string())).unwrap();
        Self { kit, neutron, vim }
    }

    fn port(&self, interface: &ServerInterface, groups: &[String]) -> Result<String, Failure> {
        ports::create(&self.vim, &self.kit.call(TOKEN), 0, "vm", interface, groups)
    }

    fn external(&self, id: &str) {
        self.neutron.put(
            "networks",
            json!({"id": id, "name": format!("{id}-net"), "router:external": true}),
        );
    }

    fn free_address(&self, id: &str, description: &str) {
        self.neutron.put(
            "floatingips",
            json!({
                "id": id, "floating_network_id": "ext", "floating_ip_address": "203.0.113.200", "port_id": null,
                "project_id": PROJECT, "description": description, "revision_number": 4,
            }),
        );
    }

    fn give(&self, port: &str, wanted: &Wanted) -> Result<Option<String>, Failure> {
        floating::give(&self.vim, &self.kit.call(TOKEN), 0, port, wanted)
    }

    fn count(&self, request: &str) -> usize {
        let requests = self.kit.requests();
        requests.iter().filter(|sent| sent.starts_with(request)).count()
    }
}

fn interface() -> ServerInterface {
    ServerInterface {
        network: "net".into(),
        ..ServerInterface::default()
    }
}

#[test]
fn what_is_drawn_depends_on_the_token_alone() {
    assert_eq!(drawn("abcde-t1"), drawn("abcde-t1"));
    assert_ne!(drawn("abcde-t1"), drawn("abcde-t2"));
}

#[test]
fn a_port_is_made_as_its_interface_asks() {
    let lab = Lab::new(&json!({}));
    let interface = ServerInterface {
        name: Some("eth0".into()),
        ip_addresses: vec!["10.0.0.7".into(), "fd00::7".into()],
        mac_address: Some("fa:16:3e:00:00:07".into()),
        kind: InterfaceKind::SrIov,
        ..interface()
    };
    let id = lab.port(&interface, &["sg-1".into()]).unwrap();
    let port = &lab.neutron.all("ports")[0];
    assert_eq!(port["description"], format!("{TOKEN}.p0"));
    assert_eq!(port["name"], "eth0");
    assert_eq!(port["binding:vnic_type"], "direct");
    assert_eq!(port["mac_address"], "fa:16:3e:00:00:07");
    assert_eq!(
        port["fixed_ips"],
        json!([{"ip_address": "10.0.0.7"}, {"ip_address": "fd00::7"}])
    );
    assert_eq!(port["security_groups"], json!(["sg-1"]));
    assert_eq!(lab.kit.journal_lines(), [format!("{PORT} {TOKEN}.p0 = {id}")]);
}

#[test]
fn a_port_whose_answer_was_lost_is_found_by_its_token() {
    let lab = Lab::new(&json!({}));
    lab.neutron.next(Method::Post, "ports", Fate::Lost);
    assert_eq!(lab.port(&interface(), &[]).unwrap_err().outcome, Outcome::Unknown);
    lab.port(&interface(), &[]).unwrap();
    assert_eq!(lab.neutron.all("ports").len(), 1);
}

#[test]
fn a_refused_port_leaves_nothing_announced() {
    let lab = Lab::new(&json!({}));
    let full = error(409, "OverQuota", "Quota exceeded for resources: ['port'].");
    lab.neutron.next(Method::Post, "ports", Fate::Refused(full));
    let failed = lab.port(&interface(), &[]).unwrap_err();
    assert_eq!(failed.error.kind, ErrorKind::Quota);
    assert!(lab.kit.journal().is_empty());
}

#[test]
fn port_security_is_left_alone_until_the_server_runs() {
    let lab = Lab::new(&json!({}));
    let open = ServerInterface {
        port_security: Some(false),
        ..interface()
    };
    let id = lab.port(&open, &["sg-1".into()]).unwrap();
    let port = lab.neutron.all("ports")[0].clone();
    assert_eq!(
        (port.get("security_groups"), port.get("port_security_enabled")),
        (None, None)
    );
    assert!(ports::takes_security_off(&lab.vim, &open));
    assert!(!ports::takes_security_off(&lab.vim, &interface()));
    ports::disable_security(&lab.vim, &id, None).unwrap();
    let port = &lab.neutron.all("ports")[0];
    assert_eq!(
        (&port["port_security_enabled"], &port["security_groups"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn any_address_is_allowed_in_the_versions_the_port_has() {
    let lab = Lab::new(&json!({}));
    let id = lab.port(&interface(), &[]).unwrap();
    ports::disable_security(&lab.vim, &id, Some(PortSecurityDisableStrategy::AllowAddressPairs)).unwrap();
    let pairs = &lab.neutron.all("ports")[0]["allowed_address_pairs"];
    assert_eq!(*pairs, json!([{"ip_address": "0.0.0.0/0"}]));
}

#[test]
fn without_the_extension_neither_groups_nor_port_security_are_named() {
    let lab = Lab::new(&json!({"no_port_security_extension": true, "security_groups": ["default"]}));
    assert!(security_groups::resolve(&lab.vim, &[]).unwrap().is_empty());
    let open = ServerInterface {
        port_security: Some(false),
        ..interface()
    };
    assert!(!ports::takes_security_off(&lab.vim, &open));
}

#[test]
fn security_groups_are_named_or_by_id_and_a_request_goes_before_the_account() {
    let lab = Lab::new(&json!({"security_groups": "default"}));
    for (id, name) in [
        ("sg-1", "default"),
        ("sg-2", "web"),
        ("sg-3", "twice"),
        ("sg-4", "twice"),
    ] {
        lab.neutron.put(
            "security-groups",
            json!({"id": id, "name": name, "project_id": PROJECT}),
        );
    }
    let resolve = |named: &[&str]| {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        security_groups::resolve(&lab.vim, &named)
    };
    assert_eq!(resolve(&[]).unwrap(), ["sg-1"]);
    assert_eq!(resolve(&["web", "sg-1"]).unwrap(), ["sg-2", "sg-1"]);
    assert_eq!(resolve(&["none"]).unwrap_err().error.kind, ErrorKind::NotFound);
    assert_eq!(resolve(&["twice"]).unwrap_err().error.kind, ErrorKind::Conflict);
}

#[test]
fn o06_a_new_floating_address_is_made_for_its_port_in_one_request() {
    let lab = Lab::new(&json!({}));
    lab.external("ext");
    let port = lab.port(&interface(), &[]).unwrap();
    let id = lab.give(&port, &REQUIRED).unwrap().unwrap();
    let address = &lab.neutron.all("floatingips")[0];
    assert_eq!((&address["id"], &address["port_id"]), (&json!(id), &json!(port)));
    assert_eq!(address["description"], format!("{TOKEN}.f0"));
    assert_eq!(
        (lab.count("POST /v2.0/floatingips"), lab.count("PUT /v2.0/floatingips")),
        (1, 0)
    );
    assert_eq!(lab.give(&port, &REQUIRED).unwrap(), Some(id));
    assert_eq!(lab.neutron.all("floatingips").len(), 1);
}

#[test]
fn o06_a_floating_address_whose_answer_was_lost_is_not_made_again() {
    let lab = Lab::new(&json!({}));
    lab.external("ext");
    let port = lab.port(&interface(), &[]).unwrap();
    lab.neutron.next(Method::Post, "floatingips", Fate::Lost);
    lab.give(&port, &REQUIRED).unwrap_err();
    lab.give(&port, &REQUIRED).unwrap().unwrap();
    assert_eq!(lab.neutron.all("floatingips").len(), 1);
}

#[test]
fn o06_a_free_address_is_taken_unless_it_was_made_for_a_server_or_changed() {
    let lab = Lab::new(&json!({}));
    lab.external("ext");
    let port = lab.port(&interface(), &[]).unwrap();
    lab.free_address("ours-elsewhere", "abcde-task-9.f0");
    lab.free_address("contested", "");
    lab.free_address("free", "");
    let raced = error(
        412,
        "RevisionNumberConstraintFailed",
        "Constrained to 4, but current revision is 5",
    );
    lab.neutron.next(Method::Put, "floatingips", Fate::Refused(raced));
    assert_eq!(lab.give(&port, &REQUIRED).unwrap().as_deref(), Some("free"));
    let put = lab
        .kit
        .exchanges()
        .into_iter()
        .filter(|sent| sent.method == Method::Put);
    let conditions: Vec<Option<String>> = put.map(|sent| sent.header("if-match").map(str::to_owned)).collect();
    assert_eq!(conditions, vec![Some("revision_number=4".to_owned()); 2]);
    assert!(
        !lab.kit.journal().iter().any(|entry| entry.kind == FLOATING),
        "it is not ours to delete"
    );
}

#[test]
fn of_several_external_networks_the_one_that_is_reachable_is_taken() {
    let lab = Lab::new(&json!({}));
    lab.external("far");
    lab.external("near");
    lab.neutron.unreachable.borrow_mut().push("far".into());
    let port = lab.port(&interface(), &[]).unwrap();
    lab.give(&port, &REQUIRED).unwrap().unwrap();
    assert_eq!(lab.neutron.all("floatingips")[0]["floating_network_id"], "near");
}

#[test]
fn a_pool_is_an_external_network_by_id_or_name() {
    let lab = Lab::new(&json!({"use_floating_ip": "near-net"}));
    lab.external("far");
    lab.external("near");
    let mgmt = ServerInterface {
        use_for: InterfaceUse::Mgmt,
        ..interface()
    };
    assert_eq!(floating::wanted(&lab.vim, &interface()), None);
    let wanted = floating::wanted(&lab.vim, &mgmt).unwrap();
    assert!(!wanted.required);
    let port = lab.port(&mgmt, &[]).unwrap();
    lab.give(&port, &wanted).unwrap().unwrap();
    assert_eq!(lab.neutron.all("floatingips")[0]["floating_network_id"], "near");
}

#[test]
fn a_required_address_that_cannot_be_had_fails_and_an_optional_one_is_logged() {
    let lab = Lab::new(&json!({}));
    let port = lab.port(&interface(), &[]).unwrap();
    let failed = lab.give(&port, &REQUIRED).unwrap_err();
    assert_eq!(failed.error.kind, ErrorKind::Conflict);
    let optional = Wanted {
        required: false,
        pool: None,
    };
    assert_eq!(lab.give(&port, &optional).unwrap(), None);
    let lines = lab.kit.log();
    assert!(
        lines
            .iter()
            .any(|line| line.message.contains("without floating address")),
        "{lines:?}"
    );
}

#[test]
fn o02_interfaces_of_many_servers_are_read_together() {
    let lab = Lab::new(&json!({}));
    lab.neutron.put(
        "networks",
        json!({"id": "net", "provider:network_type": "vlan", "provider:segmentation_id": 42}),
    );
    for number in 0..6 {
        lab.neutron.put(
            "ports",
            json!({
                "id": format!("p{number}"), "network_id": "net", "device_id": format!("vm{}", number / 2),
                "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": format!("10.0.0.{number}")}],
                "binding:host_id": "compute1", "binding:profile": {"pci_slot": "0000:05:00.1"},
            }),
        );
    }
    lab.neutron.put(
        "floatingips",
        json!({"id": "f", "port_id": "p1", "floating_ip_address": "203.0.113.9"}),
    );
    let seen = ports::of_servers(&lab.vim, &["vm0", "vm1", "vm2"]).unwrap();
    assert_eq!(lab.count("GET /v2.0/"), 3);
    let first = &seen["vm0"];
    assert_eq!(first.len(), 2);
    assert_eq!(first[1].ip_addresses, ["203.0.113.9", "10.0.0.1"]);
    assert_eq!(
        (first[0].vlan, first[0].pci.as_deref()),
        (Some(42), Some("0000:05:00.1"))
    );
    assert_eq!(first[0].compute_node.as_deref(), Some("compute1"));
    ports::of_servers(&lab.vim, &["vm0"]).unwrap();
    assert_eq!(
        lab.count("GET /v2.0/networks"),
        1,
        "a network's VLAN is known from before"
    );
}
