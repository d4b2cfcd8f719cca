//! Stacks at the mock VIM: made once and changed once whatever happens, observed together, gone without a trace.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod common;

use std::num::NonZeroU64;

use common::{Lab, done, until};
use mock_vim::{AnswerLost, Faults, Kind, Operation, StackError};
use serde_json::json;
use vimhost_plugin_mock::Mock;
use vimhost_sdk::http::Answer;
use vimhost_sdk::prelude::*;

const TEMPLATE: &str = "
heat_template_version: 2013-05-23
parameters: { nfv: { type: json } }
resources:
  group:
    type: OS::Heat::AutoScalingGroup
    properties:
      desired_capacity: { get_param: [nfv, size] }
      resource: { type: inner.yaml }
";

const INNER: &str = "
heat_template_version: 2013-05-23
resources:
  VDU1: { type: OS::Nova::Server, properties: { networks: [ { port: { get_resource: CP1 } } ] } }
  CP1: { type: OS::Neutron::Port }
";

fn scaled(size: u32) -> StackContent {
    StackContent {
        template: None,
        files: Vec::new(),
        parameters: format!(r#"{{"nfv":{{"size":{size}}}}}"#),
        environment: None,
        rollback_on_failure: None,
        timeout_minutes: None,
    }
}

fn request(name: &str) -> StackRequest {
    StackRequest {
        name: name.into(),
        content: StackContent {
            template: Some(TEMPLATE.into()),
            files: vec![("inner.yaml".into(), INNER.into())],
            ..scaled(2)
        },
    }
}

fn by_name(name: &str) -> StackRef {
    StackRef {
        name: name.into(),
        id: None,
    }
}

/// A stack of two servers.
fn stack(lab: &Lab, name: &str) -> StackRef {
    let created = Mock::create_stack(&lab.account, &lab.kit.call(name), request(name)).unwrap();
    StackRef {
        id: Some(done(created).id),
        ..by_name(name)
    }
}

fn servers(lab: &Lab, stack: &StackRef) -> Vec<StackResource> {
    let mut found = Mock::list_resources(&lab.account, stack, 2).unwrap();
    found.retain(|resource| resource.resource_type == "OS::Nova::Server");
    found
}

fn update(lab: &Lab, letters: &str, stack: &StackRef, content: StackContent) -> Result<UpdateStep, Error> {
    let call = lab.kit.operation(&stack.name, letters);
    Mock::update_stack(&lab.account, &call, stack, UpdateMode::Partial, content)
}

fn observed(lab: &Lab, stack: &StackRef) -> StackObservation {
    let seen = Mock::observe_stacks(&lab.account, std::slice::from_ref(stack), None).unwrap();
    seen.changed[0].clone()
}

fn lost(operation: Operation) -> Faults {
    let answer_lost = vec![AnswerLost {
        kind: Some(Kind::Stacks),
        operation: Some(operation),
        nth: NonZeroU64::new(1),
        every: None,
    }];
    Faults {
        answer_lost,
        ..Faults::default()
    }
}

#[test]
fn a_stack_is_made_with_its_token_and_shows_what_is_in_it() {
    let lab = Lab::new();
    let stack = stack(&lab, "vnf-1");
    assert_eq!(
        lab.kit.journal_lines(),
        [format!("stack vnf-1 = {}", stack.id.as_deref().unwrap())]
    );
    assert_eq!(lab.inventory().stacks[0].meta.token.as_deref(), Some("vnf-1"));
    let seen = observed(&lab, &stack);
    assert_eq!(
        (seen.action, seen.progress),
        (StackAction::Create, StackProgress::Complete)
    );
    assert_eq!(seen.stack, stack);
    let servers = servers(&lab, &stack);
    assert_eq!(servers.len(), 2);
    let resources = Mock::list_resources(&lab.account, &stack, 2).unwrap();
    let port = resources
        .iter()
        .find(|one| one.name == "CP1" && one.parent == servers[0].parent)
        .unwrap();
    assert_eq!(
        (port.required_by.as_slice(), &port.stack),
        (&["VDU1".to_owned()][..], &servers[0].stack)
    );
    let content = Mock::get_content(&lab.account, &stack).unwrap();
    assert_eq!(content.template.as_deref(), Some(TEMPLATE));
    assert_eq!(content.files, [("inner.yaml".to_owned(), INNER.to_owned())]);
    assert_eq!(content.parameters, scaled(2).parameters);
}

#[test]
fn a_stack_whose_answer_was_lost_is_found_by_its_token() {
    let lab = Lab::new();
    lab.faults(lost(Operation::Create));
    let create = || Mock::create_stack(&lab.account, &lab.kit.call("vnf-1"), request("vnf-1"));
    assert_eq!(create().unwrap_err().kind, ErrorKind::Unreachable);
    let id = done(create().unwrap()).id;
    assert_eq!(lab.inventory().stacks.len(), 1);
    assert_eq!(lab.inventory().stacks[0].meta.id, id);
}

#[test]
fn a_name_that_somebody_else_has_is_a_conflict_and_his_stack_stays() {
    let lab = Lab::new();
    stack(&lab, "vnf-1");
    lab.kit.set_journal(Vec::new());
    let call = lab.kit.call("other");
    let error = Mock::create_stack(&lab.account, &call, request("vnf-1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(
        error.message.contains("The Stack (vnf-1) already exists."),
        "{}",
        error.message
    );
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
    let deleted = Mock::delete_stack(&lab.account, &call, &by_name("vnf-1")).unwrap();
    assert_eq!((deleted, lab.inventory().stacks.len()), (DeleteStep::Done, 1));
}

#[test]
fn the_name_of_a_deleted_stack_is_waited_for() {
    let lab = Lab::new();
    lab.faults(Faults {
        stack_purge_delay_ms: 40,
        ..Faults::default()
    });
    let first = stack(&lab, "vnf-1");
    let deleted = Mock::delete_stack(&lab.account, &lab.kit.call("vnf-1"), &first).unwrap();
    assert_eq!(deleted, DeleteStep::Done);
    assert_eq!(Mock::find_stack(&lab.account, "vnf-1").unwrap(), None);
    let create = || Mock::create_stack(&lab.account, &lab.kit.call("again"), request("vnf-1")).unwrap();
    let second = until(|| match create() {
        CreateStep::Done(created) => Some(created.id),
        CreateStep::Pending(pending) => {
            assert!(pending.reason.contains("still taken"), "{}", pending.reason);
            None
        }
    });
    assert_ne!(Some(second), first.id);
}

#[test]
fn an_update_is_made_once_also_when_its_answer_was_lost() {
    let lab = Lab::new();
    let stack = stack(&lab, "vnf-1");
    let before = servers(&lab, &stack);
    lab.faults(lost(Operation::Update));
    assert_eq!(
        update(&lab, "a", &stack, scaled(3)).unwrap_err().kind,
        ErrorKind::Unreachable
    );
    for _ in 0..2 {
        assert_eq!(update(&lab, "a", &stack, scaled(3)).unwrap(), UpdateStep::Done);
    }
    let asked = |lab: &Lab| lab.requests().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(asked(&lab), 1);
    assert_eq!(observed(&lab, &stack).status_text, "UPDATE_COMPLETE");
    let after = servers(&lab, &stack);
    assert_eq!((after.len(), &after[..2]), (3, &before[..]));
    // The next operation is another update.
    lab.kit.end_operation("vnf-1", "a");
    let first_update = observed(&lab, &stack).updated;
    update(&lab, "b", &stack, scaled(1)).unwrap();
    assert_eq!((asked(&lab), servers(&lab, &stack).len()), (2, 1));
    assert_ne!(observed(&lab, &stack).updated, first_update);
}

#[test]
fn a_marked_server_is_replaced_by_the_next_update() {
    let lab = Lab::new();
    let stack = stack(&lab, "vnf-1");
    let before = servers(&lab, &stack);
    let mark = |name: &str| {
        let call = lab.kit.operation("vnf-1", "a");
        Mock::mark_unhealthy(&lab.account, &call, &before[0].stack, name, "heal")
    };
    assert_eq!(mark("none").unwrap_err().kind, ErrorKind::NotFound);
    for _ in 0..2 {
        assert_eq!(mark("VDU1").unwrap(), UpdateStep::Done);
    }
    update(&lab, "a", &stack, scaled(2)).unwrap();
    let after = servers(&lab, &stack);
    assert_ne!(after[0].physical_id, before[0].physical_id);
    assert_eq!(after[1], before[1]);
}

#[test]
fn a_mark_waits_while_the_vim_is_at_work() {
    let lab = Lab::new();
    lab.faults(Faults {
        stack_delay_ms: 60_000,
        ..Faults::default()
    });
    let stack = stack(&lab, "vnf-1");
    assert_eq!(observed(&lab, &stack).progress, StackProgress::InProgress);
    let call = lab.kit.operation("vnf-1", "a");
    let step = Mock::mark_unhealthy(&lab.account, &call, &stack, "group", "heal").unwrap();
    assert!(matches!(step, UpdateStep::Pending(_)), "{step:?}");
}

#[test]
fn many_stacks_are_observed_in_one_request_and_then_by_what_changed() {
    let lab = Lab::new();
    let mut stacks: Vec<_> = (0..5).map(|n| stack(&lab, &format!("vnf-{n}"))).collect();
    lab.kit.clear_exchanges();
    let first = Mock::observe_stacks(&lab.account, &stacks, None).unwrap();
    assert_eq!((first.changed.len(), lab.requests().len()), (5, 1));
    update(&lab, "a", &stacks[1], scaled(1)).unwrap();
    // What the other stacks announced is in the journals of those who asked for them.
    let mut call = lab.kit.call("vnf-3");
    call.journal.retain(|entry| entry.token == "vnf-3");
    let deleted = Mock::delete_stack(&lab.account, &call, &stacks[3]).unwrap();
    assert_eq!(deleted, DeleteStep::Done);
    let second = Mock::observe_stacks(&lab.account, &stacks, first.cursor.as_deref()).unwrap();
    assert!(
        second.changed.iter().any(|seen| seen.stack == stacks[1]),
        "{second:?} {stacks:?}"
    );
    assert_eq!(second.gone, [stacks[3].clone()]);
    // By name alone too, and then also what never was.
    stacks = vec![by_name("vnf-0"), by_name("vnf-3"), stacks[4].clone()];
    let third = Mock::observe_stacks(&lab.account, &stacks, second.cursor.as_deref()).unwrap();
    assert_eq!(third.gone, [by_name("vnf-3")]);
    assert_eq!(third.changed.len(), 2);
}

#[test]
fn a_deletion_that_takes_time_is_accepted_and_its_failure_is_seen() {
    let lab = Lab::new();
    let stack = stack(&lab, "vnf-1");
    let error = StackError {
        operation: Some(Operation::Delete),
        nth: NonZeroU64::new(1),
        message: "the port is in use".into(),
        ..StackError::default()
    };
    lab.faults(Faults {
        stack_error: vec![error],
        ..Faults::default()
    });
    let delete = || Mock::delete_stack(&lab.account, &lab.kit.call("vnf-1"), &stack).unwrap();
    assert_eq!(delete(), DeleteStep::Accepted);
    let seen = observed(&lab, &stack);
    assert_eq!(
        (seen.action, seen.progress),
        (StackAction::Delete, StackProgress::Failed)
    );
    assert!(seen.reason.unwrap().ends_with("the port is in use"));
    assert_eq!(delete(), DeleteStep::Done);
    assert_eq!(delete(), DeleteStep::Done);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
    assert!(lab.inventory().stacks.is_empty());
}

#[test]
fn a_stack_whose_id_is_false_is_deleted_by_its_name_if_it_is_ours() {
    let lab = Lab::new();
    let given = StackRef {
        id: Some("of-nobody".into()),
        ..by_name("vnf-1")
    };
    stack(&lab, "vnf-1");
    lab.kit.set_journal(Vec::new());
    let deleted = Mock::delete_stack(&lab.account, &lab.kit.call("other"), &given).unwrap();
    assert_eq!((deleted, lab.inventory().stacks.len()), (DeleteStep::Done, 1));
    lab.faults(Faults {
        stack_delete_delay_ms: 60_000,
        ..Faults::default()
    });
    let delete = || Mock::delete_stack(&lab.account, &lab.kit.call("vnf-1"), &given).unwrap();
    assert!(matches!(delete(), DeleteStep::Pending(_)), "it cannot be observed");
    assert!(matches!(delete(), DeleteStep::Pending(_)));
    assert!(lab.inventory().stacks[0].status.is_in_progress());
}

#[test]
fn a_stack_that_somebody_has_made_anew_without_a_token_is_deleted_in_place_of_ours() {
    let lab = Lab::new();
    let made = stack(&lab, "vnf-1");
    lab.kit.set_journal(Vec::new());
    let given = StackRef {
        id: Some("of-nobody".into()),
        ..by_name("vnf-1")
    };
    // Whoever makes a stack by hand gives it no token.
    let bare = json!({"items": [{"id": made.id, "name": "vnf-1", "status": "CREATE_COMPLETE"}], "next": null});
    lab.kit.answer(Method::Delete, "/v1/stacks/of-nobody", Answer::new(404));
    lab.kit
        .answer(Method::Get, "/v1/stacks?name=vnf-1", Answer::new(200).json(&bare));
    let deleted = Mock::delete_stack(&lab.account, &lab.kit.call("other"), &given).unwrap();
    assert_eq!((deleted, lab.inventory().stacks.len()), (DeleteStep::Done, 0));
}

#[test]
fn a_crash_at_any_point_leaves_one_stack_and_later_none() {
    let lab = Lab::new();
    let points = lab.kit.survives_crashes(
        |_| {},
        |_| drop(stack(&lab, "vnf-1")),
        |kit, point| {
            assert_eq!(lab.inventory().stacks.len(), 1, "crash point {point}");
            Mock::delete_stack(&lab.account, &kit.call("vnf-1"), &by_name("vnf-1")).unwrap();
            assert_eq!(lab.inventory().stacks.len(), 0, "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new());
        },
    );
    assert!(points > 3, "only {points} points were passed");
}

#[test]
fn what_heat_refuses_is_told_in_its_words_and_leaves_no_announcement() {
    let lab = Lab::new();
    let mut wrong = request("vnf-1");
    wrong.content.files.clear();
    let error = Mock::create_stack(&lab.account, &lab.kit.call("vnf-1"), wrong).unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadRequest);
    assert!(
        error
            .message
            .contains("The Resource Type (inner.yaml) could not be found."),
        "{}",
        error.message
    );
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
}
