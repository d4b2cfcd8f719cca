//! Changing servers and connectivity services at the mock VIM.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod common;

use common::{Lab, done, until};
use mock_vim::{AnswerLost, Faults, Kind, Operation};
use vimhost_plugin_mock::Mock;
use vimhost_sdk::prelude::*;

/// A running server with an empty journal, as a task that operates it sees it.
fn server(lab: &Lab) -> String {
    let id = lab.create_server("s", &lab.server_request()).unwrap().id;
    lab.kit.set_journal(Vec::new());
    operate(lab, |lab, call| {
        Mock::power(&lab.account, call, &id, PowerAction::Start)
    })
    .unwrap();
    lab.kit.clear_exchanges();
    id
}

fn operate(lab: &Lab, ask: impl Fn(&Lab, &Call) -> Result<OperateStep, Error>) -> Result<Operated, Error> {
    until(|| match ask(lab, &lab.kit.call("task")) {
        Ok(OperateStep::Done(operated)) => Some(Ok(operated)),
        Ok(OperateStep::Pending(_)) => None,
        Err(error) => Some(Err(error)),
    })
}

fn asked(lab: &Lab) -> usize {
    lab.requests().iter().filter(|line| line.ends_with("/action")).count()
}

#[test]
fn a_server_goes_through_its_power_states() {
    let lab = Lab::new();
    let id = server(&lab);
    let power = |action| {
        operate(&lab, |lab, call| Mock::power(&lab.account, call, &id, action))
            .unwrap()
            .status
    };
    assert_eq!(power(PowerAction::Stop), ElementStatus::Inactive);
    assert_eq!(power(PowerAction::Start), ElementStatus::Active);
    assert_eq!(power(PowerAction::Pause), ElementStatus::Paused);
    assert_eq!(power(PowerAction::Start), ElementStatus::Active);
    assert_eq!(power(PowerAction::Suspend), ElementStatus::Suspended);
    assert_eq!(power(PowerAction::Resume), ElementStatus::Active);
}

#[test]
fn asking_for_the_present_state_changes_nothing() {
    let lab = Lab::new();
    let id = server(&lab);
    operate(&lab, |lab, call| {
        Mock::power(&lab.account, call, &id, PowerAction::Start)
    })
    .unwrap();
    assert_eq!(asked(&lab), 0);
}

#[test]
fn what_the_vim_does_not_allow_is_a_conflict() {
    let lab = Lab::new();
    let id = server(&lab);
    operate(&lab, |lab, call| {
        Mock::power(&lab.account, call, &id, PowerAction::Pause)
    })
    .unwrap();
    let error = operate(&lab, |lab, call| {
        Mock::power(&lab.account, call, &id, PowerAction::Stop)
    })
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{}", error.message);
}

#[test]
fn a_server_reboots_once_however_often_it_is_asked() {
    let lab = Lab::new();
    let id = server(&lab);
    lab.faults(Faults {
        action_delay_ms: 40,
        ..Faults::default()
    });
    let reboot = || {
        operate(&lab, |lab, call| {
            Mock::power(&lab.account, call, &id, PowerAction::Reboot)
        })
        .unwrap()
    };
    assert_eq!(reboot().status, ElementStatus::Active);
    assert_eq!(reboot().status, ElementStatus::Active);
    assert_eq!(asked(&lab), 1);
}

#[test]
fn the_next_reboot_is_another_one() {
    let lab = Lab::new();
    let id = server(&lab);
    for letters in ["1", "1", "2", "2", "3"] {
        let rebooted = until(|| {
            match Mock::power(
                &lab.account,
                &lab.kit.operation("vm", letters),
                &id,
                PowerAction::Reboot,
            )
            .unwrap()
            {
                OperateStep::Done(operated) => Some(operated),
                OperateStep::Pending(_) => None,
            }
        });
        assert_eq!(rebooted.status, ElementStatus::Active);
    }
    assert_eq!(asked(&lab), 3);
}

#[test]
fn a_reboot_whose_answer_was_lost_is_seen_at_the_server() {
    let lab = Lab::new();
    let id = server(&lab);
    let lost = AnswerLost {
        kind: Some(Kind::Servers),
        operation: Some(Operation::Action),
        ..AnswerLost::default()
    };
    // It does not end while this test looks at it, however slow the machine is: a server that is through with it shows nothing.
    lab.faults(Faults {
        action_delay_ms: 3_600_000,
        answer_lost: vec![lost],
        ..Faults::default()
    });
    let reboot = || {
        let call = lab.kit.call("task");
        Mock::power(&lab.account, &call, &id, PowerAction::Reboot)
    };
    assert_eq!(reboot().unwrap_err().kind, ErrorKind::Unreachable);
    let begun: Vec<_> = lab.kit.journal().iter().map(|entry| entry.status).collect();
    assert_eq!(begun, [JournalStatus::Begun]);
    for _ in 0..2 {
        let step = reboot().unwrap();
        assert!(matches!(step, OperateStep::Pending(_)), "{step:?}");
        let seen: Vec<_> = lab.kit.journal().iter().map(|entry| entry.status).collect();
        assert_eq!(seen, [JournalStatus::Committed], "so its end will be the task's");
    }
    assert_eq!(asked(&lab), 1);
}

#[test]
fn a_server_moves_to_the_other_host_and_gets_another_flavour() {
    let lab = Lab::new();
    let id = server(&lab);
    lab.faults(Faults {
        action_delay_ms: 20,
        ..Faults::default()
    });
    let before = lab.inventory().servers[0].host.clone();
    let moved = operate(&lab, |lab, call| Mock::migrate(&lab.account, call, &id, None)).unwrap();
    assert_ne!(moved.compute_node, Some(before));
    let data = FlavourData {
        ram: 4096,
        vcpus: 4,
        disk: 20,
        ..FlavourData::default()
    };
    let flavour = done(
        Mock::create_flavour(
            &lab.account,
            &Call {
                token: "f2".into(),
                ..Call::default()
            },
            data,
        )
        .unwrap(),
    )
    .id;
    operate(&lab, |lab, call| Mock::resize(&lab.account, call, &id, &flavour)).unwrap();
    assert_eq!(lab.inventory().servers[0].flavour, flavour);
}

#[test]
fn a_console_is_opened_and_a_missing_server_is_not_found() {
    let lab = Lab::new();
    let id = server(&lab);
    let console = Mock::get_console(&lab.account, &id, None).unwrap();
    assert_eq!((console.protocol.as_str(), console.port), ("http", 6080));
    let call = lab.kit.call("task");
    assert_eq!(
        Mock::power(&lab.account, &call, "none", PowerAction::Stop)
            .unwrap_err()
            .kind,
        ErrorKind::NotFound
    );
}

#[test]
fn a_service_is_made_changed_observed_and_deleted() {
    let lab = Lab::new();
    let end = |id: &str| Endpoint {
        id: id.into(),
        ..Endpoint::default()
    };
    let service = |name: &str| ServiceRequest {
        name: name.into(),
        service_type: ServiceType::Eline,
        endpoints: vec![end("a"), end("b")],
    };
    let id = done(Mock::create_service(&lab.account, &lab.kit.call("w"), service("w")).unwrap()).id;
    assert_eq!(
        Mock::edit_service(&lab.account, &lab.kit.call("w"), &id, service("w2")).unwrap(),
        EditStep::Done
    );
    let seen = Mock::observe_services(&lab.account, std::slice::from_ref(&id), None).unwrap();
    assert_eq!(
        (seen.changed[0].name.as_deref(), seen.changed[0].status),
        (Some("w2"), ElementStatus::Active)
    );
    assert_eq!(
        Mock::delete_service(&lab.account, &lab.kit.call("w"), Some(&id)).unwrap(),
        DeleteStep::Done
    );
    assert_eq!(
        Mock::delete_service(&lab.account, &lab.kit.call("w"), Some(&id)).unwrap(),
        DeleteStep::Done
    );
    assert!(lab.inventory().connectivity_services.is_empty() && lab.kit.journal().is_empty());
    let lone = ServiceRequest {
        endpoints: vec![end("a")],
        ..service("x")
    };
    assert_eq!(
        Mock::create_service(&lab.account, &lab.kit.call("x"), lone)
            .unwrap_err()
            .kind,
        ErrorKind::BadRequest
    );
}
