//! Reaching a cloud: one token for all calls, errors that say what is wrong and what can be done.

use std::time::Duration;

use serde_json::json;
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::{Answer, Fault, Method};
use vimhost_sdk::prelude::*;
use vimhost_sdk::types::Credential;

use crate::cloud::Cloud;
use crate::network_lab::{Lab, TOKEN, account};
use crate::stubs::keystone::PROJECT;
use crate::stubs::neutron::{Fate, error};

fn find(lab: &Lab) -> Result<Vec<Found>, Error> {
    OpenStack::find_networks(
        &lab.account,
        Filter {
            name: Some("mgmt".into()),
            ..Filter::default()
        },
    )
}

#[test]
fn one_token_serves_many_calls() {
    let lab = Lab::new();
    for _ in 0..3 {
        find(&lab).unwrap();
    }
    assert_eq!(lab.keystone.issued(), 1);
    let asked = lab.keystone.asked.borrow();
    let expected = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": "demo", "domain": {"id": "default"}, "password": "password-handle",
        }}},
        "scope": {"project": {"name": "demo", "domain": {"id": "default"}}},
    }});
    assert_eq!(asked.as_slice(), [expected]);
}

#[test]
fn a_token_that_is_forgotten_is_asked_for_again_once() {
    let lab = Lab::new();
    find(&lab).unwrap();
    lab.keystone.revoke();
    find(&lab).unwrap();
    assert_eq!(lab.keystone.issued(), 2);
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let lab = Lab::new();
    lab.keystone.lifetime.set(600);
    find(&lab).unwrap();
    lab.kit.advance(Duration::from_secs(470));
    find(&lab).unwrap();
    assert_eq!(lab.keystone.issued(), 1);
    lab.kit.advance(Duration::from_secs(20));
    find(&lab).unwrap();
    assert_eq!(lab.keystone.issued(), 2);
}

#[test]
fn a_restarted_host_logs_in_again() {
    let lab = Lab::new();
    find(&lab).unwrap();
    lab.kit.clear_cache();
    find(&lab).unwrap();
    assert_eq!(lab.keystone.issued(), 2);
}

#[test]
fn an_application_credential_logs_in_without_user_and_project() {
    let mut lab = Lab::with(json!({"application_credential_id": "ac-1"}));
    (lab.account.user, lab.account.tenant) = (None, None);
    lab.account.credentials = vec![Credential {
        name: "application_credential_secret".into(),
        handle: "secret-handle".into(),
    }];
    find(&lab).unwrap();
    let expected = json!({"auth": {"identity": {
        "methods": ["application_credential"],
        "application_credential": {"id": "ac-1", "secret": "secret-handle"},
    }}});
    assert_eq!(lab.keystone.asked.borrow().as_slice(), [expected]);
}

#[test]
fn a_wrong_password_is_auth_and_says_what_to_check() {
    let mut lab = Lab::new();
    lab.account.credentials[0].handle = "wrong".into();
    let failed = find(&lab).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Auth);
    assert!(
        failed.message.contains("check user, password, project"),
        "{}",
        failed.message
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_no_keystone_that_is_away() {
    let lab = Lab::new();
    lab.fault("keystone.example:5000", Fault::NotReached("TlsCertificateError".into()));
    let failed = find(&lab).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Auth);
    assert!(
        failed.message.contains("give the account the CA certificate"),
        "{}",
        failed.message
    );
    lab.fault("keystone.example:5000", Fault::NotReached("TlsProtocolError".into()));
    let failed = find(&lab).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(failed.message.contains("Check the account's URL"), "{}", failed.message);
    lab.fault("keystone.example:5000", Fault::NotReached("ConnectionRefused".into()));
    assert_eq!(find(&lab).unwrap_err().kind, ErrorKind::Unreachable);
}

#[test]
fn o18_a_connection_that_broke_is_one_to_try_again_and_not_the_end() {
    for (fault, kind) in [
        (Fault::NotReached("ConnectionRefused".into()), ErrorKind::Unreachable),
        (Fault::Lost("ConnectionTerminated".into()), ErrorKind::Unreachable),
        (Fault::ConnectTimeout, ErrorKind::Timeout),
        (Fault::Timeout, ErrorKind::Timeout),
    ] {
        let lab = Lab::new();
        lab.neutron
            .put("networks", json!({"id": "net-1", "name": "mgmt", "status": "ACTIVE"}));
        find(&lab).unwrap();
        lab.fault("neutron.example:9696", fault);
        // What the host makes again, for a quarter of an hour.
        assert_eq!(find(&lab).unwrap_err().kind, kind);
        lab.faults.borrow_mut().clear();
        assert_eq!(find(&lab).unwrap().len(), 1);
        assert_eq!(lab.keystone.issued(), 1, "the token is as good as before");
    }
}

#[test]
fn a_keystone_that_is_not_there_is_no_element_that_is_gone() {
    let mut lab = Lab::new();
    lab.account.url = "http://keystone.example:5000/identity/v3".into();
    let failed = OpenStack::delete_network(&lab.account, &lab.kit.call(TOKEN), Some("network-1")).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(failed.message.contains("check the account's URL"), "{}", failed.message);
}

#[test]
fn version_2_of_keystone_is_refused_without_asking() {
    let mut lab = Lab::new();
    lab.account.url = "http://keystone.example:5000/v2.0".into();
    assert_eq!(find(&lab).unwrap_err().kind, ErrorKind::Unsupported);
    assert!(lab.kit.requests().is_empty());
}

#[test]
fn a_service_the_cloud_has_not_names_those_it_has() {
    let lab = Lab::new();
    lab.keystone
        .catalogue
        .borrow_mut()
        .as_array_mut()
        .unwrap()
        .retain(|service| service["type"] != "network");
    let failed = find(&lab).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unsupported);
    assert!(
        failed.message.contains("compute, identity, image"),
        "{}",
        failed.message
    );
}

#[test]
fn a_region_that_does_not_exist_names_those_that_do() {
    let lab = Lab::with(json!({"region_name": "RegionTwo"}));
    let failed = find(&lab).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(failed.message.contains("public in RegionOne"), "{}", failed.message);
}

#[test]
fn o04_each_status_is_the_kind_the_host_acts_on_in_the_services_own_words() {
    use ErrorKind as Kind;
    let table = [
        (400, "InvalidInput", Kind::BadRequest),
        (403, "PolicyNotAuthorized", Kind::Auth),
        (404, "NetworkNotFound", Kind::NotFound),
        (409, "NetworkInUse", Kind::Conflict),
        (409, "Quota exceeded for resources: ['network'].", Kind::Quota),
        (429, "Too many requests", Kind::RateLimited),
        (500, "InternalServerError", Kind::Internal),
        (501, "NotImplemented", Kind::Unsupported),
        (503, "ServiceUnavailable", Kind::Unreachable),
        (504, "GatewayTimeout", Kind::Timeout),
    ];
    for (status, words, kind) in table {
        let lab = Lab::new();
        lab.neutron
            .next(Method::Get, "networks", Fate::Refused(error(status, "Error", words)));
        let failed = find(&lab).unwrap_err();
        assert_eq!(failed.kind, kind, "{status}");
        assert!(failed.message.contains(words), "{}", failed.message);
    }
}

#[test]
fn a_service_that_names_a_time_is_given_it() {
    for status in [429, 503] {
        let lab = Lab::new();
        let busy = Answer::new(status)
            .header("Retry-After", "7")
            .json(&json!({"message": "busy"}));
        lab.neutron.next(Method::Get, "networks", Fate::Refused(busy));
        let failed = find(&lab).unwrap_err();
        assert_eq!(
            (failed.kind, failed.retry_after_ms),
            (ErrorKind::RateLimited, Some(7000))
        );
    }
}

#[test]
fn a_listing_that_changes_under_its_reader_is_no_element_that_is_missing() {
    for status in [400, 404] {
        let lab = Lab::new();
        find(&lab).unwrap();
        let page = json!({"networks": [{"id": "n1"}], "networks_links": [{"rel": "next", "href": "http://elsewhere.example/"}]});
        lab.kit
            .answer(Method::Get, "/v2.0/networks?name=mgmt", Answer::new(200).json(&page));
        lab.kit.answer(
            Method::Get,
            "/v2.0/networks?name=mgmt&marker=n1",
            error(status, "NetworkNotFound", "Network n1 could not be found."),
        );
        let failed = find(&lab).unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Internal, "{status}");
        assert!(
            failed.message.contains("changed while it was read"),
            "{}",
            failed.message
        );
    }
}

#[test]
fn what_was_not_sent_for_want_of_a_token_is_not_announced_any_more() {
    let lab = Lab::new();
    find(&lab).unwrap();
    lab.keystone.revoke();
    *lab.keystone.refusal.borrow_mut() = Some(Answer::new(504));
    let request = NetworkRequest {
        name: "net".into(),
        ..NetworkRequest::default()
    };
    let failed = OpenStack::create_network(&lab.account, &lab.kit.call(TOKEN), request).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Timeout);
    assert_eq!(lab.kit.journal_lines(), Vec::<String>::new());
}

#[test]
fn a_check_proposes_every_origin_and_tells_versions() {
    let lab = Lab::new();
    let report = OpenStack::check(&lab.account).unwrap();
    let origins: Vec<(&str, &str)> = report
        .origins
        .iter()
        .map(|origin| (origin.origin.as_str(), origin.purpose.as_str()))
        .collect();
    let expected = [
        ("http://cinder.example:8776", "block-storage"),
        ("http://glance.example:9292", "image"),
        ("http://neutron.example:9696", "network"),
        ("http://nova.example:8774", "compute"),
        ("http://placement.example:8778", "placement"),
    ];
    assert_eq!(origins, expected);
    let version = report.vim_version.unwrap();
    assert_eq!(version, "OpenStack (compute 2.93, block-storage 3.70, placement 1.39)");
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[test]
fn origins_that_are_not_granted_are_proposed_and_no_failure() {
    let lab = Lab::new();
    for host in [
        "nova.example:8774",
        "neutron.example:9696",
        "glance.example:9292",
        "cinder.example:8776",
        "placement.example:8778",
    ] {
        lab.fault(host, Fault::Denied);
    }
    let report = OpenStack::check(&lab.account).unwrap();
    assert_eq!(report.origins.len(), 5);
    assert_eq!(report.warnings.len(), 5, "{:?}", report.warnings);
    assert!(
        report.warnings.iter().all(|warning| warning.contains("not grant")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_check_fails_on_what_is_always_needed_and_warns_about_the_rest() {
    let lab = Lab::new();
    lab.fault("cinder.example:8776", Fault::NotReached("refused".into()));
    *lab.keystone.roles.borrow_mut() = vec!["member"];
    let report = OpenStack::check(&lab.account).unwrap();
    assert!(
        report.warnings.iter().any(|warning| warning.contains("block-storage")),
        "{:?}",
        report.warnings
    );
    assert!(
        report.warnings.iter().any(|warning| warning.contains("`admin`")),
        "{:?}",
        report.warnings
    );
    lab.fault("nova.example:8774", Fault::NotReached("refused".into()));
    let failed = OpenStack::check(&lab.account).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unreachable);
    assert!(failed.message.contains("nova.example"), "{}", failed.message);
}

#[test]
fn a_check_warns_of_what_the_next_deployment_would_meet() {
    let cloud = Cloud::with(r#"{"management_network_name": "oam"}"#);
    let set_hosts = |key: &str, word: &str| {
        for host in cloud.nova().hosts.borrow_mut().iter_mut() {
            host[key] = json!(word);
        }
    };
    let images = cloud.nova().images.take();
    set_hosts("state", "down");
    let check = || OpenStack::check(&cloud.account).unwrap().warnings.join("\n");
    let told = check();
    for words in [
        "no compute host is up and enabled (host1 is down and enabled, ",
        "Glance shows this user no image",
        "`management_network_name` is oam, and there is no such network",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }

    set_hosts("state", "up");
    *cloud.nova().images.borrow_mut() = images;
    for id in ["net-a", "net-b"] {
        let oam = json!({"id": id, "name": "oam", "project_id": PROJECT});
        cloud.services.neutron.put("networks", oam);
    }
    let told = check();
    assert!(
        told.contains("2 networks have this name (net-a, net-b): name one by `management_network_id`"),
        "{told}"
    );
    assert!(
        !told.contains("no compute host is up") && !told.contains("no image"),
        "{told}"
    );
    set_hosts("status", "disabled");
    assert!(check().contains("host1 is up and disabled"));
}

#[test]
fn who_sees_no_compute_hosts_is_not_told_of_them() {
    let cloud = Cloud::new();
    cloud.nova().hosts.borrow_mut().clear();
    let policy = error(
        403,
        "forbidden",
        "Policy doesn't allow os_compute_api:os-services:list to be performed.",
    );
    cloud.nova().next(Method::Get, "/os-services", Fate::Refused(policy));
    let told = OpenStack::check(&cloud.account).unwrap().warnings.join("\n");
    assert!(!told.contains("compute host"), "{told}");
}

#[test]
fn a_user_who_is_no_administrator_is_told_that_flavours_have_to_be_there() {
    for (config, is_told) in [(json!({}), true), (json!({"use_existing_flavors": true}), false)] {
        let lab = Lab::with(config);
        *lab.keystone.roles.borrow_mut() = vec!["member"];
        let told = OpenStack::check(&lab.account).unwrap().warnings.join("\n");
        assert!(told.contains("no role `admin`"), "{told}");
        assert_eq!(told.contains("flavours cannot be made"), is_told, "{told}");
    }
}

#[test]
fn a_security_group_that_does_not_exist_is_a_warning_of_the_check() {
    let lab = Lab::with(json!({"security_groups": ["open"]}));
    let group = json!({"id": "sg-1", "name": "default", "project_id": PROJECT});
    lab.neutron.put("security-groups", group);
    let report = OpenStack::check(&lab.account).unwrap();
    assert!(
        report.warnings.iter().any(|warning| warning.contains("open")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn settings_that_cannot_be_are_named_before_anything_is_asked() {
    let mut lab = Lab::new();
    lab.account = account(&json!({"multisegment_vlan_range": ["9000"]}));
    let failed = OpenStack::check(&lab.account).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BadRequest);
    assert!(failed.message.contains("multisegment_vlan_range"), "{}", failed.message);
    assert!(lab.kit.requests().is_empty());
}

#[test]
fn the_descriptor_can_be_read_and_declares_where_secrets_go() {
    let descriptor = OpenStack::describe();
    assert_eq!(descriptor.vim_types, ["openstack"]);
    let schema: serde_json::Value = serde_json::from_str(&descriptor.config_schema).unwrap();
    assert_eq!(schema["type"], "object");
    let names: Vec<&str> = descriptor.credentials.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "password",
            "application_credential_secret",
            "config.application_credential_secret"
        ]
    );
    assert_eq!(descriptor.answer_credentials[0].header, "x-subject-token");
}
