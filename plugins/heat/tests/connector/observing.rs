//! Observing stacks: many in one request, and gone only what Heat says is gone.

use std::slice::from_ref;

use vimhost_heat::Heat;
use vimhost_sdk::http::{Answer, Method};
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, error, page_not_found};
use crate::lab::{Lab, NAME, TOKEN, stack};

/// Stacks that are there, by name and id.
fn many(lab: &Lab, count: usize) -> Vec<StackRef> {
    let one = |number: usize| {
        let name = format!("vnf-{number}");
        let id = lab.heat.put(&name, "CREATE_IN_PROGRESS", &[TOKEN]);
        StackRef { name, id: Some(id) }
    };
    (0..count).map(one).collect()
}

#[test]
fn one_stack_is_one_request() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_IN_PROGRESS", &[TOKEN]);
    let observed = lab.observe(&[stack(Some(&id))]).unwrap();
    assert_eq!(observed.changed[0].stack, stack(Some(&id)));
    assert_eq!(observed.changed[0].progress, StackProgress::InProgress);
    assert_eq!((observed.gone.len(), observed.more), (0, false));
    assert_eq!(lab.sent(), [format!("GET /stacks/{NAME}/{id}")]);
    assert!(lab.kit.requests().last().unwrap().ends_with("?resolve_outputs=false"));
}

#[test]
fn many_stacks_are_one_list_and_very_many_are_few_lists_of_bounded_length() {
    for (count, requests) in [(2, 1), (170, 1), (400, 3)] {
        let lab = Lab::new();
        let stacks = many(&lab, count);
        let observed = lab.observe(&stacks).unwrap();
        assert_eq!(observed.changed.len(), count);
        assert_eq!(lab.sent(), vec!["GET /stacks"; requests], "{count}");
        for sent in lab.kit.exchanges() {
            assert!(sent.target.path_and_query().len() < 8000);
        }
    }
}

#[test]
fn what_a_list_does_not_show_is_asked_for_once_before_it_is_gone() {
    let lab = Lab::new();
    let stacks = many(&lab, 4);
    let id = |at: usize| stacks[at].id.clone().unwrap();
    // Deleted and still known by its id, and not known at all.
    lab.heat.set(&id(0), "DELETE_COMPLETE");
    let unknown = id(1);
    lab.heat.stacks.borrow_mut().retain(|stack| stack.id != unknown);
    let observed = lab.observe(&stacks).unwrap();
    assert_eq!(observed.gone, stacks[..2]);
    assert_eq!(observed.changed.len(), 2);
    let expected = [
        "GET /stacks".to_owned(),
        format!("GET /stacks/vnf-0/{}", id(0)),
        format!("GET /stacks/vnf-1/{}", id(1)),
    ];
    assert_eq!(lab.sent(), expected);
}

#[test]
fn a_stack_that_a_list_leaves_out_and_that_lives_is_not_gone() {
    let lab = Lab::new();
    let stacks = many(&lab, 2);
    let nothing = Answer::new(200).json(&serde_json::json!({"stacks": []}));
    lab.heat.next(Method::Get, "/stacks", Fate::Answered(nothing));
    let observed = lab.observe(&stacks).unwrap();
    assert_eq!((observed.changed.len(), observed.gone.len()), (2, 0));
}

#[test]
fn a_deleted_stack_is_gone_whatever_heat_still_shows_by_its_id() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "DELETE_IN_PROGRESS", &[TOKEN]);
    let going = lab.observe(&[stack(Some(&id))]).unwrap();
    assert_eq!(going.changed[0].action, StackAction::Delete);
    lab.heat.set(&id, "DELETE_COMPLETE");
    lab.kit.clear_exchanges();
    let gone = lab.observe(&[stack(Some(&id))]).unwrap();
    assert_eq!(gone.gone, [stack(Some(&id))]);
    assert_eq!(lab.sent().len(), 1);
}

#[test]
fn a_stack_that_heat_has_undone_tells_why_it_had_to() {
    let cause = "Resource CREATE failed: ValueError: resources.VDU1: no host";
    for (status, reason) in [
        ("ROLLBACK_COMPLETE", cause.to_owned()),
        ("ROLLBACK_FAILED", format!("{cause}; Stack ROLLBACK_FAILED says so")),
    ] {
        let lab = Lab::new();
        *lab.heat.failures.borrow_mut() = vec![cause.to_owned(), "an older one".to_owned()];
        let id = lab.heat.put(NAME, "ROLLBACK_IN_PROGRESS", &[TOKEN]);
        let known = stack(Some(&id));
        lab.observe(from_ref(&known)).unwrap();
        assert_eq!(lab.sent().len(), 1, "it is not over");
        lab.heat.set(&id, status);
        lab.kit.clear_exchanges();
        let observed = lab.observe(from_ref(&known)).unwrap();
        assert_eq!(observed.changed[0].action, StackAction::Rollback);
        assert_eq!(observed.changed[0].reason.as_deref(), Some(reason.as_str()));
        let expected = [
            format!("GET /stacks/{NAME}/{id}"),
            format!("GET /stacks/{NAME}/{id}/resources/{NAME}/events"),
        ];
        assert_eq!(lab.sent(), expected);
    }
}

#[test]
fn an_undone_stack_whose_events_cannot_be_read_is_told_as_it_is_shown() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "ROLLBACK_COMPLETE", &[TOKEN]);
    let shown = || lab.observe(&[stack(Some(&id))]).unwrap().changed[0].reason.clone();
    let own = Some("Stack ROLLBACK_COMPLETE says so".to_owned());
    assert_eq!(shown(), own, "there are none");
    lab.heat.failures.borrow_mut().push("no host".to_owned());
    let forbidden = error(403, "Forbidden", "You are not authorized to use index.");
    lab.heat.next(Method::Get, "/events", Fate::Answered(forbidden));
    assert_eq!(shown(), own);
    assert_eq!(shown(), Some("no host".to_owned()));
}

#[test]
fn a_stack_without_an_id_is_answered_with_the_one_found() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let observed = lab.observe(&[stack(None)]).unwrap();
    assert_eq!(observed.changed[0].stack, stack(Some(&id)));
    assert_eq!(lab.sent().len(), 2);
    lab.heat.set(&id, "DELETE_COMPLETE");
    assert_eq!(lab.observe(&[stack(None)]).unwrap().gone, [stack(None)]);
}

#[test]
fn a_request_that_fails_makes_nothing_gone() {
    let refusals = [
        error(500, "Internal", "oops"),
        error(503, "Unavailable", "later"),
        error(403, "Forbidden", "no"),
        page_not_found(),
    ];
    for refusal in refusals {
        let lab = Lab::new();
        let stacks = many(&lab, 2);
        lab.heat.next(Method::Get, "/stacks", Fate::Answered(refusal.clone()));
        lab.observe(&stacks).unwrap_err();
        // The confirming look at one of them.
        let id = stacks[0].id.clone().unwrap();
        lab.heat.next(Method::Get, &id, Fate::Answered(refusal));
        lab.observe(&stacks[..1]).unwrap_err();
        assert_eq!(lab.observe(&stacks).unwrap().changed.len(), 2);
    }
}

#[test]
fn an_audit_lists_what_carries_a_token_page_by_page() {
    let lab = Lab::new();
    let stacks = many(&lab, 201);
    lab.heat.put("theirs", "CREATE_COMPLETE", &["somebody was here"]);
    let updated = [TOKEN.to_owned() + ".op-scale", TOKEN.to_owned()];
    lab.heat.stacks.borrow_mut()[0].tags = updated.to_vec();
    let page = |cursor: Option<&[u8]>| Heat::list_owned(&lab.account, ElementKind::Stack, "abcde-", cursor).unwrap();
    let first = page(None);
    assert_eq!(first.elements.len(), 200);
    assert_eq!(first.elements[0].token, TOKEN);
    assert_eq!(first.elements[0].name.as_deref(), Some("vnf-0"));
    let second = page(first.cursor.as_deref());
    assert_eq!(second.elements.len(), 1);
    assert_eq!(Some(&second.elements[0].id), stacks[200].id.as_ref());
    assert_eq!(second.cursor, None);
    let servers = Heat::list_owned(&lab.account, ElementKind::Server, "", None).unwrap_err();
    assert_eq!(servers.kind, ErrorKind::Unsupported);
}
