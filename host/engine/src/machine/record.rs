//! What records show of a resource (`_update_target` of NG-RO's `ns_thread.py`), field by field.

use serde_json::{Value, json};
use vimhost_model::{
    FieldPath, InterfaceInfo, Item, ItemList, ItemRef, RecordChange, Resource, TargetId, Task, TaskAction, TaskStatus,
    VimState, VimStatus,
};

/// The changes that take records from showing `before` to showing `after`, for every item that holds the element.
pub(super) fn shown(before: &Resource, after: &Resource) -> Vec<RecordChange> {
    if before.vim == after.vim {
        return Vec::new();
    }
    after
        .live_creates()
        .flat_map(|task| of_holder(&before.vim, after, task))
        .collect()
}

/// Everything, for an item that has just become a holder.
pub(super) fn everything(resource: &Resource, index: usize) -> Vec<RecordChange> {
    resource
        .tasks
        .get(index)
        .map(|task| of_holder(&VimState::default(), resource, task))
        .unwrap_or_default()
}

/// The failure of a task whose item holds nothing any more.
pub(super) fn failed(resource: &Resource, item: &ItemRef) -> RecordChange {
    let mut change = RecordChange::to_item(item);
    let path = vim_info(&resource.target);
    change.set.push((
        path.clone().key("vim_status"),
        json!(resource.vim.vim_status.map(VimStatus::as_str)),
    ));
    change
        .set
        .push((path.key("vim_message"), json!(resource.vim.vim_message)));
    change
}

/// The status of a VM that only its record knows: no document of ours speaks for it.
pub(super) fn status_alone(item: &ItemRef, target: &TargetId, status: VimStatus) -> RecordChange {
    let mut change = RecordChange::to_item(item);
    let word = json!(status.as_str());
    change.set.push((vim_info(target).key("vim_status"), word.clone()));
    change.set.push((FieldPath::keys(["status"]), word));
    change
}

/// An item whose element is gone, or not wanted any more.
pub(super) fn cleared(item: &ItemRef, target: &TargetId) -> RecordChange {
    let mut change = RecordChange::to_item(item);
    change.set.push((FieldPath::keys(["status"]), json!("DELETED")));
    change.unset.push(vim_info(target));
    change
}

fn vim_info(target: &TargetId) -> FieldPath {
    FieldPath::keys(["vim_info".to_owned(), target.to_string()])
}

/// What one holder's record is to show, where it differs from before.
fn of_holder(before: &VimState, resource: &Resource, task: &Task) -> Vec<RecordChange> {
    debug_assert!(task.action == TaskAction::Create && task.status != TaskStatus::Finished);
    let after = &resource.vim;
    let mut change = RecordChange::to_item(&task.target_record);
    let path = vim_info(&resource.target);
    let mut field = |key: &str, old: Value, new: Value| {
        if old != new {
            change.set.push((path.clone().key(key), new));
        }
    };
    field("vim_id", json!(before.vim_id), json!(after.vim_id));
    field("vim_name", json!(before.vim_name), json!(after.vim_name));
    field(
        "vim_status",
        json!(before.vim_status.map(VimStatus::as_str)),
        json!(after.vim_status.map(VimStatus::as_str)),
    );
    field("vim_details", json!(before.vim_details), json!(after.vim_details));
    field("vim_message", json!(before.vim_message), json!(after.vim_message));
    let mut changes = Vec::new();
    if resource.item == Item::Vdu && task.target_record.list == ItemList::Vdur {
        field("interfaces", json!(before.interfaces), json!(after.interfaces));
        field(
            "interfaces_backup",
            json!(before.interfaces_backup),
            json!(after.interfaces_backup),
        );
        changes.extend(of_vdu(before, after, task, &mut change));
    }
    if !change.is_empty() {
        changes.insert(0, change);
    }
    changes
}

/// What a VDU shows outside `vim_info`, and what its VNF shows of it.
fn of_vdu(before: &VimState, after: &VimState, task: &Task, change: &mut RecordChange) -> Option<RecordChange> {
    let status = |vim: &VimState| vim.vim_status.map(|status| status.as_str().to_owned());
    let id = |vim: &VimState| vim.vim_id.as_ref().map(ToString::to_string);
    for (key, old, new) in [
        ("name", before.vim_name.clone(), after.vim_name.clone()),
        ("vim-id", id(before), id(after)),
        ("status", status(before), status(after)),
    ] {
        if let Some(new) = new.filter(|new| !new.is_empty() && old.as_ref() != Some(new)) {
            change.set.push((FieldPath::keys([key]), json!(new)));
        }
    }
    if before.interfaces == after.interfaces {
        return None;
    }
    let mut vnf = None;
    for (index, interface) in after.interfaces.iter().enumerate() {
        let Some(interface) = interface else { continue };
        let place = task.interface_places.get(index).copied().unwrap_or(index);
        of_interface(place, interface, change);
        let first_address = interface
            .ip_address
            .as_deref()
            .and_then(|text| text.split(';').next())
            .filter(|text| !text.is_empty());
        if let Some(address) = first_address {
            if interface.mgmt_vdu_interface {
                change.set.push((FieldPath::keys(["ip-address"]), json!(address)));
            }
            if interface.mgmt_vnf_interface {
                let mut of_vnf =
                    RecordChange::to_record(task.target_record.collection, task.target_record.record.clone());
                of_vnf.set.push((FieldPath::keys(["ip-address"]), json!(address)));
                vnf = Some(of_vnf);
            }
        }
    }
    vnf
}

/// What an interface shows, at its place in the record.
fn of_interface(place: usize, interface: &InterfaceInfo, change: &mut RecordChange) {
    let path = FieldPath::keys(["interfaces"]).index(place);
    change.set.push((path.clone().key("vlan"), json!(interface.vlan)));
    change
        .set
        .push((path.clone().key("compute_node"), json!(interface.compute_node)));
    change.set.push((path.clone().key("pci"), json!(interface.pci)));
    for (key, value) in [
        ("ip-address", &interface.ip_address),
        ("mac-address", &interface.mac_address),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            change.set.push((path.clone().key(key), json!(value)));
        }
    }
}
