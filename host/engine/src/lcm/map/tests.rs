use super::*;
use serde_json::json;
use vimhost_connector::StackRef;

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
    let inner = format!("inner{number}");
    let id = |what: &str| format!("{what}{number}");
    let parent = format!("member{number}");
    vec![
        resource(&parent, "VDU1.yaml", &inner, "group", Some("g"), &[]),
        resource("VDU1", SERVER, &id("server"), &inner, Some(&parent), &[]),
        resource("CP1", PORT, &id("port1"), &inner, Some(&parent), &["VDU1"]),
        resource("CP2", PORT, &id("port2"), &inner, Some(&parent), &["VDU1"]),
        resource("Disk", VOLUME, &id("volume"), &inner, Some(&parent), &["VDU1"]),
    ]
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
