//! Operations on servers: once, to their end, and with Nova's words when they fail.

use serde_json::json;
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::stubs::compute::error;
use crate::stubs::neutron::Fate;

fn cloud(status: &str) -> Cloud {
    let cloud = Cloud::new();
    cloud.nova().put_server("s", status, 1);
    cloud
}

/// How often Nova was asked for an action.
fn actions(cloud: &Cloud) -> usize {
    let sent = cloud.sent("nova");
    sent.iter().filter(|line| line.ends_with("/servers/s/action")).count()
}

fn bodies(cloud: &Cloud) -> Vec<serde_json::Value> {
    let exchanges = cloud.kit.exchanges();
    let acted = exchanges.iter().filter(|sent| sent.target.path.ends_with("/action"));
    acted
        .map(|sent| serde_json::from_slice(sent.body.as_deref().unwrap()).unwrap())
        .collect()
}

#[test]
fn each_power_action_brings_its_state() {
    for (from, action, to) in [
        ("SHUTOFF", PowerAction::Start, "ACTIVE"),
        ("PAUSED", PowerAction::Start, "ACTIVE"),
        ("SUSPENDED", PowerAction::Start, "ACTIVE"),
        ("ACTIVE", PowerAction::Stop, "SHUTOFF"),
        ("ACTIVE", PowerAction::Pause, "PAUSED"),
        ("PAUSED", PowerAction::Unpause, "ACTIVE"),
        ("ACTIVE", PowerAction::Suspend, "SUSPENDED"),
        ("SUSPENDED", PowerAction::Resume, "ACTIVE"),
    ] {
        let cloud = cloud(from);
        let operated = cloud.power("a", "s", action).unwrap();
        assert_eq!(operated.status_text, to, "{from} {action:?}");
        assert_eq!(actions(&cloud), 1, "{from} {action:?}");
        // Asking for what is so already is success, and asks Nova for nothing.
        cloud.kit.end_operation("t1", "a");
        cloud.power("b", "s", action).unwrap();
        assert_eq!(actions(&cloud), 1, "{from} {action:?}");
    }
}

#[test]
fn what_nova_took_and_did_not_do_is_a_failure() {
    let cloud = cloud("ACTIVE");
    cloud.nova().failing.borrow_mut().insert("stop");
    let failed = cloud.power("a", "s", PowerAction::Stop).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Other);
    assert!(
        failed.message.contains("ACTIVE") && failed.message.contains("Error"),
        "{}",
        failed.message
    );
    assert_eq!(actions(&cloud), 1);
}

#[test]
fn a_reboot_happens_once_for_each_operation() {
    let cloud = cloud("ACTIVE");
    cloud.power("a", "s", PowerAction::Reboot).unwrap();
    cloud.power("a", "s", PowerAction::Reboot).unwrap();
    assert_eq!(actions(&cloud), 1);
    cloud.kit.end_operation("t1", "a");
    cloud.power("b", "s", PowerAction::Reboot).unwrap();
    assert_eq!(actions(&cloud), 2);
}

#[test]
fn a_reboot_that_failed_is_a_failure_although_the_server_runs() {
    let cloud = cloud("ACTIVE");
    cloud.nova().failing.borrow_mut().insert("reboot");
    let failed = cloud.power("a", "s", PowerAction::Reboot).unwrap_err();
    assert!(failed.message.contains("reboot"), "{}", failed.message);
    cloud.kit.end_operation("t1", "a");
    // The next one is judged by itself.
    cloud.nova().failing.borrow_mut().clear();
    cloud.power("b", "s", PowerAction::Reboot).unwrap();
}

#[test]
fn a_reboot_whose_answer_was_lost_is_not_done_again() {
    let cloud = cloud("ACTIVE");
    cloud.nova().next(Method::Post, "/action", Fate::Lost);
    cloud.power("a", "s", PowerAction::Reboot).unwrap_err();
    cloud.power("a", "s", PowerAction::Reboot).unwrap();
    assert_eq!(actions(&cloud), 1);
}

#[test]
fn refusals_have_their_kinds() {
    for (status, kind) in [
        (400, ErrorKind::BadRequest),
        (401, ErrorKind::Auth),
        (403, ErrorKind::Auth),
        (409, ErrorKind::Conflict),
        (500, ErrorKind::Internal),
    ] {
        let cloud = cloud("ACTIVE");
        for _ in 0..2 {
            cloud
                .nova()
                .next(Method::Post, "/action", Fate::Refused(error(status, "x", "no")));
        }
        let refused = cloud.power("a", "s", PowerAction::Pause).unwrap_err();
        assert_eq!(refused.kind, kind, "{status}");
    }
    let gone = Cloud::new().power("a", "s", PowerAction::Stop).unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[test]
fn o10_a_migration_ends_when_the_server_is_elsewhere() {
    let cloud = cloud("ACTIVE");
    let moved = cloud
        .operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", Some("host2")))
        .unwrap();
    assert_eq!(moved.compute_node.as_deref(), Some("host2"));
    assert_eq!(
        bodies(&cloud),
        [json!({"os-migrateLive": {"host": "host2", "block_migration": "auto"}})]
    );
}

#[test]
fn a_migration_whose_answer_was_lost_has_come_about_when_the_server_has_left_its_host() {
    for (status, actions_in_all) in [("ACTIVE", 1), ("SHUTOFF", 2)] {
        let cloud = cloud(status);
        // One before, which is not what is asked for.
        let record = |id: u32, from: &str, at: &str| json!({"id": id, "status": "completed", "migration_type": "live-migration", "source_compute": from, "created_at": at});
        let records = &cloud.nova().migrations;
        records
            .borrow_mut()
            .push(record(2, "host2", "2000-01-01T00:00:00.000000"));
        let migrated = || cloud.operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", None));
        cloud.nova().next(Method::Post, "/action", Fate::Lost);
        assert_eq!(migrated().unwrap_err().kind, ErrorKind::Unreachable);
        records
            .borrow_mut()
            .push(record(3, "host1", "2001-09-09T01:46:40.000000"));
        let moved = migrated().unwrap();
        assert_eq!(moved.compute_node.as_deref(), Some("host2"));
        assert_eq!(moved.status_text, status);
        assert_eq!(actions(&cloud), actions_in_all, "{status}");
    }
}

#[test]
fn o10_a_migration_that_failed_is_told_as_such() {
    let cloud = cloud("ACTIVE");
    cloud.nova().failing.borrow_mut().insert("live-migration");
    cloud
        .nova()
        .migrations
        .borrow_mut()
        .push(json!({"id": 3, "status": "error", "migration_type": "live-migration"}));
    let failed = cloud
        .operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", None))
        .unwrap_err();
    assert!(
        failed.message.starts_with("Migration Failed, its record says error"),
        "{}",
        failed.message
    );
}

#[test]
fn o10_a_host_is_checked_before_and_named_when_it_will_not_do() {
    for (host, kind, said) in [
        ("host1", ErrorKind::BadRequest, "to the same host 'host1'"),
        ("host3", ErrorKind::Conflict, "down"),
        ("host4", ErrorKind::Conflict, "to a different availability zone"),
        ("nowhere", ErrorKind::NotFound, "no compute host 'nowhere'"),
    ] {
        let cloud = cloud("ACTIVE");
        let refused = cloud
            .operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", Some(host)))
            .unwrap_err();
        assert_eq!(refused.kind, kind, "{host}");
        assert!(refused.message.contains(said), "{}", refused.message);
        assert_eq!(actions(&cloud), 0, "{host}");
    }
}

#[test]
fn a_stopped_server_is_migrated_cold_and_confirmed() {
    let cloud = cloud("SHUTOFF");
    let moved = cloud
        .operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", Some("host2")))
        .unwrap();
    assert_eq!(
        (moved.status_text.as_str(), moved.compute_node.as_deref()),
        ("SHUTOFF", Some("host2"))
    );
    assert_eq!(
        bodies(&cloud),
        [json!({"migrate": {"host": "host2"}}), json!({"confirmResize": null})]
    );
}

#[test]
fn o11_a_resize_of_a_stopped_server_ends_stopped() {
    for status in ["ACTIVE", "SHUTOFF"] {
        let cloud = cloud(status);
        let resized = cloud
            .operated("a", |call| OpenStack::resize(&cloud.account, call, "s", "m1.large"))
            .unwrap();
        assert_eq!(resized.status_text, status);
        assert_eq!(cloud.nova().server("s").unwrap()["flavor"]["id"], "m1.large");
        assert_eq!(actions(&cloud), 2);
    }
}

#[test]
fn a_confirmation_whose_answer_was_lost_is_no_failure() {
    let cloud = cloud("SHUTOFF");
    let is_lost = std::cell::Cell::new(false);
    let resize = || {
        cloud.operated("a", |call| {
            // The resize has been asked for, so the next action is its confirmation.
            if actions(&cloud) == 1 && !is_lost.replace(true) {
                cloud.nova().next(Method::Post, "/action", Fate::Lost);
            }
            OpenStack::resize(&cloud.account, call, "s", "m1.large")
        })
    };
    assert_eq!(resize().unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(resize().unwrap().status_text, "SHUTOFF");
    assert_eq!(actions(&cloud), 2);
}

#[test]
fn a_live_migration_of_an_older_nova_is_asked_for_in_its_own_words() {
    for (newest, spoken, copies) in [
        (30, "2.30", json!("auto")),
        (29, "2.24", json!(true)),
        (1, "2.1", json!(true)),
    ] {
        let cloud = cloud("ACTIVE");
        cloud.nova().newest.set(newest);
        cloud
            .operated("a", |call| OpenStack::migrate(&cloud.account, call, "s", Some("host2")))
            .unwrap();
        let asked = &bodies(&cloud)[0]["os-migrateLive"];
        assert_eq!(asked["block_migration"], copies, "2.{newest}");
        assert_eq!(asked.get("disk_over_commit").is_some(), newest < 30, "2.{newest}");
        let sent = cloud.kit.exchanges();
        let sent = sent.iter().find(|sent| sent.target.path.ends_with("/action")).unwrap();
        let expected = format!("compute {spoken}");
        assert_eq!(sent.header("openstack-api-version"), Some(expected.as_str()));
    }
}

#[test]
fn a_server_that_gets_no_further_is_not_waited_for_for_ever() {
    let cloud = cloud("ACTIVE");
    cloud.nova().set("s", "OS-EXT-STS:task_state", json!("rebooting"));
    let (mut state, mut waited) = (None, 0);
    let failed = loop {
        let call = Call {
            state: state.take(),
            ..cloud.kit.operation("t1", "a")
        };
        match OpenStack::power(&cloud.account, &call, "s", PowerAction::Stop) {
            Ok(OperateStep::Pending(pending)) => {
                waited += pending.again_in_ms;
                state = pending.state;
            }
            Ok(OperateStep::Done(operated)) => panic!("{operated:?}"),
            Err(error) => break error,
        }
    };
    assert!(waited >= 1_800_000, "{waited}");
    assert!(failed.message.contains("rebooting"), "{}", failed.message);
    assert_eq!(actions(&cloud), 0);
}

#[test]
fn a_resize_that_cannot_be_is_refused_before() {
    let large = cloud("ACTIVE");
    large.nova().set("s", "flavor", json!({"id": "m1.large"}));
    let shrunk = large
        .operated("a", |call| OpenStack::resize(&large.account, call, "s", "m1.small"))
        .unwrap_err();
    assert_eq!(shrunk.kind, ErrorKind::BadRequest);
    assert!(
        shrunk.message.contains("80 GiB") && shrunk.message.contains("20 GiB"),
        "{}",
        shrunk.message
    );

    let paused = cloud("PAUSED");
    let refused = paused
        .operated("a", |call| OpenStack::resize(&paused.account, call, "s", "m1.large"))
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);

    let failing = cloud("ACTIVE");
    failing.nova().failing.borrow_mut().insert("resize");
    let failed = failing
        .operated("a", |call| OpenStack::resize(&failing.account, call, "s", "m1.large"))
        .unwrap_err();
    assert!(failed.message.contains("resize"), "{}", failed.message);
}

#[test]
fn o12_a_server_is_rebuilt_from_its_image_or_that_of_its_volume() {
    let from_image = cloud("ACTIVE");
    from_image.power("a", "s", PowerAction::Rebuild).unwrap();
    assert_eq!(bodies(&from_image), [json!({"rebuild": {"imageRef": "image-1"}})]);

    let from_volume = cloud("ACTIVE");
    from_volume.nova().set("s", "image", json!(""));
    from_volume
        .nova()
        .set("s", "os-extended-volumes:volumes_attached", json!([{"id": "vol-1"}]));
    from_volume.nova().put_volume(json!({
        "id": "vol-1", "status": "in-use", "bootable": "true", "volume_image_metadata": {"image_id": "image-7"},
    }));
    from_volume.power("a", "s", PowerAction::Rebuild).unwrap();
    assert_eq!(bodies(&from_volume), [json!({"rebuild": {"imageRef": "image-7"}})]);
    let rebuilt = from_volume.kit.exchanges();
    let rebuilt = rebuilt
        .iter()
        .find(|sent| sent.target.path.ends_with("/action"))
        .unwrap();
    assert_eq!(rebuilt.header("openstack-api-version"), Some("compute 2.93"));

    // Nova shows the server as ACTIVE when Cinder has failed to fill the volume.
    from_volume.kit.end_operation("t1", "a");
    from_volume.nova().set_volume("vol-1", "status", json!("error"));
    let failed = from_volume.power("b", "s", PowerAction::Rebuild).unwrap_err();
    assert!(
        failed.message.contains("volume vol-1 in status error"),
        "{}",
        failed.message
    );
}

#[test]
fn o12_an_old_cloud_says_what_a_rebuild_from_a_volume_needs() {
    let cloud = cloud("ACTIVE");
    cloud.nova().newest.set(90);
    cloud.nova().set("s", "image", json!(""));
    let refused = cloud.power("a", "s", PowerAction::Rebuild).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unsupported);
    assert!(
        refused.message.contains("2.93") && refused.message.contains("2.90"),
        "{}",
        refused.message
    );
    assert_eq!(actions(&cloud), 0);
}

#[test]
fn a_console_is_told_in_parts() {
    let cloud = cloud("ACTIVE");
    let console = OpenStack::get_console(&cloud.account, "s", None).unwrap();
    assert_eq!(
        (
            console.protocol.as_str(),
            console.server.as_str(),
            console.port,
            console.suffix.as_str()
        ),
        ("https", "vnc.example", 443, "vnc_auto.html?path=x")
    );
    let refused = OpenStack::get_console(&cloud.account, "s", Some("telnet")).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest);
}
