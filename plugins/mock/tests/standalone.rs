//! An account at `mock:`: everything is answered, nothing is asked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

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

const TEMPLATE: &str = "
heat_template_version: 2013-05-23
parameters: { size: { type: number } }
resources:
  group:
    type: OS::Heat::AutoScalingGroup
    properties:
      desired_capacity: { get_param: size }
      resource: { type: inner.yaml }
";

fn stack_content(size: u32) -> StackContent {
    let inner = "heat_template_version: 2013-05-23\nresources: { VDU1: { type: OS::Nova::Server } }\n";
    StackContent {
        template: Some(TEMPLATE.into()),
        files: vec![("inner.yaml".into(), inner.into())],
        parameters: format!(r#"{{"size":{size}}}"#),
        environment: None,
        rollback_on_failure: None,
        timeout_minutes: None,
    }
}

/// A stack of two servers.
fn stack(kit: &TestKit) -> StackRef {
    let request = StackRequest {
        name: "vnf-1".into(),
        content: stack_content(2),
    };
    let CreateStep::Done(created) = Mock::create_stack(&account(), &kit.call("t-1"), request).unwrap() else {
        panic!("pending without a VIM")
    };
    StackRef {
        name: "vnf-1".into(),
        id: Some(created.id),
    }
}

fn servers(stack: &StackRef) -> Vec<StackResource> {
    let mut found = Mock::list_resources(&account(), stack, 2).unwrap();
    found.retain(|resource| resource.resource_type == "OS::Nova::Server");
    found
}

fn scaled(size: u32) -> StackContent {
    StackContent {
        template: None,
        files: Vec::new(),
        ..stack_content(size)
    }
}

#[test]
fn a_stack_is_complete_at_once_and_shows_its_resources() {
    let kit = TestKit::new();
    let stack = stack(&kit);
    let seen = Mock::observe_stacks(&account(), std::slice::from_ref(&stack), None).unwrap();
    assert_eq!(seen.changed[0].progress, StackProgress::Complete);
    assert_eq!(Mock::find_stack(&account(), "vnf-1").unwrap().unwrap().stack, stack);
    let before = servers(&stack);
    assert_eq!(before.len(), 2);
    let content = Mock::get_content(&account(), &stack).unwrap();
    assert_eq!(
        (content.template.as_deref(), content.parameters.as_str()),
        (Some(TEMPLATE), r#"{"size":2}"#)
    );

    // Healed through the nested stack, and scaled by parameters alone; a repetition does neither again.
    let call = kit.call("t-1");
    Mock::mark_unhealthy(&account(), &call, &before[0].stack, "VDU1", "heal").unwrap();
    for _ in 0..2 {
        let call = kit.operation("t-1", "a");
        let step = Mock::update_stack(&account(), &call, &stack, UpdateMode::Partial, scaled(3)).unwrap();
        assert_eq!(step, UpdateStep::Done);
    }
    let after = servers(&stack);
    assert_eq!(after.len(), 3);
    assert_ne!(after[0].physical_id, before[0].physical_id);
    assert_eq!(after[1], before[1]);

    assert_eq!(
        Mock::delete_stack(&account(), &kit.call("t-1"), &stack).unwrap(),
        DeleteStep::Done
    );
    assert_eq!(Mock::find_stack(&account(), "vnf-1").unwrap(), None);
    assert!(kit.journal().is_empty() && kit.exchanges().is_empty());
}

#[test]
fn a_forgotten_stack_is_there_without_resources_until_a_template_brings_them_back() {
    let kit = TestKit::new();
    let stack = stack(&kit);
    kit.clear_cache();
    let seen = Mock::observe_stacks(&account(), std::slice::from_ref(&stack), None).unwrap();
    assert_eq!(seen.changed[0].stack, stack);
    assert_eq!(
        Mock::list_resources(&account(), &stack, 2).unwrap_err().kind,
        ErrorKind::NotFound
    );
    let update = |letters: &str, content| {
        let call = kit.operation("t-1", letters);
        Mock::update_stack(&account(), &call, &stack, UpdateMode::Partial, content)
    };
    assert_eq!(update("a", scaled(1)).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(update("b", stack_content(1)).unwrap(), UpdateStep::Done);
    assert_eq!(servers(&stack).len(), 1);
}

#[test]
fn the_description_is_complete() {
    let described = Mock::describe();
    assert_eq!(described.vim_types, ["mock", "dummy"]);
    assert!(!described.credentials[0].required);
    assert!(!described.tokens.is_empty() && described.tokens.iter().all(|token| token.findable));
    let schema: serde_json::Value = serde_json::from_str(&described.config_schema).unwrap();
    assert_eq!(schema["additionalProperties"], true);
}
