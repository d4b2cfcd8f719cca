//! Reaching Heat: one token for all calls, secrets where they belong, a check that says what is missing.

use serde_json::json;
use vimhost_heat::Heat;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, HOST, error};
use crate::keystone::PROJECT;
use crate::lab::{Lab, NAME, TOKEN, made, stack};

#[test]
fn one_token_serves_many_calls_and_is_asked_for_again_once_when_it_is_forgotten() {
    let lab = Lab::new();
    let id = made(lab.create().unwrap());
    for _ in 0..3 {
        lab.observe(&[stack(Some(&id))]).unwrap();
    }
    assert_eq!(lab.keystone.issued(), 1);
    lab.keystone.revoke();
    lab.kit.clear_exchanges();
    lab.observe(&[stack(Some(&id))]).unwrap();
    assert_eq!(lab.keystone.issued(), 2);
    assert_eq!(lab.sent().len(), 2, "refused once, then answered");
    lab.keystone.revoke();
    assert_eq!(lab.update(&stack(Some(&id)), "scale").unwrap(), UpdateStep::Done);
    assert_eq!(lab.heat.stack(&id).updates, 1);
}

#[test]
fn a_token_that_is_refused_twice_is_auth_in_heats_words() {
    let lab = Lab::new();
    let id = made(lab.create().unwrap());
    // As the middleware before Heat says it.
    let refusal = || {
        vimhost_sdk::http::Answer::new(401)
            .json(&json!({"error": {"code": 401, "title": "Unauthorized", "message": "Authentication required"}}))
    };
    lab.heat.next(Method::Get, &id, Fate::Answered(refusal()));
    lab.heat.next(Method::Get, &id, Fate::Answered(refusal()));
    let failed = lab.observe(&[stack(Some(&id))]).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Auth);
    assert!(failed.message.contains("Authentication required"), "{}", failed.message);
}

#[test]
fn secrets_stand_nowhere_but_where_the_descriptor_says() {
    let lab = Lab::new();
    let id = made(lab.create().unwrap());
    lab.update(&stack(None), "scale").unwrap();
    Heat::get_content(&lab.account, &stack(Some(&id))).unwrap();
    lab.delete(&stack(Some(&id))).unwrap();
    for sent in lab.kit.exchanges() {
        let is_log_in = sent.target.path == "/v3/auth/tokens";
        let body = String::from_utf8(sent.body.clone().unwrap_or_default()).unwrap();
        assert_eq!(body.contains("password-handle"), is_log_in);
        assert!(!body.contains("token-1") && !sent.target.path_and_query().contains("token-1"));
        for (name, value) in &sent.headers {
            assert!(!value.contains("password-handle"), "{name}");
            assert_eq!(value.contains("token-1"), name == "x-auth-token", "{name}");
        }
        assert_eq!(
            sent.header("x-auth-token").is_some(),
            sent.target.origin.authority == HOST
        );
    }
    for line in lab.kit.log() {
        let said = format!("{line:?}");
        assert!(!said.contains("handle") && !said.contains("token-1"), "{said}");
    }
}

#[test]
fn a_check_proposes_heats_origin_and_tells_its_build() {
    let lab = Lab::new();
    let report = Heat::check(&lab.account).unwrap();
    assert_eq!(report.vim_version.as_deref(), Some("Heat (build 27)"));
    let proposed = (report.origins[0].origin.as_str(), report.origins[0].purpose.as_str());
    assert_eq!(proposed, ("http://heat.example:8004", "orchestration"));
    assert_eq!((report.origins.len(), report.warnings.len()), (1, 0));
    assert_eq!(lab.sent(), ["GET /stacks", "GET /build_info"]);
    // Policies may keep the build from users.
    lab.heat.next(
        Method::Get,
        "/build_info",
        Fate::Answered(error(403, "Forbidden", "no")),
    );
    assert_eq!(Heat::check(&lab.account).unwrap().vim_version.as_deref(), Some("Heat"));
}

#[test]
fn an_origin_that_is_not_granted_is_proposed_and_no_failure() {
    let lab = Lab::with(json!({"heat_endpoint": "http://nobody.example:8004"}));
    lab.kit.answer(
        Method::Post,
        "/v3/auth/tokens",
        vimhost_sdk::http::Answer::new(201)
            .header("X-Subject-Token", "t")
            .json(&json!({"token": {"project": {"id": PROJECT, "name": "demo"}}})),
    );
    let stacks = format!("/v1/{PROJECT}/stacks?limit=1");
    lab.kit.fault(Method::Get, &stacks, vimhost_sdk::http::Fault::Denied);
    let report = Heat::check(&lab.account).unwrap();
    assert_eq!(report.origins[0].origin, "http://nobody.example:8004");
    assert!(report.warnings[0].contains("not grant"), "{:?}", report.warnings);
}

#[test]
fn a_cloud_without_heat_names_what_it_has() {
    let lab = Lab::new();
    lab.keystone
        .catalogue
        .borrow_mut()
        .as_array_mut()
        .unwrap()
        .retain(|service| service["type"] != "orchestration");
    for failed in [Heat::check(&lab.account).unwrap_err(), lab.create().unwrap_err()] {
        assert_eq!(failed.kind, ErrorKind::Unsupported);
        assert!(
            failed.message.contains("orchestration") && failed.message.contains("compute"),
            "{}",
            failed.message
        );
    }
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
}

#[test]
fn an_endpoint_of_the_settings_goes_before_the_catalogue() {
    let lab = Lab::with(json!({"heat_endpoint": format!("http://{HOST}/")}));
    lab.keystone.catalogue.borrow_mut().as_array_mut().unwrap().clear();
    let id = made(lab.create().unwrap());
    assert_eq!(lab.heat.stack(&id).name, NAME);
}

#[test]
fn a_region_that_does_not_exist_names_those_that_do() {
    let lab = Lab::with(json!({"region_name": "RegionTwo"}));
    let failed = lab.create().unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(failed.message.contains("public in RegionOne"), "{}", failed.message);
}

#[test]
fn the_descriptor_says_who_is_served_and_where_the_token_is() {
    let descriptor = Heat::describe();
    assert_eq!(descriptor.vim_types, ["heat", "ETSINFV.OPENSTACK_KEYSTONE.V_3"]);
    let schema: serde_json::Value = serde_json::from_str(&descriptor.config_schema).unwrap();
    for setting in ["heat_endpoint", "region_name", "interface", "project_domain_name"] {
        assert!(schema["properties"][setting]["description"].is_string(), "{setting}");
    }
    assert_eq!(descriptor.answer_credentials[0].header, "x-subject-token");
    let token = &descriptor.tokens[0];
    assert_eq!((token.kind, token.findable), (ElementKind::Stack, true));
    assert!(token.where_.contains("tag"), "{}", token.where_);
    assert!(TOKEN.len() <= 48);
}
