use super::*;
use serde_json::json;

fn info(servers: &[&str]) -> InstantiatedVnfInfo {
    let vnfc = |id: &&str| json!({"id": id, "vduId": "VDU1", "computeResource": {"resourceId": id}, "storageResourceIds": [format!("v-{id}")]});
    let storage = |id: &&str| json!({"id": format!("v-{id}"), "virtualStorageDescId": "Disk", "storageResource": {"resourceId": id}});
    let port = |id: &&str| json!({"id": format!("p-{id}"), "resourceHandle": {"resourceId": id}});
    let all = |one: &dyn Fn(&&str) -> serde_json::Value| servers.iter().map(one).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "flavourId": "simple", "vnfState": "STARTED", "vnfcResourceInfo": all(&vnfc),
        "virtualStorageResourceInfo": all(&storage),
        "vnfVirtualLinkResourceInfo": [{"id": "net", "vnfVirtualLinkDescId": "VL", "networkResource": {"resourceId": "net"},
                                        "vnfLinkPorts": all(&port)}]}))
    .unwrap()
}

#[test]
fn what_came_and_went_is_told_by_id() {
    let changes = between(Some(&info(&["a", "b"])), Some(&info(&["b", "c"]))).unwrap();
    let vnfcs = changes.affected_vnfcs.unwrap();
    let told: Vec<_> = vnfcs.iter().map(|vnfc| (vnfc.id.as_str(), vnfc.change_type)).collect();
    assert_eq!(told, [("a", ChangeType::Removed), ("c", ChangeType::Added)]);
    assert_eq!(vnfcs[1].added_storage_resource_ids, Some(vec!["v-c".to_owned()]));
    assert_eq!(vnfcs[0].removed_storage_resource_ids, Some(vec!["v-a".to_owned()]));
    assert_eq!(changes.affected_virtual_storages.unwrap().len(), 2);
    let links = changes.affected_virtual_links.unwrap();
    assert_eq!(links[0].change_type, ChangeType::Modified);
}

#[test]
fn a_port_more_is_a_port_added_and_nothing_is_nothing() {
    let changes = between(Some(&info(&["a"])), Some(&info(&["a", "b"]))).unwrap();
    let links = changes.affected_virtual_links.unwrap();
    assert_eq!(links[0].change_type, ChangeType::LinkPortAdded);
    assert_eq!(links[0].vnf_link_port_ids, Some(vec!["p-b".to_owned()]));
    assert_eq!(between(Some(&info(&["a"])), Some(&info(&["a"]))), None);
}
