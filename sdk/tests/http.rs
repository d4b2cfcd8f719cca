//! Requests and answers, as a connector meets them.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use serde_json::{Value, json};
use vimhost_sdk::error::{Failure, Outcome};
use vimhost_sdk::http::{Answer, Client, Fault, Method, Redirects};
use vimhost_sdk::testkit::TestKit;
use vimhost_sdk::types::ErrorKind;

fn client() -> Client {
    Client::new("http://vim.example:8080/api/").unwrap()
}

fn redirected(kit: &TestKit, location: &str) -> Result<u16, Failure> {
    kit.answer(Method::Patch, "/api/s", Answer::new(302).header("Location", location));
    let request = client()
        .patch(["s"])
        .json(&json!({"a": 1}))
        .header("x-auth-token", "handle");
    request
        .redirects(Redirects::SameOrigin)
        .send()
        .map(|response| response.status)
}

#[test]
fn a_request_is_put_together_from_encoded_parts() {
    let kit = TestKit::new();
    kit.vim(|_| Ok(Answer::new(200).json(&json!({"ok": true}))));
    let answer: Value = client()
        .get(["servers", "../admin?x"])
        .query("name", "a b&c")
        .query_opt("id", None::<&str>)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer, json!({"ok": true}));
    assert_eq!(kit.requests(), ["GET /api/servers/..%2Fadmin%3Fx?name=a%20b%26c"]);
    assert_eq!(kit.exchanges()[0].target.origin.to_string(), "http://vim.example:8080");
}

#[test]
fn a_missing_element_is_none_where_that_is_an_answer() {
    let kit = TestKit::new();
    kit.vim(|_| Ok(Answer::new(404).json(&json!({"error": {"message": "no server 7"}}))));
    assert!(client().get(["servers", "7"]).send_optional().unwrap().is_none());
    let failure = client()
        .get(["servers", "7"])
        .doing("looking at server 7")
        .send()
        .unwrap_err();
    assert!(failure.is_not_found());
    assert_eq!(
        failure.to_string(),
        "looking at server 7: GET http://vim.example:8080/api/servers/7 answered 404: no server 7"
    );
}

#[test]
fn a_redirect_is_a_failure_unless_it_is_asked_for() {
    let kit = TestKit::new();
    kit.answer(Method::Get, "/api/s", Answer::new(302).header("location", "/api/s/i"));
    let failure = client().get(["s"]).send().unwrap_err();
    assert_eq!((failure.status, failure.outcome), (Some(302), Outcome::NotDone));
}

#[test]
fn a_redirect_keeps_method_body_and_headers_within_its_origin() {
    let kit = TestKit::new();
    kit.vim(|_| Ok(Answer::new(202)));
    assert_eq!(redirected(&kit, "http://vim.example:8080/api/s/i?x=1").unwrap(), 202);
    let sent = kit.exchanges();
    assert_eq!(kit.requests(), ["PATCH /api/s", "PATCH /api/s/i?x=1"]);
    assert_eq!((&sent[0].body, &sent[0].headers), (&sent[1].body, &sent[1].headers));
}

#[test]
fn a_redirect_to_another_origin_is_not_followed() {
    for location in [
        "http://vim.example/api/s/i",
        "https://vim.example:8080/x",
        "//evil.example/x",
    ] {
        let kit = TestKit::new();
        let failure = redirected(&kit, location).unwrap_err();
        assert_eq!(
            (failure.error.kind, failure.outcome),
            (ErrorKind::Other, Outcome::NotDone),
            "{location}"
        );
        assert_eq!(kit.exchanges().len(), 1, "{location}");
    }
}

#[test]
fn redirects_end_after_five() {
    let kit = TestKit::new();
    kit.vim(|_| Ok(Answer::new(307).header("location", "/again")));
    let failure = client().get(["s"]).redirects(Redirects::SameOrigin).send().unwrap_err();
    assert!(failure.to_string().contains("more than 5"), "{failure}");
    assert_eq!(kit.exchanges().len(), 6);
}

#[test]
fn a_fault_tells_whether_anything_was_sent() {
    let kit = TestKit::new();
    let failed = |fault| {
        kit.fault(Method::Post, "/api/ports", fault);
        let failure = client().post(["ports"]).doing("creating port p0").send().unwrap_err();
        assert!(failure.to_string().starts_with("creating port p0: "), "{failure}");
        (failure.error.kind, failure.outcome)
    };
    assert_eq!(
        failed(Fault::NotReached("refused".into())),
        (ErrorKind::Unreachable, Outcome::NotDone)
    );
    assert_eq!(failed(Fault::ConnectTimeout), (ErrorKind::Timeout, Outcome::NotDone));
    assert_eq!(failed(Fault::Denied), (ErrorKind::NotGranted, Outcome::NotDone));
    assert_eq!(failed(Fault::Busy), (ErrorKind::RateLimited, Outcome::NotDone));
    assert_eq!(failed(Fault::Timeout), (ErrorKind::Timeout, Outcome::Unknown));
    assert_eq!(
        failed(Fault::Lost("reset".into())),
        (ErrorKind::Unreachable, Outcome::Unknown)
    );
}

#[test]
fn an_answer_that_is_too_large_or_not_understood_is_a_failure() {
    let kit = TestKit::new();
    kit.vim(|_| {
        Ok(Answer {
            status: 200,
            body: vec![b'x'; 100],
            ..Answer::default()
        })
    });
    assert!(client().get(["s"]).largest_answer(99).send().is_err());
    let failure = client().get(["s"]).send().unwrap().json::<Value>().unwrap_err();
    assert_eq!(
        (failure.error.kind, failure.outcome),
        (ErrorKind::Internal, Outcome::Unknown)
    );
}
