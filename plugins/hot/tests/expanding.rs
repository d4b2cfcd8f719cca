//! What a template becomes, and what an update does to it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use serde_json::{Map, Value, json};
use vimhost_hot::{Change, Content, Resource, Stack, StackName, Status, stack_id};

const TOP: &str = r#"
heat_template_version: 2013-05-23
parameters:
  nfv:
    type: json
resources:
  VDU1_scale_group:
    type: OS::Heat::AutoScalingGroup
    properties:
      min_size: 1
      max_size: 3
      desired_capacity: { get_param: [nfv, VDU, VDU1, desired_capacity] }
      resource:
        type: VDU1.yaml
        properties:
          flavor: { get_param: [nfv, VDU, VDU1, computeFlavourId] }
          net: { get_resource: internalVL1 }
  VDU2:
    type: OS::Nova::Server
    depends_on: internalVL1
    properties:
      flavor: m1.tiny
      networks:
      - port: { get_resource: VDU2_CP1 }
  VDU2_CP1:
    type: OS::Neutron::Port
    properties:
      network: { get_resource: internalVL1 }
  internalVL1:
    type: OS::Neutron::Net
"#;

const VDU1: &str = r#"
heat_template_version: 2013-05-23
parameters:
  flavor:
    type: string
  net:
    type: string
  zone:
    type: string
    default: nova
resources:
  VDU1:
    type: OS::Nova::Server
    properties:
      flavor: { get_param: flavor }
      name: { str_replace: { template: "vdu-$zone-$z", params: { $z: Z, $zone: { get_param: zone } } } }
      networks:
      - port: { get_resource: VDU1_CP1 }
  VDU1_CP1:
    type: OS::Neutron::Port
    properties:
      network: { get_param: net }
"#;

fn nfv(capacity: usize) -> Map<String, Value> {
    let vdu = json!({ "VDU1": { "desired_capacity": capacity, "computeFlavourId": "m1.tiny" } });
    [("nfv".to_owned(), json!({ "VDU": vdu }))].into_iter().collect()
}

fn content(capacity: usize) -> Content {
    Content {
        template: TOP.to_owned(),
        files: [("VDU1.yaml".to_owned(), VDU1.to_owned())].into(),
        parameters: nfv(capacity),
        ..Content::default()
    }
}

fn of(template: &str) -> Result<Stack, String> {
    let content = Content {
        template: template.to_owned(),
        ..Content::default()
    };
    Stack::create(name(), &content, 1).map_err(|error| error.to_string())
}

fn name() -> StackName {
    StackName {
        name: "vnf-1".to_owned(),
        id: stack_id("t"),
    }
}

fn stack(capacity: usize) -> Stack {
    Stack::create(name(), &content(capacity), 1).unwrap()
}

fn all<'s>(stack: &'s Stack, name: &str) -> Vec<&'s Resource> {
    let found = stack.resources().iter().filter(|resource| resource.name == name);
    found.collect()
}

fn one<'s>(stack: &'s Stack, name: &str) -> &'s Resource {
    let found = all(stack, name);
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

fn ids(stack: &Stack, name: &str) -> Vec<String> {
    let found = all(stack, name);
    found.into_iter().map(|resource| resource.physical_id.clone()).collect()
}

/// Members of the group, oldest first.
fn members(stack: &Stack) -> Vec<&Resource> {
    let mut members: Vec<_> = stack
        .resources()
        .iter()
        .filter(|one| one.resource_type == "VDU1.yaml")
        .collect();
    members.sort_by_key(|one| one.order);
    members
}

#[test]
fn each_member_of_a_group_is_in_a_nested_stack_of_its_own() {
    let stack = stack(2);
    let group = one(&stack, "VDU1_scale_group");
    assert_eq!(
        (group.parent.as_deref(), group.depth, group.stack.id.as_str()),
        (None, 0, stack_id("t").as_str())
    );
    let members = members(&stack);
    assert_eq!(members.len(), 2);
    assert_ne!(members[0].name, members[1].name);
    for member in &members {
        assert_eq!(member.parent.as_deref(), Some("VDU1_scale_group"));
        assert_eq!(member.stack.id, group.physical_id);
        assert!(
            member.stack.name.starts_with("vnf-1-VDU1_scale_group-"),
            "{}",
            member.stack.name
        );
    }
    let servers = all(&stack, "VDU1");
    assert_eq!(servers.len(), 2);
    for server in servers {
        let member = members
            .iter()
            .find(|member| Some(&member.name) == server.parent.as_ref())
            .unwrap();
        assert_eq!(
            (server.stack.id.as_str(), server.depth),
            (member.physical_id.as_str(), 2)
        );
        assert!(
            server.stack.name.starts_with(&member.stack.name),
            "{}",
            server.stack.name
        );
    }
    let every: std::collections::BTreeSet<_> = stack.resources().iter().map(|one| &one.physical_id).collect();
    assert_eq!(every.len(), stack.resources().len(), "ids are unique");
}

#[test]
fn parameters_reach_nested_templates_and_references_are_ids() {
    let stack = stack(1);
    let (server, port, net) = (one(&stack, "VDU1"), one(&stack, "VDU1_CP1"), one(&stack, "internalVL1"));
    assert_eq!(server.properties["flavor"], "m1.tiny");
    assert_eq!(server.properties["name"], "vdu-nova-Z");
    assert_eq!(server.properties["networks"][0]["port"], json!(port.physical_id));
    assert_eq!(port.properties["network"], json!(net.physical_id));
    assert_eq!(port.required_by, ["VDU1"]);
    assert_eq!(net.required_by, ["VDU1_scale_group", "VDU2", "VDU2_CP1"]);
}

#[test]
fn the_depth_bounds_what_is_listed_and_nested_stacks_are_listed_by_their_id() {
    let stack = stack(2);
    let root = stack_id("t");
    let names = |stack_id: &str, depth| {
        let found = stack.resources_of(stack_id, depth).unwrap();
        found.into_iter().map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&root, 0).len(), 4);
    assert_eq!(names(&root, 1).len(), 6);
    assert_eq!(names(&root, 2).len(), 10);
    let group = one(&stack, "VDU1_scale_group");
    assert_eq!(names(&group.physical_id, 0).len(), 2);
    assert_eq!(names(&members(&stack)[0].physical_id, 0), ["VDU1", "VDU1_CP1"]);
    assert!(stack.resources_of("none", 2).is_none());
}

#[test]
fn scaling_out_keeps_the_members_and_scaling_in_drops_the_oldest() {
    let first = stack(1);
    let second = first.update(&content(3), 2).unwrap();
    assert_eq!(members(&second).len(), 3);
    assert_eq!(members(&first)[0], members(&second)[0]);
    assert_eq!(ids(&second, "VDU2"), ids(&first, "VDU2"));
    let third = second.update(&content(2), 3).unwrap();
    let left: Vec<_> = members(&third).into_iter().map(|one| one.physical_id.clone()).collect();
    let expected: Vec<_> = members(&second)[1..]
        .iter()
        .map(|one| one.physical_id.clone())
        .collect();
    assert_eq!(left, expected);
    // What is made after that is none of those that were there.
    let fourth = third.update(&content(3), 4).unwrap();
    let new = &members(&fourth)[2].physical_id;
    assert!(members(&second).iter().all(|one| one.physical_id != *new));
    assert_eq!(members(&fourth)[2].created, 4);
}

#[test]
fn a_size_stays_within_the_bounds_of_its_group() {
    assert_eq!(members(&stack(7)).len(), 3);
    assert_eq!(members(&stack(0)).len(), 1);
}

#[test]
fn marked_members_go_first_when_the_group_shrinks() {
    let mut stack = stack(3);
    let (group, newest) = (
        one(&stack, "VDU1_scale_group").physical_id.clone(),
        members(&stack)[2].clone(),
    );
    assert!(stack.mark_unhealthy(&group, &newest.name, "scaled in").unwrap());
    assert_eq!(members(&stack)[2].status, Status::CheckFailed);
    let expected: Vec<_> = members(&stack)[..2].iter().map(|one| one.physical_id.clone()).collect();
    let after = stack.update(&content(2), 2).unwrap();
    let left: Vec<_> = members(&after).into_iter().map(|one| one.physical_id.clone()).collect();
    assert_eq!(left, expected);
}

#[test]
fn a_marked_server_is_replaced_and_its_neighbours_stay() {
    let mut stack = stack(2);
    let before = stack.clone();
    let server = all(&before, "VDU1")[0];
    assert!(stack.mark_unhealthy(&server.stack.id, "VDU1", "heal").unwrap());
    let after = stack.update(&content(2), 2).unwrap();
    let healed: Vec<_> = ids(&after, "VDU1")
        .into_iter()
        .filter(|id| !ids(&before, "VDU1").contains(id))
        .collect();
    assert_eq!(healed.len(), 1);
    assert_eq!(ids(&after, "VDU1_CP1"), ids(&before, "VDU1_CP1"));
    let same = |stack: &Stack| {
        members(stack)
            .into_iter()
            .map(|one| one.physical_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(same(&after), same(&before));
    assert!(after.resources().iter().all(|one| !one.status.is_failed()));
}

#[test]
fn a_marked_member_is_replaced_with_all_it_holds() {
    let mut stack = stack(1);
    let (group, member) = (
        one(&stack, "VDU1_scale_group").physical_id.clone(),
        members(&stack)[0].clone(),
    );
    let (server, port) = (ids(&stack, "VDU1"), ids(&stack, "VDU1_CP1"));
    assert!(stack.mark_unhealthy(&group, &member.physical_id, "heal").unwrap());
    let after = stack.update(&content(1), 2).unwrap();
    assert_eq!(members(&after)[0].name, member.name);
    assert_ne!(members(&after)[0].physical_id, member.physical_id);
    assert_ne!(ids(&after, "VDU1"), server);
    assert_ne!(ids(&after, "VDU1_CP1"), port);
}

#[test]
fn changed_properties_stay_in_place_and_what_left_the_template_is_gone() {
    let first = stack(1);
    let template = TOP.replace("flavor: m1.tiny", "flavor: m1.large").replace(
        "      networks:\n      - port: { get_resource: VDU2_CP1 }\n",
        "      networks: []\n",
    );
    let template = template.replace(
        "  VDU2_CP1:\n    type: OS::Neutron::Port\n    properties:\n      network: { get_resource: internalVL1 }\n",
        "  VDU3:\n    type: OS::Nova::Server\n",
    );
    let change = Change {
        template: Some(template),
        ..Change::default()
    };
    let after = first.update(&content(1).patched(change), 2).unwrap();
    let server = one(&after, "VDU2");
    assert_eq!(
        (&server.physical_id, server.status),
        (&ids(&first, "VDU2")[0], Status::UpdateComplete)
    );
    assert_eq!(server.properties["flavor"], "m1.large");
    assert!(all(&after, "VDU2_CP1").is_empty());
    assert_eq!(one(&after, "VDU3").created, 2);
}

#[test]
fn a_resource_that_comes_back_is_another_one() {
    let with = "heat_template_version: 2013-05-23\nresources: { VDU1-0: { type: OS::Nova::Server } }\n";
    let without = Content {
        template: "heat_template_version: 2013-05-23\nresources: {}\n".to_owned(),
        ..Content::default()
    };
    let first = of(with).unwrap();
    let gone = first.update(&without, 2).unwrap();
    assert!(gone.resources().is_empty());
    let content = Content {
        template: with.to_owned(),
        ..Content::default()
    };
    let back = gone.update(&content, 3).unwrap();
    assert_ne!(ids(&back, "VDU1-0"), ids(&first, "VDU1-0"));
}

#[test]
fn a_resource_group_numbers_its_members_and_drops_the_highest() {
    let template = |count: u32| Content {
        template: format!(
            "heat_template_version: 2013-05-23
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {count}
      resource_def:
        type: OS::Nova::Server
        properties: {{ name: 'vdu-%index%' }}
"
        ),
        ..Content::default()
    };
    let two = Stack::create(name(), &template(2), 1).unwrap();
    let (first, second) = (one(&two, "0"), one(&two, "1"));
    assert_eq!(
        (first.parent.as_deref(), &second.properties["name"]),
        (Some("group"), &json!("vdu-1"))
    );
    let one_left = two.update(&template(1), 2).unwrap();
    assert_eq!(one(&one_left, "0").physical_id, first.physical_id);
    assert!(all(&one_left, "1").is_empty());
}

#[test]
fn the_environment_gives_parameters_defaults_and_types() {
    let content = Content {
        template: "heat_template_version: 2013-05-23
parameters: { a: { type: string }, b: { type: number, default: 1 } }
resources: { x: { type: My::Server, properties: { flavor: { get_param: a }, net: { get_param: b } } } }
"
        .to_owned(),
        files: [("VDU1.yaml".to_owned(), VDU1.to_owned())].into(),
        environment: json!({
            "parameters": { "a": "large" },
            "parameter_defaults": { "zone": "z1", "b": "7" },
            "resource_registry": { "My::Server": "VDU1.yaml" },
        })
        .as_object()
        .unwrap()
        .clone(),
        ..Content::default()
    };
    let stack = Stack::create(name(), &content, 1).unwrap();
    assert_eq!(one(&stack, "x").properties, json!({ "flavor": "large", "net": 7 }));
    assert_eq!(one(&stack, "VDU1").properties["name"], "vdu-z1-Z");
    assert_eq!(one(&stack, "VDU1_CP1").properties["network"], "7");
}

#[test]
fn refusals_have_heats_words() {
    let version = "heat_template_version: 2013-05-23\n";
    let refused = |rest: &str| of(&format!("{version}{rest}")).unwrap_err();
    assert!(of("a: [").unwrap_err().starts_with("Error parsing template: "));
    assert_eq!(
        of("- a").unwrap_err(),
        "The template is not a JSON object or YAML mapping."
    );
    assert_eq!(of("resources: {}").unwrap_err(), "Template format version not found.");
    assert_eq!(refused("resources: []"), "The template section is invalid: resources");
    assert_eq!(
        refused("parameters: { a: { type: string } }"),
        "The Parameter (a) was not provided."
    );
    assert_eq!(
        refused("resources: { x: { type: x.yaml } }"),
        "The Resource Type (x.yaml) could not be found."
    );
    assert_eq!(
        refused("resources: { x: { type: OS::Nova::Server, depends_on: none } }"),
        "The specified reference \"none\" (in x) is incorrect."
    );
    assert_eq!(
        refused("resources: { x: { type: OS::Nova::Server, properties: { a: { get_file: f } } } }"),
        "No content found in the \"files\" section for get_file path: f"
    );
    let mut unknown = content(1);
    unknown.parameters.insert("other".to_owned(), json!(1));
    assert_eq!(
        Stack::create(name(), &unknown, 1).unwrap_err().to_string(),
        "The Parameter (other) was not defined in template."
    );
    let mut empty = content(1);
    empty.parameters = [("nfv".to_owned(), json!("{}"))].into_iter().collect();
    assert_eq!(
        Stack::create(name(), &empty, 1).unwrap_err().to_string(),
        "Property error: resources.VDU1_scale_group.properties.desired_capacity: Value '' is not an integer"
    );
    let mut lacking = content(1);
    lacking.template = TOP.replace("          net: { get_resource: internalVL1 }\n", "");
    let refused = Stack::create(name(), &lacking, 1).unwrap_err().to_string();
    assert!(refused.ends_with(".properties: Property net not assigned"), "{refused}");
}

#[test]
fn a_template_that_holds_itself_and_a_group_without_end_are_refused() {
    let circle = "heat_template_version: 2013-05-23\nresources: { x: { type: me.yaml } }\n";
    let content = Content {
        template: circle.to_owned(),
        files: [("me.yaml".to_owned(), circle.to_owned())].into(),
        ..Content::default()
    };
    assert_eq!(
        Stack::create(name(), &content, 1).unwrap_err().to_string(),
        "Recursion depth exceeds 5."
    );
    let group = "heat_template_version: 2013-05-23
resources: { g: { type: OS::Heat::ResourceGroup, properties: { count: 99999999, resource_def: { type: OS::Nova::Server } } } }
";
    assert_eq!(of(group).unwrap_err(), "Maximum resources per stack exceeded.");
}

#[test]
fn failed_servers_are_replaced_by_the_next_update() {
    let mut first = stack(1);
    first.failed(0, "No valid host was found.");
    let server = one(&first, "VDU1");
    assert_eq!(
        (server.status, server.reason.as_deref()),
        (Status::CreateFailed, Some("No valid host was found."))
    );
    assert_eq!(one(&first, "internalVL1").status, Status::CreateComplete);
    let after = first.update(&content(1), 2).unwrap();
    assert_ne!(ids(&after, "VDU1"), ids(&first, "VDU1"));
    assert_eq!(ids(&after, "internalVL1"), ids(&first, "internalVL1"));
}
