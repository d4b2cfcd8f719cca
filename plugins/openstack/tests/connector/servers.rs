//! Servers: made once whatever dies, undone when they fail, deleted whole.

use std::time::Duration;

use serde_json::json;
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::stubs::compute::error;
use crate::stubs::neutron::{self, Fate};

fn committed(kind: &str, token: &str, id: &str) -> JournalEntry {
    JournalEntry {
        id: 1,
        kind: kind.into(),
        token: token.into(),
        status: JournalStatus::Committed,
        element: Some(id.into()),
        age_ms: 0,
    }
}

fn existing(id: &str) -> ServerDisk {
    ServerDisk {
        root: false,
        source: DiskSource::Existing(id.into()),
        keep: false,
    }
}

fn new_disk(root: bool, keep: bool) -> ServerDisk {
    ServerDisk {
        root,
        source: DiskSource::New(NewDisk { size: 1, image: None }),
        keep,
    }
}

#[test]
fn a_server_is_made_with_its_ports_its_volume_and_its_address() {
    let cloud = Cloud::new();
    let created = cloud.create_server("t1", &cloud.request()).unwrap();
    assert_eq!(cloud.count(), (1, 1, 2, 1));
    let server = cloud.nova().server(&created.id).unwrap();
    let asked = &server["_asked"];
    assert_eq!(asked["tags"], json!(["t1"]));
    assert_eq!(asked["metadata"], json!({"vimhost-token": "t1"}));
    assert_eq!(asked.get("imageRef"), None);
    let ports: Vec<_> = asked["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].clone())
        .collect();
    let told: Vec<_> = created.interfaces.iter().map(|port| json!(port)).collect();
    assert_eq!(ports, told);
    let address = &cloud.services.neutron.all("floatingips")[0];
    assert_eq!(address["port_id"], ports[0]);
    assert_eq!(cloud.kit.journal().len(), 5);
}

#[test]
fn the_ports_of_a_server_are_tagged_with_their_names_where_nova_takes_it() {
    for (newest, tagged) in [
        (31, false),
        (32, true),
        (36, true),
        (37, false),
        (41, false),
        (42, true),
        (93, true),
    ] {
        let cloud = Cloud::new();
        cloud.nova().newest.set(newest);
        let mut request = cloud.request();
        request.interfaces[0].name = Some("eth0".into());
        let created = cloud.create_server("t1", &request).unwrap();
        let server = cloud.nova().server(&created.id).unwrap();
        let networks = server["_asked"]["networks"].as_array().unwrap();
        let tags: Vec<_> = networks.iter().map(|network| network.get("tag")).collect();
        let (named, unnamed) = (json!("eth0"), json!("vdu"));
        let expected = if tagged {
            [Some(&named), Some(&unnamed)]
        } else {
            [None, None]
        };
        assert_eq!(tags, expected, "2.{newest}");
    }
}

#[test]
fn a_server_with_two_ports_is_three_requests() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.disks.clear();
    request.interfaces[0].floating_ip = None;
    // Token, catalogue and versions are asked for once an account.
    cloud.create_server("t0", &request).unwrap();
    cloud.kit.set_journal(Vec::new());
    cloud.kit.clear_exchanges();
    cloud.create_server("t1", &request).unwrap();
    let sent: Vec<String> = cloud
        .kit
        .exchanges()
        .iter()
        .map(|sent| format!("{} {}", sent.method, sent.target.path))
        .collect();
    assert_eq!(sent, ["POST /v2.0/ports", "POST /v2.0/ports", "POST /v2.1/servers"]);
}

#[test]
fn o02_ports_are_deleted_by_their_ids_and_none_is_listed_for_it() {
    let cloud = Cloud::new();
    let created = cloud.create_server("t1", &cloud.request()).unwrap();
    cloud.kit.clear_exchanges();
    cloud.delete_server("t1", Some(&created.id), &[]).unwrap();
    let sent = cloud.sent("neutron");
    assert!(sent.iter().all(|line| line.starts_with("DELETE ")), "{sent:?}");
    assert_eq!(
        sent.iter().filter(|line| line.contains("/ports/")).count(),
        2,
        "{sent:?}"
    );
}

#[test]
fn a_crash_at_any_point_leaves_one_server_and_later_none() {
    let cloud = Cloud::new();
    let request = cloud.request();
    let points = cloud.kit.survives_crashes(
        |_| {},
        |_| drop(cloud.create_server("t1", &request).unwrap()),
        |kit, point| {
            assert_eq!(cloud.count(), (1, 1, 2, 1), "crash point {point}");
            assert_eq!(kit.journal().len(), 5, "crash point {point}: {:?}", kit.journal_lines());
            cloud.delete_server("t1", None, &[]).unwrap();
            assert_eq!(cloud.count(), (0, 0, 0, 0), "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new(), "crash point {point}");
        },
    );
    assert!(points > 40, "only {points} points were passed");
}

#[test]
fn a_deletion_that_crashes_at_any_point_is_finished_by_the_journal_alone() {
    let cloud = Cloud::new();
    let request = cloud.request();
    let points = cloud.kit.survives_crashes(
        |_| drop(cloud.create_server("t1", &request).unwrap()),
        |_| cloud.delete_server("t1", None, &[]).unwrap(),
        |kit, point| {
            assert_eq!(cloud.count(), (0, 0, 0, 0), "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new(), "crash point {point}");
        },
    );
    assert!(points > 20, "only {points} points were passed");
}

#[test]
fn a_server_whose_answer_was_lost_is_found_again_with_tags_and_without() {
    for newest in [93, 1] {
        let cloud = Cloud::new();
        cloud.nova().newest.set(newest);
        let request = cloud.request();
        cloud.nova().next(Method::Post, "/servers", Fate::Lost);
        let lost = cloud.create_server("t1", &request).unwrap_err();
        assert_eq!(lost.kind, ErrorKind::Unreachable, "2.{newest}");
        cloud.create_server("t1", &request).unwrap();
        assert_eq!(cloud.count(), (1, 1, 2, 1), "2.{newest}");
    }
}

#[test]
fn what_may_still_appear_is_not_asked_for_again() {
    let cloud = Cloud::new();
    let request = cloud.request();
    cloud.nova().next(
        Method::Post,
        "/servers",
        Fate::Refused(error(500, "computeFault", "Unexpected API Error.")),
    );
    assert_eq!(
        cloud.create_server("t1", &request).unwrap_err().kind,
        ErrorKind::Internal
    );
    let early = cloud.create_server("t1", &request).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Timeout);
    assert!(early.retry_after_ms.is_some());
    cloud.kit.advance(Duration::from_secs(121));
    cloud.create_server("t1", &request).unwrap();
    assert_eq!(cloud.count().0, 1);
}

#[test]
fn each_refusal_has_its_kind_and_leaves_nothing() {
    for (status, words, kind) in [
        (400, "Invalid key_name provided.", ErrorKind::BadRequest),
        (
            403,
            "Quota exceeded for cores: Requested 4, but already used 20 of 20 cores",
            ErrorKind::Quota,
        ),
        (
            403,
            "Policy doesn't allow os_compute_api:servers:create to be performed.",
            ErrorKind::Auth,
        ),
        (404, "Flavor m1.none could not be found.", ErrorKind::NotFound),
        (409, "Port is in use.", ErrorKind::Conflict),
    ] {
        let cloud = Cloud::new();
        cloud
            .nova()
            .next(Method::Post, "/servers", Fate::Refused(error(status, "x", words)));
        let refused = cloud.create_server("t1", &cloud.request()).unwrap_err();
        assert_eq!(refused.kind, kind, "{status}");
        assert!(refused.message.contains(words), "{}", refused.message);
        assert_eq!(cloud.count(), (0, 0, 0, 0), "{status}");
        assert_eq!(cloud.kit.journal_lines(), Vec::<String>::new(), "{status}");
    }
}

#[test]
fn what_passes_and_what_nobody_can_log_in_for_is_not_undone() {
    for (status, kind) in [(429, ErrorKind::RateLimited), (503, ErrorKind::Unreachable)] {
        let cloud = Cloud::new();
        cloud
            .nova()
            .next(Method::Post, "/servers", Fate::Refused(error(status, "x", "not today")));
        let refused = cloud.create_server("t1", &cloud.request()).unwrap_err();
        assert_eq!(refused.kind, kind, "{status}");
        assert_eq!(cloud.count(), (0, 1, 2, 0), "{status}");
        cloud.kit.advance(Duration::from_hours(1));
        cloud.create_server("t1", &cloud.request()).unwrap();
        assert_eq!(cloud.count(), (1, 1, 2, 1), "{status}");
    }
    let cloud = Cloud::new();
    cloud.create_server("t0", &cloud.request()).unwrap();
    let made = cloud.count();
    // Two refusals: the first one is that of a token that may have been forgotten.
    for _ in 0..2 {
        let unknown = error(401, "x", "The request you have made requires authentication.");
        cloud.nova().next(Method::Post, "/servers", Fate::Refused(unknown));
    }
    let refused = cloud.create_server("t1", &cloud.request()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Auth);
    assert_eq!(cloud.count(), (made.0, made.1 + 1, made.2 + 2, made.3));
}

#[test]
fn what_cannot_be_undone_is_told_and_stays_in_the_journal() {
    let cloud = Cloud::new();
    let refusal = error(409, "x", "Port is in use.");
    cloud.nova().next(Method::Post, "/servers", Fate::Refused(refusal));
    // More often than it is tried.
    for _ in 0..200 {
        let held = neutron::error(409, "PortInUse", "The port is held by a trunk.");
        cloud
            .services
            .neutron
            .next(Method::Delete, "ports", Fate::Refused(held));
    }
    let failed = cloud.create_server("t1", &cloud.request()).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    for words in ["Port is in use.", "could not all be deleted", "held by a trunk"] {
        assert!(failed.message.contains(words), "no {words:?} in {}", failed.message);
    }
    // The rest is gone all the same.
    assert_eq!(cloud.count(), (0, 0, 2, 0));
    let left = cloud.kit.journal_lines();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|line| line.starts_with("port t1.p")), "{left:?}");
}

#[test]
fn a_request_that_cannot_be_is_refused_before_anything_is_made() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.cloud_config = Some(CloudConfig {
        user_data: vec!["x".repeat(60_000)],
        ..CloudConfig::default()
    });
    let refused = cloud.create_server("t1", &request).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest);
    assert_eq!(cloud.count(), (0, 0, 0, 0));
}

#[test]
fn a_server_that_nova_gives_up_stays_to_be_seen() {
    let cloud = Cloud::new();
    cloud.nova().server_becomes.set("ERROR");
    let created = cloud.create_server("t1", &cloud.request()).unwrap();
    assert_eq!(cloud.count(), (1, 1, 2, 0));
    cloud.nova().set(
        &created.id,
        "fault",
        json!({"code": 500, "message": "No valid host was found."}),
    );
    let (seen, _, _) = cloud.observe(std::slice::from_ref(&created.id), None);
    assert_eq!(seen[0].status, ElementStatus::Error);
    let told = seen[0].message.as_deref().unwrap();
    assert!(
        told.starts_with("No valid host was found. (no compute host has room"),
        "{told}"
    );
}

#[test]
fn a_server_that_is_not_to_run_is_stopped() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.start = false;
    let created = cloud.create_server("t1", &request).unwrap();
    assert_eq!(cloud.nova().server(&created.id).unwrap()["status"], "SHUTOFF");
}

#[test]
fn port_security_goes_when_the_server_runs() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.interfaces[1].port_security = Some(false);
    cloud.create_server("t1", &request).unwrap();
    let ports = cloud.services.neutron.all("ports");
    assert_eq!(ports[1]["port_security_enabled"], json!(false));
    let sent = cloud.kit.requests();
    let at = |wanted: &str| sent.iter().position(|line| line.starts_with(wanted));
    assert!(at("PUT /v2.0/ports/") > at("POST /v2.1/servers"), "{sent:?}");
}

#[test]
fn o05_a_server_that_is_gone_already_takes_its_children_with_it() {
    let cloud = Cloud::new();
    let created = cloud.create_server("t1", &cloud.request()).unwrap();
    cloud.nova().remove_server(&created.id);
    let volume = cloud.nova().volumes()[0]["id"].as_str().unwrap().to_owned();
    cloud.nova().free_volume(&volume);
    cloud.delete_server("t1", Some(&created.id), &[]).unwrap();
    assert_eq!(cloud.count(), (0, 0, 0, 0));
    cloud.delete_server("t1", Some(&created.id), &[]).unwrap();
}

#[test]
fn held_and_kept_volumes_stay() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.disks = vec![new_disk(true, true), new_disk(false, false), new_disk(false, false)];
    let created = cloud.create_server("t1", &request).unwrap();
    let held = cloud.nova().volumes()[1]["id"].as_str().unwrap().to_owned();
    cloud.delete_server("t1", Some(&created.id), &[held]).unwrap();
    let left: Vec<_> = cloud
        .nova()
        .volumes()
        .iter()
        .map(|volume| volume["metadata"]["vimhost-token"].clone())
        .collect();
    assert_eq!(left, ["t1.v0", "t1.v1"]);
}

#[test]
fn a_slow_deletion_is_accepted_and_its_volumes_follow() {
    let cloud = Cloud::new();
    let created = cloud.create_server("t1", &cloud.request()).unwrap();
    let step = OpenStack::delete_server(&cloud.account, &cloud.kit.call("t1"), Some(&created.id), &[]).unwrap();
    assert_eq!(step, DeleteStep::Accepted);
    // The address is free at once, ports and volume wait for the server.
    assert_eq!(cloud.count(), (1, 1, 2, 0));
    cloud.delete_server("t1", Some(&created.id), &[]).unwrap();
    assert_eq!(cloud.count(), (0, 0, 0, 0));
}

#[test]
fn o07_a_volume_in_error_ends_the_creation_at_once() {
    let cloud = Cloud::new();
    cloud.nova().volume_becomes.set("error");
    let failed = cloud.create_server("t1", &cloud.request()).unwrap_err();
    assert!(failed.message.contains("is in status error"), "{}", failed.message);
    assert_eq!(cloud.count(), (0, 0, 0, 0));
}

#[test]
fn o07_a_volume_of_a_running_server_is_a_conflict_and_one_of_a_going_server_is_waited_for() {
    let cloud = Cloud::new();
    cloud.nova().put_server("other", "ACTIVE", 1);
    cloud.nova().put_volume(
        json!({"id": "vol-1", "status": "in-use", "attachments": [{"server_id": "other"}], "metadata": {}}),
    );
    let mut request = cloud.request();
    request.disks = vec![existing("vol-1")];
    let refused = cloud.create_server("t1", &request).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("server other"), "{}", refused.message);

    cloud.nova().set("other", "OS-EXT-STS:task_state", json!("deleting"));
    let call = cloud.kit.call("t2");
    let step = OpenStack::create_server(&cloud.account, &call, request).unwrap();
    assert!(
        matches!(&step, CreateStep::Pending(pending) if pending.reason.contains("vol-1")),
        "{step:?}"
    );
}

#[test]
fn o08_a_root_volume_is_made_from_the_image_that_was_found() {
    let cloud = Cloud::new();
    cloud.create_server("t1", &cloud.request()).unwrap();
    let volume = &cloud.nova().volumes()[0];
    assert_eq!(volume["imageRef"], "image-1");
    assert_eq!(volume["name"], "vduvda");
}

#[test]
fn o09_undoing_deletes_new_volumes_and_never_those_of_somebody_else() {
    let cloud = Cloud::new();
    cloud
        .nova()
        .put_volume(json!({"id": "vol-1", "status": "available", "attachments": [], "metadata": {}}));
    // A server that takes the place of another one is told of that one's volumes.
    cloud.kit.set_journal(vec![committed("volume", "old.v0", "vol-1")]);
    let mut request = cloud.request();
    request.disks = vec![new_disk(true, true), existing("vol-1")];
    cloud
        .nova()
        .next(Method::Post, "/servers", Fate::Refused(error(409, "x", "no")));
    cloud.create_server("t1", &request).unwrap_err();
    let left: Vec<_> = cloud
        .nova()
        .volumes()
        .iter()
        .map(|volume| volume["id"].clone())
        .collect();
    assert_eq!(left, ["vol-1"]);
    assert_eq!(cloud.kit.journal_lines(), ["volume old.v0 = vol-1"]);
}

#[test]
fn a_floating_address_that_cannot_be_had_fails_the_server_when_it_is_required() {
    let cloud = Cloud::new();
    cloud.services.neutron.unreachable.borrow_mut().push("net-ext".into());
    cloud.create_server("t1", &cloud.request()).unwrap_err();
    assert_eq!(cloud.count(), (0, 0, 0, 0));
}

#[test]
fn a_server_of_a_cloud_that_deletes_later_is_deleted_now() {
    let cloud = Cloud::new();
    cloud.nova().put_server("s", "SOFT_DELETED", 1);
    cloud.delete_server("t1", Some("s"), &[]).unwrap();
    assert_eq!(cloud.count().0, 0);
}
