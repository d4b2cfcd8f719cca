//! Connectivity services: what they join, and what comes of it.

use serde_json::{Value, json};
use vimhost_connector::{ElementStatus, Encapsulation, OperateRequest};
use vimhost_model::{Dependency, Item, Task, TaskAction, TaskStatus, Until, VimStatus};

use super::super::standing::Deletion;
use super::super::{Creation, Location, Port, Standing};
use super::life::delete;
use super::world::World;
use super::{Case, case, task};

fn service(params: Value) -> Case {
    Case {
        params: Some(params),
        ..case("connectivity service")
    }
}

/// A VM with one interface at the data plane.
fn vm(location: Location) -> Standing {
    Standing {
        item: Item::Vdu,
        creation: Creation::Awaited,
        deletion: Deletion::Clear,
        location,
    }
}

fn port(interface: usize, pci: &str) -> Port {
    Port {
        interface,
        target: "vim:x".parse().unwrap(),
        encapsulation: Encapsulation::Dot1q,
        compute_node: "compute1".to_owned(),
        pci: pci.to_owned(),
        vlan: Some(7),
        mac_address: None,
    }
}

fn known(pci: &str) -> Location {
    Location::Known(vec![port(0, "0000:00:00.0"), port(1, pci)])
}

/// Joins the second interface of each of these VMs.
fn joining(task: Task, vms: &[&str]) -> Task {
    let depends_on = vms.iter().map(|vm| Dependency {
        reference: format!("vim:x vnfrs:v:vdur.{vm}"),
        resource: vm.parse().unwrap(),
        until: Until::Located,
        interfaces: vec![1],
    });
    Task {
        depends_on: depends_on.collect(),
        ..task
    }
}

fn world(case: &Case, vms: &[&str]) -> World {
    let mut world = World::of(case, vec![joining(task("op:0", TaskAction::Create, case), vms)]);
    let config = json!({"sdn-port-mapping": [{"compute_node": "compute1", "ports": [
        {"pci": "0000:af:10.[0-7]", "switch_id": "of:1", "switch_port": "3"}]}]});
    world
        .vim_configs
        .insert("vim:x".parse().unwrap(), config.as_object().unwrap().clone());
    for (index, vm_id) in vms.iter().enumerate() {
        let pci = format!("0000:af:10.{index}");
        world.others.insert(vm_id.parse().unwrap(), vm(known(&pci)));
    }
    world
}

fn edit(case: &Case, number: usize, vms: &[&str]) -> Task {
    let edit = Task {
        params: case.params.clone(),
        ..task(&format!("op:{number}"), TaskAction::Update, case)
    };
    joining(edit, vms)
}

#[test]
fn a_service_waits_for_its_vms_and_joins_the_interfaces_that_are_named() {
    let case = service(json!({"type": "ELINE"}));
    let mut world = world(&case, &["a", "b"]);
    world.others.insert("b".parse().unwrap(), vm(Location::Awaited));
    world.run();
    assert!(world.waiting && world.calls.is_empty());
    world.others.insert("b".parse().unwrap(), vm(known("0000:af:10.5")));
    world.twice = true;
    world.run();
    assert_eq!(
        (world.status(0), world.calls.as_slice()),
        (TaskStatus::Done, &["create"][..])
    );
    assert_eq!(
        world.saved.vim.connected_ports,
        [port(1, "0000:af:10.0").key(), port(1, "0000:af:10.5").key()]
    );
}

#[test]
fn fewer_than_two_ends_need_no_service() {
    for (params, vms) in [
        (json!({}), &[][..]),
        (json!({"sdn-ports": [{"switch_port": "1"}]}), &[][..]),
        (json!({}), &["a"][..]),
    ] {
        let case = service(params);
        let mut world = world(&case, vms);
        world.twice = true;
        world.run();
        assert_eq!((world.status(0), world.calls.len()), (TaskStatus::Done, 0));
        assert_eq!(world.saved.vim.vim_status, Some(VimStatus::Active));
        world.commit(delete(&case, 1));
        assert_eq!((world.status(1), world.calls.len()), (TaskStatus::Superseded, 0));
    }
}

#[test]
fn one_given_port_and_one_interface_are_two_ends() {
    let case = service(json!({"sdn-ports": [{"switch_port": "1", "vlan": 7}]}));
    let mut world = world(&case, &["a"]);
    world.run();
    assert_eq!(
        (world.status(0), world.calls.as_slice()),
        (TaskStatus::Done, &["create"][..])
    );
}

#[test]
fn what_cannot_be_joined_fails_with_its_reason_and_nothing_is_asked_of_the_controller() {
    let case = service(json!({}));
    for (location, reason) in [
        (
            known("0000:af:11.0"),
            "Port mapping not found for compute_node=compute1 pci=0000:af:11.0",
        ),
        (
            Location::Failed("no valid host".to_owned()),
            "depends on failed create vdu",
        ),
    ] {
        let mut world = world(&case, &["a", "b"]);
        world.others.insert("b".parse().unwrap(), vm(location));
        world.run();
        assert_eq!((world.status(0), world.calls.len()), (TaskStatus::Failed, 0));
        let message = world.saved.tasks[0].message.clone().unwrap();
        assert!(message.contains(reason), "{message}");
        world.commit(delete(&case, 1));
        assert_eq!(world.status(1), TaskStatus::Superseded);
    }
}

#[test]
fn a_vm_that_was_given_up_meanwhile_is_not_joined() {
    let case = service(json!({}));
    let mut world = world(&case, &["a", "b", "c"]);
    world.others.insert("c".parse().unwrap(), vm(Location::Over));
    world.run();
    assert_eq!(
        (world.status(0), world.saved.vim.connected_ports.len()),
        (TaskStatus::Done, 2)
    );
}

#[test]
fn a_service_is_changed_once_its_new_vm_is_there_and_the_change_is_over_when_it_is_seen_in_service() {
    let case = service(json!({}));
    let mut world = world(&case, &["a", "b", "c"]);
    world.saved.tasks[0].depends_on.pop();
    world.others.insert("c".parse().unwrap(), vm(Location::Awaited));
    world.run();
    world.commit(edit(&case, 1, &["a", "b", "c"]));
    assert!(world.waiting && world.commands.is_empty());
    assert_eq!(world.saved.vim.connected_ports.len(), 2);

    world.others.insert("c".parse().unwrap(), vm(known("0000:af:10.2")));
    world.sights = vec![Some(ElementStatus::Build), Some(ElementStatus::Active)];
    world.seen = 0;
    world.run();
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Done, TaskStatus::Finished)
    );
    let [OperateRequest::EditService { service, request }] = world.commands.as_slice() else {
        panic!("{:?}", world.commands);
    };
    assert_eq!(
        (Some(service), request.endpoints.len()),
        (world.saved.vim.vim_id.as_ref(), 3)
    );
    assert_eq!(request.endpoints[2].switch_port.as_deref(), Some("3"));
    assert_eq!(world.saved.vim.connected_ports.len(), 3);
}

#[test]
fn a_change_that_puts_the_service_in_error_has_failed() {
    let case = service(json!({}));
    let mut world = world(&case, &["a", "b", "c"]);
    world.saved.tasks[0].depends_on.pop();
    world.run();
    world.sights = vec![Some(ElementStatus::Error)];
    world.seen = 0;
    world.commit(edit(&case, 1, &["a", "b", "c"]));
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Failed, TaskStatus::Failed)
    );
    world.commit(delete(&case, 2));
    assert_eq!(
        (world.status(2), world.saved.may_exist()),
        (TaskStatus::Finished, false)
    );
}

#[test]
fn a_change_that_leaves_one_end_fails_and_the_service_stays_as_it_was() {
    let case = service(json!({}));
    let mut world = world(&case, &["a", "b"]);
    world.run();
    let before = world.saved.vim.connected_ports.clone();
    world.commit(edit(&case, 1, &["a"]));
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Done, TaskStatus::Failed)
    );
    let message = world.saved.tasks[1].message.clone().unwrap();
    assert!(message.contains("needs 2 ends, 1 are left"), "{message}");
    assert_eq!((world.saved.vim.connected_ports, world.commands.len()), (before, 0));
}

#[test]
fn a_shared_volume_that_is_to_be_kept_outlives_its_service() {
    for (keep, left) in [(true, 1), (false, 0)] {
        let case = Case {
            params: Some(json!({"name": "v", "size": 1, "type": "persistent-storage", "keep": keep})),
            ..case("volume")
        };
        let mut world = World::new(&case);
        world.run();
        assert_eq!(world.saved.vim.vim_status, Some(VimStatus::Active));
        world.twice = true;
        world.commit(delete(&case, 1));
        assert_eq!((world.elements.len(), world.saved.may_exist()), (left, false));
        assert!(world.journal.is_empty());
    }
}
