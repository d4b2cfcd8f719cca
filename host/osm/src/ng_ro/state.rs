//! What NG-RO knows of an element in its VIM (`vim_info`, NG-RO engine 2.2), as vimhost keeps it.

use serde_json::{Map, Value};
use vimhost_model::{InterfaceInfo, Item, VimId, VimState, VimStatus};

use super::created_items;
use super::document::{Document, ids};

/// Whether an element has a state to observe; images, flavours, groups and volumes are there or not.
pub(super) fn is_observed(item: Item) -> bool {
    match item {
        Item::Net | Item::Vdu | Item::SdnNet | Item::Stack => true,
        Item::Image
        | Item::Flavor
        | Item::AffinityGroup
        | Item::SharedVolume
        | Item::Update
        | Item::Migrate
        | Item::VerticalScale
        | Item::Console => false,
    }
}

/// The id of the element.
pub(super) fn vim_id(document: &Document) -> Option<VimId> {
    match document.vim_info.get("vim_id") {
        Some(Value::String(id)) => VimId::new(id.clone()).ok(),
        Some(Value::Number(id)) => VimId::new(id.to_string()).ok(),
        _ => None,
    }
}

/// Whether NG-RO made the element.
pub(super) fn is_created(document: &Document) -> bool {
    document.vim_info.get("created").and_then(Value::as_bool) == Some(true)
}

/// NG-RO's word for the state, as ours.
pub(super) fn status(document: &Document, item: Item) -> Option<VimStatus> {
    let word = text(&document.vim_info, "vim_status")?;
    Some(match word.as_str() {
        // Images are ACTIVE from release 14 on.
        "ACTIVE" if !is_observed(item) => VimStatus::Done,
        "ACTIVE" => VimStatus::Active,
        "DONE" => VimStatus::Done,
        "BUILD" => VimStatus::Build,
        "PAUSED" => VimStatus::Paused,
        "SUSPENDED" => VimStatus::Suspended,
        "INACTIVE" | "SHUTOFF" => VimStatus::Inactive,
        "DOWN" => VimStatus::Down,
        "ERROR" => VimStatus::Error,
        "VIM_ERROR" => VimStatus::VimError,
        "DELETED" => VimStatus::Deleted,
        _ => VimStatus::Other,
    })
}

/// The state of an element. `shown` is what the record has of it: NG-RO's monitor writes there only, so of a VM's interfaces it knows the
/// last ones.
pub(super) fn state(document: &Document, item: Item, shown: Option<&Value>) -> VimState {
    let info = &document.vim_info;
    let mut state = VimState {
        created: is_created(document),
        vim_id: vim_id(document),
        vim_name: text(info, "vim_name"),
        vim_status: status(document, item),
        vim_details: text(info, "vim_details"),
        vim_message: text(info, "vim_message"),
        ..VimState::default()
    };
    if item != Item::Vdu {
        return state;
    }
    let ports = info.get("interfaces_vim_ids").and_then(Value::as_array);
    state.interfaces_vim_ids = ports
        .into_iter()
        .flatten()
        .map(|id| VimId::new(id.as_str()?).ok())
        .collect();
    let order = &state.interfaces_vim_ids;
    let own = |key: &str| interfaces(info.get(key), order);
    let of_record = |key: &str| interfaces(shown.and_then(|shown| shown.get(key)), order);
    let there = |list: &Vec<Option<InterfaceInfo>>| list.iter().any(Option::is_some);
    let backups = [
        of_record("interfaces_backup"),
        of_record("interfaces"),
        own("interfaces"),
        own("interfaces_backup"),
    ];
    state.interfaces_backup = backups.into_iter().find(there).unwrap_or_default();
    state.interfaces = own("interfaces");
    state
}

/// Volumes of a VM in the order of its disks: those it was given, and those that were made for it.
pub(super) fn volumes(items: &[String], params: Option<&Value>) -> Vec<VimId> {
    let mut made = created_items::volumes(items);
    let disks = params.and_then(|params| params.get("disk_list")?.as_array());
    let mut volumes: Vec<VimId> = Vec::new();
    let mut add = |id: VimId| {
        if !volumes.contains(&id) {
            volumes.push(id);
        }
    };
    for disk in disks.into_iter().flatten() {
        let given = ["vim_volume_id", "vim_id"]
            .iter()
            .find_map(|key| disk.get(*key))
            .cloned();
        match given {
            Some(given) => ids(&[given]).into_iter().for_each(&mut add),
            None if disk.get("multiattach").and_then(Value::as_bool) == Some(true) => {}
            None => made.next().into_iter().for_each(&mut add),
        }
    }
    made.for_each(&mut add);
    volumes
}

/// Interfaces, in the order of the ports where that is known.
fn interfaces(list: Option<&Value>, order: &[Option<VimId>]) -> Vec<Option<InterfaceInfo>> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let list: Vec<Option<InterfaceInfo>> = list.map(interface).collect();
    if order.is_empty() || list.is_empty() {
        return list;
    }
    let of_port = |port: &Option<VimId>| {
        let port = port.as_ref()?.as_str();
        let mut there = list.iter().flatten();
        there
            .find(|interface| interface.vim_interface_id.as_deref() == Some(port))
            .cloned()
    };
    order.iter().map(of_port).collect()
}

fn interface(value: &Value) -> Option<InterfaceInfo> {
    let map = value.as_object()?;
    let flag = |key: &str| map.get(key).and_then(Value::as_bool) == Some(true);
    let vlan = match map.get("vlan") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    Some(InterfaceInfo {
        vim_interface_id: text(map, "vim_interface_id"),
        vim_net_id: text(map, "vim_net_id"),
        mac_address: text(map, "mac_address"),
        ip_address: text(map, "ip_address"),
        compute_node: text(map, "compute_node"),
        pci: text(map, "pci"),
        vlan: vlan.and_then(|vlan| u32::try_from(vlan).ok()),
        vim_info: text(map, "vim_info"),
        mgmt_vnf_interface: flag("mgmt_vnf_interface"),
        mgmt_vdu_interface: flag("mgmt_vdu_interface"),
    })
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}
