use super::*;
use crate::lcm::changes::between;
use serde_json::json;
use vimhost_connector::StackRef;
use vimhost_model::vnf::ChangeType;

fn resource(name: &str, kind: &str, id: &str, stack: &str, parent: Option<&str>, needed_by: &[&str]) -> StackResource {
    StackResource {
        name: name.to_owned(),
        resource_type: kind.to_owned(),
        physical_id: Some(id.parse().unwrap()),
        status_text: "CREATE_COMPLETE".to_owned(),
        reason: None,
        parent: parent.map(str::to_owned),
        stack: StackRef {
            name: format!("n-{stack}"),
            id: Some(stack.parse().unwrap()),
        },
        required_by: needed_by.iter().map(|name| (*name).to_owned()).collect(),
        created: Some(format!("2026-01-01T00:00:0{}Z", id.len() % 10)),
    }
}

fn flavour() -> DeploymentFlavour {
    serde_json::from_value(json!({
        "aspects": {"a": {"max_scale_level": 2}},
        "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1, "storages": ["Disk"]}},
        "storages": {"Disk": {}},
        "cps": {"CP1": {"vdu": "VDU1"}, "CP2": {"vdu": "VDU1", "virtual_link": "VL"}},
        "virtual_links": {"VL": {}}}))
    .unwrap()
}

fn member(number: &str) -> Vec<StackResource> {
    nested(&format!("member{number}"), number)
}

/// A resource with a stack of its own, in which a VM is.
fn nested(parent: &str, number: &str) -> Vec<StackResource> {
    let inner = format!("inner{number}");
    let id = |what: &str| format!("{what}{number}");
    vec![
        resource(parent, "VDU1.yaml", &inner, "group", Some("g"), &[]),
        resource("VDU1", SERVER, &id("server"), &inner, Some(parent), &[]),
        resource("CP1", PORT, &id("port1"), &inner, Some(parent), &["VDU1"]),
        resource("CP2", PORT, &id("port2"), &inner, Some(parent), &["VDU1"]),
        resource("Disk", VOLUME, &id("volume"), &inner, Some(parent), &["VDU1"]),
    ]
}

fn shown(resources: &[StackResource], kept: &Kept) -> InstantiatedVnfInfo {
    let flavour = flavour();
    let picture = Picture {
        resources,
        flavour: &flavour,
        vnfd_id: "vnfd",
        kept,
        connection: Some("vim"),
        tenant: None,
        before: None,
    };
    picture.info()
}

#[test]
fn an_instance_is_shown_by_the_vims_ids_newest_first() {
    let mut resources = member("");
    resources.extend(member("-b"));
    resources.push(resource("VL", NETWORK, "net", "top", None, &[]));
    let link = json!({"id": "l", "resourceId": "ext", "extCps": [{"cpdId": "CP1", "cpConfig": {"c": {}}}]});
    let kept = Kept {
        id: Some("top".parse().unwrap()),
        flavour: "simple".to_owned(),
        levels: [("a".to_owned(), 1)].into(),
        ext_links: vec![serde_json::from_value(link).unwrap()],
        ..Kept::default()
    };
    let flavour = flavour();
    let picture = Picture {
        resources: &resources,
        flavour: &flavour,
        vnfd_id: "vnfd",
        kept: &kept,
        connection: Some("vim"),
        tenant: Some("admin"),
        before: None,
    };
    let info = picture.info();
    let vnfcs = info.vnfc_resource_info.unwrap();
    let ids: Vec<&str> = vnfcs.iter().map(|vnfc| vnfc.id.as_str()).collect();
    assert_eq!(ids, ["server-b", "server"]);
    assert_eq!(vnfcs[0].storage_resource_ids, Some(vec!["volume-b".to_owned()]));
    let metadata = vnfcs[0].metadata.as_ref().unwrap();
    assert_eq!(metadata["stack_id"], "n-inner-b/inner-b");
    assert_eq!(metadata["parent_stack_id"], "n-group/group");
    assert_eq!(metadata["parent_resource_name"], "member-b");
    assert_eq!(info.vnfc_info.unwrap()[0].id, "VDU1-server-b");
    let cps = info.ext_cp_info.unwrap();
    assert_eq!((cps[0].id.as_str(), cps[0].cp_config_id.as_str()), ("cp-port1", "c"));
    assert_eq!(cps[0].associated_vnfc_cp_id.as_deref(), Some("CP1-server"));
    assert_eq!(
        info.ext_virtual_link_info.unwrap()[0]
            .ext_link_ports
            .as_ref()
            .unwrap()
            .len(),
        2
    );
    let links = info.vnf_virtual_link_resource_info.unwrap();
    assert_eq!(links[0].vnf_link_ports.as_ref().unwrap()[0].id, "port2");
    assert_eq!(info.scale_status.unwrap()[0].scale_level, 1);
    assert_eq!(info.max_scale_levels.unwrap()[0].scale_level, 2);
    let metadata = info.metadata.unwrap();
    assert_eq!(
        (&metadata["stack_id"], &metadata["tenant"]),
        (&json!("top"), &json!("admin"))
    );
}

#[test]
fn a_member_whose_stack_has_the_names_of_all_is_shown_with_parameters_of_its_own() {
    let mut resources = nested("VDU1-0", "0");
    resources.extend(nested("VDU1-1", "1"));
    let configs = json!({"a": {}, "b": {}});
    let link = json!({"id": "l", "resourceId": "ext", "extCps": [{"cpdId": "CP1", "cpConfig": configs}]});
    let kept = |flavour: &str| {
        let of = |flavour: &str, zone: &str| json!({"computeFlavourId": flavour, "vcImageId": "i", "locationConstraints": zone});
        let vdus = json!({"VDU1-0": of("small", "z0"), "VDU1-1": of(flavour, "z1")});
        Kept {
            nfv: [("VDU".to_owned(), vdus)].into_iter().collect(),
            ext_links: vec![serde_json::from_value(link.clone()).unwrap()],
            ..Kept::default()
        }
    };
    let info = shown(&resources, &kept("small"));
    let vnfcs = info.vnfc_resource_info.as_ref().unwrap();
    let told = |vnfc: &VnfcResourceInfo| {
        let metadata = vnfc.metadata.as_ref().unwrap();
        assert_eq!(
            (&metadata["flavor"], &metadata["image-VDU1"]),
            (&json!("small"), &json!("i"))
        );
        (
            vnfc.id.clone(),
            metadata["vdu_idx"].clone(),
            vnfc.zone_id.clone().unwrap(),
        )
    };
    let of = |number: u32| (format!("server{number}"), json!(number), format!("z{number}"));
    assert_eq!(vnfcs.iter().map(told).collect::<Vec<_>>(), [of(1), of(0)]);
    let cps = info.ext_cp_info.as_ref().unwrap().iter();
    let configured: Vec<_> = cps.map(|cp| (cp.id.as_str(), cp.cp_config_id.as_str())).collect();
    assert_eq!(configured, [("cp-port10", "a"), ("cp-port11", "b")]);

    let changes = between(Some(&info), Some(&shown(&resources, &kept("large")))).unwrap();
    let changed = changes.affected_vnfcs.unwrap();
    let changed: Vec<_> = changed
        .iter()
        .map(|vnfc| (vnfc.id.as_str(), vnfc.change_type))
        .collect();
    assert_eq!(changed, [("server1", ChangeType::Modified)]);
}

#[test]
fn a_port_that_the_client_provides_has_a_connection_point_where_the_template_was_given_it() {
    let mut resources = member("");
    resources.retain(|resource| resource.name != "CP1");
    let handle = |id: &str| json!({"resourceId": id});
    let link = json!({"id": "l", "resourceId": "ext",
        "extCps": [{"cpdId": "CP1", "cpConfig": {"c": {"linkPortId": "p"}}}],
        "extLinkPorts": [{"id": "p", "resourceHandle": handle("given")}, {"id": "q", "resourceHandle": handle("spare")}]});
    let kept = Kept {
        nfv: [("CP".to_owned(), json!({"CP1": {"port": "given"}}))]
            .into_iter()
            .collect(),
        ext_links: vec![serde_json::from_value(link).unwrap()],
        ..Kept::default()
    };
    let info = shown(&resources, &kept);
    let cps = info.ext_cp_info.as_ref().unwrap();
    assert_eq!(cps.len(), 1, "{cps:?}");
    assert_eq!((cps[0].id.as_str(), cps[0].cp_config_id.as_str()), ("cp-given", "c"));
    assert_eq!(cps[0].ext_link_port_id.as_deref(), Some("p"));
    assert_eq!(cps[0].associated_vnfc_cp_id.as_deref(), Some("CP1-server"));
    let vnfcs = info.vnfc_resource_info.as_ref().unwrap();
    let of_vnfc = vnfcs[0].vnfc_cp_info.as_ref().unwrap();
    let of_vnfc: Vec<_> = of_vnfc
        .iter()
        .map(|cp| (cp.id.as_str(), cp.vnf_ext_cp_id.as_deref()))
        .collect();
    assert_eq!(of_vnfc, [("CP2-server", None), ("CP1-server", Some("cp-given"))]);
    let links = info.ext_virtual_link_info.as_ref().unwrap();
    let ports = links[0].ext_link_ports.as_ref().unwrap();
    let told: Vec<_> = ports
        .iter()
        .map(|port| (port.id.as_str(), port.cp_instance_id.as_deref()))
        .collect();
    assert_eq!(told, [("p", Some("cp-given")), ("q", None)]);
    assert_eq!(ports[0].resource_handle.resource_id, "given");

    let changes = between(None, Some(&info)).unwrap().affected_ext_link_ports.unwrap();
    let changed: Vec<_> = changes
        .iter()
        .map(|port| (port.id.as_str(), port.change_type))
        .collect();
    assert_eq!(changed, [("p", ChangeType::Added)]);
}
