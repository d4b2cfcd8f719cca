//! An account at `mock:`: everything is answered, nothing is asked.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use vimhost_plugin_mock::Mock;
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;

fn account() -> Account {
    Account {
        name: "alone".into(),
        url: "mock:".into(),
        ..Account::default()
    }
}

fn request() -> ServerRequest {
    let interface = |network: &str| ServerInterface {
        network: network.into(),
        ..ServerInterface::default()
    };
    ServerRequest {
        name: "vdu".into(),
        interfaces: vec![interface("n1"), interface("n2")],
        ..ServerRequest::default()
    }
}

#[test]
fn a_server_is_active_at_once_and_always_looks_the_same() {
    let kit = TestKit::new();
    let CreateStep::Done(created) = Mock::create_server(&account(), &kit.call("t-1"), request()).unwrap() else {
        panic!("pending without a VIM")
    };
    let observe = || Mock::observe(&account(), ElementKind::Server, std::slice::from_ref(&created.id), None).unwrap();
    let seen = observe();
    assert_eq!(seen, observe());
    let server = seen.changed[0].server.as_ref().unwrap();
    assert_eq!(seen.changed[0].status, ElementStatus::Active);
    let ports: Vec<_> = server.interfaces.iter().map(|port| Some(port.id.clone())).collect();
    assert_eq!(ports, created.interfaces);
    assert_ne!(server.interfaces[0].mac_address, server.interfaces[1].mac_address);
    assert_ne!(server.interfaces[0].ip_addresses, server.interfaces[1].ip_addresses);
    assert_eq!(
        kit.journal_lines(),
        [
            "port t-1.p0 = mock-port-t-1.p0",
            "port t-1.p1 = mock-port-t-1.p1",
            "server t-1 = mock-server-2-t-1"
        ]
    );
    assert_eq!(
        Mock::delete_server(&account(), &kit.call("t-1"), Some(&created.id), &[]).unwrap(),
        DeleteStep::Done
    );
    assert!(kit.journal().is_empty() && kit.exchanges().is_empty());
}

#[test]
fn whatever_is_looked_for_is_found_under_the_same_id() {
    let kit = TestKit::new();
    let find = |name: &str| {
        let filter = Filter {
            name: Some(name.into()),
            ..Filter::default()
        };
        Mock::find_networks(&account(), filter).unwrap()[0].id.clone()
    };
    assert_eq!(find("mgmt"), find("mgmt"));
    assert_ne!(find("mgmt"), find("data"));
    assert!(Mock::check(&account()).is_ok() && kit.exchanges().is_empty());
}

#[test]
fn what_is_kept_nowhere_is_not_listed_as_if_it_were_gone() {
    let kit = TestKit::new();
    let refused = Mock::list_owned(&account(), ElementKind::Server, "", None).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unsupported);
    assert!(kit.exchanges().is_empty());
}

#[test]
fn the_description_is_complete() {
    let described = Mock::describe();
    assert_eq!(described.vim_types, ["mock", "dummy"]);
    assert!(!described.credentials[0].required);
    assert!(described.tokens.iter().all(|token| token.findable));
    let schema: serde_json::Value = serde_json::from_str(&described.config_schema).unwrap();
    assert_eq!(schema["additionalProperties"], true);
}
