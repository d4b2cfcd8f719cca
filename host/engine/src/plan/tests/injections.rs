//! Key injections: one command for each VDU, whatever its VM is at.

use super::operations::{conflict, vm};
use super::*;
use crate::operation::OperationRequest;

fn injected(facts: &Facts, vnf: &str, vdus: &[&str]) -> Result<Plan, Error> {
    let vdur: Vec<Value> = vdus.iter().map(|id| json!({"id": id})).collect();
    let body = json!({"action": {"action": "inject_ssh_key", "key": "ssh-rsa AAAA me", "user": "ubuntu"},
        "vnf": [{"_id": vnf, "vdur": vdur}]});
    let request = OperationRequest::parse_action(body).unwrap();
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        format!("op-r{number}").parse::<ResourceId>().unwrap()
    };
    plan_operation(facts, &request.operation, &"op".parse().unwrap(), &mut new_id)
}

fn told(result: Result<Plan, Error>) -> String {
    match result {
        Err(Error::BadRequest { reason }) => reason,
        other => panic!("not refused as NG-RO does: {other:?}"),
    }
}

#[test]
fn each_vdu_gets_a_task_in_its_vms_document_with_the_address_of_its_record() {
    let mut facts = deployed(3);
    facts.vnfrs[0].document["vdur"][2]["ip-address"] = json!("10.0.0.7");
    facts.sealed_password = Some(SealedText("v1.sealed".to_owned()));
    let plan = injected(&facts, VNF, &["v2", "v0"]).unwrap();
    let both = tasks(&plan);
    assert_eq!((both.len(), plan.updates.len(), plan.new_resources.len()), (2, 2, 0));
    assert_eq!(
        (both[0].action, both[0].item, both[0].position),
        (TaskAction::Exec, Item::Vdu, 2)
    );
    assert_eq!(both[0].target_record.to_string(), format!("vnfrs:{VNF}:vdur.v2"));
    assert_eq!(
        both[0].params,
        Some(
            json!({"ip_address": "10.0.0.7", "user": "ubuntu", "key": "ssh-rsa AAAA me", "password": "v1.sealed",
                    "private_key": "ro_nsrs:ns"})
        )
    );
    assert_eq!(
        both[1].params.as_ref().unwrap()["ip_address"],
        Value::Null,
        "the record shows none yet"
    );
    assert_eq!(plan.updates[0].resource, vm(&mut facts, "v2").id);
    assert!(plan.record_changes.is_empty());
    // It is no element: a deploy and a terminate see what they saw.
    accept(&mut facts, &plan);
    let end = planned(&facts, json!({}), "end").unwrap();
    assert_eq!(tasks(&end).iter().filter(|task| task.item == Item::Vdu).count(), 3);
}

#[test]
fn a_vm_that_is_still_being_made_will_get_its_key() {
    let mut facts = deployed(1);
    let making = vm(&mut facts, "v0");
    making.vim.vim_id = None;
    making.tasks[0].status = TaskStatus::Scheduled;
    let plan = injected(&facts, VNF, &["v0"]).unwrap();
    assert_eq!((plan.updates.len(), plan.new_resources.len()), (1, 0));
}

#[test]
fn a_vm_of_somebody_else_gets_its_key_from_a_document_that_is_no_element() {
    let mut facts = empty_facts();
    let mut theirs = vdu("v0");
    theirs["vim_info"] = json!({"vim:x": {"vim_id": "theirs", "vim_status": "ACTIVE"}});
    facts.vnfrs[0].document["vdur"] = json!([theirs]);
    let plan = injected(&facts, VNF, &["v0"]).unwrap();
    assert_eq!((plan.updates.len(), plan.new_resources.len()), (0, 1));
    assert_eq!(
        (plan.new_resources[0].item, tasks(&plan)[0].item),
        (Item::Update, Item::Vdu)
    );
}

#[test]
fn what_is_not_there_is_told_in_ng_ros_words() {
    let mut facts = deployed(1);
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(told(injected(&facts, nobody, &["v0"])), format!("Invalid vnf={nobody}"));
    assert_eq!(
        told(injected(&facts, VNF, &["v9"])),
        format!("Invalid vdu vnf={VNF}.v9")
    );
    let end = planned(&facts, json!({}), "end").unwrap();
    accept(&mut facts, &end);
    assert!(conflict(injected(&facts, VNF, &["v0"])).contains("being deleted"));
    let mut facts = empty_facts();
    let mut physical = vdu("v0");
    physical.as_object_mut().unwrap().remove("vim_info");
    facts.vnfrs[0].document["vdur"] = json!([physical]);
    assert!(conflict(injected(&facts, VNF, &["v0"])).contains("is not deployed"));
}
