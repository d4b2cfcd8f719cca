//! Creating a stack: one request, and one stack whatever becomes of the answer.

use std::time::Duration;

use serde_json::json;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, error};
use crate::lab::{Lab, NAME, TOKEN, made};

#[test]
fn a_stack_is_made_with_one_request_and_carries_its_token() {
    let lab = Lab::new();
    let id = made(lab.create().unwrap());
    assert_eq!(lab.sent(), ["POST /stacks"]);
    let expected = json!({
        "stack_name": NAME, "template": "heat_template_version: 2021-04-16", "files": {"nested/a.yaml": "x: 1"},
        "parameters": {"nfv": {"VDU": {}}}, "timeout_mins": 20, "tags": TOKEN,
    });
    assert_eq!(lab.last_body(), expected);
    assert_eq!(lab.kit.journal_lines(), [format!("stack {TOKEN} = {id}")]);
    lab.kit.clear_exchanges();
    assert_eq!(made(lab.create().unwrap()), id);
    assert_eq!(
        lab.sent(),
        Vec::<String>::new(),
        "what is committed is asked for no more"
    );
}

#[test]
fn a_lost_answer_is_found_by_name_and_tag() {
    let lab = Lab::new();
    lab.heat.next(Method::Post, "/stacks", Fate::Lost);
    let failed = lab.create().unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unreachable);
    assert_eq!(lab.kit.journal_lines(), [format!("stack {TOKEN} ?")]);
    lab.kit.clear_exchanges();
    let id = made(lab.create().unwrap());
    assert_eq!(
        lab.sent(),
        [format!("GET /stacks/{NAME}"), format!("GET /stacks/{NAME}/{id}")]
    );
    assert_eq!(lab.heat.stacks.borrow().len(), 1);
    assert_eq!(lab.kit.journal_lines(), [format!("stack {TOKEN} = {id}")]);
}

#[test]
fn what_may_still_appear_is_waited_for_before_it_is_made_again() {
    let lab = Lab::new();
    lab.heat.next(Method::Post, "/stacks", Fate::Swallowed);
    lab.create().unwrap_err();
    let early = lab.create().unwrap_err();
    assert_eq!(early.kind, ErrorKind::Timeout);
    assert_eq!(early.retry_after_ms, Some(60_000));
    lab.kit.advance(Duration::from_secs(61));
    made(lab.create().unwrap());
    assert_eq!(lab.heat.stacks.borrow().len(), 1);
}

#[test]
fn a_crash_at_any_point_leaves_one_stack_that_the_journal_names() {
    let lab = Lab::new();
    let points = lab.kit.survives_crashes(
        |_| lab.heat.stacks.borrow_mut().clear(),
        |_| drop(made(lab.create().unwrap())),
        |kit, point| {
            let stacks = lab.heat.stacks.borrow();
            assert_eq!(stacks.len(), 1, "point {point}");
            let expected = format!("stack {TOKEN} = {}", stacks[0].id);
            assert_eq!(kit.journal_lines(), [expected], "point {point}");
        },
    );
    assert!(points >= 8, "{points} points: log in, begin, create, commit");
}

#[test]
fn a_name_that_is_somebody_elses_is_a_conflict_in_heats_words() {
    let lab = Lab::new();
    let theirs = lab.heat.put(NAME, "CREATE_COMPLETE", &["other"]);
    let failed = lab.create().unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    assert!(failed.message.contains("already exists"), "{}", failed.message);
    let looked = [
        "POST /stacks".to_owned(),
        format!("GET /stacks/{NAME}"),
        format!("GET /stacks/{NAME}/{theirs}"),
    ];
    assert_eq!(lab.sent(), looked);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new(), "nothing was made");
}

#[test]
fn a_repetition_meets_somebody_elses_stack_before_it_creates() {
    let lab = Lab::new();
    lab.heat.next(Method::Post, "/stacks", Fate::Swallowed);
    lab.create().unwrap_err();
    lab.heat.put(NAME, "CREATE_COMPLETE", &[]);
    lab.kit.clear_exchanges();
    let failed = lab.create().unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    assert!(
        lab.sent().iter().all(|sent| sent.starts_with("GET")),
        "{:?}",
        lab.sent()
    );
}

#[test]
fn a_refused_name_that_our_own_token_holds_is_ours() {
    let lab = Lab::new();
    let ours = lab.heat.put(NAME, "CREATE_IN_PROGRESS", &[TOKEN]);
    assert_eq!(made(lab.create().unwrap()), ours);
    assert_eq!(lab.kit.journal_lines(), [format!("stack {TOKEN} = {ours}")]);
}

#[test]
fn a_name_that_is_about_to_be_free_is_waited_for() {
    let lab = Lab::new();
    let old = lab.heat.put(NAME, "DELETE_IN_PROGRESS", &["abcde-task-0"]);
    let CreateStep::Pending(pending) = lab.create().unwrap() else {
        panic!("the name is taken");
    };
    assert_eq!(pending.again_in_ms, 1000);
    assert!(pending.reason.contains("being deleted"), "{}", pending.reason);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
    // Deleted, and its name not free yet.
    lab.heat.set(&old, "DELETE_COMPLETE");
    lab.heat.stacks.borrow_mut()[0].purged = false;
    assert!(matches!(lab.create().unwrap(), CreateStep::Pending(_)));
    lab.heat.set(&old, "DELETE_COMPLETE");
    let id = made(lab.create().unwrap());
    assert_ne!(id, old);
}

#[test]
fn refusals_are_of_the_kind_the_host_acts_on_and_announce_nothing() {
    use ErrorKind as Kind;
    let table = [
        (400, "StackValidationFailed", "Property error", Kind::BadRequest),
        (
            400,
            "UnknownUserParameter",
            "The Parameter (x) was not defined",
            Kind::BadRequest,
        ),
        (400, "RequestLimitExceeded", "Recursion depth exceeds 5.", Kind::Quota),
        (
            400,
            "RequestLimitExceeded",
            "You have reached the maximum stacks per tenant, 512.",
            Kind::Quota,
        ),
        (403, "Forbidden", "You are not authorized", Kind::Auth),
        (429, "OverLimit", "slow down", Kind::RateLimited),
    ];
    for (status, word, words, kind) in table {
        let lab = Lab::new();
        lab.heat
            .next(Method::Post, "/stacks", Fate::Answered(error(status, word, words)));
        let failed = lab.create().unwrap_err();
        assert_eq!(failed.kind, kind, "{word}");
        assert!(failed.message.contains(words), "{}", failed.message);
        assert_eq!(lab.kit.journal_lines(), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn a_service_that_names_a_time_is_given_it() {
    for status in [429, 503] {
        let lab = Lab::new();
        let busy = error(status, "Busy", "busy").header("Retry-After", "7");
        lab.heat.next(Method::Post, "/stacks", Fate::Answered(busy));
        let failed = lab.create().unwrap_err();
        assert_eq!(
            (failed.kind, failed.retry_after_ms),
            (ErrorKind::RateLimited, Some(7000))
        );
    }
}
