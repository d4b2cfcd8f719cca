//! Finding and observing at the mock VIM: few requests, and nothing is said to be gone that is not.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod common;

use common::{Lab, done, until};
use mock_vim::{Fail, Faults, Kind, Operation};
use vimhost_plugin_mock::Mock;
use vimhost_sdk::prelude::*;

fn network(lab: &Lab, name: &str) -> String {
    let call = Call {
        token: name.to_owned(),
        ..Call::default()
    };
    let request = NetworkRequest {
        name: name.into(),
        ..NetworkRequest::default()
    };
    done(Mock::create_network(&lab.account, &call, request).unwrap()).id
}

fn ids(observed: &Observed) -> Vec<&str> {
    observed.changed.iter().map(|seen| seen.id.as_str()).collect()
}

#[test]
fn a_server_is_shown_with_its_interfaces() {
    let lab = Lab::new();
    let created = lab.create_server("t1", &lab.server_request()).unwrap();
    let seen = until(|| {
        let seen = Mock::observe(
            &lab.account,
            ElementKind::Server,
            std::slice::from_ref(&created.id),
            None,
        )
        .unwrap();
        (seen.changed[0].status == ElementStatus::Active).then_some(seen)
    });
    let server = &seen.changed[0];
    assert_eq!(server.status_text, "ACTIVE");
    let parts = server.server.as_ref().unwrap();
    assert_eq!(parts.interfaces.len(), 2);
    let port = &parts.interfaces[0];
    assert_eq!(Some(&port.id), created.interfaces[0].as_ref());
    assert!(port.mac_address.is_some() && port.ip_addresses.len() == 1 && port.vlan.is_some());
    assert_eq!(parts.volumes.len(), 1);
    assert!(!server.details.contains("user_data"));
}

#[test]
fn after_the_first_look_only_changes_are_told() {
    let lab = Lab::new();
    let (a, b) = (network(&lab, "a"), network(&lab, "b"));
    let asked = [a.clone(), b.clone()];
    let first = Mock::observe(&lab.account, ElementKind::Network, &asked, None).unwrap();
    assert_eq!(first.changed.len(), 2);

    let quiet = Mock::observe(&lab.account, ElementKind::Network, &asked, first.cursor.as_deref()).unwrap();
    assert!(quiet.changed.is_empty() && quiet.gone.is_empty() && !quiet.more);

    let call = Call {
        token: "a".into(),
        ..Call::default()
    };
    Mock::delete_network(&lab.account, &call, Some(&a)).unwrap();
    let c = network(&lab, "c");
    let asked = [a.clone(), b, c.clone()];
    let later = Mock::observe(&lab.account, ElementKind::Network, &asked, quiet.cursor.as_deref()).unwrap();
    assert_eq!(ids(&later), [c]);
    assert_eq!(later.gone, [a]);
}

#[test]
fn an_unknown_id_is_gone_and_what_was_not_asked_for_is_not_told() {
    let lab = Lab::new();
    let a = network(&lab, "a");
    let asked = [a.clone(), "no-such-network".to_owned()];
    let seen = Mock::observe(&lab.account, ElementKind::Network, &asked, None).unwrap();
    assert_eq!(ids(&seen), [a.as_str()]);
    assert_eq!(seen.gone, ["no-such-network"]);
}

#[test]
fn a_forgotten_cursor_starts_over() {
    let lab = Lab::new();
    let a = network(&lab, "a");
    let seen = Mock::observe(
        &lab.account,
        ElementKind::Network,
        std::slice::from_ref(&a),
        Some(b"999999999"),
    )
    .unwrap();
    assert_eq!(ids(&seen), [a]);
}

#[test]
fn a_page_that_fails_makes_nothing_gone() {
    let lab = Lab::new();
    let asked: Vec<String> = (0..400).map(|n| format!("00000000-0000-0000-0000-{n:012}")).collect();
    let fail = Fail {
        kind: Some(Kind::Networks),
        operation: Some(Operation::List),
        nth: std::num::NonZeroU64::new(2),
        ..Fail::default()
    };
    lab.faults(Faults {
        fail: vec![fail],
        ..Faults::default()
    });
    let error = Mock::observe(&lab.account, ElementKind::Network, &asked, None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
}

#[test]
fn many_ids_take_few_requests_of_bounded_length() {
    let lab = Lab::new();
    let a = network(&lab, "a");
    let mut asked: Vec<String> = (0..400).map(|n| format!("00000000-0000-0000-0000-{n:012}")).collect();
    asked.push(a.clone());
    lab.kit.clear_exchanges();
    let seen = Mock::observe(&lab.account, ElementKind::Network, &asked, None).unwrap();
    assert_eq!((seen.changed.len(), seen.gone.len()), (1, 400));
    let lengths: Vec<usize> = lab.kit.requests().iter().map(String::len).collect();
    assert!(
        lengths.iter().all(|length| *length < 8 << 10) && lengths.len() == 3,
        "{lengths:?}"
    );
}

#[test]
fn networks_and_images_are_found_by_each_of_their_properties() {
    let lab = Lab::new();
    let found = |filter| Mock::find_networks(&lab.account, filter).unwrap().len();
    assert_eq!(
        found(Filter {
            name: Some("mgmt".into()),
            ..Filter::default()
        }),
        1
    );
    assert_eq!(
        found(Filter {
            id: Some(lab.network()),
            ..Filter::default()
        }),
        1
    );
    assert_eq!(
        found(Filter {
            name: Some("mgmt".into()),
            shared: Some(false),
            ..Filter::default()
        }),
        0
    );
    assert_eq!(
        found(Filter {
            name: Some("none".into()),
            ..Filter::default()
        }),
        0
    );
    let checksum = Some(lab.inventory().images[1].checksum.clone());
    let images = Mock::find_images(
        &lab.account,
        Filter {
            checksum,
            ..Filter::default()
        },
    )
    .unwrap();
    assert_eq!(
        images.iter().map(|image| image.id.clone()).collect::<Vec<_>>(),
        [lab.inventory().images[1].meta.id.clone()]
    );
}

#[test]
fn a_flavour_is_found_when_it_is_exactly_as_asked() {
    let lab = Lab::new();
    let data = FlavourData {
        ram: 1024,
        vcpus: 2,
        disk: 10,
        swap: 1,
        ..FlavourData::default()
    };
    let found = |data: &FlavourData| {
        Mock::find_flavour(&lab.account, data.clone())
            .unwrap()
            .map(|found| found.id)
    };
    let create = |token: &str| {
        let call = Call {
            token: token.to_owned(),
            ..Call::default()
        };
        done(Mock::create_flavour(&lab.account, &call, data.clone()).unwrap()).id
    };
    create("made-for-a-service");
    assert_eq!(found(&data), None, "it goes with its service");
    let made = create("");
    assert_eq!(
        found(&FlavourData {
            name: Some("whatever".into()),
            ..data.clone()
        }),
        Some(made)
    );
    assert_eq!(
        found(&FlavourData {
            ram: 2048,
            ..data.clone()
        }),
        None
    );
    assert_eq!(
        found(&FlavourData {
            extended: Some(r#"{"mempage-size": "LARGE"}"#.into()),
            ..data.clone()
        }),
        None
    );
}

#[test]
fn an_audit_finds_what_carries_our_tokens() {
    let lab = Lab::new();
    network(&lab, "vimhost-a");
    network(&lab, "other");
    let page = Mock::list_owned(&lab.account, ElementKind::Network, "vimhost-", None).unwrap();
    let tokens: Vec<_> = page.elements.iter().map(|owned| owned.token.as_str()).collect();
    assert_eq!((tokens, page.cursor), (vec!["vimhost-a"], None));
    // Without a prefix all that carries a token, and nothing else.
    let page = Mock::list_owned(&lab.account, ElementKind::Network, "", None).unwrap();
    let tokens: Vec<_> = page.elements.iter().map(|owned| owned.token.as_str()).collect();
    assert_eq!(tokens, ["vimhost-a", "other"]);
}

#[test]
fn the_address_plan_of_a_network_is_the_requests() {
    let lab = Lab::new();
    let profile = IpProfile {
        subnet: Some("192.0.2.0/24".into()),
        gateway: Some("192.0.2.1".into()),
        dns: vec!["192.0.2.53".into()],
        ..IpProfile::default()
    };
    let provider = ProviderNetwork {
        segmentation_id: Some(1234),
        extra: r#"{"sdn": "x"}"#.into(),
        ..ProviderNetwork::default()
    };
    let request = NetworkRequest {
        name: "n".into(),
        kind: Some(NetworkKind::Data),
        ip_profile: Some(profile),
        provider: Some(provider),
        ..NetworkRequest::default()
    };
    done(Mock::create_network(&lab.account, &lab.kit.call("n1"), request).unwrap());
    let all = lab.inventory();
    let made = all.networks.last().unwrap();
    assert_eq!((made.subnet.to_string().as_str(), made.vlan), ("192.0.2.0/24", 1234));
    assert_eq!(made.provider["sdn"], "x");
    assert_eq!(made.network_type.as_deref(), Some("data"));
}
