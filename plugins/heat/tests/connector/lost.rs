//! Ids that are lost or wrong, and redirects: what leads from a name to the stack.

use serde_json::json;
use vimhost_heat::Heat;
use vimhost_sdk::http::{Answer, Method};
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, HOST};
use crate::keystone::PROJECT;
use crate::lab::{Lab, NAME, TOKEN, stack};

const WRONG: &str = "ffffffff-0000-4000-8000-000000000000";

#[test]
fn without_an_id_the_name_is_looked_up_once() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    assert_eq!(lab.update(&stack(None), "scale").unwrap(), UpdateStep::Done);
    let expected = [
        format!("GET /stacks/{NAME}"),
        format!("GET /stacks/{NAME}/{id}"),
        format!("PATCH /stacks/{NAME}/{id}"),
    ];
    assert_eq!(lab.sent(), expected);
    assert_eq!(lab.warnings(), ["stack_id lost"]);
}

#[test]
fn an_id_that_heat_does_not_know_leads_to_the_stack_of_the_name() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    assert_eq!(lab.update(&stack(Some(WRONG)), "scale").unwrap(), UpdateStep::Done);
    let expected = [
        format!("PATCH /stacks/{NAME}/{WRONG}"),
        format!("GET /stacks/{NAME}"),
        format!("GET /stacks/{NAME}/{id}"),
        format!("PATCH /stacks/{NAME}/{id}"),
    ];
    assert_eq!(lab.sent(), expected);
    let lines = lab.kit.log();
    let warning = lines.iter().find(|line| line.message == "stack_id lost").unwrap();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        warning.fields,
        [field("stack", NAME), field("given", WRONG), field("found", &id)]
    );
}

#[test]
fn the_id_of_a_deleted_stack_leads_to_the_live_one_of_the_name() {
    let lab = Lab::new();
    let old = lab.heat.put(NAME, "DELETE_COMPLETE", &[TOKEN]);
    lab.heat.set(&old, "DELETE_COMPLETE");
    let live = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    Heat::get_content(&lab.account, &stack(Some(&old))).unwrap();
    let sent = lab.sent();
    assert_eq!(sent[0], format!("GET /stacks/{NAME}/{old}"));
    assert!(sent[2..].iter().all(|sent| sent.contains(&live)), "{sent:?}");
    let listed = Heat::list_resources(&lab.account, &stack(Some(&old)), 2).unwrap();
    assert!(listed.is_empty());
    assert!(lab.sent().contains(&format!("GET /stacks/{NAME}/{live}/resources")));
    assert_eq!(lab.update(&stack(Some(&old)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(lab.heat.stack(&live).updates, 1);
}

#[test]
fn a_stack_that_is_nowhere_is_not_found_and_its_deletion_is_done() {
    let lab = Lab::new();
    for known in [None, Some(WRONG)] {
        let failed = lab.update(&stack(known), "scale").unwrap_err();
        assert_eq!(failed.kind, ErrorKind::NotFound);
        assert!(failed.message.contains(NAME), "{}", failed.message);
        assert!(matches!(lab.delete(&stack(known)).unwrap(), DeleteStep::Done));
    }
    assert_eq!(Heat::find_stack(&lab.account, NAME).unwrap(), None);
    assert_eq!(lab.warnings(), Vec::<String>::new());
}

#[test]
fn a_stack_is_found_by_its_name_with_its_redirect() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "UPDATE_FAILED", &[TOKEN]);
    let found = Heat::find_stack(&lab.account, NAME).unwrap().unwrap();
    assert_eq!(found.stack, stack(Some(&id)));
    assert_eq!(
        (found.action, found.progress),
        (StackAction::Update, StackProgress::Failed)
    );
    assert_eq!(found.status_text, "UPDATE_FAILED");
    assert_eq!(found.reason.as_deref(), Some("Stack UPDATE_FAILED says so"));
    assert_eq!(found.updated.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(lab.sent().len(), 2);
    let exchanges = lab.kit.exchanges();
    let to_heat = exchanges.iter().filter(|sent| sent.target.origin.authority == HOST);
    for sent in to_heat {
        assert_eq!(sent.target.query, "resolve_outputs=false");
    }
}

#[test]
fn a_redirect_to_another_origin_is_taken_to_the_catalogues() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    for address in ["http://10.0.0.5:8004", "https://evil.example/orchestration", ""] {
        *lab.heat.address.borrow_mut() = Some(address.to_owned());
        let found = Heat::find_stack(&lab.account, NAME).unwrap().unwrap();
        assert_eq!(found.stack.id.as_deref(), Some(id.as_str()), "{address}");
    }
    let hosts = ["keystone.example:5000", HOST];
    for sent in lab.kit.exchanges() {
        let authority = sent.target.origin.authority.as_str();
        assert!(hosts.contains(&authority), "{authority}");
    }
}

#[test]
fn a_redirected_update_keeps_its_method_and_its_body() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let location = format!("http://10.0.0.5/v1/{PROJECT}/stacks/{NAME}/{id}");
    for status in [301, 302, 307, 308] {
        let elsewhere = Answer::new(status).header("location", &location);
        lab.heat.next(Method::Patch, WRONG, Fate::Answered(elsewhere));
        lab.kit.clear_exchanges();
        let letters = format!("o{status}");
        assert_eq!(lab.update(&stack(Some(WRONG)), &letters).unwrap(), UpdateStep::Done);
        let exchanges = lab.kit.exchanges();
        let patches: Vec<_> = exchanges.iter().filter(|sent| sent.method == Method::Patch).collect();
        assert_eq!(patches.len(), 2, "{status}");
        assert_eq!(patches[0].body, patches[1].body);
        assert_eq!(patches[1].header("accept"), Some("application/json"));
    }
    assert_eq!(lab.heat.stack(&id).updates, 4);
}

#[test]
fn a_redirect_that_leads_to_no_stack_is_a_failure_and_nothing_is_gone() {
    for location in ["https://login.example/", "/v1/another/stacks/vnf-1/i-1", ""] {
        let lab = Lab::new();
        let elsewhere = Answer::new(302).header("location", location);
        lab.heat.next(Method::Get, NAME, Fate::Answered(elsewhere));
        let failed = Heat::find_stack(&lab.account, NAME).unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Other);
        assert!(failed.message.contains("no stack of the project"), "{}", failed.message);
        assert_eq!(lab.sent().len(), 1);
    }
}

#[test]
fn redirects_that_do_not_end_are_given_up_after_five() {
    let lab = Lab::new();
    let again = format!("/v1/{PROJECT}/stacks/{NAME}");
    for _ in 0..10 {
        let elsewhere = Answer::new(302)
            .header("location", &again)
            .json(&json!({"title": "Found"}));
        lab.heat.next(Method::Get, NAME, Fate::Answered(elsewhere));
    }
    let failed = Heat::find_stack(&lab.account, NAME).unwrap_err();
    assert!(failed.message.contains("more than 5 times"), "{}", failed.message);
    assert_eq!(lab.sent().len(), 6);
}
