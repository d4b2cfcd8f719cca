//! What connectivity services join, and when that changes.

use super::*;
use crate::operation::{Healed, Operation};
use vimhost_model::InterfaceInfo;

/// A service of `count` VMs with an interface at the data plane, on a network that a controller joins.
fn joined(count: usize, given: usize) -> Value {
    let mut body = small(count);
    let ports: Vec<Value> = (0..given)
        .map(|index| json!({"switch_port": index.to_string()}))
        .collect();
    body["ns"]["vld"] = json!([
        {"id": "net", "name": "net", "vim_info": {"vim:x": {}}},
        {"id": "data", "name": "data", "underlay": true, "vim_info": {"vim:x": {}, "sdn:s":
            {"sdn": true, "target_vim": "vim:x", "vlds": ["nsrs:ns:vld.data"], "type": "ELAN", "sdn-ports": ports}}},
    ]);
    for vdur in body["vnf"][0]["vdur"].as_array_mut().unwrap() {
        let interfaces = vdur["interfaces"].as_array_mut().unwrap();
        interfaces.push(json!({"name": "eth1", "ns-vld-id": "data", "type": "SR-IOV"}));
    }
    body
}

/// Carries everything out, and shows where the interfaces of VMs are; services join what they were told to.
fn settle(facts: &mut Facts) {
    let leaves = |resource: &Resource| resource.tasks.iter().any(|task| task.action == TaskAction::Delete);
    let (left, stay): (Vec<Resource>, Vec<Resource>) = std::mem::take(&mut facts.resources)
        .into_iter()
        .partition(|resource| resource.item == Item::Vdu && leaves(resource));
    facts.resources = stay;
    // LCM takes what left out of the record.
    let left: Vec<String> = left.iter().map(|vm| vm.tasks[0].target_record.to_string()).collect();
    for vnfr in &mut facts.vnfrs {
        let vdur = vnfr.document["vdur"].as_array_mut().unwrap();
        vdur.retain(|vdur| {
            !left
                .iter()
                .any(|item| item.contains(&format!(":vdur.{}", vdur["id"].as_str().unwrap())))
        });
    }
    run(facts);
    let mut number = 0;
    for resource in facts.resources.iter_mut().filter(|resource| resource.item == Item::Vdu) {
        if resource.vim.vim_id.is_none() {
            continue;
        }
        number += 1;
        let at = |pci: Option<String>| {
            Some(InterfaceInfo {
                compute_node: Some("compute1".to_owned()),
                vim_net_id: Some("id-of-data".to_owned()),
                pci,
                ..InterfaceInfo::default()
            })
        };
        resource.vim.interfaces = vec![at(None), at(Some(format!("0000:af:10.{number}")))];
    }
    let vms: Vec<Resource> = facts.resources.clone();
    for service in facts
        .resources
        .iter_mut()
        .filter(|resource| resource.item == Item::SdnNet)
    {
        for task in service
            .tasks
            .iter_mut()
            .filter(|task| task.action == TaskAction::Update)
        {
            task.status = TaskStatus::Finished;
        }
        if service.live_creates().next().is_none() {
            continue;
        }
        let Some(last) = service.tasks.iter().rfind(|task| task.action != TaskAction::Delete) else {
            continue;
        };
        let mut keys = Vec::new();
        for on in last.depends_on.iter().filter(|on| on.until == Until::Located) {
            let vm = vms.iter().find(|vm| vm.id == on.resource).unwrap();
            let crate::machine::Location::Known(ports) = crate::machine::location(vm) else {
                panic!("not located: {}", vm.id);
            };
            keys.extend(ports.iter().map(crate::machine::Port::key));
        }
        service.vim.connected_ports = keys;
    }
}

/// A VM and those of its interfaces that are joined.
type Join<'p> = (&'p str, &'p [usize]);

fn of_services(plan: &Plan) -> Vec<(&'static str, Vec<Join<'_>>)> {
    tasks(plan)
        .into_iter()
        .filter(|task| task.item == Item::SdnNet)
        .map(|task| {
            let located = task.depends_on.iter().filter(|on| on.until == Until::Located);
            let joins = located.map(|on| (on.reference.as_str(), on.interfaces.as_slice()));
            (task.action.as_str(), joins.collect())
        })
        .collect()
}

fn deployed_with(count: usize, given: usize) -> Facts {
    let mut facts = empty_facts();
    let plan = planned(&facts, joined(count, given), "op").unwrap();
    accept(&mut facts, &plan);
    settle(&mut facts);
    facts
}

fn references(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("vim:x vnfrs:{VNF}:vdur.v{index}"))
        .collect()
}

#[test]
fn a_new_service_waits_for_the_network_and_for_where_its_vms_are() {
    let facts = empty_facts();
    let plan = planned(&facts, joined(2, 1), "op").unwrap();
    let service = tasks(&plan).into_iter().find(|task| task.item == Item::SdnNet).unwrap();
    let depends_on: Vec<(&str, Until)> = service
        .depends_on
        .iter()
        .map(|on| (on.reference.as_str(), on.until))
        .collect();
    let vms = references(2);
    assert_eq!(
        depends_on,
        [
            ("vim:x nsrs:ns:vld.data", Until::Created),
            (vms[0].as_str(), Until::Located),
            (vms[1].as_str(), Until::Located)
        ]
    );
    let keys = service.params.as_ref().unwrap().as_object().unwrap().keys();
    assert_eq!(
        keys.collect::<Vec<_>>(),
        ["sdn-ports", "target_vim", "type", "vlds"],
        "the parameters are NG-RO's"
    );
    let resource = plan
        .new_resources
        .iter()
        .find(|resource| resource.item == Item::SdnNet)
        .unwrap();
    assert_eq!(resource.uses.len(), 1, "a VM may go before the service that joins it");
}

#[test]
fn the_same_request_again_changes_no_service_and_neither_while_it_is_being_made() {
    let mut facts = empty_facts();
    let plan = planned(&facts, joined(2, 0), "op").unwrap();
    accept(&mut facts, &plan);
    let again = planned(&facts, joined(2, 0), "again").unwrap();
    assert_eq!(again.task_count(), 0, "{:?}", lines(&again));
    settle(&mut facts);
    let again = planned(&facts, joined(2, 0), "again").unwrap();
    assert_eq!(again.task_count(), 0, "{:?}", lines(&again));
}

#[test]
fn a_scale_out_and_a_scale_in_change_the_service_in_place() {
    let mut facts = deployed_with(2, 0);
    let plan = planned(&facts, joined(3, 0), "out").unwrap();
    let vms = references(3);
    let joins: Vec<Join<'_>> = vms.iter().map(|vm| (vm.as_str(), &[1][..])).collect();
    assert_eq!(of_services(&plan), [("UPDATE", joins.clone())]);
    assert!(
        lines(&plan).contains(&"update vld.data".to_owned()),
        "{:?}",
        lines(&plan)
    );
    accept(&mut facts, &plan);
    settle(&mut facts);
    let plan = planned(&facts, joined(2, 0), "in").unwrap();
    assert_eq!(of_services(&plan), [("UPDATE", joins[..2].to_vec())]);
    accept(&mut facts, &plan);
    settle(&mut facts);
    let again = planned(&facts, joined(2, 0), "again").unwrap();
    assert_eq!(again.task_count(), 0, "{:?}", lines(&again));
}

#[test]
fn a_service_that_has_nothing_to_join_any_more_goes_and_comes_back() {
    let mut facts = deployed_with(2, 0);
    let plan = planned(&facts, joined(1, 0), "in").unwrap();
    let words = |plan: &Plan| of_services(plan).iter().map(|(word, _)| *word).collect::<Vec<_>>();
    assert_eq!(words(&plan), ["DELETE", "CREATE"]);
    let change = plan.record_changes.iter().find(|change| {
        let (_, id) = change.item.as_ref().unwrap();
        id.as_str() == "data"
    });
    assert!(
        change.is_some_and(|change| !change.set.is_empty()),
        "its results are taken out of the record"
    );
    accept(&mut facts, &plan);
    settle(&mut facts);
    // What was made with fewer than two ends has no service.
    let empty = facts
        .resources
        .iter_mut()
        .rfind(|resource| resource.item == Item::SdnNet)
        .unwrap();
    empty.vim.vim_id = None;
    empty.vim.created = false;
    let again = planned(&facts, joined(1, 0), "again").unwrap();
    assert_eq!(again.task_count(), 0, "{:?}", lines(&again));
    let plan = planned(&facts, joined(2, 0), "out").unwrap();
    assert_eq!(words(&plan), ["DELETE", "CREATE"]);
    assert_eq!(of_services(&plan)[1].1.len(), 2);
}

#[test]
fn an_interface_that_has_moved_is_joined_anew_by_the_next_deploy() {
    let mut facts = deployed_with(2, 0);
    let vm = facts
        .resources
        .iter_mut()
        .find(|resource| resource.item == Item::Vdu)
        .unwrap();
    vm.vim.interfaces[1].as_mut().unwrap().compute_node = Some("compute2".to_owned());
    let plan = planned(&facts, joined(2, 0), "again").unwrap();
    assert_eq!(of_services(&plan).len(), 1, "{:?}", lines(&plan));
}

#[test]
fn a_wim_joins_its_network_on_every_vim() {
    let mut body = joined(2, 0);
    body["ns"]["vld"][1]["vim_info"] = json!({"vim:x": {}, "vim:y": {}, "wim:w": {}});
    body["ns"]["vld"][0]["vim_info"] = json!({"vim:x": {}, "vim:y": {}});
    for list in ["image", "flavor"] {
        body[list][0]["vim_info"] = json!({"vim:x": {}, "vim:y": {}});
    }
    body["vnf"][0]["vdur"][1]["vim_info"] = json!({"vim:y": {}});
    let plan = planned(&empty_facts(), body, "op").unwrap();
    let services = of_services(&plan);
    let (first, second) = (
        format!("vim:x vnfrs:{VNF}:vdur.v0"),
        format!("vim:y vnfrs:{VNF}:vdur.v1"),
    );
    assert_eq!(
        services,
        [("CREATE", vec![(first.as_str(), &[1][..]), (second.as_str(), &[1][..])])]
    );
}

#[test]
fn a_vm_that_is_made_anew_is_joined_in_the_place_of_the_old_one() {
    let facts = deployed_with(2, 0);
    let operation = Operation::Recreate {
        vnfs: vec![Healed {
            vnf: VNF.parse().unwrap(),
            vdus: Vec::new(),
        }],
        cloud_init_content: Map::new(),
    };
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        format!("heal-r{number}").parse::<ResourceId>().unwrap()
    };
    let plan = plan_operation(&facts, &operation, &"heal".parse().unwrap(), &mut new_id).unwrap();
    let update = tasks(&plan).into_iter().find(|task| task.item == Item::SdnNet).unwrap();
    let joined: Vec<(&str, &[usize])> = update
        .depends_on
        .iter()
        .map(|on| (on.resource.as_str(), on.interfaces.as_slice()))
        .collect();
    assert_eq!(joined, [("heal-r1", &[1][..]), ("heal-r2", &[1][..])]);
    assert_eq!(update.action, TaskAction::Update);
}

#[test]
fn shared_volumes_are_planned_last_and_waited_for() {
    let mut body = small(2);
    body["shared-volumes"] = json!([{"id": "shared-data-d", "type-of-storage": "persistent-storage", "size-of-storage": 1,
        "vim_info": {"vim:x": {}}}]);
    for vdur in body["vnf"][0]["vdur"].as_array_mut().unwrap() {
        vdur["virtual-storages"] = json!([{"id": "r"}, {"id": "data", "type-of-storage": "persistent-storage",
            "size-of-storage": 1, "vdu-storage-requirements": [{"key": "multiattach", "value": "True"}]}]);
    }
    let plan = planned(&empty_facts(), body, "op").unwrap();
    let tasks = tasks(&plan);
    let volume = tasks.last().unwrap();
    assert_eq!((volume.item, volume.id.as_str()), (Item::SharedVolume, "op:5"));
    let waits = |task: &&&Task| {
        let mut on = task.depends_on.iter();
        on.any(|on| on.reference == "nsrs:ns:shared-volumes.shared-data-d" && on.until == Until::Created)
    };
    assert_eq!(tasks.iter().filter(waits).count(), 2);
}
