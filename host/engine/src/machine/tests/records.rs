//! What records show, path for path.

use serde_json::{Value, json};
use vimhost_connector::{ElementStatus, ErrorKind};
use vimhost_model::{RecordChange, TaskAction, TaskStatus};

use super::super::{Event, Sight};
use super::world::{Fault, Trouble, World, observation};
use super::{case, task};

/// The item after all changes so far.
fn item(world: &World, mut item: Value) -> Value {
    let changes: Vec<&RecordChange> = world.records.iter().filter(|change| change.item.is_some()).collect();
    changes.iter().for_each(|change| change.apply(&mut item));
    item
}

fn vdur() -> Value {
    json!({"id": "a", "kept": 1, "interfaces": [{"name": "eth0"}, {"name": "eth1", "ip-address": "old"}],
           "vim_info": {"vim:x": {"own": true}}})
}

#[test]
fn a_vm_shows_its_state_its_interfaces_and_its_management_addresses() {
    let case = case("vm");
    let mut create = task("op:0", TaskAction::Create, &case);
    create.mgmt_vnf_interface = Some(1);
    let mut world = World::of(&case, vec![create]);
    world.run();
    let shown = item(&world, vdur());
    let port = |index: usize| {
        json!({"vim_interface_id": format!("id-{}", index + 1), "vim_net_id": format!("n{}", index + 1),
               "mac_address": format!("fa:16:3e:00:00:0{index}"), "ip_address": format!("203.0.113.{index};10.0.0.{index}"),
               "compute_node": "host1", "pci": null, "vlan": 100, "vim_info": format!("{{\"port\":{index}}}")})
    };
    let mut managed = port(1);
    managed["mgmt_vnf_interface"] = json!(true);
    managed["mgmt_vdu_interface"] = json!(true);
    let interfaces = json!([port(0), managed]);
    let face = |index: usize| {
        json!({"name": format!("eth{index}"), "vlan": 100, "compute_node": "host1", "pci": null,
               "ip-address": format!("203.0.113.{index};10.0.0.{index}"), "mac-address": format!("fa:16:3e:00:00:0{index}")})
    };
    assert_eq!(
        shown,
        json!({"id": "a", "kept": 1, "name": "vm-in-vim", "vim-id": "id-3", "status": "ACTIVE", "ip-address": "203.0.113.1",
               "interfaces": [face(0), face(1)],
               "vim_info": {"vim:x": {"own": true, "vim_id": "id-3", "vim_name": "vm-in-vim", "vim_status": "ACTIVE",
                   "vim_details": "{\"status\":\"Active\"}", "interfaces": interfaces, "interfaces_backup": interfaces}}})
    );
    let of_vnf: Vec<_> = world
        .records
        .iter()
        .filter(|change| change.item.is_none())
        .flat_map(|change| &change.set)
        .collect();
    assert_eq!(of_vnf.len(), 1);
    assert_eq!(
        (serde_json::to_value(&of_vnf[0].0).unwrap(), &of_vnf[0].1),
        (json!(["ip-address"]), &json!("203.0.113.1"))
    );
}

#[test]
fn d23_results_go_to_the_interface_they_are_of_where_the_record_has_one_without_a_network() {
    let case = case("vm");
    let mut create = task("op:0", TaskAction::Create, &case);
    create.interface_places = vec![1, 3];
    let mut world = World::of(&case, vec![create]);
    world.run();
    let mut record = vdur();
    record["interfaces"] = json!([{"name": "none"}, {"name": "eth0"}, {"name": "none"}, {"name": "eth1"}]);
    let shown = item(&world, record);
    let of = |place: usize| {
        let interface = &shown["interfaces"][place];
        (
            interface["name"].as_str().unwrap(),
            interface.get("mac-address").cloned(),
        )
    };
    assert_eq!(of(0), ("none", None));
    assert_eq!(of(1), ("eth0", Some(json!("fa:16:3e:00:00:00"))));
    assert_eq!(of(2), ("none", None));
    assert_eq!(of(3), ("eth1", Some(json!("fa:16:3e:00:00:01"))));
    assert_eq!(shown["interfaces"].as_array().unwrap().len(), 4);
}

#[test]
fn the_first_interface_is_the_vdus_management_interface_when_none_is_named() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.run();
    let flags: Vec<_> = world
        .saved
        .vim
        .interfaces
        .iter()
        .flatten()
        .map(|i| (i.mgmt_vnf_interface, i.mgmt_vdu_interface))
        .collect();
    assert_eq!(flags, [(false, true), (false, false)]);
    assert!(
        world.records.iter().all(|change| change.item.is_some()),
        "the VNF has no address then"
    );
    assert_eq!(item(&world, vdur())["ip-address"], "203.0.113.0");
}

#[test]
fn an_interface_the_vim_does_not_show_is_null_and_the_backup_keeps_each_as_it_was_seen_last() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.run();
    let id = world.saved.vim.vim_id.clone().unwrap();
    let mut sight = observation(id, ElementStatus::Active, &world.saved.vim.interfaces_vim_ids.clone());
    sight
        .server
        .as_mut()
        .unwrap()
        .interfaces
        .retain(|port| port.id.as_str() == "id-2");
    sight.server.as_mut().unwrap().interfaces[0].ip_addresses = vec!["203.0.113.0".to_owned(), "10.0.0.9".to_owned()];
    world.happens(Event::Observed(Sight::Present(Box::new(sight.clone()))));
    assert!(world.saved.vim.interfaces[0].is_none() && world.saved.vim.interfaces[1].is_some());
    let kept = |index: usize| world.saved.vim.interfaces_backup[index].as_ref().unwrap();
    assert_eq!(kept(0).ip_address.as_deref(), Some("203.0.113.0;10.0.0.0"));
    assert_eq!(kept(0).mac_address.as_deref(), Some("fa:16:3e:00:00:00"));
    // Of the port that is there, the newest counts: the VIM shows another address of it.
    assert_eq!(kept(1).ip_address.as_deref(), Some("203.0.113.0;10.0.0.9"));
    assert_eq!(
        world.saved.vim.vim_message.as_deref(),
        Some("Interface id-1 deleted externally.")
    );
    assert_eq!(world.status(0), TaskStatus::Done, "the VM is in service all the same");
    sight.server.as_mut().unwrap().interfaces.clear();
    world.happens(Event::Observed(Sight::Present(Box::new(sight))));
    let shown = item(&world, vdur());
    assert_eq!(shown["vim_info"]["vim:x"]["interfaces"], json!([null, null]));
    let backup = &shown["vim_info"]["vim:x"]["interfaces_backup"];
    assert_eq!(
        (&backup[0]["vim_interface_id"], &backup[1]["vim_interface_id"]),
        (&json!("id-1"), &json!("id-2"))
    );
    assert_eq!(
        shown["interfaces"][1]["ip-address"], "203.0.113.0;10.0.0.9",
        "what was known stays"
    );
    assert_eq!(
        shown["vim_info"]["vim:x"]["vim_message"],
        "Interface id-1 deleted externally. Interface id-2 deleted externally."
    );
    let (id, ports) = (
        world.saved.vim.vim_id.clone().unwrap(),
        &world.saved.vim.interfaces_vim_ids,
    );
    let whole = observation(id, ElementStatus::Active, &ports.clone());
    world.happens(Event::Observed(Sight::Present(Box::new(whole))));
    assert_eq!(world.saved.vim.vim_message, None, "what is back is not told for ever");
}

#[test]
fn only_what_differs_is_written() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.run();
    world.records.clear();
    let id = world.saved.vim.vim_id.clone().unwrap();
    let ports = world.saved.vim.interfaces_vim_ids.clone();
    let sight = |status| Event::Observed(Sight::Present(Box::new(observation(id.clone(), status, &ports))));
    world.happens(sight(ElementStatus::Active));
    assert!(world.records.is_empty());
    world.happens(sight(ElementStatus::Inactive));
    let paths: Vec<Value> = world
        .records
        .iter()
        .flat_map(|change| &change.set)
        .map(|(path, _)| serde_json::to_value(path).unwrap())
        .collect();
    let expected = [
        json!(["vim_info", "vim:x", "vim_status"]),
        json!(["vim_info", "vim:x", "vim_details"]),
        json!(["status"]),
    ];
    assert_eq!(paths, expected);
}

#[test]
fn what_is_deleted_is_marked_and_loses_the_targets_state_only() {
    for name in ["network", "image", "vm"] {
        let case = case(name);
        let mut world = World::new(&case);
        world.run();
        world.records.clear();
        world.commit(task("op:1", TaskAction::Delete, &case));
        let shown = item(
            &world,
            json!({"id": "a", "kept": 1, "vim_info": {"vim:x": {"vim_id": "1"}, "vim:y": {"vim_id": "2"}}}),
        );
        assert_eq!(
            shown,
            json!({"id": "a", "kept": 1, "status": "DELETED", "vim_info": {"vim:y": {"vim_id": "2"}}}),
            "{name}"
        );
    }
}

#[test]
fn a_deletion_that_makes_room_for_a_new_element_leaves_the_record_to_it() {
    let case = case("network");
    let mut world = World::new(&case);
    world.run();
    world.records.clear();
    // One deletion is under way when the item is wanted again.
    world.saved.tasks.push(task("op:1", TaskAction::Delete, &case));
    let mut replaced = task("op2:0", TaskAction::Delete, &case);
    replaced.params = Some(json!({crate::plan::REPLACED: true}));
    world.commit(replaced);
    assert_eq!(
        (world.status(1), world.status(2)),
        (TaskStatus::Finished, TaskStatus::Superseded)
    );
    assert!(world.records.is_empty(), "{:?}", world.records);
}

#[test]
fn a_failed_deletion_shows_why() {
    let case = case("network");
    let mut world = World::new(&case);
    world.run();
    world.fault = Some(Fault {
        call: 1,
        phase: 0,
        trouble: Trouble::Error(ErrorKind::Unsupported),
        lasting: true,
    });
    world.commit(task("op:1", TaskAction::Delete, &case));
    let shown = item(&world, json!({"id": "a"}));
    let info = &shown["vim_info"]["vim:x"];
    assert_eq!(info["vim_status"], "VIM_ERROR");
    assert_eq!(info["vim_message"], "Error while deleting: unsupported on purpose");
    assert_eq!(info["vim_id"], "id-1", "it still exists");
}

#[test]
fn a_found_image_shows_its_id_and_done() {
    let mut world = World::new(&case("image"));
    world.run();
    let shown = item(&world, json!({"id": "a"}));
    let info = &shown["vim_info"]["vim:x"];
    assert_eq!(*info, json!({"vim_id": "old", "vim_name": "old", "vim_status": "DONE"}));
}
