mod standard;

use super::*;
use serde_json::json;

const HOT: &str = "resources:\n  VDU1_group:\n    type: OS::Heat::AutoScalingGroup\n    properties:\n      desired_capacity: { get_param: [nfv, VDU, VDU1, desired_capacity] }\n  cp:\n    properties:\n      network: { get_param: [nfv, CP, CP1, network] }\n";

fn vnfd() -> Vnfd {
    serde_json::from_value(json!({
        "id": "vnfd", "provider": "p", "product_name": "n", "software_version": "1", "version": "1",
        "flavours": {"simple": {
            "aspects": {"a": {"max_scale_level": 2, "deltas": {"VDU1": {"steps": [1]}}}},
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1}},
            "cps": {"CP1": {"vdu": "VDU1"}},
            "base_hot": {"path": "BaseHOT/simple/a.yaml", "template": HOT}}}}))
    .unwrap()
}

fn instance(kept: &Kept, servers: &[&str]) -> VnfInstance {
    let vnfc = |id: &&str| {
        json!({"id": id, "vduId": "VDU1", "computeResource": {"resourceId": id},
        "metadata": {"stack_id": format!("inner-{id}/i{id}"), "parent_stack_id": "group/g", "parent_resource_name": format!("m-{id}")}})
    };
    let known = |id: &&str| json!({"id": format!("VDU1-{id}"), "vduId": "VDU1", "vnfcResourceInfoId": id, "vnfcState": "STARTED"});
    serde_json::from_value(json!({
        "id": "i", "vnfdId": "vnfd", "vnfProvider": "p", "vnfProductName": "n", "vnfSoftwareVersion": "1", "vnfdVersion": "1",
        "instantiationState": "INSTANTIATED",
        "instantiatedVnfInfo": {"flavourId": "simple", "vnfState": "STARTED",
            "vnfcResourceInfo": servers.iter().map(vnfc).collect::<Vec<_>>(),
            "vnfcInfo": servers.iter().map(known).collect::<Vec<_>>()},
        "_vimhost": {"package": "pkg", "stack": kept}}))
    .unwrap()
}

fn planned(operation: &str, params: Value, instance: &VnfInstance) -> Result<Work, ProblemDetails> {
    planned_of(&vnfd(), operation, params, instance)
}

fn planned_of(vnfd: &Vnfd, operation: &str, params: Value, instance: &VnfInstance) -> Result<Work, ProblemDetails> {
    planned_from(vnfd, vnfd, operation, params, instance)
}

/// Of an instance of one VNFD by an operation that may bring another.
fn planned_from(
    vnfd_before: &Vnfd,
    vnfd: &Vnfd,
    operation: &str,
    params: Value,
    instance: &VnfInstance,
) -> Result<Work, ProblemDetails> {
    let op_occ = serde_json::from_value(json!({
        "id": "op", "operationState": "STARTING", "stateEnteredTime": "2026-01-01T00:00:00.000Z",
        "startTime": "2026-01-01T00:00:00.000Z", "vnfInstanceId": "i", "operation": operation,
        "isAutomaticInvocation": false, "isCancelPending": false, "operationParams": params, "_vimhost": {}}))
    .unwrap();
    plan(Given {
        op_occ: &op_occ,
        instance,
        vnfd,
        vnfd_before,
        installation: "qwert",
    })
}

fn instantiated() -> Kept {
    let fresh = instance(&Kept::default(), &[]);
    let work = planned("INSTANTIATE", json!({"flavourId": "simple"}), &fresh).unwrap();
    Kept {
        id: Some("s".parse().unwrap()),
        ..work.after
    }
}

fn capacity(work: &Work) -> Vec<&Value> {
    let updates = work.steps.iter().filter_map(|step| match step {
        Step::Update { content } | Step::Create { content } => Some(content),
        Step::Pause { .. } | Step::Mark { .. } | Step::MarkNew { .. } | Step::Delete | Step::Resources => None,
    });
    updates
        .map(|content| &content.parameters["nfv"]["VDU"]["VDU1"]["desired_capacity"])
        .collect()
}

#[test]
fn an_unknown_flavour_level_or_script_is_told_as_400() {
    let fresh = instance(&Kept::default(), &[]);
    for params in [
        json!({"flavourId": "x"}),
        json!({"flavourId": "simple", "instantiationLevelId": "x"}),
        json!({"flavourId": "simple", "additionalParams": {"lcm-operation-user-data": "x"}}),
        json!({"flavourId": "simple", "additionalParams": {"lcm-operation-user-data": "x", "lcm-operation-user-data-class": "y"}}),
    ] {
        assert_eq!(planned("INSTANTIATE", params, &fresh).unwrap_err().status, 400);
    }
}

#[test]
fn an_instance_of_billions_of_members_is_refused_and_never_counted() {
    let mut vnfd = vnfd();
    let flavour = vnfd.flavours.get_mut("simple").unwrap();
    flavour.vdus.get_mut("VDU1").unwrap().initial = u32::MAX;
    let fresh = instance(&Kept::default(), &[]);
    let refused = planned_of(&vnfd, "INSTANTIATE", json!({"flavourId": "simple"}), &fresh).unwrap_err();
    assert_eq!(refused.status, 400);
    assert!(refused.detail.contains("VNFCs"), "{}", refused.detail);

    let flavour = vnfd.flavours.get_mut("simple").unwrap();
    flavour.aspects.get_mut("a").unwrap().max_scale_level = u32::MAX;
    let one = instance(&instantiated(), &["a"]);
    let scale = json!({"type": "SCALE_OUT", "aspectId": "a", "numberOfSteps": u32::MAX});
    assert_eq!(planned_of(&vnfd, "SCALE", scale, &one).unwrap_err().status, 400);
}

#[test]
fn a_plan_that_no_store_takes_is_told_from_one_that_fits() {
    let kept = instantiated();
    let work = planned("HEAL", json!({}), &instance(&kept, &["a"])).unwrap();
    let op_occ = serde_json::from_value(json!({
        "id": "op", "operationState": "STARTING", "stateEnteredTime": "2026-01-01T00:00:00.000Z",
        "startTime": "2026-01-01T00:00:00.000Z", "vnfInstanceId": "i", "operation": "HEAL",
        "isAutomaticInvocation": false, "isCancelPending": false, "_vimhost": {}}))
    .unwrap();
    assert!(fits(&op_occ, &work));
    let content = Content {
        template: Some("x".repeat(1 << 20)),
        ..Content::default()
    };
    let steps = vec![Step::Update { content }; 10];
    assert!(!fits(&op_occ, &Work::new(steps, work.stack.clone(), kept)));
}

#[test]
fn a_vdu_that_is_named_twice_is_rolled_once() {
    let kept = instantiated();
    let one = instance(&kept, &["a"]);
    let named = vec![json!({"vdu_id": "VDU1"}); 10];
    let params = json!({"vnfdId": "vnfd", "additionalParams": {"upgrade_type": "RollingUpdate", "vdu_params": named}});
    let work = planned("CHANGE_VNFPKG", params, &one).unwrap();
    assert_eq!(work.steps.len(), 2, "{:?}", work.steps);
}

#[test]
fn an_instantiation_can_be_undone_by_a_deletion() {
    let fresh = instance(&Kept::default(), &[]);
    let work = planned("INSTANTIATE", json!({"flavourId": "simple"}), &fresh).unwrap();
    assert_eq!(capacity(&work), [&json!(1)]);
    assert_eq!(work.undo, Some(vec![Step::Delete]));
    assert_eq!(work.stack.token, "qwert-op");
}

#[test]
fn a_scale_out_raises_and_a_scale_in_marks_the_newest_first() {
    let kept = instantiated();
    let one = instance(&kept, &["a"]);
    let out = planned("SCALE", json!({"type": "SCALE_OUT", "aspectId": "a"}), &one).unwrap();
    assert_eq!(capacity(&out), [&json!(2)]);
    assert!(out.undo.is_some());
    let kept = Kept {
        id: kept.id,
        ..out.after
    };
    let two = instance(&kept, &["b", "a"]);
    let back = planned("SCALE", json!({"type": "SCALE_IN", "aspectId": "a"}), &two).unwrap();
    let Some(Step::Mark { stack, resource, .. }) = back.steps.first() else {
        panic!("{:?}", back.steps);
    };
    assert_eq!((stack.as_str(), resource.as_str()), ("group", "m-b"));
    assert_eq!(capacity(&back), [&json!(1)]);
    assert_eq!(back.undo, None);
}

#[test]
fn a_heal_marks_what_it_is_asked_for_and_with_all_makes_the_stack_anew() {
    let two = instance(&instantiated(), &["b", "a"]);
    let some = planned("HEAL", json!({"vnfcInstanceId": ["VDU1-a"]}), &two).unwrap();
    assert_eq!(some.steps.len(), 3);
    assert!(matches!(&some.steps[0], Step::Mark { stack, resource, .. } if stack == "inner-a" && resource == "VDU1"));
    let all = planned("HEAL", json!({"additionalParams": {"all": true}}), &two).unwrap();
    assert!(matches!(
        all.steps.as_slice(),
        [Step::Delete, Step::Create { .. }, Step::Resources]
    ));
}

#[test]
fn another_network_is_sent_and_taken_back_by_a_rollback() {
    let one = instance(&instantiated(), &["a"]);
    let links = json!({"extVirtualLinks": [{"id": "l", "resourceId": "net-2", "extCps": [{"cpdId": "CP1", "cpConfig": {"c": {}}}]}]});
    let work = planned("CHANGE_EXT_CONN", links, &one).unwrap();
    let network = |step: &Step| match step {
        Step::Update { content } => content.parameters["nfv"]["CP"]["CP1"]["network"].clone(),
        other @ (Step::Pause { .. }
        | Step::Mark { .. }
        | Step::MarkNew { .. }
        | Step::Create { .. }
        | Step::Delete
        | Step::Resources) => panic!("{other:?}"),
    };
    assert_eq!(network(&work.steps[0]), "net-2");
    assert_eq!(network(&work.undo.unwrap()[0]), Value::Null);
}

#[test]
fn a_graceful_end_waits_ten_seconds_unless_it_is_said() {
    let one = instance(&instantiated(), &["a"]);
    let work = planned("TERMINATE", json!({"terminationType": "GRACEFUL"}), &one).unwrap();
    assert_eq!(work.steps, [Step::Pause { seconds: 10 }, Step::Delete]);
    let work = planned("TERMINATE", json!({"terminationType": "FORCEFUL"}), &one).unwrap();
    assert_eq!(work.steps, [Step::Delete]);
}
