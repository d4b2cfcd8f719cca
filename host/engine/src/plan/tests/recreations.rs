//! Recreations: what a VM is made anew from.

use vimhost_model::InterfaceInfo;

use super::operations::{conflict, operated, vm};
use super::*;
use crate::operation::Topic;

fn heal(vdus: Value) -> Value {
    json!({"healVnfData": [{"vnfInstanceId": VNF, "cause": "dead", "additionalParams": {"vdu": vdus}}]})
}

fn entry(number: u64, kind: &str, element: &str) -> JournalEntry {
    JournalEntry {
        id: number,
        kind: kind.to_owned(),
        token: format!("old.{number}"),
        status: JournalStatus::Committed,
        element: Some(element.parse().unwrap()),
        begun_at: Timestamp(0),
    }
}

/// A service of one VM in service, as the VIM shows it: with an address, two volumes of its own and another flavour by now.
fn in_service() -> Facts {
    let mut facts = deployed(1);
    let vm = vm(&mut facts, "v0");
    vm.vim.image = None;
    vm.vim.flavour = Some("flavour-seen".parse().unwrap());
    vm.vim.interfaces_vim_ids = vec![Some("port-1".parse().unwrap())];
    vm.vim.interfaces_backup = vec![Some(InterfaceInfo {
        vim_interface_id: Some("port-1".to_owned()),
        vim_net_id: Some("net-seen".to_owned()),
        mac_address: Some("fa:16:3e:00:00:01".to_owned()),
        ip_address: Some("203.0.113.7;10.0.0.5".to_owned()),
        ..InterfaceInfo::default()
    })];
    vm.vim.volumes = vec!["data".parse().unwrap(), "root".parse().unwrap()];
    vm.journal = vec![
        entry(1, "port", "port-1"),
        entry(2, "volume", "root"),
        entry(3, "volume:keep", "data"),
        entry(4, "server", "vm-1"),
    ];
    let params = vm.tasks[0].params.as_mut().unwrap();
    params["disk_list"] = json!([{"image_id": "ubuntu", "size": 5, "keep": false}, {"size": 1, "keep": true}]);
    params["net_list"][0]["floating_ip"] = json!(true);
    params["cloud_config"] = json!({"user-data": {"$text": "digest"}});
    facts
}

#[test]
fn d31_a_vm_is_made_anew_as_it_was_after_the_old_one_is_gone() {
    let mut facts = in_service();
    let plan = operated(&facts, Topic::Recreate, heal(json!([{"vdu-id": "vm"}])), "op").unwrap();
    let both = tasks(&plan);
    let (deletion, creation) = (both[0], both[1]);
    assert_eq!(
        (both.len(), deletion.action, creation.action),
        (2, TaskAction::Delete, TaskAction::Create)
    );
    let old = vm(&mut facts, "v0");
    assert_eq!(plan.updates[0].resource, old.id);
    assert_eq!(
        deletion.params,
        Some(
            json!({"vim_id": old.vim.vim_id, "volumes_to_hold": ["data", "root"], "created_items": {
            "port:port-1": true, "volume:root": true, "volume:data:keep": true, "server:vm-1": true}})
        )
    );
    let wait = &creation.depends_on[0];
    assert_eq!(
        (
            wait.reference.as_str(),
            &wait.resource,
            wait.until,
            creation.depends_on.len()
        ),
        ("op:0", &old.id, Until::Deleted, 1)
    );
    let image = format!(
        "id-{}",
        facts.resources.iter().find(|r| r.item == Item::Image).unwrap().id
    );
    let params = creation.params.as_ref().unwrap();
    assert_eq!(
        (&params["image_id"], &params["flavor_id"]),
        (&json!(image), &json!("flavour-seen"))
    );
    let interface = &params["net_list"][0];
    assert_eq!(
        (
            &interface["net_id"],
            &interface["ip_address"],
            &interface["mac_address"]
        ),
        (&json!("net-seen"), &json!("10.0.0.5"), &json!("fa:16:3e:00:00:01")),
        "the floating address is not the port's own"
    );
    assert_eq!(
        params["disk_list"],
        json!([{"vim_id": "root", "image_id": "ubuntu"}, {"vim_id": "data", "keep": true}])
    );
    assert_eq!(
        params["cloud_config"],
        json!({"user-data": {"$text": "digest"}}),
        "rendered as it was"
    );
    assert!(!params.to_string().contains("TASK-"), "{params}");
    assert_eq!(
        params["previous_created_volumes"],
        json!({"volume:root": true, "volume:data:keep": true})
    );
    // Whoever ends the new VM finds the volumes that it has taken over, and the networks wait for it.
    let new = &plan.new_resources[0];
    let taken: Vec<_> = new
        .journal
        .iter()
        .map(|entry| (entry.id, entry.kind.as_str()))
        .collect();
    assert_eq!(taken, [(1, "volume"), (2, "volume:keep")]);
    assert_eq!(new.uses.len(), 3);
    assert!(plan.record_changes.is_empty());
}

#[test]
fn an_interface_whose_port_is_gone_gets_the_addresses_that_it_had() {
    let mut facts = in_service();
    let old = vm(&mut facts, "v0");
    old.vim.interfaces = vec![None];
    let plan = operated(&facts, Topic::Recreate, heal(json!([])), "op").unwrap();
    let both = tasks(&plan);
    let interface = &both[1].params.as_ref().unwrap()["net_list"][0];
    assert_eq!(
        (&interface["ip_address"], &interface["mac_address"]),
        (&json!("10.0.0.5"), &json!("fa:16:3e:00:00:01"))
    );
}

#[test]
fn a_vm_in_error_that_a_deploy_leaves_alone_is_made_anew_by_a_recreate() {
    let mut facts = in_service();
    let old = vm(&mut facts, "v0");
    old.tasks[0].status = TaskStatus::Failed;
    old.tasks[0].was_in_service = true;
    let old = old.id.clone();
    assert_eq!(planned(&facts, small(1), "again").unwrap().task_count(), 0);
    let plan = operated(&facts, Topic::Recreate, heal(json!([{"vdu-id": "vm"}])), "op").unwrap();
    let both = tasks(&plan);
    assert_eq!((both.len(), &plan.updates[0].resource), (2, &old));
    assert_eq!(
        both[0].params.as_ref().unwrap()["volumes_to_hold"],
        json!(["data", "root"])
    );
}

#[test]
fn a_vm_that_is_healed_again_before_it_is_there_keeps_what_it_is_to_get() {
    let mut facts = in_service();
    let plan = operated(&facts, Topic::Recreate, heal(json!([])), "op").unwrap();
    accept(&mut facts, &plan);
    let again = operated(&facts, Topic::Recreate, heal(json!([])), "op2").unwrap();
    let all = tasks(&again);
    assert_eq!(all.len(), 3, "two to delete, one to make");
    for deletion in &all[..2] {
        assert_eq!(
            deletion.params.as_ref().unwrap()["volumes_to_hold"],
            json!(["root", "data"])
        );
    }
    assert_eq!(
        (
            &all[2].params.as_ref().unwrap()["disk_list"],
            &all[2].params.as_ref().unwrap()["net_list"]
        ),
        (
            &json!([{"vim_id": "root", "image_id": "ubuntu"}, {"vim_id": "data", "keep": true}]),
            &tasks(&plan)[1].params.as_ref().unwrap()["net_list"]
        )
    );
    assert_eq!(again.new_resources[0].journal.len(), 2);
    // A terminate in between ends all of them.
    let end = planned(&facts, json!({}), "end").unwrap();
    let vms = tasks(&end).into_iter().filter(|task| task.item == Item::Vdu).count();
    assert_eq!(vms, 2);
}

#[test]
fn d12_what_the_details_lack_comes_from_the_records_and_what_nobody_knows_is_an_error_before_anything_is_deleted() {
    let mut facts = in_service();
    let plan = |facts: &Facts| operated(facts, Topic::Recreate, heal(json!([])), "op");
    vm(&mut facts, "v0").vim.flavour = None;
    vm(&mut facts, "v0").vim.interfaces_backup.clear();
    // Somebody else made the flavour; the record knows it.
    let flavour = facts
        .resources
        .iter()
        .position(|resource| resource.item == Item::Flavor)
        .unwrap();
    facts.resources.remove(flavour);
    facts.nsr.document["flavor"][0]["vim_info"] = json!({"vim:x": {"vim_id": "recorded"}});
    let made = plan(&facts).unwrap();
    let params = tasks(&made)[1].params.clone().unwrap();
    assert_eq!(params["flavor_id"], "recorded");
    assert!(params["net_list"][0]["net_id"].as_str().unwrap().starts_with("id-"));
    facts.nsr.document["flavor"][0]["vim_info"] = json!({});
    let reason = conflict(plan(&facts));
    assert!(reason.contains("nsrs:ns:flavor.0 is not deployed"), "{reason}");
}

#[test]
fn which_vms_are_healed() {
    let mut facts = deployed(3);
    let vdurs = facts.vnfrs[0].document["vdur"].as_array_mut().unwrap();
    for (index, vdur) in vdurs.iter_mut().enumerate() {
        vdur["count-index"] = json!(index);
    }
    // A physical one has no VM.
    vdurs.push(json!({"id": "pdu", "vdu-name": "pdu", "pdu-type": "box"}));
    let healed = |vdus: Value| {
        let plan = operated(&facts, Topic::Recreate, heal(vdus), "op").unwrap();
        let creations = tasks(&plan)
            .into_iter()
            .filter(|task| task.action == TaskAction::Create);
        creations
            .map(|task| task.target_record.item.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(healed(json!([])), ["v0", "v1", "v2"], "none named: all");
    assert_eq!(healed(json!([{"vdu-id": "vm", "count-index": 1}])), ["v1"]);
    let twice = json!([{"vdu-id": "vm", "count-index": 2}, {"vdu-id": "vm"}, {"vdu-id": "vm"}]);
    assert_eq!(healed(twice), ["v2", "v0"]);
    let refused = |body: Value| operated(&facts, Topic::Recreate, body, "op").unwrap_err();
    assert!(matches!(
        refused(heal(json!([{"vdu-id": "nobody"}]))),
        Error::NotFound { what: "VDU", .. }
    ));
    let stranger = json!({"healVnfData": [{"vnfInstanceId": "nobody"}]});
    assert!(matches!(refused(stranger), Error::NotFound { what: "VNF", .. }));
    assert!(matches!(
        refused(heal(json!([{"vdu-id": "pdu"}]))),
        Error::Conflict { .. }
    ));
}

#[test]
fn what_others_made_or_is_on_its_way_out_is_not_made_anew() {
    let mut facts = empty_facts();
    let mut theirs = vdu("v0");
    theirs["vim_info"] = json!({"vim:x": {"vim_id": "theirs", "vim_status": "ACTIVE"}});
    facts.vnfrs[0].document["vdur"] = json!([theirs]);
    let reason = conflict(operated(&facts, Topic::Recreate, heal(json!([])), "op"));
    assert!(reason.contains("not made by this vimhost"), "{reason}");
    let mut facts = in_service();
    let plan = planned(&facts, json!({}), "end").unwrap();
    accept(&mut facts, &plan);
    let reason = conflict(operated(&facts, Topic::Recreate, heal(json!([])), "op"));
    assert!(reason.contains("still being deleted"), "{reason}");
}

#[test]
fn a_template_that_the_request_brings_is_rendered_anew() {
    let mut facts = in_service();
    let vdur = &mut facts.vnfrs[0].document["vdur"][0];
    vdur["cloud-init"] = json!("vnfd:file:a");
    vdur["additionalParams"] = json!({"name": "a & b"});
    let mut body = heal(json!([]));
    body["cloud_init_content"] = json!({"vnfd:file:a": "hostname: {{ name }}"});
    let plan = operated(&facts, Topic::Recreate, body, "op").unwrap();
    let creation = tasks(&plan)[1].params.clone().unwrap();
    assert_eq!(
        creation["cloud_config"]["user-data"], "hostname: a & b",
        "D10: not escaped"
    );
}

#[test]
fn a_vm_that_was_made_anew_is_not_reported_as_changed_until_it_is() {
    let mut facts = deployed(1);
    let addresses = vec![Some(InterfaceInfo {
        mac_address: Some("fa:16:3e:00:00:01".to_owned()),
        ip_address: Some("10.0.0.5".to_owned()),
        ..InterfaceInfo::default()
    })];
    let old = vm(&mut facts, "v0");
    old.vim.interfaces_vim_ids = vec![Some("port-1".parse().unwrap())];
    old.vim.interfaces_backup = addresses;
    let plan = operated(&facts, Topic::Recreate, heal(json!([])), "op").unwrap();
    accept(&mut facts, &plan);
    run(&mut facts);
    let changes = |body: Value| {
        let plan = compared(&facts, body, "op2", Comparison::Parameters).unwrap();
        let vdu = plan
            .changes
            .into_iter()
            .find(|change| change.kind == Item::Vdu)
            .unwrap();
        vdu.verb
    };
    assert_eq!(changes(small(1)), Verb::Unchanged);
    let mut body = small(1);
    body["vnf"][0]["vdur"][0]["interfaces"][0]["type"] = json!("VIRTIO");
    let fields = vec!["net_list".to_owned()];
    let remedy = Remedy::ByReplacement;
    assert_eq!(changes(body), Verb::Changed { fields, remedy });
}
