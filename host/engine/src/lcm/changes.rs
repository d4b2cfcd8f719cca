//! What an operation changed: the difference of what an instance consisted of before and after, by ids. Pure.

use std::collections::BTreeMap;

use vimhost_model::vnf::{
    AffectedExtLinkPort, AffectedVirtualLink, AffectedVirtualStorage, AffectedVnfc, ChangeType, InstantiatedVnfInfo,
    ResourceChanges, VnfVirtualLinkResourceInfo, VnfcResourceInfo,
};

/// What is different; none when nothing is.
pub(crate) fn between(
    before: Option<&InstantiatedVnfInfo>,
    after: Option<&InstantiatedVnfInfo>,
) -> Option<ResourceChanges> {
    let changes = ResourceChanges {
        affected_vnfcs: some(compare(
            before.and_then(|info| info.vnfc_resource_info.as_deref()),
            after.and_then(|info| info.vnfc_resource_info.as_deref()),
            |vnfc| &vnfc.id,
            vnfc,
        )),
        affected_virtual_links: some(compare(
            before.and_then(|info| info.vnf_virtual_link_resource_info.as_deref()),
            after.and_then(|info| info.vnf_virtual_link_resource_info.as_deref()),
            |link| &link.id,
            link,
        )),
        affected_ext_link_ports: some(ext_link_ports(before, after)),
        affected_virtual_storages: some(compare(
            before.and_then(|info| info.virtual_storage_resource_info.as_deref()),
            after.and_then(|info| info.virtual_storage_resource_info.as_deref()),
            |storage| &storage.id,
            |old, new| {
                let (storage, change_type) = added_or_removed(old, new)?;
                Some(AffectedVirtualStorage {
                    id: storage.id.clone(),
                    virtual_storage_desc_id: storage.virtual_storage_desc_id.clone(),
                    vnfd_id: storage.vnfd_id.clone(),
                    change_type,
                    storage_resource: storage.storage_resource.clone(),
                })
            },
        )),
    };
    (changes != ResourceChanges::default()).then_some(changes)
}

/// Pairs two lists by id and tells what is to be told of each pair.
fn compare<T, A>(
    before: Option<&[T]>,
    after: Option<&[T]>,
    id: impl Fn(&T) -> &String,
    tell: impl Fn(Option<&T>, Option<&T>) -> Option<A>,
) -> Vec<A> {
    let mut pairs: BTreeMap<&String, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for one in before.unwrap_or_default() {
        pairs.entry(id(one)).or_default().0 = Some(one);
    }
    for one in after.unwrap_or_default() {
        pairs.entry(id(one)).or_default().1 = Some(one);
    }
    pairs.into_values().filter_map(|(old, new)| tell(old, new)).collect()
}

fn added_or_removed<'t, T>(old: Option<&'t T>, new: Option<&'t T>) -> Option<(&'t T, ChangeType)> {
    match (old, new) {
        (None, Some(new)) => Some((new, ChangeType::Added)),
        (Some(old), None) => Some((old, ChangeType::Removed)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn vnfc(old: Option<&VnfcResourceInfo>, new: Option<&VnfcResourceInfo>) -> Option<AffectedVnfc> {
    let cps = |vnfc: &VnfcResourceInfo| -> Vec<String> {
        vnfc.vnfc_cp_info.iter().flatten().map(|cp| cp.id.clone()).collect()
    };
    let storages = |vnfc: Option<&VnfcResourceInfo>| -> Vec<String> {
        vnfc.and_then(|vnfc| vnfc.storage_resource_ids.clone())
            .unwrap_or_default()
    };
    let (told, change_type) = match (old, new) {
        (Some(old), Some(new)) => {
            let placed = |vnfc: &VnfcResourceInfo| {
                let image = vnfc.metadata.as_ref().map(|metadata| {
                    let differs = |name: &&String| *name == "flavor" || name.starts_with("image-");
                    let values = metadata.iter().filter(|(name, _)| differs(name));
                    values
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect::<Vec<_>>()
                });
                (vnfc.storage_resource_ids.clone(), cps(vnfc), image)
            };
            if placed(old) == placed(new) {
                return None;
            }
            (new, ChangeType::Modified)
        }
        (old, new) => added_or_removed(old, new)?,
    };
    let (had, has) = (storages(old), storages(new));
    Some(AffectedVnfc {
        id: told.id.clone(),
        vdu_id: told.vdu_id.clone(),
        vnfd_id: told.vnfd_id.clone(),
        change_type,
        compute_resource: told.compute_resource.clone(),
        resource_definition_id: None,
        zone_id: told.zone_id.clone(),
        metadata: told.metadata.clone(),
        affected_vnfc_cp_ids: some(cps(told)),
        added_storage_resource_ids: some(has.iter().filter(|id| !had.contains(id)).cloned().collect()),
        removed_storage_resource_ids: some(had.iter().filter(|id| !has.contains(id)).cloned().collect()),
    })
}

fn link(
    old: Option<&VnfVirtualLinkResourceInfo>,
    new: Option<&VnfVirtualLinkResourceInfo>,
) -> Option<AffectedVirtualLink> {
    let ports = |link: &VnfVirtualLinkResourceInfo| -> Vec<String> {
        link.vnf_link_ports
            .iter()
            .flatten()
            .map(|port| port.id.clone())
            .collect()
    };
    let (told, change_type, ports) = match (old, new) {
        (Some(old), Some(new)) => {
            let (had, has) = (ports(old), ports(new));
            let added: Vec<String> = has.iter().filter(|id| !had.contains(id)).cloned().collect();
            let removed: Vec<String> = had.iter().filter(|id| !has.contains(id)).cloned().collect();
            match (added.is_empty(), removed.is_empty()) {
                (true, true) => return None,
                (false, true) => (new, ChangeType::LinkPortAdded, added),
                (true, false) => (new, ChangeType::LinkPortRemoved, removed),
                (false, false) => (new, ChangeType::Modified, [added, removed].concat()),
            }
        }
        (old, new) => {
            let (link, change_type) = added_or_removed(old, new)?;
            (link, change_type, ports(link))
        }
    };
    Some(AffectedVirtualLink {
        id: told.id.clone(),
        vnf_virtual_link_desc_id: told.vnf_virtual_link_desc_id.clone(),
        vnfd_id: told.vnfd_id.clone(),
        change_type,
        network_resource: told.network_resource.clone(),
        vnf_link_port_ids: some(ports),
    })
}

fn ext_link_ports(
    before: Option<&InstantiatedVnfInfo>,
    after: Option<&InstantiatedVnfInfo>,
) -> Vec<AffectedExtLinkPort> {
    let ports = |info: Option<&InstantiatedVnfInfo>| -> Vec<_> {
        let links = info.and_then(|info| info.ext_virtual_link_info.as_ref());
        let links = links.into_iter().flatten();
        // A port of the client's that no connection point is on is known and nothing of the instance.
        links
            .flat_map(|link| link.ext_link_ports.iter().flatten())
            .filter(|port| port.cp_instance_id.is_some())
            .cloned()
            .collect()
    };
    let (before, after) = (ports(before), ports(after));
    compare(
        Some(before.as_slice()),
        Some(after.as_slice()),
        |port| &port.id,
        |old, new| {
            let (port, change_type) = added_or_removed(old, new)?;
            Some(AffectedExtLinkPort {
                id: port.id.clone(),
                change_type,
                ext_cp_instance_id: port.cp_instance_id.clone().unwrap_or_default(),
                resource_handle: port.resource_handle.clone(),
            })
        },
    )
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests;
