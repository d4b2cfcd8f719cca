//! `StandardUserData`: a resource of the template for each VM, whose nested stack has the same names for every one.

use std::collections::BTreeSet;

use vimhost_connector::{StackRef, StackResource};
use vimhost_model::VimId;

use super::*;
use crate::lcm::map::Picture;

const HOT: &str = "resources:\n  VDU1:\n    type: VDU1.yaml\n    properties:\n      flavor: { get_param: [nfv, VDU, VDU1, computeFlavourId] }\n      image: { get_param: [nfv, VDU, VDU1, vcImageId] }\n      net: { get_param: [nfv, CP, CP1, network] }\n      ips: { get_param: [nfv, CP, CP1, fixed_ips] }\n  VL:\n    type: OS::Neutron::Net\n";

/// With a VDU of two members and this template.
fn vnfd_of(template: &str, cp: &str) -> Vnfd {
    let image = json!({"id": "VDU1", "name": "cirros"});
    serde_json::from_value(json!({
        "id": "vnfd", "provider": "p", "product_name": "n", "software_version": "1", "version": "1",
        "flavours": {"simple": {
            "aspects": {"a": {"max_scale_level": 2, "deltas": {"VDU1": {"steps": [1]}}}},
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 2, "max": 4}, "initial": 2,
                              "compute_flavour": "m1.tiny", "image": image, "storages": ["Disk"]}},
            "storages": {"Disk": {}},
            "cps": {cp: {"vdu": "VDU1"}},
            "base_hot": {"path": "BaseHOT/simple/a.yaml", "template": template, "files": {"VDU1.yaml": "resources: {}"}}}},
        "user_data_scripts": {"UserData/standard.py": "standard", "UserData/default.py": "default",
                              "UserData/own.py": "unknown"}}))
    .unwrap()
}

fn vnfd() -> Vnfd {
    vnfd_of(HOT, "CP1")
}

fn named(path: &str, class: &str) -> Value {
    json!({"lcm-operation-user-data": path, "lcm-operation-user-data-class": class})
}

/// An instantiation with an address for each member.
fn made_of(vnfd: &Vnfd) -> Work {
    let config = |ip: &str| {
        let addresses = json!([{"type": "IPV4", "fixedAddresses": [ip]}]);
        json!({"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": addresses}}]})
    };
    let cp = json!({"cpdId": "CP1", "cpConfig": {"one": config("10.0.0.1"), "two": config("10.0.0.2")}});
    let links = json!([{"id": "l", "resourceId": "net", "extCps": [cp]}]);
    let script = named("./UserData/standard.py", "StandardUserData");
    let params = json!({"flavourId": "simple", "extVirtualLinks": links, "additionalParams": script});
    planned_of(vnfd, "INSTANTIATE", params, &instance(&Kept::default(), &[])).unwrap()
}

fn resource(name: &str, kind: &str, id: String, stack: (&str, &str), parent: Option<&str>) -> StackResource {
    let is_needed = parent.is_some() && name != "VDU1";
    StackResource {
        name: name.to_owned(),
        resource_type: kind.to_owned(),
        physical_id: Some(id.parse().unwrap()),
        status_text: "CREATE_COMPLETE".to_owned(),
        reason: None,
        parent: parent.map(str::to_owned),
        stack: StackRef {
            name: stack.0.to_owned(),
            id: Some(stack.1.parse().unwrap()),
        },
        required_by: is_needed.then(|| "VDU1".to_owned()).into_iter().collect(),
        created: Some("2026-01-01T00:00:00Z".to_owned()),
    }
}

/// The instance once its stack stands, as Heat shows that.
fn standing(kept: Kept) -> VnfInstance {
    let kept = Kept {
        id: Some("top".parse::<VimId>().unwrap()),
        ..kept
    };
    let mut resources = Vec::new();
    for number in &kept.members["VDU1"] {
        let (member, name, id) = (format!("VDU1-{number}"), format!("n{number}"), format!("i{number}"));
        let inner = (name.as_str(), id.as_str());
        let parent = Some(member.as_str());
        resources.extend([
            resource(&member, "VDU1.yaml", id.clone(), ("vnf-i", "top"), None),
            resource("VDU1", "OS::Nova::Server", format!("server{number}"), inner, parent),
            resource("CP1", "OS::Neutron::Port", format!("port{number}"), inner, parent),
            resource("Disk", "OS::Cinder::Volume", format!("volume{number}"), inner, parent),
        ]);
    }
    let vnfd = vnfd();
    let picture = Picture {
        resources: &resources,
        flavour: &vnfd.flavours["simple"],
        vnfd_id: "vnfd",
        kept: &kept,
        connection: None,
        tenant: None,
        before: None,
    };
    let mut standing = instance(&kept, &[]);
    standing.instantiated_vnf_info = Some(picture.info());
    standing
}

fn content_of(step: &Step) -> &Content {
    match step {
        Step::Create { content } | Step::Update { content } => content,
        other @ (Step::Pause { .. } | Step::Mark { .. } | Step::MarkNew { .. } | Step::Delete | Step::Resources) => {
            panic!("{other:?}")
        }
    }
}

/// Names of the resources of a template that is sent, in order.
fn names(step: &Step) -> Vec<String> {
    let template: Value = serde_json::from_str(content_of(step).template.as_deref().unwrap()).unwrap();
    let names: BTreeSet<String> = template["resources"].as_object().unwrap().keys().cloned().collect();
    names.into_iter().collect()
}

#[test]
fn each_member_is_made_with_parameters_of_its_own() {
    let work = made_of(&vnfd());
    assert_eq!(names(&work.steps[0]), ["VDU1-0", "VDU1-1", "VL"]);
    let content = content_of(&work.steps[0]);
    let of_vdu = json!({"computeFlavourId": "m1.tiny", "vcImageId": "cirros"});
    let nfv = &content.parameters["nfv"];
    assert_eq!(nfv["VDU"], json!({"VDU1-0": of_vdu, "VDU1-1": of_vdu}));
    let of_cp = |ip: &str| json!({"network": "net", "fixed_ips": [{"ip_address": ip}]});
    assert_eq!(
        nfv["CP"],
        json!({"CP1-0": of_cp("10.0.0.1"), "CP1-1": of_cp("10.0.0.2")})
    );
    assert_eq!(content.files.keys().collect::<Vec<_>>(), ["VDU1.yaml"]);
    assert_eq!(
        (work.after.script, work.undo),
        (Script::Standard, Some(vec![Step::Delete]))
    );
}

#[test]
fn a_scale_out_adds_the_next_number_and_its_rollback_sends_what_was() {
    let made = made_of(&vnfd());
    let before = content_of(&made.steps[0]).clone();
    let two = standing(made.after);
    let out = planned_of(&vnfd(), "SCALE", json!({"type": "SCALE_OUT", "aspectId": "a"}), &two).unwrap();
    assert_eq!(out.steps.len(), 2, "{:?}", out.steps);
    assert_eq!(names(&out.steps[0]), ["VDU1-0", "VDU1-1", "VDU1-2", "VL"]);
    assert!(content_of(&out.steps[0]).parameters["nfv"]["VDU"]["VDU1-2"].is_object());
    // What the template does not have any more Heat deletes: nothing is marked.
    let undo = out.undo.unwrap();
    assert_eq!(undo.len(), 2, "{undo:?}");
    assert_eq!(content_of(&undo[0]), &before);
}

#[test]
fn a_scale_in_leaves_the_newest_out_and_marks_nothing() {
    let two = standing(made_of(&vnfd()).after);
    let out = planned_of(&vnfd(), "SCALE", json!({"type": "SCALE_OUT", "aspectId": "a"}), &two).unwrap();
    let three = standing(out.after);
    let newest = vnfcs(&three).next().unwrap();
    assert_eq!(
        text_of(newest.metadata.as_ref(), "parent_resource_name"),
        Some("VDU1-2")
    );
    let back = planned_of(&vnfd(), "SCALE", json!({"type": "SCALE_IN", "aspectId": "a"}), &three).unwrap();
    assert_eq!(back.steps.len(), 2, "{:?}", back.steps);
    assert_eq!(names(&back.steps[0]), ["VDU1-0", "VDU1-1", "VL"]);
    let nfv = &content_of(&back.steps[0]).parameters["nfv"];
    assert_eq!(nfv["VDU"].as_object().unwrap().len(), 2);
    assert_eq!((&back.after.members["VDU1"], back.undo), (&vec![0, 1], None));
}

#[test]
fn a_heal_marks_in_the_stack_of_the_member_and_sends_what_is_there() {
    let made = made_of(&vnfd());
    let before = content_of(&made.steps[0]).clone();
    let two = standing(made.after);
    let marked = |params: Value| {
        let work = planned_of(&vnfd(), "HEAL", params, &two).unwrap();
        let [marks @ .., update, Step::Resources] = work.steps.as_slice() else {
            panic!("{:?}", work.steps);
        };
        assert_eq!(content_of(update), &before);
        let mark = |step: &Step| match step {
            Step::Mark {
                stack,
                stack_id,
                resource,
                ..
            } => (stack.clone(), stack_id.as_ref().unwrap().to_string(), resource.clone()),
            other @ (Step::Pause { .. }
            | Step::MarkNew { .. }
            | Step::Create { .. }
            | Step::Update { .. }
            | Step::Delete
            | Step::Resources) => panic!("{other:?}"),
        };
        marks.iter().map(mark).collect::<Vec<_>>()
    };
    let in_stack = |number: u32, name: &str| (format!("n{number}"), format!("i{number}"), name.to_owned());
    assert_eq!(
        marked(json!({"vnfcInstanceId": ["VDU1-server1"]})),
        [in_stack(1, "VDU1")]
    );
    let all = json!({"vnfcInstanceId": ["VDU1-server0"], "additionalParams": {"all": true}});
    assert_eq!(marked(all), [in_stack(0, "VDU1"), in_stack(0, "Disk")]);
    assert_eq!(marked(json!({})), [in_stack(1, "VDU1"), in_stack(0, "VDU1")]);
}

#[test]
fn a_changed_package_goes_back_by_the_vnfd_of_before() {
    let template = |cp: &str| {
        format!(
            "resources:\n  VDU1:\n    type: OS::Nova::Server\n    properties:\n      networks: [ {{ port: {{ get_resource: {cp} }} }} ]\n  {cp}:\n    type: OS::Neutron::Port\n"
        )
    };
    let (old, new) = (vnfd_of(&template("CP1"), "CP1"), vnfd_of(&template("CP2"), "CP2"));
    let made = made_of(&old);
    assert_eq!(names(&made.steps[0]), ["CP1-0", "CP1-1", "VDU1-0", "VDU1-1"]);
    let two = instance(&made.after, &["b", "a"]);
    let rolling = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]});
    let params = json!({"vnfdId": "vnfd", "additionalParams": rolling});
    let work = planned_from(&old, &new, "CHANGE_VNFPKG", params, &two).unwrap();
    assert_eq!(names(&work.steps[0]), ["CP2-0", "CP2-1", "VDU1-0", "VDU1-1"]);
    let undo = work.undo.unwrap();
    assert_eq!(content_of(&undo[0]), content_of(&made.steps[0]));
}

#[test]
fn a_vdu_that_a_package_brings_is_made_and_one_that_it_drops_is_not() {
    let two = standing(made_of(&vnfd()).after);
    let mut other = vnfd_of("resources:\n  VDU2:\n    type: OS::Nova::Server\n", "CP1");
    let flavour = other.flavours.get_mut("simple").unwrap();
    let vdu = flavour.vdus.remove("VDU1").unwrap();
    flavour.vdus.insert("VDU2".to_owned(), vdu);
    let rolling = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU2"}]});
    let params = json!({"vnfdId": "vnfd", "additionalParams": rolling});
    let work = planned_from(&vnfd(), &other, "CHANGE_VNFPKG", params, &two).unwrap();
    assert_eq!(names(&work.steps[0]), ["VDU2-0", "VDU2-1"]);
    assert_eq!(work.after.members, BTreeMap::from([("VDU2".to_owned(), vec![0, 1])]));
    assert_eq!(names(&work.undo.unwrap()[0]), ["VDU1-0", "VDU1-1", "VL"]);
}

#[test]
fn all_members_of_a_vdu_have_their_turn_together() {
    let two = standing(made_of(&vnfd()).after);
    let mut larger = vnfd();
    let flavour = larger.flavours.get_mut("simple").unwrap();
    flavour.vdus.get_mut("VDU1").unwrap().compute_flavour = Some("m1.large".to_owned());
    let flavours = |order: [&str; 2]| {
        let vdus = order.map(|vdu| json!({"vdu_id": vdu}));
        let params = json!({"upgrade_type": "RollingUpdate", "vdu_params": vdus});
        let params = json!({"vnfdId": "vnfd", "additionalParams": params});
        let work = planned_from(&vnfd(), &larger, "CHANGE_VNFPKG", params, &two).unwrap();
        let sent =
            |step: &Step, member: &str| content_of(step).parameters["nfv"]["VDU"][member]["computeFlavourId"].clone();
        let updates = work.steps[..2].iter();
        updates
            .map(|step| [sent(step, "VDU1-0"), sent(step, "VDU1-1")])
            .collect::<Vec<_>>()
    };
    let (old, new) = (
        [json!("m1.tiny"), json!("m1.tiny")],
        [json!("m1.large"), json!("m1.large")],
    );
    assert_eq!(flavours(["VDU1", "VDU2"]), [new.clone(), new.clone()]);
    assert_eq!(flavours(["VDU2", "VDU1"]), [old, new]);
}

#[test]
fn a_script_that_would_not_be_run_is_refused_by_every_operation() {
    let two = standing(made_of(&vnfd()).after);
    let links = json!([{"id": "l", "resourceId": "net-2", "extCps": [{"cpdId": "CP1", "cpConfig": {"one": {}}}]}]);
    let rolling = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]});
    let others = [
        named("UserData/own.py", "StandardUserData"),
        named("UserData/none.py", "StandardUserData"),
        named("UserData/standard.py", "DefaultUserData"),
        named("UserData/standard.py", "Mine"),
        json!({"lcm-operation-user-data": "UserData/standard.py"}),
        json!({"lcm-operation-user-data-class": "StandardUserData"}),
        json!({"lcm-operation-user-data": 1, "lcm-operation-user-data-class": "StandardUserData"}),
        json!({"lcm-operation-coordinate-new-vnf": "Scripts/coordinate.py"}),
        json!({"lcm-operation-coordinate-old-vnf": "Scripts/coordinate.py"}),
    ];
    for (operation, request) in [
        ("SCALE", json!({"type": "SCALE_OUT", "aspectId": "a"})),
        ("HEAL", json!({})),
        ("CHANGE_EXT_CONN", json!({"extVirtualLinks": links})),
        ("CHANGE_VNFPKG", json!({"vnfdId": "vnfd", "additionalParams": rolling})),
    ] {
        let with = |params: &Value| {
            let mut request = request.clone();
            template::merge(&mut request, &json!({"additionalParams": params}));
            planned_of(&vnfd(), operation, request, &two)
        };
        let good = with(&named("UserData/standard.py", "StandardUserData"));
        assert_eq!(good.unwrap().after.script, Script::Standard, "{operation}");
        for params in &others {
            assert_eq!(with(params).unwrap_err().status, 400, "{operation} {params}");
        }
        // Only another package may bring another way to make the stack.
        let other = with(&named("UserData/default.py", "DefaultUserData"));
        let script = other.map(|work| work.after.script);
        assert_eq!(script.ok(), (operation == "CHANGE_VNFPKG").then_some(Script::Default));
    }
}
