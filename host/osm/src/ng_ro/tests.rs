//! What becomes of NG-RO's documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vimhost_model::{
    ActionKind, Item, Resource, ResourceId, TaskAction, TaskStatus, Timestamp, Until, VimId, VimStatus,
};

use super::*;

const NOW: Timestamp = Timestamp(1_700_001_000_000);

/// A document of one task.
fn document(id: &str, item: &str, vim_info: Value, task: Value) -> Value {
    let (action_id, _) = id.rsplit_once(':').unwrap();
    let list = match item {
        "net" => "nsrs:ns:vld",
        "image" => "nsrs:ns:image",
        "flavor" => "nsrs:ns:flavor",
        _ => "vnfrs:vnf:vdur",
    };
    let mut whole = json!({
        "action_id": action_id, "nsr_id": "ns", "task_id": id, "status": "DONE", "action": "CREATE", "item": item,
        "target_record": format!("{list}.0.vim_info.vim:a"), "target_record_id": format!("{list}.0"), "params": {},
    });
    merge(&mut whole, task);
    json!({"_id": id, "target_id": "vim:a", "locked_by": null, "locked_at": 0.0, "created_at": 1_700_000_000.0,
           "modified_at": 1_700_000_001.0, "to_check_at": -1, "vim_info": vim_info, "tasks": [whole]})
}

fn merge(into: &mut Value, from: Value) {
    for (key, value) in from.as_object().unwrap() {
        into[key] = value.clone();
    }
}

fn left(documents: Vec<Value>) -> Left {
    let shown = json!({"vim_id": "vm1", "interfaces_backup": [{"vim_interface_id": "p1", "vim_net_id": "n1", "ip_address": "10.0.0.5"}]});
    Left {
        documents: documents.into_iter().map(RawDocument::of).collect(),
        keys: vec![("ns".to_owned(), Some("1.1".to_owned()))],
        nsrs: vec![
            json!({"_id": "ns", "name": "web"}),
            json!({"_id": "ns2", "name": "other"}),
        ],
        vnfrs: vec![json!({"_id": "vnf", "nsr-id-ref": "ns", "vdur": [
            {"id": "gone"}, {"id": "vdu-1", "vim_info": {"vim:a": shown}}]})],
        accounts: vec!["vim:a".parse().unwrap()],
    }
}

fn known() -> Known {
    Known {
        letters: "abcde".to_owned(),
        now: NOW,
        before: BTreeMap::new(),
        accounts: BTreeSet::new(),
    }
}

fn planned(documents: Vec<Value>) -> Plan {
    plan(&left(documents), &known(), &Choices::default())
}

fn one(document: Value) -> Resource {
    let plan = planned(vec![document]);
    assert!(plan.report.obstacles.is_empty(), "{:?}", plan.report);
    assert_eq!(plan.resources.len(), 1);
    plan.resources.into_iter().next().unwrap()
}

fn vm() -> Value {
    let info = json!({
        "created": true, "created_items": {"port:p1": true, "volume:v1": true, "volume:v2:keep": true, "floating_ip:f": null},
        "vim_id": "vm1", "vim_name": "web-1-vm-0", "vim_status": "ACTIVE", "vim_details": "{}", "vim_message": null,
        "refresh_at": -1, "interfaces_vim_ids": ["p1"],
        "interfaces": [{"vim_interface_id": "p1", "vim_net_id": "n1", "ip_address": "10.0.0.5", "vlan": 7, "mgmt_vnf_interface": true}],
        "interfaces_backup": [],
    });
    document(
        "op:3",
        "vdu",
        info,
        json!({"target_record_id": "vnfrs:vnf:vdur.vdu-1", "depends_on": ["nsrs:ns:image.0", "nsrs:ns:vld.0"], "mgmt_vnf_interface": 0,
               "params": {"name": "web-1-vm-0", "image_id": "TASK-nsrs:ns:image.0", "flavor_id": "flavour-1",
                          "net_list": [{"name": "eth0", "net_id": "TASK-nsrs:ns:vld.0"}],
                          "disk_list": [{"size": 10, "image_id": "i"}, {"size": 1, "keep": true}]}}),
    )
}

fn network(id: &str, created: bool, vim_id: &str) -> Value {
    let info = json!({"created": created, "vim_id": vim_id, "vim_status": "ACTIVE"});
    let find = if created {
        Value::Null
    } else {
        json!({"filter_dict": {"name": "mgmt"}})
    };
    document(id, "net", info, json!({"find_params": find}))
}

fn image() -> Value {
    let info = json!({"created": false, "vim_id": "image-1", "vim_status": "DONE"});
    document(
        "op:1",
        "image",
        info,
        json!({"find_params": {"filter_dict": {"name": "ubuntu"}}}),
    )
}

fn flavour() -> Value {
    let info = json!({"created": true, "vim_id": "flavour-1", "vim_status": "DONE"});
    document("op:2", "flavor", info, json!({}))
}

#[test]
fn a_service_in_service_is_taken_over_as_if_vimhost_had_made_it() {
    let plan = planned(vec![network("op:0", false, "n1"), image(), flavour(), vm()]);
    assert!(plan.report.obstacles.is_empty(), "{:?}", plan.report);
    let [net, image, flavour, vm] = plan.resources.as_slice() else {
        panic!("{:?}", plan.resources);
    };
    assert_eq!(
        [net.item, image.item, flavour.item, vm.item],
        [Item::Net, Item::Image, Item::Flavor, Item::Vdu]
    );
    // What was found is never deleted, what was made is.
    assert!(!net.may_exist() && !image.may_exist() && flavour.may_exist() && vm.may_exist());
    let kinds: Vec<&str> = vm.journal.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["port", "volume", "volume:keep"]);
    assert!(
        vm.journal
            .iter()
            .all(|entry| entry.token.starts_with(&format!("{}.", vm.token())))
    );
    let volumes: Vec<&str> = vm.vim.volumes.iter().map(VimId::as_str).collect();
    assert_eq!(volumes, ["v1", "v2"]);
    assert_eq!(vm.vim.vim_status, Some(VimStatus::Active));
    assert_eq!(
        vm.vim.interfaces_backup[0].as_ref().unwrap().ip_address.as_deref(),
        Some("10.0.0.5")
    );
    assert!(vm.vim.interfaces[0].as_ref().unwrap().mgmt_vnf_interface);
    assert_eq!(vm.observe_at, Some(NOW));
    assert_eq!(image.observe_at, None);
    // By reference, by id, by the network of a port.
    let mut uses = vm.uses.clone();
    uses.sort();
    let mut expected: Vec<ResourceId> = [net, image, flavour].map(|other| other.id.clone()).into();
    expected.sort();
    assert_eq!(uses, expected);
    let task = &vm.tasks[0];
    assert_eq!(task.target_record.to_string(), "vnfrs:vnf:vdur.vdu-1");
    assert_eq!((task.status, task.depends_on.len()), (TaskStatus::Done, 2));
    assert!(task.depends_on.iter().all(|on| on.until == Until::Created));
    let service = &plan.services[0];
    assert_eq!(service.resources, [0, 1, 2, 3]);
    let [action] = service.actions.as_slice() else {
        panic!("{:?}", service.actions);
    };
    assert_eq!((action.tasks, action.kind), (4, ActionKind::Deploy));
    let report = &plan.report.services[0];
    assert_eq!((report.state, report.going_on), (State::ToTakeOver, 0));
    assert!(
        report.warnings.iter().any(|warning| warning.contains("RSA")),
        "{report:?}"
    );
    assert_eq!(plan.report.elements["net"].found, 1);
    assert_eq!(plan.report.elements["vdu"].made, 1);
}

#[test]
fn the_same_documents_make_the_same_ids() {
    let ids = || planned(vec![vm()]).resources[0].id.clone();
    assert_eq!(ids(), ids());
    assert!(ids().as_str().starts_with("abcde-") && ids().as_str().len() == 38);
    assert_ne!(one(image()).id, ids());
}

#[test]
fn an_item_without_an_id_is_known_by_the_vm_that_its_record_shows_wherever_it_stands() {
    let mut moved = vm();
    moved["tasks"][0]["target_record_id"] = Value::Null;
    assert_eq!(one(moved.clone()).tasks[0].target_record.item.as_str(), "vdu-1");
    moved["vim_info"]["vim_id"] = json!("another");
    assert_eq!(one(moved).tasks[0].target_record.item.as_str(), "gone");
}

#[test]
fn an_element_of_two_services_has_two_holders() {
    let mut shared = flavour();
    shared["tasks"][0]["common_id"] = json!("small");
    let mut second = shared["tasks"][0].clone();
    merge(
        &mut second,
        json!({"nsr_id": "ns2", "action_id": "op2", "task_id": "op2:0", "target_record": "nsrs:ns2:flavor.0.vim_info.vim:a",
               "target_record_id": "nsrs:ns2:flavor.0"}),
    );
    shared["tasks"].as_array_mut().unwrap().push(second);
    let plan = planned(vec![shared.clone()]);
    let holders: Vec<String> = plan.resources[0]
        .holders()
        .map(|holder| holder.nsr_id.to_string())
        .collect();
    assert_eq!(holders, ["ns", "ns2"]);
    assert_eq!(plan.services.len(), 2);
    // One that is left out holds it all the same; one without a record does not.
    let choices = Choices {
        except: ["ns2".parse().unwrap()].into(),
        ..Choices::default()
    };
    let without = plan_with(&left(vec![shared.clone()]), &choices);
    assert_eq!((without.services.len(), without.resources[0].holders().count()), (1, 2));
    let mut gone = left(vec![shared]);
    gone.nsrs.pop();
    let plan = plan_of(&gone);
    assert_eq!(plan.resources[0].holders().count(), 1);
    let orphan = plan
        .report
        .services
        .iter()
        .find(|service| service.state == State::WithoutRecord)
        .unwrap();
    assert!(orphan.warnings[0].contains("flavour-1 on vim:a"), "{orphan:?}");
}

#[test]
fn a_creation_that_was_not_begun_goes_on_and_one_that_died_is_an_obstacle_until_somebody_has_looked() {
    let mut waiting = vm();
    waiting["vim_info"] = json!({"created": false, "created_items": null, "vim_id": null});
    waiting["tasks"][0]["status"] = json!("SCHEDULED");
    waiting["tasks"][0]["depends_on"] = json!([]);
    let resource = one(waiting.clone());
    assert_eq!(resource.tasks[0].status, TaskStatus::Scheduled);
    assert!(resource.journal.is_empty() && resource.observe_at.is_none());

    // The remains of a lock: a worker that died while it made it.
    waiting["locked_by"] = json!("0123456789ab:1");
    waiting["locked_at"] = json!(1_700_000_500.5);
    let plan = planned(vec![waiting.clone()]);
    let [obstacle] = plan.report.obstacles.as_slice() else {
        panic!("{:?}", plan.report);
    };
    assert!(
        obstacle.what.contains("op:3") && obstacle.what.contains("'web-1-vm-0'"),
        "{obstacle:?}"
    );
    assert!(obstacle.remedy.contains("--not-made"));
    let choices = Choices {
        not_made: ["op:3".to_owned()].into(),
        ..Choices::default()
    };
    let plan = plan_with(&left(vec![waiting.clone()]), &choices);
    assert!(plan.report.obstacles.is_empty(), "{:?}", plan.report);
    assert_eq!(plan.resources[0].tasks[0].status, TaskStatus::Scheduled);
    // Looking for an image makes nothing.
    let mut found = image();
    merge(
        &mut found,
        json!({"locked_by": "p:1", "locked_at": 1_700_000_500.5, "vim_info": {}}),
    );
    found["tasks"][0]["status"] = json!("SCHEDULED");
    assert_eq!(one(found).tasks[0].status, TaskStatus::Scheduled);
    // Who is left out is in nobody's way.
    let choices = Choices {
        except: ["ns".parse().unwrap()].into(),
        ..Choices::default()
    };
    assert!(plan_with(&left(vec![waiting]), &choices).report.obstacles.is_empty());
}

#[test]
fn a_live_lock_is_an_obstacle_whatever_the_document() {
    let mut locked = image();
    merge(&mut locked, json!({"locked_by": "p:1", "locked_at": 1_700_000_900.5}));
    let plan = planned(vec![locked]);
    let what = &plan.report.obstacles[0].what;
    assert!(
        what.contains("op:1") && what.contains("p:1") && what.contains("201 s"),
        "{what}"
    );
}

#[test]
fn unfinished_deletions_go_on_users_first() {
    let leaving = |mut document: Value| {
        let mut task = document["tasks"][0].clone();
        merge(
            &mut task,
            json!({"action": "DELETE", "status": "SCHEDULED", "action_id": "end", "params": null, "depends_on": []}),
        );
        let number = task["task_id"].as_str().unwrap().replace("op:", "end:");
        task["task_id"] = json!(number);
        document["tasks"].as_array_mut().unwrap().push(task);
        document
    };
    let plan = planned(vec![leaving(network("op:0", true, "n1")), leaving(vm())]);
    let [net, vm] = plan.resources.as_slice() else {
        panic!("{:?}", plan.resources);
    };
    let deletion = |resource: &Resource| resource.tasks[1].clone();
    assert_eq!(
        (deletion(net).action, deletion(net).status),
        (TaskAction::Delete, TaskStatus::Scheduled)
    );
    let waits: Vec<(&ResourceId, Until)> = net.tasks[1]
        .depends_on
        .iter()
        .map(|on| (&on.resource, on.until))
        .collect();
    assert_eq!(waits, [(&vm.id, Until::Deleted)]);
    assert!(deletion(vm).depends_on.is_empty());
    assert_eq!(plan.report.services[0].going_on, 2);
    assert_eq!(plan.services[0].actions.len(), 2);
}

#[test]
fn an_unfinished_heal_deletes_the_old_vm_and_makes_the_new_one_with_its_volumes() {
    let mut old = vm();
    merge(
        &mut old["tasks"][0],
        json!({"action": "DELETE", "status": "SCHEDULED", "params": null, "depends_on": [], "vim_id": "vm1",
               "created_items": {"port:p1": true, "volume:v1": true}, "volumes_to_hold": ["v1"]}),
    );
    let mut new = vm();
    merge(
        &mut new,
        json!({"_id": "op:4", "vim_info": {"created": false, "vim_id": null, "created_items": null}}),
    );
    merge(
        &mut new["tasks"][0],
        json!({"task_id": "op:4", "status": "SCHEDULED", "depends_on": ["op:3"], "previous_created_volumes": {"volume:v1": true},
               "params": {"name": "vm", "image_id": "image-1", "net_list": [{"net_id": "n1"}], "disk_list": [{"vim_id": "v1"}]}}),
    );
    let plan = planned(vec![network("op:0", true, "n1"), old, new]);
    assert!(plan.report.obstacles.is_empty(), "{:?}", plan.report);
    let [net, old, new] = plan.resources.as_slice() else {
        panic!("{:?}", plan.resources);
    };
    assert_eq!(old.tasks[0].params.as_ref().unwrap()["volumes_to_hold"], json!(["v1"]));
    assert!(old.may_exist());
    let kinds: Vec<&str> = new.journal.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["volume"]);
    assert!(
        !new.has_announced(),
        "what it takes over is no sign that its own making has begun"
    );
    assert_eq!(
        new.tasks[0].params.as_ref().unwrap()["previous_created_volumes"],
        json!({"volume:v1": true})
    );
    let on = &new.tasks[0].depends_on[0];
    assert_eq!(
        (&on.resource, on.until, on.reference.as_str()),
        (&old.id, Until::Deleted, "op:3")
    );
    assert_eq!(new.uses, std::slice::from_ref(&net.id));
    assert_eq!(plan.services[0].actions[0].kind, ActionKind::Recreate);
}

#[test]
fn a_vm_that_somebody_stopped_has_not_failed_and_one_in_error_has() {
    let failed = |status: &str, id: Value| {
        let mut document = vm();
        document["tasks"][0]["status"] = json!("FAILED");
        merge(
            &mut document["vim_info"],
            json!({"vim_status": status, "vim_id": id, "vim_message": "no host"}),
        );
        one(document)
    };
    for status in ["INACTIVE", "PAUSED", "OTHER", "VIM_ERROR"] {
        let vm = failed(status, json!("vm1"));
        assert_eq!(
            (vm.tasks[0].status, vm.observe_at),
            (TaskStatus::Done, Some(NOW)),
            "{status}"
        );
    }
    let vm = failed("ERROR", json!("vm1"));
    assert_eq!(
        (vm.tasks[0].status, vm.tasks[0].message.as_deref()),
        (TaskStatus::Failed, Some("no host"))
    );
    assert!(
        vm.tasks[0].was_in_service && vm.vim.vim_id.is_some(),
        "a deploy leaves it alone, as NG-RO would"
    );
    // Somebody deleted it; its ports and volumes are still ours.
    let vm = failed("DELETED", Value::Null);
    assert_eq!(vm.tasks[0].status, TaskStatus::Failed);
    assert_eq!(vm.journal.len(), 3);
}

#[test]
fn what_is_over_is_history_and_nothing_of_it_is_deleted() {
    let mut ended = vm();
    merge(
        &mut ended["vim_info"],
        json!({"created": false, "vim_id": null, "vim_status": "DELETED"}),
    );
    ended["tasks"][0]["status"] = json!("FINISHED");
    let mut task = ended["tasks"][0].clone();
    merge(
        &mut task,
        json!({"action": "DELETE", "status": "FINISHED", "task_id": "end:0", "action_id": "end"}),
    );
    ended["tasks"].as_array_mut().unwrap().push(task);
    ended["tasks"].as_array_mut().unwrap().insert(0, Value::Null);
    let vm = one(ended);
    assert!(!vm.may_exist() && vm.holders().next().is_none() && !vm.has_open_tasks());
    assert_eq!(vm.tasks.len(), 2);
}

#[test]
fn what_is_noted_beside_a_found_element_is_left_alone() {
    let mut found = network("op:0", false, "n1");
    found["vim_info"]["created_items"] = json!({"l2gwconn:x": true});
    let plan = planned(vec![found]);
    assert!(!plan.resources[0].may_exist());
    assert!(
        plan.report.services[0]
            .warnings
            .iter()
            .any(|warning| warning.contains("l2gwconn:x"))
    );
}

#[test]
fn a_command_that_was_not_over_has_failed_and_no_secret_of_one_is_taken_over() {
    let command = |item: &str, status: &str, params: Value| {
        let task = json!({"action": "EXEC", "status": status, "target_record": "vnfrs:vnf:vdur.1.ssh_keys", "target_record_id": null,
                          "params": params});
        one(document(
            "exec:0",
            item,
            json!({"created": false, "vim_id": "vm1"}),
            task,
        ))
    };
    let stop = command("update", "BUILD", json!({"vim_vm_id": "vm1", "action": "shutoff"}));
    assert_eq!(stop.tasks[0].status, TaskStatus::Failed);
    assert!(
        stop.tasks[0]
            .message
            .as_ref()
            .unwrap()
            .contains("not finished by NG-RO")
    );
    assert_eq!((stop.vim.vim_id.as_ref(), stop.may_exist()), (None, false));
    let secrets = json!({"ip_address": "10.0.0.5", "user": "u", "key": "ssh-rsa k", "password": "pw", "private_key": "pk", "salt": "s"});
    let key = command("vdu", "FINISHED", secrets);
    assert_eq!(key.tasks[0].status, TaskStatus::Finished);
    let params = key.tasks[0].params.as_ref().unwrap();
    assert!(params.get("password").is_none() && params.get("private_key").is_none() && params.get("salt").is_none());
    assert_eq!(key.tasks[0].target_record.item.as_str(), "vdu-1");
}

#[test]
fn items_and_versions_that_are_not_known_are_obstacles() {
    let chain = document(
        "op:9",
        "net",
        json!({"created": true, "vim_id": "c"}),
        json!({"item": "sfp"}),
    );
    assert!(planned(vec![chain]).report.obstacles[0].what.contains("no item 'sfp'"));
    let over = document(
        "op:9",
        "net",
        json!({"created": false}),
        json!({"item": "sfp", "status": "FINISHED"}),
    );
    let plan = planned(vec![over]);
    assert!(plan.report.obstacles.is_empty() && plan.resources.is_empty());
    let mut newer = left(vec![image()]);
    newer.keys.push(("other".to_owned(), Some("2.0".to_owned())));
    let plan = plan_of(&newer);
    assert!(plan.report.obstacles[0].what.contains("'2.0'"));
    let odd = document("op:9", "net", json!({}), json!({"status": "ODD"}));
    assert!(planned(vec![odd]).report.obstacles[0].what.contains("tasks.0.status"));
}

fn plan_with(left: &Left, choices: &Choices) -> Plan {
    plan(left, &known(), choices)
}

fn plan_of(left: &Left) -> Plan {
    plan(left, &known(), &Choices::default())
}

#[test]
fn what_was_taken_over_before_is_passed_by_and_changes_of_ng_ro_since_are_told() {
    let known = Known {
        before: [("ns".parse().unwrap(), Timestamp(1_700_000_000_500))].into(),
        ..known()
    };
    let plan = plan(&left(vec![image()]), &known, &Choices::default());
    assert!(plan.services.is_empty() && plan.resources.is_empty());
    let service = &plan.report.services[0];
    assert_eq!(service.state, State::Before);
    assert!(service.warnings[0].contains("since it was taken over"), "{service:?}");
}

#[test]
fn an_account_that_nobody_knows_is_told() {
    let mut elsewhere = image();
    elsewhere["target_id"] = json!("vim:lost");
    let plan = planned(vec![elsewhere]);
    assert!(plan.report.warnings[0].contains("vim:lost"), "{:?}", plan.report);
}

#[test]
fn a_creation_whose_need_is_nowhere_fails_as_it_would_have_at_ng_ro() {
    let mut waiting = vm();
    waiting["vim_info"] = json!({});
    waiting["tasks"][0]["status"] = json!("SCHEDULED");
    let vm = one(waiting);
    assert_eq!(vm.tasks[0].status, TaskStatus::Failed);
    assert_eq!(
        vm.tasks[0].message.as_deref(),
        Some("Cannot get depending task nsrs:ns:image.0")
    );
}

#[test]
fn the_documents_of_the_monitors_fixture_are_understood() {
    // As NG-RO's own tests have it: no target_record_id, a task without parameters.
    let fixture = json!({
        "_id": "6659675b-b6a4-4c0c-ad40-47dae476a961:3", "target_id": "vim:55b2219a-7bb9-4644-9612-980dada84e83",
        "vim_info": {"created": true, "created_items": {"port:4d081f50-e13a-4306-a67e-1edb28d76013": true},
            "vim_id": "ebd39f37-e607-4bce-9f10-ea4c5635f726", "vim_name": "test7-vnf-hackfest_basic-VM-0", "vim_status": "ACTIVE",
            "refresh_at": -1, "interfaces_vim_ids": ["4d081f50-e13a-4306-a67e-1edb28d76013"],
            "interfaces": [{"mac_address": "fa:16:3e:85:6c:02", "vim_net_id": "327f5e8e-a383-47c9-80a3-ed45b71d24ca",
                "vim_interface_id": "4d081f50-e13a-4306-a67e-1edb28d76013", "compute_node": "nfvisrv12", "pci": null, "vlan": null,
                "ip_address": "192.168.251.15", "mgmt_vnf_interface": true, "mgmt_vdu_interface": true}]},
        "modified_at": 1_676_755_752.497_15, "created_at": 1_676_755_693.915_47, "to_check_at": -1,
        "tasks": [{"action_id": "6659675b-b6a4-4c0c-ad40-47dae476a961", "nsr_id": "ns", "status": "DONE", "action": "CREATE", "item": "vdu",
            "task_id": "6659675b-b6a4-4c0c-ad40-47dae476a961:3", "mgmt_vnf_interface": 0,
            "target_record": "vnfrs:35c034cc:vdur.0.vim_info.vim:f239ed93-756b-408e-89f8-fcbf47a9d8f7"}],
    });
    let vm = one(fixture);
    assert_eq!(vm.journal.len(), 1);
    assert_eq!(vm.vim.interfaces_backup, vm.vim.interfaces);
    assert_eq!(vm.tasks[0].target_record.to_string(), "vnfrs:35c034cc:vdur.0");
}
