//! Observing: pages, changes, and never a server that is called gone because a page was not.

use serde_json::json;
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::stubs::compute::error;
use crate::stubs::keystone::PROJECT;
use crate::stubs::neutron::{self, Fate};

/// When the test kit's clock starts.
const NOW: u64 = 1_000_000_000;

/// A cloud with so many servers, each with a port.
fn cloud(servers: usize) -> (Cloud, Vec<String>) {
    let cloud = Cloud::new();
    let ids: Vec<String> = (0..servers).map(|index| format!("s-{index}")).collect();
    for id in &ids {
        cloud.nova().put_server(id, "ACTIVE", NOW - 3600);
        cloud.services.neutron.put(
            "ports",
            json!({
                "id": format!("port-of-{id}"), "device_id": id, "network_id": "net-1", "mac_address": "fa:16:3e:00:00:01",
                "fixed_ips": [{"ip_address": "10.0.0.9"}], "binding:host_id": "host9",
                "binding:profile": {"pci_slot": "0000:05:00.1"}, "binding:vif_details": {"vlan": 7},
            }),
        );
    }
    (cloud, ids)
}

#[test]
fn a_server_is_told_with_all_that_a_record_has() {
    let (cloud, ids) = cloud(1);
    cloud
        .nova()
        .set("s-0", "os-extended-volumes:volumes_attached", json!([{"id": "vol-1"}]));
    cloud.services.neutron.put(
        "floatingips",
        json!({"id": "f", "port_id": "port-of-s-0", "floating_ip_address": "203.0.113.5", "project_id": PROJECT}),
    );
    let (changed, gone, _) = cloud.observe(&ids, None);
    assert_eq!((changed.len(), gone.len()), (1, 0));
    let seen = &changed[0];
    assert_eq!(
        (seen.status, seen.status_text.as_str()),
        (ElementStatus::Active, "ACTIVE")
    );
    assert!(!seen.details.contains("secret"), "{}", seen.details);
    let server = seen.server.as_ref().unwrap();
    assert_eq!(server.volumes, ["vol-1"]);
    assert_eq!(
        (server.flavour.as_deref(), server.image.as_deref()),
        (Some("m1.small"), Some("image-1"))
    );
    assert_eq!(server.compute_node.as_deref(), Some("host1"));
    let port = &server.interfaces[0];
    assert_eq!(port.ip_addresses, ["203.0.113.5", "10.0.0.9"]);
    assert_eq!((port.vlan, port.pci.as_deref()), (Some(7), Some("0000:05:00.1")));
    // The server's host, not what the port still shows.
    assert_eq!(port.compute_node.as_deref(), Some("host1"));
}

#[test]
fn o01_a_server_behind_the_first_page_is_there() {
    let (cloud, ids) = cloud(120);
    cloud.nova().page.set(20);
    let (changed, gone, _) = cloud.observe(&ids, None);
    assert_eq!((changed.len(), gone.len()), (120, 0));
    // A single one is asked for by its id.
    cloud.kit.clear_exchanges();
    cloud.observe(&ids[..1], None);
    assert_eq!(cloud.sent("nova"), ["GET /v2.1/servers/s-0"]);
}

#[test]
fn five_hundred_servers_cost_a_listing_a_page() {
    let (cloud, ids) = cloud(500);
    cloud.observe(&ids[..1], None);
    cloud.kit.clear_exchanges();
    let (changed, _, _) = cloud.observe(&ids, None);
    assert_eq!(changed.len(), 500);
    assert_eq!(cloud.sent("nova").len(), 10);
    // Ports and floating addresses of each page.
    assert!(cloud.sent("neutron").len() <= 20, "{}", cloud.sent("neutron").len());
}

#[test]
fn a_few_servers_of_a_large_project_do_not_cost_its_listing() {
    let (cloud, ids) = cloud(2000);
    let asked: Vec<String> = ids.iter().take(20).cloned().collect();
    let (changed, gone, _) = cloud.observe(&asked, None);
    assert_eq!((changed.len(), gone.len()), (20, 0));
    // The oldest ones stand last in the listing: it is given up when asking costs no more.
    assert!(cloud.sent("nova").len() <= 40, "{}", cloud.sent("nova").len());
}

#[test]
fn what_did_not_change_is_not_told_again_and_what_did_is() {
    let (cloud, ids) = cloud(60);
    let (_, _, cursor) = cloud.observe(&ids, None);
    cloud.kit.clear_exchanges();
    let (changed, gone, cursor) = cloud.observe(&ids, cursor);
    assert_eq!((changed.len(), gone.len()), (0, 0));
    assert_eq!(cloud.kit.exchanges().len(), 2, "{:?}", cloud.kit.requests());

    cloud.nova().put_server("s-3", "SHUTOFF", NOW + 1);
    cloud.nova().put_server("s-4", "DELETED", NOW + 1);
    let (changed, gone, _) = cloud.observe(&ids, cursor);
    let told: Vec<_> = changed.iter().map(|seen| (seen.id.as_str(), seen.status)).collect();
    assert_eq!(told, [("s-3", ElementStatus::Inactive)]);
    assert_eq!(gone, ["s-4"]);
}

#[test]
fn changes_of_more_than_a_page_are_all_told() {
    let (cloud, ids) = cloud(130);
    let (_, _, cursor) = cloud.observe(&ids, None);
    for id in &ids {
        cloud.nova().put_server(id, "REBOOT", NOW + 5);
    }
    let (changed, gone, _) = cloud.observe(&ids, cursor);
    assert_eq!((changed.len(), gone.len()), (130, 0));
    assert!(changed.iter().all(|seen| seen.status == ElementStatus::Build));
}

#[test]
fn changes_are_asked_for_by_the_clock_of_nova() {
    let (cloud, ids) = cloud(1);
    // Nova is an hour ahead of the host.
    *cloud.nova().date.borrow_mut() = Some("Sun, 09 Sep 2001 02:46:40 GMT");
    let (_, _, cursor) = cloud.observe(&ids, None);
    cloud.kit.clear_exchanges();
    cloud.observe(&ids, cursor);
    let since = "changes-since=2001-09-09T02%3A46%3A10Z";
    assert!(cloud.sent("nova")[0].contains(since), "{:?}", cloud.sent("nova"));
}

#[test]
fn a_port_that_changed_lets_its_server_be_told() {
    let (cloud, ids) = cloud(3);
    let (_, _, cursor) = cloud.observe(&ids, None);
    cloud
        .services
        .changed_ports
        .borrow_mut()
        .extend(["s-1".to_owned(), "somebody-else".to_owned()]);
    let (changed, gone, _) = cloud.observe(&ids, cursor);
    let told: Vec<_> = changed.iter().map(|seen| seen.id.as_str()).collect();
    assert_eq!((told.as_slice(), gone.len()), (["s-1"].as_slice(), 0));
}

#[test]
fn a_neutron_that_does_not_filter_by_time_is_asked_for_the_times() {
    let (cloud, ids) = cloud(3);
    cloud.services.validates_filters.set(true);
    let port = |id: &str, server: &str, updated_at: &str| {
        cloud.services.neutron.put(
            "ports",
            json!({"id": id, "device_id": server, "updated_at": updated_at, "project_id": PROJECT}),
        );
    };
    port("old", "s-0", "2001-09-09T00:46:40Z");
    port("new", "s-1", "2001-09-09T01:46:41Z");
    let (_, _, cursor) = cloud.observe(&ids, None);
    let (changed, gone, cursor) = cloud.observe(&ids, cursor);
    let told: Vec<_> = changed.iter().map(|seen| seen.id.as_str()).collect();
    assert_eq!((told.as_slice(), gone.len()), (["s-1"].as_slice(), 0));
    // What it refuses is not asked for again.
    cloud.kit.clear_exchanges();
    cloud.observe(&ids, cursor);
    let sent = cloud.sent("neutron");
    assert!(
        !sent.is_empty() && sent.iter().all(|line| !line.contains("changed_since")),
        "{sent:?}"
    );
}

#[test]
fn a_page_that_failed_says_nothing() {
    let (cloud, ids) = cloud(120);
    let first = OpenStack::observe(&cloud.account, ElementKind::Server, &ids, None).unwrap();
    assert!(first.more && first.gone.is_empty());
    for status in [400, 403, 404, 409, 429, 500, 503] {
        cloud
            .nova()
            .next(Method::Get, "/servers/detail", Fate::Refused(error(status, "x", "no")));
        let failed = OpenStack::observe(&cloud.account, ElementKind::Server, &ids, first.cursor.as_deref());
        assert!(failed.is_err(), "{status}");
    }
    let refused = neutron::error(503, "ServiceUnavailable", "no");
    cloud
        .services
        .neutron
        .next(Method::Get, "ports", Fate::Refused(refused));
    OpenStack::observe(&cloud.account, ElementKind::Server, &ids, first.cursor.as_deref()).unwrap_err();
    // The same place, once everything answers again.
    let (changed, gone, _) = cloud.observe(&ids, first.cursor);
    assert_eq!((changed.len() + first.changed.len(), gone.len()), (120, 0));
}

#[test]
fn a_server_is_gone_when_nova_says_so_of_it() {
    let (cloud, ids) = cloud(15);
    cloud.nova().remove_server("s-7");
    let (changed, gone, _) = cloud.observe(&ids, None);
    assert_eq!((changed.len(), gone), (14, vec!["s-7".to_owned()]));
}

#[test]
fn a_cursor_that_is_old_or_not_understood_is_a_fresh_start() {
    let (cloud, ids) = cloud(2);
    let (_, _, cursor) = cloud.observe(&ids, None);
    cloud.kit.advance(std::time::Duration::from_hours(7));
    let (changed, _, _) = cloud.observe(&ids, cursor);
    assert_eq!(changed.len(), 2);
    let (changed, _, _) = cloud.observe(&ids, Some(b"rubbish".to_vec()));
    assert_eq!(changed.len(), 2);
}

#[test]
fn a_server_whose_cell_does_not_answer_is_not_spoken_of() {
    let (cloud, ids) = cloud(12);
    cloud.nova().put_server("s-2", "UNKNOWN", NOW + 5);
    let (changed, gone, _) = cloud.observe(&ids, None);
    assert_eq!((changed.len(), gone.len()), (11, 0));
    assert!(changed.iter().all(|seen| seen.id != "s-2"));
}

#[test]
fn o19_the_mac_address_is_told_with_the_first_sight() {
    let cloud = Cloud::new();
    let mut request = cloud.request();
    request.interfaces[0].mac_address = Some("fa:16:3e:aa:bb:cc".into());
    let created = cloud.create_server("t1", &request).unwrap();
    let (changed, _, _) = cloud.observe(std::slice::from_ref(&created.id), None);
    let server = changed[0].server.as_ref().unwrap();
    let port = server
        .interfaces
        .iter()
        .find(|port| Some(&port.id) == created.interfaces[0].as_ref())
        .unwrap();
    assert_eq!(port.mac_address.as_deref(), Some("fa:16:3e:aa:bb:cc"));
}

#[test]
fn what_is_ours_is_listed_page_by_page() {
    let (cloud, _) = cloud(30);
    cloud.nova().page.set(10);
    cloud.create_server("abcde-1", &cloud.request()).unwrap();
    let mut owned = Vec::new();
    let mut cursor: Option<Vec<u8>> = None;
    loop {
        let page = OpenStack::list_owned(&cloud.account, ElementKind::Server, "abcde-", cursor.as_deref()).unwrap();
        owned.extend(page.elements);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        owned.iter().map(|one| one.token.as_str()).collect::<Vec<_>>(),
        ["abcde-1"]
    );
    let volumes = OpenStack::list_owned(&cloud.account, ElementKind::Volume, "abcde-", None).unwrap();
    assert_eq!(volumes.elements[0].token, "abcde-1.v0");
}
