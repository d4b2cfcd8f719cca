//! Resources and content of a stack, and marking a resource unhealthy.

use serde_json::{Value, json};
use vimhost_heat::Heat;
use vimhost_sdk::http::Method;
use vimhost_sdk::prelude::*;

use crate::heat::{Fate, error};
use crate::keystone::PROJECT;
use crate::lab::{Lab, NAME, TOKEN, stack};

/// A server of a nested stack, and a network that is not made yet.
fn put_resources(lab: &Lab, id: &str) {
    let nested = format!("http://10.0.0.5:8004/v1/{PROJECT}/stacks/{NAME}-VDU1-abc/nested-1");
    let server = json!({
        "resource_name": "VDU1", "logical_resource_id": "VDU1", "physical_resource_id": "server-1",
        "resource_type": "OS::Nova::Server", "resource_status": "CREATE_COMPLETE", "resource_status_reason": "",
        "creation_time": "2026-01-01T00:00:00Z", "updated_time": "2026-01-01T00:00:01Z",
        "required_by": ["port"], "parent_resource": "abc",
        "links": [{"rel": "self", "href": format!("{nested}/resources/VDU1")}, {"rel": "stack", "href": nested}],
    });
    let bare = json!({"resource_name": "net", "resource_type": "OS::Neutron::Net", "physical_resource_id": "",
                      "resource_status": "INIT_COMPLETE", "required_by": [],
                      "links": [{"rel": "stack", "href": format!("http://h/v1/{PROJECT}/stacks/{NAME}/{id}")}]});
    *lab.heat.resources.borrow_mut() = vec![server, bare];
}

#[test]
fn resources_are_listed_with_their_own_stack_and_what_needs_them() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    put_resources(&lab, &id);
    let listed = Heat::list_resources(&lab.account, &stack(Some(&id)), 2).unwrap();
    assert!(
        lab.kit
            .requests()
            .last()
            .unwrap()
            .ends_with("/resources?nested_depth=2")
    );
    assert_eq!(lab.sent().len(), 1);
    let server = &listed[0];
    assert_eq!((server.name.as_str(), server.parent.as_deref()), ("VDU1", Some("abc")));
    assert_eq!(server.physical_id.as_deref(), Some("server-1"));
    assert_eq!(server.stack.name, format!("{NAME}-VDU1-abc"));
    assert_eq!(server.stack.id.as_deref(), Some("nested-1"));
    assert_eq!(server.required_by, ["port"]);
    assert_eq!(server.created.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(server.reason, None);
    let network = &listed[1];
    assert_eq!((&network.physical_id, &network.parent), (&None, &None));
    assert_eq!(network.stack, stack(Some(&id)));
}

#[test]
fn content_is_what_can_be_given_again() {
    let lab = Lab::new();
    let id = lab.heat.put(NAME, "CREATE_COMPLETE", &[TOKEN]);
    let content = Heat::get_content(&lab.account, &stack(Some(&id))).unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        parse(content.template.as_deref().unwrap()),
        json!({"heat_template_version": "2021-04-16"})
    );
    assert_eq!(content.files, [("nested/a.yaml".to_owned(), "x: 1".to_owned())]);
    assert_eq!(
        parse(&content.parameters),
        json!({"nfv": {"VDU": {"VDU1": {}}}, "size": "3"})
    );
    assert_eq!(
        parse(content.environment.as_deref().unwrap()),
        json!({"parameter_defaults": {}})
    );
    assert_eq!(
        (content.rollback_on_failure, content.timeout_minutes),
        (Some(false), Some(20))
    );
    let path = format!("GET /stacks/{NAME}/{id}");
    assert_eq!(
        lab.sent(),
        [
            path.clone(),
            format!("{path}/template"),
            format!("{path}/files"),
            format!("{path}/environment")
        ]
    );
}

#[test]
fn a_resource_of_a_nested_stack_is_marked_with_one_request() {
    let lab = Lab::new();
    let name = format!("{NAME}-VDU1-abc");
    let nested = StackRef {
        id: Some(lab.heat.put(&name, "CREATE_COMPLETE", &[])),
        name: name.clone(),
    };
    let call = lab.kit.operation(TOKEN, "heal");
    let mark = || Heat::mark_unhealthy(&lab.account, &call, &nested, "VDU1", "by request");
    assert_eq!(mark().unwrap(), UpdateStep::Done);
    assert_eq!(lab.sent().len(), 1);
    assert_eq!(*lab.heat.marked.borrow(), [format!("{name}/VDU1 by request")]);
    let locked = error(409, "ActionInProgress", "the resource is locked");
    lab.heat.next(Method::Patch, "/resources/VDU1", Fate::Answered(locked));
    assert!(matches!(mark().unwrap(), UpdateStep::Pending(_)));
    let missing = Heat::mark_unhealthy(&lab.account, &call, &stack(None), "VDU1", "by request").unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}
