//! What is refused, shared, reported or kept apart.

use super::*;

#[test]
fn what_cannot_be_served_is_refused_before_anything_is_stored() {
    let facts = empty_facts();
    let mut body = small(1);
    body["vnf"][0]["_id"] = json!("00000000-0000-0000-0000-000000000000");
    assert!(matches!(
        planned(&facts, body, "op"),
        Err(Error::NotFound { what: "VNF", .. })
    ));
    let mut body = small(1);
    body["image"] = json!([]);
    let (path, reason) = refused(planned(&facts, body, "op"));
    assert_eq!(
        (path.as_str(), reason.as_str()),
        (
            "vnf:0:vdur:0",
            "depends on nsrs:ns:image.0, which is not deployed on vim:x"
        )
    );
    // On another account it is not there either.
    let mut body = small(1);
    body["vnf"][0]["vdur"][0]["vim_info"] = json!({"vim:y": {}});
    assert_eq!(refused(planned(&facts, body, "op")).0, "vnf:0:vdur:0");
    // What the same request takes away cannot be built on.
    let facts = deployed(1);
    let mut body = small(2);
    body["image"] = json!([]);
    assert_eq!(refused(planned(&facts, body, "op")).0, "vnf:0:vdur:1");
}

#[test]
fn a_data_plane_interface_turns_its_network_into_one() {
    let mut body = small(1);
    body["vnf"][0]["vdur"][0]["interfaces"][0]["type"] = json!("SR-IOV");
    let mut facts = empty_facts();
    let plan = planned(&facts, body.clone(), "op").unwrap();
    assert_eq!(tasks(&plan)[0].params.as_ref().unwrap()["net_type"], "data");
    assert_eq!(
        tasks(&planned(&facts, small(1), "op").unwrap())[0]
            .params
            .as_ref()
            .unwrap()["net_type"],
        "bridge"
    );
    accept(&mut facts, &plan);
    let plan = compared(&facts, body, "op2", Comparison::Parameters).unwrap();
    assert!(!plan.changes.is_empty() && plan.changes.iter().all(|change| change.verb == Verb::Unchanged));
}

#[test]
fn a_shared_element_has_one_document_within_and_across_services() {
    let shared = |id: &str| json!({"id": id, "image": "ubuntu", "common_id": "c", "vim_info": {"vim:x": {}}});
    let body = json!({"name": "s", "image": [shared("a"), shared("b")]});
    let mut facts = empty_facts();
    let plan = planned(&facts, body.clone(), "op").unwrap();
    assert_eq!((plan.new_resources.len(), plan.new_resources[0].tasks.len()), (1, 2));
    accept(&mut facts, &plan);
    run(&mut facts);

    let mut other = facts_of(&json!({"_id": "ns2"}), &[]);
    other.shared = facts.resources.clone();
    let plan = planned(&other, json!({"name": "t", "image": [shared("z")]}), "op2").unwrap();
    assert_eq!((plan.new_resources.len(), plan.updates.len()), (0, 1));
    accept(&mut other, &plan);

    // One service lets go; what the other holds is none of its business from then on.
    facts.resources[0].tasks.push(plan.updates[0].tasks[0].clone());
    facts.resources[0].tasks.iter_mut().for_each(|task| {
        task.status = if task.nsr_id.as_str() == "ns" {
            TaskStatus::Finished
        } else {
            TaskStatus::Done
        };
    });
    facts.nsr.document["image"] = json!([]);
    facts.resources[0].vim.created = true;
    assert_eq!(planned(&facts, json!({}), "op3").unwrap().task_count(), 0);
    assert_eq!(planned(&facts, body, "op4").unwrap().updates[0].tasks.len(), 2);
}

#[test]
fn changed_parameters_are_reported_on_request_and_never_acted_on() {
    let facts = deployed(1);
    let mut body = small(1);
    body["flavor"][0]["memory-mb"] = json!(2);
    let plan = compared(&facts, body.clone(), "op", Comparison::Parameters).unwrap();
    let changed: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.verb != Verb::Unchanged)
        .collect();
    assert_eq!(changed.len(), 1);
    let expected = Verb::Changed {
        fields: vec!["flavor_data".to_owned()],
        remedy: Remedy::ByReplacement,
    };
    assert_eq!(
        (changed[0].kind, &changed[0].verb, plan.task_count()),
        (Item::Flavor, &expected, 0)
    );
    let plan = planned(&facts, body, "op").unwrap();
    assert!(!plan.changes.is_empty() && plan.changes.iter().all(|change| change.verb == Verb::Unchanged));
}

#[test]
fn what_only_the_record_knows_is_used_by_its_id_and_given_up_by_clearing_it() {
    let records = sample();
    let vnfr = &records["vnfr"];
    let mut facts = facts_of(&records["nsr"], std::slice::from_ref(vnfr));
    facts.vnfrs[0].document["vdur"] = json!([]);
    let plan = planned(&facts, request(), "op").unwrap();
    assert_eq!(plan.task_count(), 1, "{:?}", lines(&plan));
    let params = tasks(&plan)[0].params.clone().unwrap();
    assert_eq!(params["image_id"], "919fc71a-6acd-4ee3-8123-739a9abbc2e7");
    assert_eq!(params["net_list"][1]["net_id"], "34056287-3cd5-42cb-92d3-413382b50813");
    assert!(tasks(&plan)[0].depends_on.is_empty());
    let plan = planned(&facts, json!({}), "end").unwrap();
    assert_eq!(
        lines(&plan),
        [
            "delete vld.mgmtnet",
            "delete vld.datanet",
            "delete image.0",
            "delete flavor.0"
        ]
    );
    assert!(plan.new_resources.iter().all(|resource| !resource.may_exist()) && plan.updates.is_empty());
    // A failure of somebody else's try is no element.
    facts.nsr.document["vld"][1]["vim_info"][VIM] = json!({"vim_id": null, "vim_status": "VIM_ERROR"});
    let plan = planned(&facts, request(), "op").unwrap();
    assert!(lines(&plan).contains(&"create vld.datanet".to_owned()));
}

#[test]
fn what_lost_its_item_or_its_whole_record_is_deleted() {
    let mut facts = deployed(1);
    facts.vnfrs.clear();
    facts.nsr.document["vld"] = json!([]);
    let mut body = small(1);
    body["vnf"] = json!([]);
    body["ns"] = json!({});
    let plan = planned(&facts, body, "op").unwrap();
    let changed: Vec<String> = lines(&plan)
        .into_iter()
        .filter(|line| !line.starts_with("keep"))
        .collect();
    assert_eq!(changed, ["delete vld.net", "delete vdur.v0"]);
}

#[test]
fn large_texts_are_kept_once_however_many_vms_have_them() {
    let mut body = small(3);
    for vdur in body["vnf"][0]["vdur"].as_array_mut().unwrap() {
        vdur["cloud-init"] = json!("p:file:c");
    }
    body["cloud_init_content"] = json!({"p:file:c": format!("#cloud-config\n{}", "x".repeat(5000))});
    let plan = planned(&empty_facts(), body, "op").unwrap();
    assert_eq!(plan.texts.len(), 1);
    let vms: Vec<_> = tasks(&plan).into_iter().filter(|task| task.item == Item::Vdu).collect();
    assert!(
        vms.iter()
            .all(|vm| text_digests(vm.params.as_ref().unwrap()) == [plan.texts[0].0.clone()])
    );
    assert!(
        plan.new_resources
            .iter()
            .all(|resource| serde_json::to_string(resource).unwrap().len() < 3000)
    );
}

#[test]
fn two_hundred_vms_are_two_hundred_small_documents() {
    let facts = deployed(200);
    assert_eq!(facts.resources.len(), 203);
    let sizes = facts
        .resources
        .iter()
        .map(|resource: &Resource| serde_json::to_string(resource).unwrap().len());
    assert!(sizes.max().unwrap() < 4000);
    let end = planned(&facts, json!({}), "end").unwrap();
    assert_eq!(
        (end.task_count(), end.updates.len(), end.new_resources.len()),
        (203, 203, 0)
    );
    let mut body = small(201);
    body["vnf"][0]["vdur"].as_array_mut().unwrap().remove(17);
    let plan = planned(&facts, body, "op").unwrap();
    assert_eq!((plan.task_count(), plan.record_changes.len()), (2, 1));
}
