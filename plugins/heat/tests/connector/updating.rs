//! Updating a stack: once for each operation, whatever becomes of the answer.

use serde_json::json;
use vimhost_heat::Heat;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, error};
use crate::lab::{Lab, NAME, TOKEN, content, stack};

#[test]
fn an_update_is_one_request_and_names_its_operation() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(lab.sent(), [format!("PATCH /stacks/{NAME}/{id}")]);
    assert_eq!(lab.last_body()["tags"], json!(format!("{TOKEN},{TOKEN}.op-scale")));
    assert_eq!(lab.last_body().get("stack_name"), None);
    // The operation is called again, and another one is begun.
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(lab.heat.stack(&id).updates, 1);
    lab.kit.end_operation(TOKEN, "scale");
    assert_eq!(lab.update(&stack(Some(&id)), "heal").unwrap(), UpdateStep::Done);
    let after = lab.heat.stack(&id);
    assert_eq!(after.updates, 2);
    assert_eq!(after.tags, [TOKEN.to_owned(), format!("{TOKEN}.op-heal")]);
}

#[test]
fn a_full_update_replaces_everything() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let call = lab.kit.operation(TOKEN, "change");
    let step = Heat::update_stack(&lab.account, &call, &stack(Some(&id)), UpdateMode::Full, content());
    assert_eq!(step.unwrap(), UpdateStep::Done);
    assert_eq!(lab.sent(), [format!("PUT /stacks/{NAME}/{id}")]);
}

#[test]
fn a_lost_answer_is_seen_in_the_tags_and_the_update_is_not_sent_again() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    lab.heat.next(Method::Patch, &id, Fate::Lost);
    let failed = lab.update(&stack(Some(&id)), "scale").unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unreachable);
    lab.kit.clear_exchanges();
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(lab.sent(), [format!("GET /stacks/{NAME}/{id}")]);
    assert_eq!(lab.heat.stack(&id).updates, 1);
}

#[test]
fn an_update_that_never_arrived_is_sent_again() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    lab.heat.next(Method::Patch, &id, Fate::Swallowed);
    lab.update(&stack(Some(&id)), "scale").unwrap_err();
    lab.kit.clear_exchanges();
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(
        lab.sent(),
        [format!("GET /stacks/{NAME}/{id}"), format!("PATCH /stacks/{NAME}/{id}")]
    );
    assert_eq!(lab.heat.stack(&id).updates, 1);
}

#[test]
fn a_crash_at_any_point_leaves_one_update() {
    let lab = Lab::new();
    let points = lab.kit.survives_crashes(
        |_| {
            lab.heat.stacks.borrow_mut().clear();
            lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
        },
        |_| {
            let id = lab.heat.stacks.borrow()[0].id.clone();
            assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
        },
        |_, point| assert_eq!(lab.heat.stacks.borrow()[0].updates, 1, "point {point}"),
    );
    assert!(points >= 8, "{points} points: log in, begin, update, commit");
}

#[test]
fn an_engine_that_is_at_something_else_is_waited_for() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "UPDATE_IN_PROGRESS", &[TOKEN]);
    let words = format!("Stack {NAME} already has an action (UPDATE) in progress.");
    let busy = error(409, "ActionInProgress", &words);
    lab.heat.next(Method::Patch, &id, Fate::Answered(busy));
    let UpdateStep::Pending(pending) = lab.update(&stack(Some(&id)), "scale").unwrap() else {
        panic!("the stack is busy");
    };
    assert_eq!(pending.again_in_ms, 1000);
    assert!(pending.reason.contains(&words), "{}", pending.reason);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new(), "nothing was begun");
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
}
