//! What changes between two deploys.

use super::*;

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
fn d30_what_is_still_being_deleted_is_made_anew_after_it() {
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
fn what_was_in_service_and_is_in_error_since_is_left_alone_by_a_deploy_and_what_is_gone_is_made_anew() {
    let mut facts = deployed(1);
    let in_error = |facts: &mut Facts, item: Item, was_in_service: bool| {
        let mut all = facts.resources.iter_mut();
        let element = all.find(|resource| resource.item == item).unwrap();
        element.tasks[0].status = TaskStatus::Failed;
        element.tasks[0].message = Some("host down".to_owned());
        element.tasks[0].was_in_service = was_in_service;
        element.id.clone()
    };
    let net = in_error(&mut facts, Item::Net, true);
    let vm = in_error(&mut facts, Item::Vdu, true);
    // A scale out: the new VM is made, and nothing that is there is touched.
    let out = planned(&facts, small(2), "out").unwrap();
    let kept = ["keep vld.net", "keep image.0", "keep flavor.0", "keep vdur.v0"];
    assert_eq!(lines(&out)[..4], kept);
    assert_eq!(lines(&out)[4..], ["create vdur.v1"]);
    assert!(out.updates.is_empty() && out.task_count() == 1);
    assert!(
        out.changes[3].reason.contains("is in error since"),
        "{}",
        out.changes[3].reason
    );
    let needs = &tasks(&out)[0].depends_on;
    assert!(needs.iter().any(|on| on.resource == net && on.until == Until::Created));
    // The client's word ends it all the same.
    let end = planned(&facts, json!({}), "end").unwrap();
    assert!(end.updates.iter().any(|update| update.resource == vm));
    // Gone from the VIM: nothing is lost by a new one.
    let gone = facts.resources.iter_mut().find(|resource| resource.id == vm).unwrap();
    gone.vim.vim_id = None;
    let anew = planned(&facts, small(1), "anew").unwrap();
    assert_eq!(lines(&anew)[3..], ["delete vdur.v0", "create vdur.v0"]);
    // Never in service: what a creation that failed has left.
    let mut facts = deployed(1);
    in_error(&mut facts, Item::Vdu, false);
    let anew = planned(&facts, small(1), "anew").unwrap();
    assert_eq!(lines(&anew)[3..], ["delete vdur.v0", "create vdur.v0"]);
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
            begun_at: Timestamp(0),
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
