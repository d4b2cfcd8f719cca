//! Operations on what is deployed: which VM they find, and what they ask of it.

use super::*;
use crate::operation::{Operation, OperationRequest, Topic};

pub(super) fn operated(facts: &Facts, topic: Topic, body: Value, action: &str) -> Result<Plan, Error> {
    let request = OperationRequest::parse(topic, body).unwrap();
    operation(facts, &request.operation, action)
}

fn operation(facts: &Facts, operation: &Operation, action: &str) -> Result<Plan, Error> {
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        // Unlike those of a deployment under the same action id.
        format!("{action}-o{number}").parse::<ResourceId>().unwrap()
    };
    plan_operation(facts, operation, &action.parse().unwrap(), &mut new_id)
}

pub(super) fn conflict(result: Result<Plan, Error>) -> String {
    match result {
        Err(Error::Conflict { reason }) => reason,
        other => panic!("no conflict: {other:?}"),
    }
}

fn missing(result: Result<Plan, Error>) -> &'static str {
    match result {
        Err(Error::NotFound { what, .. }) => what,
        other => panic!("found: {other:?}"),
    }
}

/// The document of a VM.
pub(super) fn vm<'f>(facts: &'f mut Facts, vdu: &str) -> &'f mut Resource {
    let mut of_vdu = facts.resources.iter_mut();
    of_vdu
        .find(|resource| {
            let task = &resource.tasks[0];
            task.item == Item::Vdu && task.target_record.item.as_str() == vdu && task.action == TaskAction::Create
        })
        .unwrap()
}

fn power(topic: Topic, vdu: &str, server: &str) -> Value {
    json!({topic.as_str(): {"vnf_id": VNF, "vdu_id": vdu, "vdu_index": 0, "target_vim": "vim:x", "vim_vm_id": server}})
}

#[test]
fn d8_and_d26_a_vm_is_found_by_the_id_of_its_vdu_whatever_its_position_and_the_clients_index() {
    let mut facts = deployed(3);
    let id = vm(&mut facts, "v2").vim.vim_id.clone().unwrap();
    // LCM has scaled in the first one: the others have moved up. Its index is the replica's count, always 0 here.
    facts.vnfrs[0].document["vdur"].as_array_mut().unwrap().remove(0);
    let plan = operated(&facts, Topic::Stop, power(Topic::Stop, "v2", id.as_str()), "op").unwrap();
    let task = tasks(&plan)[0];
    assert_eq!(
        (plan.task_count(), task.action, task.item, task.position),
        (1, TaskAction::Exec, Item::Update, 1)
    );
    assert_eq!(task.target_record.to_string(), format!("vnfrs:{VNF}:vdur.v2"));
    assert_eq!(task.params, Some(json!({"vim_vm_id": id, "action": "shutoff"})));
    assert_eq!(task.id.as_str(), "op:0");
    assert_eq!(plan.updates[0].resource, vm(&mut facts, "v2").id);
    assert!(plan.record_changes.is_empty() && plan.new_resources.is_empty());
    for (topic, word) in [(Topic::Start, "start"), (Topic::Rebuild, "rebuild")] {
        let plan = operated(&facts, topic, power(topic, "v2", id.as_str()), "op").unwrap();
        assert_eq!(tasks(&plan)[0].params.as_ref().unwrap()["action"], word);
    }
    let console = power(Topic::Console, "v2", id.as_str());
    let plan = operated(&facts, Topic::Console, console, "op").unwrap();
    assert_eq!(tasks(&plan)[0].item, Item::Console);
}

#[test]
fn an_operation_on_what_is_not_there_is_an_error() {
    let mut facts = deployed(1);
    let id = vm(&mut facts, "v0").vim.vim_id.clone().unwrap();
    let stop = |vdu: &str, server: &str| power(Topic::Stop, vdu, server);
    let mut of_stranger = stop("v0", id.as_str());
    of_stranger["stop"]["vnf_id"] = json!("nobody");
    assert_eq!(missing(operated(&facts, Topic::Stop, of_stranger, "op")), "VNF");
    assert_eq!(
        missing(operated(&facts, Topic::Stop, stop("v9", id.as_str()), "op")),
        "VDU"
    );
    let other = conflict(operated(&facts, Topic::Stop, stop("v0", "another"), "op"));
    assert!(other.contains("not 'another'"), "{other}");
    let mut elsewhere = stop("v0", id.as_str());
    elsewhere["stop"]["target_vim"] = json!("vim:y");
    assert!(conflict(operated(&facts, Topic::Stop, elsewhere, "op")).contains("is not deployed on vim:y"));
    // It never came up, or is on its way out.
    vm(&mut facts, "v0").vim.vim_id = None;
    vm(&mut facts, "v0").tasks[0].status = TaskStatus::Scheduled;
    assert!(conflict(operated(&facts, Topic::Stop, stop("v0", id.as_str()), "op")).contains("still being made"));
    let mut facts = deployed(1);
    let plan = planned(&facts, json!({}), "end").unwrap();
    accept(&mut facts, &plan);
    assert!(conflict(operated(&facts, Topic::Stop, stop("v0", id.as_str()), "op")).contains("being deleted"));
    // A VM in error can be rebuilt.
    let mut facts = deployed(1);
    vm(&mut facts, "v0").tasks[0].status = TaskStatus::Failed;
    let rebuild = power(Topic::Rebuild, "v0", id.as_str());
    assert_eq!(operated(&facts, Topic::Rebuild, rebuild, "op").unwrap().task_count(), 1);
}

#[test]
fn d13_a_migration_that_matches_no_vdu_is_an_error() {
    let mut facts = deployed(3);
    for (index, vdur) in facts.vnfrs[0].document["vdur"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        vdur["vdu-id-ref"] = json!("vm-ref");
        vdur["count-index"] = json!(index);
    }
    let all = operated(&facts, Topic::Migrate, json!({"vnfInstanceId": VNF}), "op").unwrap();
    assert_eq!((all.task_count(), all.updates.len()), (3, 3));
    let body = |vdu: Value, host: Value| json!({"vnfInstanceId": VNF, "vdu": vdu, "migrateToHost": host});
    let one = body(json!({"vduId": "vm-ref", "vduCountIndex": 2}), json!("compute2"));
    let plan = operated(&facts, Topic::Migrate, one, "op").unwrap();
    let task = tasks(&plan)[0];
    let params = task.params.as_ref().unwrap();
    assert_eq!((plan.task_count(), task.target_record.item.as_str()), (1, "v2"));
    assert_eq!(
        (&params["migrate_host"], &params["vdu_vim_info"]),
        (&json!("compute2"), &facts.vnfrs[0].document["vdur"][2]["vim_info"])
    );
    let none = body(json!({"vduId": "vm-ref", "vduCountIndex": 7}), Value::Null);
    assert_eq!(missing(operated(&facts, Topic::Migrate, none, "op")), "VDU");
    let empty = empty_facts();
    let none = operated(&empty, Topic::Migrate, json!({"vnfInstanceId": VNF}), "op");
    assert_eq!(missing(none), "deployed VDU of VNF");
}

#[test]
fn a_vm_that_only_the_record_knows_is_given_its_command_in_a_document_of_its_own() {
    let mut facts = empty_facts();
    let mut theirs = vdu("v0");
    theirs["vim_info"] = json!({"vim:x": {"vim_id": "theirs", "vim_status": "ACTIVE"}});
    facts.vnfrs[0].document["vdur"] = json!([theirs]);
    let plan = operated(&facts, Topic::Start, power(Topic::Start, "v0", "theirs"), "op").unwrap();
    assert_eq!((plan.updates.len(), plan.new_resources.len()), (0, 1));
    assert_eq!(plan.new_resources[0].item, Item::Update);
    accept(&mut facts, &plan);
    // While it runs a terminate takes it for no element.
    facts.resources[0].journal.push(JournalEntry {
        id: 1,
        kind: "reboot".to_owned(),
        token: "t.op-1".to_owned(),
        status: JournalStatus::Begun,
        element: None,
        begun_at: Timestamp(0),
    });
    let plan = planned(&facts, json!({}), "end").unwrap();
    assert_eq!((plan.updates.len(), plan.task_count()), (0, 1), "{:?}", lines(&plan));
}

fn scale(ram: u64) -> Value {
    json!({"changeVnfFlavorData": {"vnfInstanceId": VNF, "additionalParams": {
        "vduid": "vm", "vduCountIndex": 0, "virtualMemory": ram, "numVirtualCpu": 2, "sizeOfStorage": 3}}})
}

#[test]
fn d19_a_new_size_makes_a_flavour_that_the_record_and_the_vm_know() {
    let mut facts = deployed(1);
    facts.nsr.document["flavor"][0]["guest-epa"] = json!({"mempage-size": "LARGE"});
    let plan = operated(&facts, Topic::VerticalScale, scale(2048), "op").unwrap();
    let both = tasks(&plan);
    assert_eq!(
        (both[0].action, both[0].item, both[1].action, both[1].item),
        (TaskAction::Create, Item::Flavor, TaskAction::Exec, Item::VerticalScale)
    );
    let reference = "nsrs:ns:flavor.1";
    assert_eq!(both[0].target_record.to_string(), reference);
    let data = json!({"ram": 2048, "vcpus": 2, "disk": 3, "extended": {"mempage-size": "LARGE"}});
    assert_eq!(both[0].find_params, Some(json!({"flavor_data": data})));
    assert_eq!(both[0].params.as_ref().unwrap()["flavor_data"]["name"], "vm-flv");
    let params = both[1].params.as_ref().unwrap();
    assert_eq!(
        params["flavor_dict"],
        json!({"name": "vm-flv", "ram": 2048, "vcpus": 2, "disk": 3})
    );
    assert_eq!(
        (&params["flavor_id"], &params["ns_flavor_id"]),
        (&json!(format!("TASK-{reference}")), &json!("1"))
    );
    let wait = &both[1].depends_on[0];
    assert_eq!((wait.reference.as_str(), wait.until), (reference, Until::Created));
    assert_eq!(plan.updates[0].uses, std::slice::from_ref(&wait.resource));
    let inserted = plan.record_changes[0].insert.as_ref().unwrap();
    assert_eq!(
        *inserted,
        json!({"id": "1", "name": "vm-flv", "memory-mb": 2048, "vcpu-count": 2, "storage-gb": 3,
               "guest-epa": {"mempage-size": "LARGE"}, "vim_info": {"vim:x": {}}})
    );

    // Once it is done nobody uses the old flavour; the new one outlives no VM.
    accept(&mut facts, &plan);
    run(&mut facts);
    facts.vnfrs[0].document["vdur"][0]["ns-flavor-id"] = json!("1");
    let again = operated(&facts, Topic::VerticalScale, scale(2048), "op2").unwrap();
    assert_eq!(
        (again.task_count(), again.record_changes.len()),
        (1, 0),
        "the flavour is there"
    );
    let end = planned(&facts, json!({}), "end").unwrap();
    let new = tasks(&end)
        .into_iter()
        .find(|task| task.target_record.to_string() == reference)
        .unwrap();
    assert_eq!(new.depends_on.len(), 1, "it waits for the VM");
}

#[test]
fn a_flavour_that_lcm_has_put_into_the_record_is_made_and_not_another_one() {
    let mut facts = deployed(1);
    let new = json!({"id": "1", "name": "big", "memory-mb": "2048", "vcpu-count": 2, "storage-gb": "3"});
    facts.nsr.document["flavor"].as_array_mut().unwrap().push(new);
    facts.vnfrs[0].document["vdur"][0]["ns-flavor-id"] = json!("1");
    let plan = operated(&facts, Topic::VerticalScale, scale(2048), "op").unwrap();
    let both = tasks(&plan);
    assert_eq!(both[0].params.as_ref().unwrap()["flavor_data"]["name"], "big");
    assert_eq!(
        both[1].params.as_ref().unwrap().get("ns_flavor_id"),
        None,
        "the record points to it already"
    );
    let change = &plan.record_changes[0];
    assert_eq!((change.insert.is_none(), change.set.len()), (true, 1));
    assert_eq!(
        missing(operated(
            &facts,
            Topic::VerticalScale,
            {
                let mut other = scale(1);
                other["changeVnfFlavorData"]["additionalParams"]["vduid"] = json!("nobody");
                other
            },
            "op"
        )),
        "VDU"
    );
}
