//! What an audit lists, and what it costs the cloud.

use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::stubs::compute::error;
use crate::stubs::neutron::Fate;

const KINDS: [ElementKind; 7] = [
    ElementKind::Server,
    ElementKind::Port,
    ElementKind::FloatingAddress,
    ElementKind::Volume,
    ElementKind::Network,
    ElementKind::Group,
    ElementKind::Flavour,
];

/// The tokens of all kinds, and what was asked of Nova, Neutron and Cinder for them.
fn audit(cloud: &Cloud, prefix: &str) -> (Vec<String>, usize) {
    cloud.kit.clear_exchanges();
    let mut tokens = Vec::new();
    for kind in KINDS {
        let mut cursor: Option<Vec<u8>> = None;
        loop {
            let page = OpenStack::list_owned(&cloud.account, kind, prefix, cursor.as_deref()).unwrap();
            tokens.extend(page.elements.into_iter().map(|owned| owned.token));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    tokens.sort();
    let sent = ["nova", "neutron", "cinder"].map(|host| cloud.sent(host).len());
    (tokens, sent.iter().sum())
}

fn make(cloud: &Cloud, token: &str) {
    cloud.create_server(token, &cloud.request()).unwrap();
    let group = GroupRequest {
        name: "spread".into(),
        policy: "affinity".into(),
        scope: "nfvi-node".into(),
    };
    let made = cloud.created(&format!("{token}-group"), |call| {
        OpenStack::create_group(&cloud.account, call, group.clone())
    });
    made.unwrap();
    let size = FlavourData {
        name: Some(token.into()),
        ram: 512,
        vcpus: 1,
        disk: 1,
        ..FlavourData::default()
    };
    let made = cloud.created(&format!("{token}-flavour"), |call| {
        OpenStack::create_flavour(&cloud.account, call, size.clone())
    });
    made.unwrap();
}

#[test]
fn every_kind_is_listed_by_one_request_a_page_whatever_is_on_it() {
    let cloud = Cloud::new();
    make(&cloud, "abcde-1");
    let (tokens, few) = audit(&cloud, "abcde-");
    assert_eq!(
        tokens,
        [
            "abcde-1",
            "abcde-1-flavour",
            "abcde-1-group",
            "abcde-1.f0",
            "abcde-1.p0",
            "abcde-1.p1",
            "abcde-1.v0"
        ]
    );
    // One for each kind, and the empty page that ends the listing of groups, whose pages Nova does not mark.
    assert_eq!(few, KINDS.len() + 1);
    for number in 2..6 {
        make(&cloud, &format!("abcde-{number}"));
    }
    let (tokens, many) = audit(&cloud, "abcde-");
    assert_eq!((tokens.len(), many), (35, few));
}

#[test]
fn whatever_has_the_letters_of_a_token_is_listed_without_a_prefix() {
    let cloud = Cloud::new();
    make(&cloud, "abcde-1");
    make(&cloud, "other-1");
    let (tokens, _) = audit(&cloud, "");
    for token in ["abcde-1", "other-1", "abcde-1.v0", "other-1.p1"] {
        assert!(tokens.iter().any(|listed| listed == token), "{token}: {tokens:?}");
    }
    assert_eq!(audit(&cloud, "other-").0.len(), 7);
}

#[test]
fn what_a_user_may_not_list_is_refused_and_the_other_kinds_are_listed() {
    let cloud = Cloud::new();
    cloud.create_server("abcde-1", &cloud.request()).unwrap();
    let refusal = error(403, "forbidden", "Policy doesn't allow it to be performed.");
    cloud
        .nova()
        .next(Method::Get, "/os-server-groups", Fate::Refused(refusal));
    let refused = OpenStack::list_owned(&cloud.account, ElementKind::Group, "abcde-", None).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Auth);
    assert!(refused.message.contains("Policy doesn't allow"), "{}", refused.message);
    let servers = OpenStack::list_owned(&cloud.account, ElementKind::Server, "abcde-", None).unwrap();
    assert_eq!(servers.elements[0].token, "abcde-1");
    let stacks = OpenStack::list_owned(&cloud.account, ElementKind::Stack, "abcde-", None).unwrap_err();
    assert_eq!(stacks.kind, ErrorKind::Unsupported);
}

#[test]
fn a_listing_whose_place_is_gone_is_no_bad_request() {
    let cloud = Cloud::new();
    cloud.create_server("abcde-1", &cloud.request()).unwrap();
    let lost = OpenStack::list_owned(&cloud.account, ElementKind::Server, "abcde-", Some(b"deleted")).unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Internal);
    assert!(lost.message.contains("changed while it was read"), "{}", lost.message);
}
