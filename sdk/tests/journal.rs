//! The journal's dance, step by step, and the session that goes with it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::json;
use vimhost_sdk::error::{Failure, Outcome};
use vimhost_sdk::http::{Answer, Client, Method};
use vimhost_sdk::journal::Removal;
use vimhost_sdk::session::{Login, Session};
use vimhost_sdk::testkit::TestKit;
use vimhost_sdk::types::{Error, ErrorKind, JournalStatus};

fn failure(outcome: Outcome) -> Failure {
    Failure::new(ErrorKind::Other, outcome, "no")
}

#[expect(clippy::panic, reason = "what fails in a test's helper fails the test")]
fn never<T>(_: &str) -> Result<T, Failure> {
    panic!("nothing was to be asked")
}

#[test]
fn an_element_is_announced_made_and_committed() {
    let kit = TestKit::new();
    let made = kit.call("t").create_once("port", "p0", Duration::ZERO, never, |token| {
        assert_eq!(token, "t.p0");
        assert_eq!(kit.journal_lines(), ["port t.p0 ?"]);
        Ok("7".into())
    });
    assert_eq!(made.unwrap(), "7");
    assert_eq!(
        kit.call("t")
            .create_once("port", "p0", Duration::ZERO, never, never)
            .unwrap(),
        "7"
    );
    assert_eq!(kit.journal_lines(), ["port t.p0 = 7"]);
}

#[test]
fn a_refusal_takes_the_announcement_back_and_an_unknown_outcome_does_not() {
    let kit = TestKit::new();
    kit.call("t")
        .create_once("port", "", Duration::ZERO, never, |_| Err(failure(Outcome::NotDone)))
        .unwrap_err();
    assert!(kit.journal().is_empty());
    kit.call("t")
        .create_once("port", "", Duration::ZERO, never, |_| Err(failure(Outcome::Unknown)))
        .unwrap_err();
    assert_eq!(kit.journal_lines(), ["port t ?"]);
}

#[test]
fn what_was_begun_is_looked_for_before_it_is_made_again() {
    let kit = TestKit::new();
    let lose = || {
        kit.call("t")
            .create_once("port", "", Duration::ZERO, never, |_| Err(failure(Outcome::Unknown)))
            .unwrap_err()
    };
    lose();
    let found = kit
        .call("t")
        .create_once("port", "", Duration::ZERO, |_| Ok(vec!["7".into(), "8".into()]), never)
        .unwrap();
    assert_eq!(found, "7");
    assert!(kit.log().iter().any(|line| line.message.contains("several elements")));

    kit.set_journal(Vec::new());
    lose();
    let made = kit
        .call("t")
        .create_once("port", "", Duration::ZERO, |_| Ok(Vec::new()), |_| Ok("9".into()))
        .unwrap();
    assert_eq!((made.as_str(), kit.journal().len()), ("9", 1));

    kit.set_journal(Vec::new());
    lose();
    let looking = kit
        .call("t")
        .create_once("port", "", Duration::ZERO, |_| Err(failure(Outcome::NotDone)), never)
        .unwrap_err();
    assert!(looking.to_string().contains("looking for"), "{looking}");
    assert_eq!(kit.journal()[0].status, JournalStatus::Begun);
}

#[test]
fn an_action_happens_once() {
    let kit = TestKit::new();
    let times = Cell::new(0);
    let act = || {
        times.set(times.get() + 1);
        Ok(())
    };
    for _ in 0..3 {
        kit.operation("t", "1")
            .do_once("reboot", "server-1", || Ok(false), act)
            .unwrap();
    }
    assert_eq!(times.get(), 1);

    // Another operation of the kind sees nothing of the first one, whether that is over or not.
    kit.operation("t", "2")
        .do_once("reboot", "server-1", || Ok(false), act)
        .unwrap();
    assert_eq!(times.get(), 2);
    assert_eq!(
        kit.journal_lines(),
        ["reboot t.op-1 = server-1", "reboot t.op-2 = server-1"]
    );
    kit.end_operation("t", "1");
    assert_eq!(kit.journal_lines(), ["reboot t.op-2 = server-1"]);
}

#[test]
fn what_may_still_appear_is_neither_made_again_nor_taken_for_gone() {
    let kit = TestKit::new();
    let settled = Duration::from_secs(90);
    let none = |_: &str| Ok(Vec::new());
    kit.call("t")
        .create_once("port", "", settled, never, |_| Err(failure(Outcome::Unknown)))
        .unwrap_err();
    kit.advance(Duration::from_secs(30));
    let early = kit.call("t").create_once("port", "", settled, none, never).unwrap_err();
    assert_eq!(
        (early.error.kind, early.error.retry_after_ms),
        (ErrorKind::Timeout, Some(60_000))
    );
    let delete = || {
        kit.call("t")
            .delete_journalled(|_| true, settled, |_, _| Ok(Vec::new()), |_, _| Ok(Removal::Gone))
            .unwrap()
    };
    assert!(matches!(delete(), Removal::Waiting(_)));
    assert_eq!(kit.journal_lines(), ["port t ?"]);

    kit.advance(Duration::from_secs(60));
    let made = kit
        .call("t")
        .create_once("port", "", settled, none, |_| Err(failure(Outcome::Unknown)));
    assert!(made.unwrap_err().to_string().contains("no"));
    // The second answer is lost as well, and the VIM has as long for that request.
    let age = || Duration::from_millis(kit.journal()[0].age_ms);
    for left in [Duration::from_secs(90), Duration::from_secs(1)] {
        kit.advance(settled.saturating_sub(left).saturating_sub(age()));
        let early = kit.call("t").create_once("port", "", settled, none, never).unwrap_err();
        let wait = u32::try_from(left.as_millis()).unwrap();
        assert_eq!(
            (early.error.kind, early.error.retry_after_ms),
            (ErrorKind::Timeout, Some(wait))
        );
        assert!(matches!(delete(), Removal::Waiting(_)));
        assert_eq!(kit.journal_lines(), ["port t ?"]);
    }
    kit.advance(Duration::from_secs(1));
    assert_eq!(delete(), Removal::Gone);
    assert!(kit.journal().is_empty());
}

/// The VIM makes it after the caller has asked for the second time and given up, and after a termination has begun.
#[test]
fn what_a_second_lost_answer_brings_about_is_found_and_goes_with_a_termination() {
    let settled = Duration::from_secs(90);
    for terminates in [false, true] {
        let (kit, made) = (TestKit::new(), RefCell::new(Vec::<String>::new()));
        let lose = |_: &str| Err(failure(Outcome::Unknown));
        let found = |_: &str| Ok(made.borrow().clone());
        let create = || kit.call("t").create_once("server", "", settled, found, lose);
        create().unwrap_err();
        kit.advance(settled);
        create().unwrap_err();
        kit.advance(Duration::from_secs(60));
        // Neither a third request nor forgetting.
        let delete = || {
            let gone = |_: &str, id: &str| {
                made.borrow_mut().retain(|other| other != id);
                Ok(Removal::Gone)
            };
            kit.call("t")
                .delete_journalled(|_| true, settled, |_, token| found(token), gone)
                .unwrap()
        };
        if terminates {
            assert!(matches!(delete(), Removal::Waiting(_)));
        } else {
            let early = kit
                .call("t")
                .create_once("server", "", settled, found, never)
                .unwrap_err();
            assert_eq!(early.error.kind, ErrorKind::Timeout);
        }
        assert_eq!(kit.journal_lines(), ["server t ?"]);
        made.borrow_mut().push("7".to_owned());
        if !terminates {
            assert_eq!(create().unwrap(), "7");
            assert_eq!(kit.journal_lines(), ["server t = 7"]);
        }
        assert_eq!(delete(), Removal::Gone);
        assert!(made.borrow().is_empty() && kit.journal().is_empty());
    }
}

#[test]
fn a_deletion_is_over_accepted_or_waits_by_its_slowest_part() {
    let waiting = || Removal::Waiting("volume".to_owned());
    assert_eq!(Removal::Gone.and(Removal::Accepted), Removal::Accepted);
    assert_eq!(Removal::Accepted.and(Removal::Gone), Removal::Accepted);
    assert_eq!(Removal::Accepted.and(waiting()), waiting());
    assert_eq!(waiting().and(Removal::Accepted), waiting());
}

#[test]
fn a_deletion_tries_everything_and_forgets_what_is_gone() {
    let kit = TestKit::new();
    for (suffix, id) in [("p0", "1"), ("p1", "2"), ("p2", "3")] {
        kit.call("t")
            .create_once("port", suffix, Duration::ZERO, never, |_| Ok(id.into()))
            .unwrap();
    }
    kit.call("t")
        .create_once("port", "p3", Duration::ZERO, never, |_| Err(failure(Outcome::Unknown)))
        .unwrap_err();
    kit.call("t")
        .create_once("volume:keep", "v0", Duration::ZERO, never, |_| Ok("v".into()))
        .unwrap();
    let delete = |_: &str, id: &str| match id {
        "1" => Ok(Removal::Gone),
        "2" => Err(Error::conflict("in use").into()),
        _ => Ok(Removal::Waiting("still there".into())),
    };
    let find = |_: &str, _: &str| Ok(vec!["4".into()]);
    let error = kit
        .call("t")
        .delete_journalled(|kind| kind == "port", Duration::ZERO, find, delete)
        .unwrap_err();
    assert_eq!(error.error.kind, ErrorKind::Conflict);
    assert_eq!(
        kit.journal_lines(),
        ["port t.p1 = 2", "port t.p2 = 3", "port t.p3 ?", "volume:keep t.v0 = v"]
    );

    let gone = kit
        .call("t")
        .delete_journalled(
            |_| true,
            Duration::ZERO,
            |_, _| Ok(Vec::new()),
            |_, _| Ok(Removal::Gone),
        )
        .unwrap();
    assert_eq!((gone, kit.journal().len()), (Removal::Gone, 0));
}

fn session(client: &Client) -> Session<impl Fn() -> Result<Login, Failure>> {
    let door = client.clone();
    Session::new("key", "x-auth-token", move || {
        let answer = door.post(["session"]).send()?;
        Ok(Login {
            token: answer.header("x-token").unwrap_or_default().into(),
            lifetime: Duration::from_secs(600),
        })
    })
}

#[test]
fn one_log_in_lasts_until_shortly_before_the_token_ends() {
    let kit = TestKit::new();
    kit.vim(|sent| {
        Ok(match (sent.method, sent.header("x-auth-token")) {
            (Method::Post, _) => Answer::new(201).header("X-Token", "handle"),
            (_, Some("handle")) => Answer::new(200),
            _ => Answer::new(401),
        })
    });
    let client = Client::new("http://vim.example").unwrap();
    let log_ins = || kit.requests().iter().filter(|line| line.starts_with("POST")).count();
    for _ in 0..3 {
        session(&client).send(client.get(["x"])).unwrap();
    }
    assert_eq!(log_ins(), 1);
    kit.advance(Duration::from_secs(479));
    session(&client).send(client.get(["x"])).unwrap();
    assert_eq!(log_ins(), 1);
    kit.advance(Duration::from_secs(2));
    session(&client).send(client.get(["x"])).unwrap();
    assert_eq!(log_ins(), 2);
}

#[test]
fn a_token_that_is_not_known_any_more_is_renewed_once() {
    let kit = TestKit::new();
    let client = Client::new("http://vim.example").unwrap();
    let token = |n: &str| Answer::new(201).header("x-token", n);
    kit.answer(Method::Post, "/session", token("one"));
    kit.answer(Method::Get, "/x", Answer::new(200));
    session(&client).send(client.get(["x"])).unwrap();

    kit.answer(Method::Get, "/x", Answer::new(401));
    kit.answer(Method::Post, "/session", token("two"));
    kit.answer(Method::Get, "/x", Answer::new(200).json(&json!({})));
    session(&client).send(client.get(["x"])).unwrap();

    kit.answer(Method::Get, "/x", Answer::new(401));
    kit.answer(Method::Post, "/session", token("three"));
    kit.answer(Method::Get, "/x", Answer::new(401));
    let failure = session(&client).send(client.get(["x"])).unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Auth);
    assert_eq!(kit.exchanges().last().unwrap().header("x-auth-token"), Some("three"));
}

#[test]
fn a_token_that_another_call_has_obtained_meanwhile_is_used() {
    let kit = TestKit::new();
    let client = Client::new("http://vim.example").unwrap();
    kit.answer(Method::Post, "/session", Answer::new(201).header("x-token", "one"));
    kit.answer(Method::Get, "/x", Answer::new(200));
    let call = session(&client);
    call.send(client.get(["x"])).unwrap();

    kit.answer(Method::Get, "/x", Answer::new(401));
    kit.answer(Method::Post, "/session", Answer::new(201).header("x-token", "two"));
    kit.answer(Method::Get, "/x", Answer::new(200));
    session(&client).send(client.get(["x"])).unwrap();

    kit.answer(Method::Get, "/x", Answer::new(401));
    kit.answer(Method::Get, "/x", Answer::new(200));
    call.send(client.get(["x"])).unwrap();
    assert_eq!(kit.exchanges().last().unwrap().header("x-auth-token"), Some("two"));
    let log_ins = kit.requests().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(log_ins, 2);
}
