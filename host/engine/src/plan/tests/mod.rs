//! Facts about planning, on the records of a deployed service of LCM and on small services.

mod changes;
mod connections;
mod deploy;
mod injections;
mod limits;
mod operations;
mod recreations;

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
    serde_json::from_str(include_str!("../../../tests/data/deployed_records.json")).unwrap()
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
        base: PlanBase::default(),
        nsr: record(nsr),
        vnfrs: vnfrs.iter().map(record).collect(),
        vnfds: HashMap::new(),
        resources: Vec::new(),
        shared: Vec::new(),
        public_key: None,
        templates: Arc::new(crate::derive::templates::InProcess),
        sealed_password: None,
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
    facts.base.revision += 1;
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
        Verb::Update => "update",
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
