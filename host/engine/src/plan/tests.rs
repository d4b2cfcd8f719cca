//! Facts about planning, on the records of a deployed service of LCM and on small services.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use vimhost_model::{
    Item, JournalEntry, JournalStatus, Record, Resource, ResourceId, Task, TaskAction, TaskStatus, Timestamp, Until,
    VimId, VimState,
};

use super::*;
use crate::Error;
use crate::wanted::DeployRequest;

const VIM: &str = "vim:bad7338b-ae46-43d4-a434-c3337a8054ac";
const VNF: &str = "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0";

fn sample() -> Value {
    serde_json::from_str(include_str!("../../tests/data/deployed_records.json")).unwrap()
}

/// The sample as LCM writes it before the first deploy: no results.
fn fresh() -> Value {
    let mut sample = sample();
    let vim_info = |item: &mut Value| {
        for info in item["vim_info"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            for key in ["vim_id", "vim_status", "vim_details"] {
                info.as_object_mut().unwrap().remove(key);
            }
        }
    };
    for list in ["vld", "image", "flavor"] {
        sample["nsr"][list]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(vim_info);
    }
    let vdur = &mut sample["vnfr"]["vdur"][0];
    vdur["ssh-access-required"] = json!(false);
    vdur["cloud-init"] = Value::Null;
    sample
}

/// The request that LCM makes of the sample.
fn request() -> Value {
    let records = fresh();
    let mut vdur = records["vnfr"]["vdur"][0].clone();
    vdur["vim_info"] = json!({VIM: {}});
    json!({
        "name": "k8s-ns", "ns": {"vld": records["nsr"]["vld"]}, "image": records["nsr"]["image"], "flavor": records["nsr"]["flavor"],
        "affinity-or-anti-affinity-group": [],
        "vnf": [{"_id": VNF, "member-vnf-index-ref": "vnf1", "vld": [], "vdur": [vdur]}],
    })
}

/// The service's records before the deploy: items without any `vim_info`.
fn facts() -> Facts {
    let mut records = fresh();
    for list in ["vld", "image", "flavor"] {
        for item in records["nsr"][list].as_array_mut().unwrap() {
            item.as_object_mut().unwrap().remove("vim_info");
        }
    }
    facts_of(&records["nsr"], &[records["vnfr"].clone()])
}

fn facts_of(nsr: &Value, vnfrs: &[Value]) -> Facts {
    let record = |document: &Value| Record {
        id: document["_id"].as_str().unwrap().parse().unwrap(),
        document: document.clone(),
        revision: 1,
    };
    Facts {
        nsr_id: nsr["_id"].as_str().unwrap().parse().unwrap(),
        revision: 0,
        nsr: record(nsr),
        vnfrs: vnfrs.iter().map(record).collect(),
        vnfds: HashMap::new(),
        resources: Vec::new(),
        shared: Vec::new(),
        public_key: None,
        now: Timestamp(7),
    }
}

fn planned(facts: &Facts, body: Value, action: &str) -> Result<Plan, Error> {
    compared(facts, body, action, Comparison::Presence)
}

fn compared(facts: &Facts, body: Value, action: &str, comparison: Comparison) -> Result<Plan, Error> {
    let request = DeployRequest::parse(body).unwrap();
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        format!("{action}-r{number}").parse::<ResourceId>().unwrap()
    };
    plan(
        facts,
        &request.wanted,
        &action.parse().unwrap(),
        comparison,
        &mut new_id,
    )
}

/// What the store makes of an accepted plan.
fn accept(facts: &mut Facts, plan: &Plan) {
    facts.revision += 1;
    for update in &plan.updates {
        let known = facts.resources.iter_mut().chain(&mut facts.shared);
        let mut hit = false;
        for resource in known.filter(|resource| resource.id == update.resource) {
            assert_eq!(resource.revision, update.expected);
            resource.tasks.extend(update.tasks.clone());
            resource.uses.extend(update.uses.clone());
            hit = true;
        }
        assert!(hit, "an update of something unknown");
    }
    facts.resources.extend(plan.new_resources.iter().cloned());
    for change in &plan.record_changes {
        let record = std::iter::once(&mut facts.nsr)
            .chain(&mut facts.vnfrs)
            .find(|record| record.id == change.record)
            .unwrap();
        let (list, id) = change.item.clone().unwrap();
        let items = record
            .document
            .as_object_mut()
            .unwrap()
            .entry(list.as_str())
            .or_insert_with(|| json!([]));
        let items = items.as_array_mut().unwrap();
        match items.iter_mut().find(|item| item["id"] == id.as_str()) {
            Some(item) => change.apply(item),
            None => items.extend(change.insert.clone()),
        }
    }
}

/// Everything planned is carried out.
fn run(facts: &mut Facts) {
    for resource in &mut facts.resources {
        for index in 0..resource.tasks.len() {
            if resource.tasks[index].action == TaskAction::Delete && resource.tasks[index].status.is_open() {
                let item = resource.tasks[index].target_record.clone();
                let creations = resource.tasks[..index]
                    .iter_mut()
                    .filter(|task| task.target_record == item);
                creations
                    .filter(|task| task.action == TaskAction::Create)
                    .for_each(|task| task.status = TaskStatus::Finished);
                resource.tasks[index].status = TaskStatus::Finished;
                resource.vim = VimState::default();
                resource.journal.clear();
            }
        }
        for task in resource
            .tasks
            .iter_mut()
            .filter(|task| task.action == TaskAction::Create && task.status.is_open())
        {
            task.status = TaskStatus::Done;
            resource.vim.created = true;
            resource.vim.vim_id = VimId::new(format!("id-{}", resource.id)).ok();
        }
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    let verb = |verb: &Verb| match verb {
        Verb::Create => "create",
        Verb::Delete => "delete",
        Verb::Unchanged => "keep",
        Verb::Changed { .. } => "changed",
    };
    plan.changes
        .iter()
        .map(|change| {
            format!(
                "{} {}.{}",
                verb(&change.verb),
                change.item.list.as_str(),
                change.item.item
            )
        })
        .collect()
}

fn tasks(plan: &Plan) -> Vec<&Task> {
    let new = plan.new_resources.iter().flat_map(|resource| &resource.tasks);
    let mut tasks: Vec<&Task> = new
        .chain(plan.updates.iter().flat_map(|update| &update.tasks))
        .collect();
    tasks.sort_by_key(|task| task.id.as_str().rsplit_once(':').unwrap().1.parse::<usize>().unwrap());
    tasks
}

fn refused(result: Result<Plan, Error>) -> (String, String) {
    let Error::Shape { path, reason } = result.unwrap_err() else {
        panic!("not refused for its shape");
    };
    (path, reason)
}

const VDU: &str = "38912ff7-5bdd-4228-911f-c2bee259c44a";

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
            again.changes.iter().all(|change| change.verb == Verb::Unchanged),
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

/// A service with one network and `count` VMs.
fn small(count: usize) -> Value {
    let vdur: Vec<Value> = (0..count).map(|index| vdu(&format!("v{index}"))).collect();
    json!({"name": "s", "ns": {"vld": [{"id": "net", "name": "net", "vim_info": {"vim:x": {}}}]},
           "image": [{"id": "0", "image": "ubuntu", "vim_info": {"vim:x": {}}}],
           "flavor": [{"id": "0", "name": "f", "memory-mb": 1, "vcpu-count": 1, "storage-gb": 1, "vim_info": {"vim:x": {}}}],
           "vnf": [{"_id": VNF, "member-vnf-index-ref": "1", "vdur": vdur}]})
}

fn vdu(id: &str) -> Value {
    json!({"id": id, "vdu-name": "vm", "ns-image-id": "0", "ns-flavor-id": "0",
           "interfaces": [{"name": "eth0", "ns-vld-id": "net", "type": "PARAVIRT"}], "vim_info": {"vim:x": {}}})
}

fn empty_facts() -> Facts {
    facts_of(&json!({"_id": "ns"}), &[json!({"_id": VNF, "nsr-id-ref": "ns"})])
}

/// The small service, deployed.
fn deployed(count: usize) -> Facts {
    let mut facts = empty_facts();
    let plan = planned(&facts, small(count), "op").unwrap();
    accept(&mut facts, &plan);
    run(&mut facts);
    facts
}

#[test]
fn an_inner_vm_is_scaled_in_and_another_out_whatever_the_positions_are() {
    let mut facts = deployed(3);
    let mut body = small(3);
    body["vnf"][0]["vdur"].as_array_mut().unwrap().remove(1);
    let plan = planned(&facts, body.clone(), "in").unwrap();
    let changed: Vec<String> = lines(&plan)
        .into_iter()
        .filter(|line| !line.starts_with("keep"))
        .collect();
    assert_eq!(changed, ["delete vdur.v1"]);
    assert_eq!((tasks(&plan)[0].position, plan.updates.len()), (1, 1));
    accept(&mut facts, &plan);
    run(&mut facts);
    // LCM takes the item out of the record, and the third VM moves up.
    facts.vnfrs[0].document["vdur"].as_array_mut().unwrap().remove(1);
    body["vnf"][0]["vdur"].as_array_mut().unwrap().push(vdu("v9"));
    let plan = planned(&facts, body, "out").unwrap();
    let changed: Vec<String> = lines(&plan)
        .into_iter()
        .filter(|line| !line.starts_with("keep"))
        .collect();
    assert_eq!(changed, ["create vdur.v9"]);
    assert_eq!(tasks(&plan)[0].position, 2);
    accept(&mut facts, &plan);
    let plan = planned(&facts, json!({}), "in2").unwrap();
    let last = tasks(&plan)
        .into_iter()
        .find(|task| task.target_record.item.as_str() == "v2")
        .unwrap();
    assert_eq!(last.position, 1);
}

#[test]
fn a_terminate_deletes_everything_users_first() {
    let mut facts = deployed(2);
    let body = json!({"ns": {"vld": []}, "vnf": [], "image": [], "flavor": []});
    let plan = planned(&facts, body.clone(), "end").unwrap();
    assert_eq!(
        lines(&plan),
        [
            "delete vld.net",
            "delete image.0",
            "delete flavor.0",
            "delete vdur.v0",
            "delete vdur.v1"
        ]
    );
    let tasks = tasks(&plan);
    for user in &tasks[..3] {
        assert_eq!(user.depends_on.len(), 2);
        assert!(
            user.depends_on
                .iter()
                .all(|dependency| dependency.until == Until::Deleted)
        );
    }
    assert!(tasks[3].depends_on.is_empty());
    accept(&mut facts, &plan);
    // Once more while the first is under way: it waits for the same elements instead of reporting success.
    let again = planned(&facts, body.clone(), "end2").unwrap();
    assert_eq!(
        (again.updates.len(), again.new_resources.len(), again.task_count()),
        (5, 0, 5)
    );
    accept(&mut facts, &again);
    run(&mut facts);
    for item in ["vld", "image", "flavor"] {
        facts.nsr.document[item][0]["vim_info"] = json!({});
    }
    facts.vnfrs[0].document["vdur"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|vdur| vdur["vim_info"] = json!({}));
    assert_eq!(planned(&facts, body, "end3").unwrap().task_count(), 0);
}

#[test]
fn what_is_still_being_deleted_is_made_anew_after_it() {
    let mut facts = deployed(1);
    let mut without = small(1);
    without["vnf"] = json!([]);
    let plan = planned(&facts, without, "in").unwrap();
    accept(&mut facts, &plan);
    let plan = planned(&facts, small(1), "out").unwrap();
    let changed: Vec<String> = lines(&plan)
        .into_iter()
        .filter(|line| !line.starts_with("keep"))
        .collect();
    assert_eq!(changed, ["delete vdur.v0", "create vdur.v0"]);
    let tasks = tasks(&plan);
    assert_eq!(
        tasks[0].params,
        Some(json!({REPLACED: true})),
        "the record is the new one's"
    );
    let wait = tasks[1].depends_on.last().unwrap();
    assert_eq!(
        (wait.until, &wait.resource),
        (Until::Deleted, &plan.updates[0].resource)
    );
}

#[test]
fn what_failed_is_cleared_away_and_made_anew() {
    let mut facts = deployed(2);
    let of_vdu = |facts: &mut Facts, status| {
        let vm = facts
            .resources
            .iter_mut()
            .find(|resource| resource.tasks[0].target_record.item.as_str() == "v0")
            .unwrap();
        vm.tasks[0].status = status;
        vm.tasks[0].message = Some("no valid host".to_owned());
        vm.vim.vim_id = None;
        vm.journal.push(JournalEntry {
            id: 1,
            kind: "port".to_owned(),
            token: "t".to_owned(),
            status: JournalStatus::Begun,
            element: None,
        });
    };
    of_vdu(&mut facts, TaskStatus::Failed);
    let plan = planned(&facts, small(2), "again").unwrap();
    let changed: Vec<&Change> = plan
        .changes
        .iter()
        .filter(|change| change.verb != Verb::Unchanged)
        .collect();
    assert_eq!(changed.len(), 2);
    assert!(changed[1].reason.contains("no valid host"), "{}", changed[1].reason);
    accept(&mut facts, &plan);
    // Both fail: the old one cannot be deleted, the new one waits for it.
    for resource in &mut facts.resources {
        for task in resource
            .tasks
            .iter_mut()
            .filter(|task| task.status == TaskStatus::Scheduled)
        {
            task.status = TaskStatus::Failed;
        }
        if resource.tasks.len() > 1 {
            resource.tasks[0].status = TaskStatus::Finished;
        }
    }
    let plan = planned(&facts, json!({}), "end").unwrap();
    let deleted = plan
        .updates
        .iter()
        .filter(|update| update.tasks[0].target_record.item.as_str() == "v0")
        .count();
    assert_eq!(
        deleted,
        2,
        "what the first try left is not forgotten: {:?}",
        lines(&plan)
    );
    let plan = planned(&facts, small(2), "third").unwrap();
    let new = plan.new_resources.last().unwrap();
    assert_eq!(
        new.tasks[0]
            .depends_on
            .iter()
            .filter(|dependency| dependency.until == Until::Deleted)
            .count(),
        2
    );
}

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
    assert!(plan.changes.iter().all(|change| change.verb == Verb::Unchanged));
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
    assert!(plan.changes.iter().all(|change| change.verb == Verb::Unchanged));
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
