//! Servers at the mock VIM: made once whatever happens, and taken away without a trace.

mod common;

use std::num::NonZeroU64;

use common::Lab;
use mock_vim::{AnswerLost, Fail, Faults, Kind, Operation};
use vimhost_plugin_mock::Mock;
use vimhost_sdk::prelude::*;

/// Loses the answer of the first creation of a kind.
fn lost(kind: Kind) -> Faults {
    let answer_lost = vec![AnswerLost {
        kind: Some(kind),
        operation: Some(Operation::Create),
        nth: NonZeroU64::new(1),
        every: None,
    }];
    Faults {
        answer_lost,
        ..Faults::default()
    }
}

fn fails(kind: Kind, operation: Operation, status: u16, message: &str) -> Faults {
    let fail = Fail {
        kind: Some(kind),
        operation: Some(operation),
        nth: NonZeroU64::new(1),
        status,
        message: message.into(),
        ..Fail::default()
    };
    Faults {
        fail: vec![fail],
        ..Faults::default()
    }
}

#[test]
fn a_server_gets_its_ports_in_order_and_its_volume() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.kit.set_journal(Vec::new());
    let created = lab.create_server("t1", &request).unwrap();

    let all = lab.inventory();
    let server = &all.servers[0];
    assert_eq!(created.id, server.meta.id);
    assert_eq!(server.meta.token.as_deref(), Some("t1"));
    assert_eq!(
        created.interfaces.iter().flatten().collect::<Vec<_>>(),
        server.ports.iter().collect::<Vec<_>>()
    );
    assert_eq!(
        all.ports
            .iter()
            .map(|port| port.meta.token.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["t1.p0", "t1.p1"]
    );
    assert_eq!(all.volumes[0].meta.token.as_deref(), Some("t1.v0"));
    let journal: Vec<_> = lab
        .kit
        .journal()
        .into_iter()
        .map(|entry| (entry.kind, entry.token))
        .collect();
    let expected = [
        ("port", "t1.p0"),
        ("port", "t1.p1"),
        ("volume", "t1.v0"),
        ("server", "t1"),
    ];
    assert_eq!(
        journal,
        expected.map(|(kind, token)| (kind.to_owned(), token.to_owned()))
    );
}

#[test]
fn a_repetition_after_the_end_asks_the_vim_nothing() {
    let lab = Lab::new();
    let request = lab.server_request();
    let first = lab.create_server("t1", &request).unwrap();
    lab.kit.clear_exchanges();
    assert_eq!(lab.create_server("t1", &request).unwrap(), first);
    assert_eq!(lab.requests(), Vec::<String>::new());
}

#[test]
fn an_element_whose_answer_was_lost_is_found_by_its_token() {
    for kind in [Kind::Ports, Kind::Volumes, Kind::Servers] {
        let lab = Lab::new();
        let request = lab.server_request();
        lab.faults(lost(kind));
        let error = lab.create_server("t1", &request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.message);
        assert!(
            lab.kit
                .journal()
                .iter()
                .any(|entry| entry.status == JournalStatus::Begun)
        );

        lab.create_server("t1", &request).unwrap();
        let all = lab.inventory();
        assert_eq!(
            (all.ports.len(), all.volumes.len(), all.servers.len()),
            (2, 1, 1),
            "{kind}"
        );
        assert!(
            lab.kit
                .journal()
                .iter()
                .all(|entry| entry.status == JournalStatus::Committed)
        );
    }
}

#[test]
fn a_refusal_is_passed_on_in_the_vims_words_and_leaves_no_announcement() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.faults(fails(
        Kind::Servers,
        Operation::Create,
        409,
        "the hypervisor is being serviced",
    ));
    let error = lab.create_server("t1", &request).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("creating a server") && error.message.contains("the hypervisor is being serviced"));
    assert!(
        lab.kit.journal().iter().all(|entry| entry.kind != "server"),
        "{:?}",
        lab.kit.journal_lines()
    );
}

#[test]
fn a_used_up_quota_is_told_as_such() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.faults(Faults {
        quota: [(Kind::Servers, 0)].into(),
        ..Faults::default()
    });
    assert_eq!(lab.create_server("t1", &request).unwrap_err().kind, ErrorKind::Quota);
}

#[test]
fn volumes_are_waited_for_with_growing_patience() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.faults(Faults {
        volume_delay_ms: 60_000,
        ..Faults::default()
    });
    let mut waits = Vec::new();
    let mut state = None;
    for _ in 0..4 {
        let call = Call {
            state: state.take(),
            ..lab.kit.call("t1")
        };
        match Mock::create_server(&lab.account, &call, request.clone()).unwrap() {
            CreateStep::Pending(pending) => {
                waits.push(pending.again_in_ms);
                assert!(pending.reason.contains("volume"), "{}", pending.reason);
                state = pending.state;
            }
            CreateStep::Done(_) => panic!("the volume was never available"),
        }
    }
    assert_eq!(waits, [20, 40, 80, 100]);
    assert_eq!((lab.inventory().volumes.len(), lab.inventory().servers.len()), (1, 0));
}

#[test]
fn a_server_appears_once_its_volume_is_available() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.faults(Faults {
        volume_delay_ms: 30,
        ..Faults::default()
    });
    lab.create_server("t1", &request).unwrap();
    assert_eq!(lab.inventory().servers.len(), 1);
}

#[test]
fn a_root_volume_is_made_from_the_image_that_was_found() {
    let lab = Lab::new();
    let mut request = lab.server_request();
    let new = NewDisk {
        size: 4,
        image: Some("the descriptor's own reference".into()),
    };
    request.disks = vec![ServerDisk {
        root: true,
        source: DiskSource::New(new),
        keep: true,
    }];
    lab.create_server("t1", &request).unwrap();
    let all = lab.inventory();
    assert_eq!(all.volumes[0].image, request.image);
    assert_eq!(all.servers[0].image, None);
    assert!(lab.kit.journal().iter().any(|entry| entry.kind == "volume:keep"));
}

#[test]
fn a_crash_at_any_point_leaves_one_server_and_later_none() {
    let lab = Lab::new();
    let request = lab.server_request();
    let before = lab.inventory().created();
    let points = lab.kit.survives_crashes(
        |_| {},
        |_| drop(lab.create_server("t1", &request).unwrap()),
        |kit, point| {
            let all = lab.inventory();
            assert_eq!(
                (all.ports.len(), all.volumes.len(), all.servers.len()),
                (2, 1, 1),
                "crash point {point}"
            );
            assert_eq!(kit.journal().len(), 4);
            lab.delete_server("t1", None, &[]).unwrap();
            assert_eq!(lab.inventory().created(), before, "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new());
        },
    );
    assert!(points > 20, "only {points} points were passed");
}

#[test]
fn a_deletion_that_crashes_at_any_point_is_finished_by_the_journal_alone() {
    let lab = Lab::new();
    let request = lab.server_request();
    let before = lab.inventory().created();
    let points = lab.kit.survives_crashes(
        |_| drop(lab.create_server("t1", &request).unwrap()),
        |_| lab.delete_server("t1", None, &[]).unwrap(),
        |kit, point| {
            assert_eq!(lab.inventory().created(), before, "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new());
        },
    );
    assert!(points > 10, "only {points} points were passed");
}

#[test]
fn what_a_failed_creation_left_is_deleted_by_the_journal() {
    let lab = Lab::new();
    let request = lab.server_request();
    let before = lab.inventory().created();
    lab.faults(lost(Kind::Volumes));
    lab.create_server("t1", &request).unwrap_err();
    assert!(lab.inventory().created() > before);
    lab.delete_server("t1", None, &[]).unwrap();
    assert_eq!(lab.inventory().created(), before);
    assert!(!lab.kit.journal().iter().any(|entry| entry.token.starts_with("t1")));
}

#[test]
fn held_and_kept_volumes_stay() {
    let lab = Lab::new();
    let mut request = lab.server_request();
    let disk = |keep| ServerDisk {
        root: false,
        source: DiskSource::New(NewDisk { size: 1, image: None }),
        keep,
    };
    request.disks = vec![disk(true), disk(false), disk(false)];
    let created = lab.create_server("t1", &request).unwrap();
    let held = lab.inventory().volumes[1].meta.id.clone();
    lab.delete_server("t1", Some(&created.id), &[held]).unwrap();
    let left: Vec<_> = lab
        .inventory()
        .volumes
        .iter()
        .map(|volume| volume.meta.token.clone().unwrap())
        .collect();
    assert_eq!(left, ["t1.v0", "t1.v1"]);
    // What was kept is closed by the host, with the end of the deletion.
    let entries = lab
        .kit
        .journal()
        .into_iter()
        .filter(|entry| entry.token.starts_with("t1"));
    assert_eq!(entries.map(|entry| entry.kind).collect::<Vec<_>>(), ["volume:keep"]);
}

#[test]
fn deleting_what_is_gone_is_done() {
    let lab = Lab::new();
    lab.delete_server("t1", Some("no-such-server"), &[]).unwrap();
}

#[test]
fn a_token_that_ended_is_renewed_once() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.create_server("t1", &request).unwrap();
    lab.faults(Faults {
        expire_tokens: true,
        ..Faults::default()
    });
    lab.kit.clear_exchanges();
    lab.create_server("t2", &request).unwrap();
    let log_ins = lab
        .kit
        .requests()
        .iter()
        .filter(|line| line.ends_with("/v1/session"))
        .count();
    assert_eq!(log_ins, 1);
    assert_eq!(lab.inventory().servers.len(), 2);
}

#[test]
fn one_log_in_serves_all_calls() {
    let lab = Lab::new();
    let request = lab.server_request();
    lab.create_server("t1", &request).unwrap();
    lab.create_server("t2", &request).unwrap();
    assert_eq!(
        lab.kit
            .requests()
            .iter()
            .filter(|line| line.ends_with("/v1/session"))
            .count(),
        1
    );
}

#[test]
fn a_wrong_password_is_told_as_such_and_tried_once() {
    let mut lab = Lab::new();
    lab.account.credentials[0].handle = "wrong".into();
    let error = Mock::check(&lab.account).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.message.contains("logging in"), "{}", error.message);
    assert_eq!(lab.kit.exchanges().len(), 1);
}
