//! Deleting a stack: accepted, then confirmed; and never somebody else's by its name.

use std::time::Duration;

use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, error};
use crate::lab::{Lab, NAME, TOKEN, made, stack};

/// Said when the stack of a lost id has a successor.
const TAKEN: &str = "stack_id lost: the stack that has the name now is deleted";

#[test]
fn a_deletion_is_accepted_with_one_request_and_confirmed_with_another() {
    let lab = Lab::new();
    let id = made(lab.create().unwrap());
    lab.kit.clear_exchanges();
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Accepted));
    assert_eq!(lab.sent(), [format!("DELETE /stacks/{NAME}/{id}")]);
    lab.heat.set(&id, "DELETE_COMPLETE");
    lab.kit.clear_exchanges();
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Done));
    assert_eq!(lab.sent(), [format!("DELETE /stacks/{NAME}/{id}")]);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
}

#[test]
fn a_deletion_that_failed_is_asked_for_again() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_FAILED", &[TOKEN]);
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Accepted));
    lab.heat.set(&id, "DELETE_FAILED");
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Accepted));
    assert_eq!(lab.heat.stack(&id).status, "DELETE_IN_PROGRESS");
}

#[test]
fn a_restarted_host_looks_at_the_name_once_more() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Accepted));
    lab.heat.set(&id, "DELETE_COMPLETE");
    lab.kit.clear_cache();
    lab.kit.clear_exchanges();
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Done));
    assert_eq!(
        lab.sent(),
        [format!("DELETE /stacks/{NAME}/{id}"), format!("GET /stacks/{NAME}")]
    );
}

#[test]
fn by_its_name_alone_only_what_carries_the_token_is_deleted() {
    let lab = Lab::new();
    let theirs = lab.heat.put(NAME, "CREATE_COMPLETE", &["other"]);
    assert!(matches!(lab.delete(&stack(None)).unwrap(), DeleteStep::Done));
    assert_eq!(lab.heat.stack(&theirs).status, "CREATE_COMPLETE");
    assert_eq!(lab.warnings(), ["a stack of this name is not ours and stays"]);
    let lab = Lab::new();
    let ours = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    assert!(matches!(lab.delete(&stack(None)).unwrap(), DeleteStep::Accepted));
    assert_eq!(lab.heat.stack(&ours).status, "DELETE_IN_PROGRESS");
}

#[test]
fn a_wrong_id_leads_to_our_stack_of_the_name_and_is_waited_for() {
    let lab = Lab::new();
    let ours = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let wrong = stack(Some("ffffffff-0000-4000-8000-000000000000"));
    assert!(matches!(lab.delete(&wrong).unwrap(), DeleteStep::Pending(_)));
    assert_eq!(lab.warnings(), [TAKEN]);
    assert!(matches!(lab.delete(&wrong).unwrap(), DeleteStep::Pending(_)));
    assert_eq!(lab.warnings(), [TAKEN], "once");
    lab.heat.set(&ours, "DELETE_COMPLETE");
    assert!(matches!(lab.delete(&wrong).unwrap(), DeleteStep::Done));
}

#[test]
fn a_stack_that_people_have_made_anew_under_our_name_is_deleted_in_place_of_ours() {
    let of_people: [&[&str]; 2] = [&[], &["team-blue", "made by hand"]];
    for tags in of_people {
        let lab = Lab::new();
        let old = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
        lab.heat.set(&old, "DELETE_COMPLETE");
        let anew = lab.heat.put(NAME, "CREATE_COMPLETE", tags);
        let known = stack(Some(&old));
        assert!(matches!(lab.delete(&known).unwrap(), DeleteStep::Pending(_)));
        assert_eq!(lab.heat.stack(&anew).status, "DELETE_IN_PROGRESS");
        assert_eq!(lab.warnings(), [TAKEN]);
        assert!(matches!(lab.delete(&known).unwrap(), DeleteStep::Pending(_)));
        lab.heat.set(&anew, "DELETE_COMPLETE");
        assert!(matches!(lab.delete(&known).unwrap(), DeleteStep::Done));
        let deletions = lab.sent().iter().filter(|sent| sent.starts_with("DELETE")).count();
        assert_eq!(deletions, 4, "ours at each call, and the new one once");
    }
}

#[test]
fn a_stack_of_our_name_with_the_token_of_another_element_stays_and_is_told() {
    for token in ["abcde-task-2", "vwxyz-task-1"] {
        let lab = Lab::new();
        let old = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
        lab.heat.set(&old, "DELETE_COMPLETE");
        let theirs = lab.heat.put(NAME, "CREATE_COMPLETE", &[token]);
        assert!(matches!(lab.delete(&stack(Some(&old))).unwrap(), DeleteStep::Done));
        assert_eq!(lab.heat.stack(&theirs).status, "CREATE_COMPLETE");
        assert_eq!(
            lab.warnings(),
            ["stack_id lost: the stack of this name is another element's and stays"]
        );
    }
}

#[test]
fn a_creation_whose_answer_was_lost_is_deleted_by_its_token() {
    let lab = Lab::new();
    lab.heat.next(Method::Post, "/stacks", Fate::Lost);
    lab.create().unwrap_err();
    assert!(matches!(lab.delete(&stack(None)).unwrap(), DeleteStep::Accepted));
    let id = lab.heat.stacks.borrow()[0].id.clone();
    assert_eq!(lab.heat.stack(&id).status, "DELETE_IN_PROGRESS");
    lab.heat.set(&id, "DELETE_COMPLETE");
    // Until Heat's own time has run out a second stack could still appear.
    assert!(matches!(lab.delete(&stack(None)).unwrap(), DeleteStep::Pending(_)));
    lab.kit.advance(Duration::from_secs(61));
    assert!(matches!(lab.delete(&stack(None)).unwrap(), DeleteStep::Done));
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
}

#[test]
fn a_stack_that_is_locked_is_waited_for_and_other_failures_are_told() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let locked = error(409, "ActionInProgress", "an action is in progress");
    lab.heat.next(Method::Delete, &id, Fate::Answered(locked));
    assert!(matches!(lab.delete(&stack(Some(&id))).unwrap(), DeleteStep::Pending(_)));
    lab.heat.next(
        Method::Delete,
        &id,
        Fate::Answered(error(500, "StopActionFailed", "failed to stop")),
    );
    let failed = lab.delete(&stack(Some(&id))).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Internal);
    assert!(failed.message.contains("failed to stop"), "{}", failed.message);
}
