//! Deploying: order, dependencies, records.

use super::*;

#[test]
fn a_service_without_vnfs_is_made_of_what_it_has_itself() {
    let facts = facts_of(&json!({"_id": "ns"}), &[]);
    let mut body = small(0);
    body["vnf"] = json!([]);
    let plan = planned(&facts, body, "op").unwrap();
    assert_eq!(lines(&plan), ["create vld.net", "create image.0", "create flavor.0"]);
}

#[test]
fn a_deploy_of_lcm_is_planned_in_ng_ros_order_with_its_dependencies() {
    let mut facts = facts();
    let plan = planned(&facts, request(), "op").unwrap();
    let vdu = format!("create vdur.{VDU}");
    assert_eq!(
        lines(&plan),
        [
            "create vld.mgmtnet",
            "create vld.datanet",
            "create image.0",
            "create flavor.0",
            vdu.as_str()
        ]
    );
    let tasks = tasks(&plan);
    assert_eq!(
        tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(),
        ["op:0", "op:1", "op:2", "op:3", "op:4"]
    );
    let waits: Vec<&str> = tasks[4]
        .depends_on
        .iter()
        .map(|dependency| dependency.reference.as_str())
        .collect();
    let ns = facts.nsr_id.clone();
    let expected = ["image.0", "flavor.0", "vld.mgmtnet", "vld.datanet"].map(|item| format!("nsrs:{ns}:{item}"));
    assert_eq!(waits, expected);
    assert!(
        tasks[4]
            .depends_on
            .iter()
            .all(|dependency| dependency.until == Until::Created)
    );
    assert_eq!(plan.new_resources[4].uses.len(), 4);
    assert_eq!(tasks[0].find_params, Some(json!({"filter_dict": {"name": "osm-ext"}})));
    assert_eq!(tasks[1].params.as_ref().unwrap()["net_name"], "k8s-ns-datanet");
    assert_eq!(tasks[4].mgmt_vnf_interface, Some(0));
    // Images without a target of this service are there and nothing is made of them.
    assert_eq!(plan.task_count(), 5);

    accept(&mut facts, &plan);
    for again in [planned(&facts, request(), "op2").unwrap(), {
        run(&mut facts);
        planned(&facts, request(), "op2").unwrap()
    }] {
        assert!(
            !again.changes.is_empty() && again.changes.iter().all(|change| change.verb == Verb::Unchanged),
            "{:?}",
            lines(&again)
        );
        assert!(again.task_count() == 0 && again.record_changes.is_empty());
    }
}

#[test]
fn records_get_single_fields_and_keep_what_they_have() {
    let mut facts = facts();
    facts.nsr.document["vld"][0]["theirs"] = json!({"x": 1});
    facts.nsr.document["vld"][1]["status"] = json!("DELETED");
    let mut body = request();
    body["image"] = json!([{"image": "ubuntu", "vim_info": {}}, {"image": "by-position", "vim_info": {VIM: {}}}]);
    body["ns"]["vld"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "extra", "name": "extra", "vim_info": {VIM: {"vim_network_name": "x"}}}));
    body["vnf"] = json!([]);
    facts.nsr.document["image"] = json!([]);
    let plan = planned(&facts, body, "op").unwrap();
    assert!(plan.record_changes.iter().all(|change| change.item.is_some()));
    accept(&mut facts, &plan);
    let nsr = &facts.nsr.document;
    assert_eq!(nsr["vld"][0]["theirs"], json!({"x": 1}));
    assert_eq!(nsr["vld"][0]["vim_info"][VIM]["vim_network_name"], "osm-ext");
    assert!(
        nsr["vld"][1].get("status").is_none(),
        "what is made again is not marked as deleted"
    );
    assert_eq!(nsr["vld"][2]["id"], "extra");
    // An item without id is known by its position; one without target is recorded and not deployed.
    assert_eq!(nsr["image"][0], json!({"id": "0", "image": "ubuntu", "vim_info": {}}));
    assert_eq!(nsr["image"][1]["id"], "1");
    let images: Vec<_> = tasks(&plan)
        .into_iter()
        .filter(|task| task.item == Item::Image)
        .collect();
    assert_eq!((images.len(), images[0].position), (1, 1));
    let inserted = plan
        .record_changes
        .iter()
        .filter(|change| change.insert.is_some())
        .count();
    assert_eq!(inserted, 3);
}
