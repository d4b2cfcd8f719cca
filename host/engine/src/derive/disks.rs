//! The volumes of a VM: which storage it boots from, which it gets besides.
//!
//! The descriptor's VDU lists storages by id; the first one is the root disk if it is persistent. Where there is no
//! descriptor (or none of its VDUs is this one), the same rule is applied to `virtual-storages` of the VDU's own
//! record: its first entry is the root disk if it is persistent. A client without a descriptor says by that order what
//! it boots from. LCM copies the storages in another order, so with a descriptor the order in the record means nothing.

use serde_json::{Value, json};

use super::{Error, Field, VduContext, ns_reference, vdu::osm};

/// What a storage is; release 14 compares only the end of the text, which also covers the longer forms before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageType {
    Persistent,
    Ephemeral,
    Swap,
    Other,
}

pub(super) fn storage_type(storage: &Field<'_>) -> Result<StorageType, Error> {
    let text = storage.text_of("type-of-storage")?.unwrap_or_default();
    Ok(match text.rsplit(':').next() {
        Some("persistent-storage") => StorageType::Persistent,
        Some("ephemeral-storage") => StorageType::Ephemeral,
        Some("swap-storage") => StorageType::Swap,
        Some(_) | None => StorageType::Other,
    })
}

/// The volume a VM boots from.
#[derive(Debug, PartialEq, Eq)]
struct Root {
    storage: String,
    source: Source,
    /// The descriptor's image reference.
    image: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Existing { vim_volume: String },
    New { size: u64, keep: bool },
}

/// Whether the VM boots from a volume, and so needs no disk of its flavour.
pub(super) fn boots_from_volume(vnfd: Option<&Field<'_>>, vdur: &Field<'_>) -> Result<bool, Error> {
    Ok(root(vnfd, vdur, &instantiation_volumes(vdur)?)?.is_some())
}

/// `disk_list` and the references of shared volumes that the VM has to wait for.
pub(super) fn disks(
    cx: &VduContext<'_>,
    vdur: &Field<'_>,
    image_placeholder: &str,
) -> Result<(Vec<Value>, Vec<String>), Error> {
    let volumes = instantiation_volumes(vdur)?;
    let root = root(cx.vnfd.as_ref(), vdur, &volumes)?;
    let (mut list, mut shared) = (Vec::new(), Vec::new());
    if let Some(Root { source, image, .. }) = &root {
        // The key marks the root disk, so it is there even if the descriptor names no image.
        let image = image.as_deref().unwrap_or(image_placeholder);
        list.push(match source {
            Source::Existing { vim_volume } => json!({"vim_volume_id": vim_volume, "image_id": image}),
            Source::New { size, keep } => json!({"image_id": image, "size": size, "keep": keep}),
        });
    }
    for storage in vdur.list("virtual-storages")? {
        if storage_type(&storage)? != StorageType::Persistent {
            continue;
        }
        let id = storage.require_text("id")?;
        if root.as_ref().is_some_and(|root| root.storage == id) {
            continue;
        }
        if let Some(vim_volume) = volume_for(&volumes, &id) {
            list.push(json!({ "vim_volume_id": vim_volume }));
            continue;
        }
        let Some(size) = size(&storage)? else {
            return Err(storage.missing("size-of-storage", "the size of a volume, at least 1"));
        };
        let keep = requires(&storage, "keep-volume")?;
        if let Some((name, reference)) = shared_volume(cx, &storage, &id)? {
            list.push(json!({"name": name, "multiattach": true, "size": size, "keep": keep}));
            shared.push(reference);
        } else {
            list.push(json!({"size": size, "keep": keep}));
        }
    }
    Ok((list, shared))
}

/// The root disk. `None` when the VM boots from the disk of its flavour.
fn root(vnfd: Option<&Field<'_>>, vdur: &Field<'_>, volumes: &[(String, String)]) -> Result<Option<Root>, Error> {
    let described = match vnfd {
        Some(vnfd) => descriptor_vdu(vnfd, vdur)?.map(|vdu| (vnfd, vdu)),
        None => None,
    };
    let (storage, image) = match described {
        Some((vnfd, vdu)) => {
            let Some(first) = vdu.list("virtual-storage-desc")?.into_iter().next() else {
                return Ok(None);
            };
            let first = first.text()?;
            (
                find(vnfd.list("virtual-storage-desc")?, "id", &first)?,
                vdu.text_of("sw-image-desc")?,
            )
        }
        None => (vdur.list("virtual-storages")?.into_iter().next(), None),
    };
    let Some(storage) = storage else { return Ok(None) };
    if storage_type(&storage)? != StorageType::Persistent {
        return Ok(None);
    }
    let id = storage.require_text("id")?;
    let source = match (volume_for(volumes, &id), size(&storage)?) {
        (Some(vim_volume), _) => Source::Existing {
            vim_volume: vim_volume.to_owned(),
        },
        (None, Some(size)) => Source::New {
            size,
            keep: requires(&storage, "keep-volume")?,
        },
        // Without a size there is nothing to create, and the VM boots from the disk of its flavour.
        (None, None) => return Ok(None),
    };
    Ok(Some(Root {
        storage: id,
        source,
        image,
    }))
}

/// The descriptor's part of a VDU: by name as in the record, else by the id that the record refers to.
fn descriptor_vdu<'v>(vnfd: &Field<'v>, vdur: &Field<'_>) -> Result<Option<Field<'v>>, Error> {
    for (key, wanted) in [("name", vdur.text_of("vdu-name")?), ("id", vdur.text_of("vdu-id-ref")?)] {
        if let Some(wanted) = wanted
            && let Some(found) = find(vnfd.list("vdu")?, key, &wanted)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn find<'v>(list: Vec<Field<'v>>, key: &str, wanted: &str) -> Result<Option<Field<'v>>, Error> {
    for element in list {
        if element.text_of(key)?.as_deref() == Some(wanted) {
            return Ok(Some(element));
        }
    }
    Ok(None)
}

/// Pairs of storage id and existing volume, from the instantiation parameters.
fn instantiation_volumes(vdur: &Field<'_>) -> Result<Vec<(String, String)>, Error> {
    let Some(osm) = osm(vdur)? else { return Ok(Vec::new()) };
    let mut volumes = Vec::new();
    for volume in osm.list("vdu_volumes")? {
        if let (Some(name), Some(id)) = (volume.text_of("name")?, volume.text_of("vim-volume-id")?) {
            volumes.push((name, id));
        }
    }
    Ok(volumes)
}

fn volume_for<'a>(volumes: &'a [(String, String)], storage: &str) -> Option<&'a str> {
    volumes
        .iter()
        .find(|(name, _)| name == storage)
        .map(|(_, volume)| volume.as_str())
}

/// The size in gigabytes; a size of zero is none.
pub(super) fn size(storage: &Field<'_>) -> Result<Option<u64>, Error> {
    Ok(storage.whole_of("size-of-storage")?.filter(|size| *size > 0))
}

/// Whether a requirement is `true`. Descriptors write it as a text; a boolean can only mean the same.
pub(super) fn requires(storage: &Field<'_>, wanted: &str) -> Result<bool, Error> {
    for requirement in storage.list("vdu-storage-requirements")? {
        if requirement.text_of("key")?.as_deref() == Some(wanted) {
            return Ok(match requirement.get("value")?.map(|value| value.value()) {
                Some(Value::Bool(value)) => *value,
                Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
                Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => false,
            });
        }
    }
    Ok(false)
}

/// Name and reference of the volume that several VMs attach. A client that knows shared volumes asks for them in the
/// same request; without one there is nothing to wait for, and the storage is an ordinary volume.
///
/// NBI makes `shared-<storage>-<descriptor's id>` of the storage's id, in the NS record and perhaps, since it changes its copy of the
/// descriptor, in the VNF record too; LCM therefore takes any id that contains the storage's.
fn shared_volume(cx: &VduContext<'_>, storage: &Field<'_>, id: &str) -> Result<Option<(String, String)>, Error> {
    if !requires(storage, "multiattach")? {
        return Ok(None);
    }
    let descriptor = match &cx.vnfd {
        Some(vnfd) => vnfd.text_of("id")?,
        None => None,
    };
    let mut names = vec![id.to_owned(), format!("shared-{id}-{}", cx.vnf_id)];
    names.extend(descriptor.map(|descriptor| format!("shared-{id}-{descriptor}")));
    let beginning = format!("shared-{id}-");
    let mut candidates = Vec::new();
    for volume in cx.shared_volumes {
        let volume_id = volume.require_text("id")?;
        let name = volume.text_of("name")?.unwrap_or_else(|| volume_id.clone());
        if names.contains(&volume_id) || names.contains(&name) {
            return Ok(Some((name, ns_reference(cx.ns.id, "shared-volumes", &volume_id))));
        }
        if volume_id.starts_with(&beginning) {
            candidates.push((name, ns_reference(cx.ns.id, "shared-volumes", &volume_id)));
        }
    }
    // Without the descriptor only the beginning is known; several that begin so are of several VNFs, and none is taken for the other.
    let mut candidates = candidates.into_iter();
    Ok(match (candidates.next(), candidates.next()) {
        (Some(only), None) if cx.vnfd.is_none() => Some(only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{Kind, testing};

    const PERSISTENT: &str = "persistent-storage:persistent-storage";

    fn derive(vnfd: Option<&Value>, vdur: &Value, shared: &Value) -> Result<(Vec<Value>, Vec<String>), Error> {
        let root = json!({ "shared-volumes": shared });
        let shared = Field::new("", &root).list("shared-volumes").unwrap();
        let cx = VduContext {
            vnfd: vnfd.map(|vnfd| Field::new("vnfd", vnfd)),
            shared_volumes: &shared,
            ..testing::context()
        };
        disks(&cx, &Field::new("vnf:0:vdur:0", vdur), "TASK-image")
    }

    fn list(vnfd: Option<&Value>, vdur: &Value) -> Vec<Value> {
        derive(vnfd, vdur, &json!([])).unwrap().0
    }

    fn storage(id: &str) -> Value {
        json!({"id": id, "type-of-storage": PERSISTENT, "size-of-storage": "10"})
    }

    #[test]
    fn the_descriptors_first_storage_is_the_root_disk() {
        let constants = testing::ng_ro_constants();
        let wanted = [
            json!({"image_id": "ubuntu20.04", "size": 10, "keep": true}),
            json!({"size": 10, "keep": false}),
        ];
        let vdur = &constants["target_vdu_wth_persistent_storage"];
        assert_eq!(list(Some(&constants["vnfd_wth_persistent_storage"]), vdur), wanted);
    }

    #[test]
    fn storages_that_are_not_persistent_make_no_disks() {
        let constants = testing::ng_ro_constants();
        let vdur = &constants["target_vdu_wthout_persistent_storage"];
        assert!(list(Some(&constants["vnfd_wthout_persistent_storage"]), vdur).is_empty());
    }

    #[test]
    fn without_descriptor_the_records_first_storage_is_the_root_disk() {
        let vdur = json!({"vdu-name": "vm", "virtual-storages": [storage("a"), storage("b")]});
        let wanted = [
            json!({"image_id": "TASK-image", "size": 10, "keep": false}),
            json!({"size": 10, "keep": false}),
        ];
        assert_eq!(list(None, &vdur), wanted);
        let stranger = json!({"vdu": [{"name": "other", "virtual-storage-desc": ["b"]}]});
        assert_eq!(list(Some(&stranger), &vdur), wanted);
        let vdur = json!({"virtual-storages": [{"id": "r", "size-of-storage": 5}, storage("b")]});
        assert_eq!(list(None, &vdur), [json!({"size": 10, "keep": false})]);
    }

    #[test]
    fn storage_types_are_recognised_by_their_end() {
        for (text, wanted) in [
            (PERSISTENT, StorageType::Persistent),
            ("persistent-storage", StorageType::Persistent),
            ("etsi-nfv-descriptors:ephemeral-storage", StorageType::Ephemeral),
            ("etsi-nfv-descriptors:swap-storage", StorageType::Swap),
            ("something", StorageType::Other),
        ] {
            assert_eq!(
                storage_type(&Field::new("s", &json!({"type-of-storage": text}))).unwrap(),
                wanted
            );
        }
    }

    #[test]
    fn existing_volumes_take_the_place_of_new_ones() {
        let constants = testing::ng_ro_constants();
        let mut vdur = constants["target_vdu_wth_persistent_storage"].clone();
        let vnfd = Some(&constants["vnfd_wth_persistent_storage"]);
        vdur["additionalParams"] = json!({"OSM": {"vdu_volumes": [
            {"name": "persistent-root-volume", "vim-volume-id": "v1"},
            {"name": "persistent-volume2", "vim-volume-id": "v2"},
        ]}});
        let root = json!({"vim_volume_id": "v1", "image_id": "ubuntu20.04"});
        assert_eq!(list(vnfd, &vdur), [root, json!({"vim_volume_id": "v2"})]);
        vdur["additionalParams"]["OSM"]["vdu_volumes"] = json!([{"name": "persistent-volume2", "vim-volume-id": "v2"}]);
        let root = json!({"image_id": "ubuntu20.04", "size": 10, "keep": true});
        assert_eq!(list(vnfd, &vdur), [root, json!({"vim_volume_id": "v2"})]);
    }

    #[test]
    fn d17_existing_volumes_without_root_volume_are_attached() {
        let constants = testing::ng_ro_constants();
        let vdur = json!({
            "vdu-name": "without_volumes-VM", "virtual-storages": [storage("data")],
            "additionalParams": {"OSM": {"vdu_volumes": [{"name": "data", "vim-volume-id": "v"}]}},
        });
        assert_eq!(
            list(Some(&constants["vnfd_wthout_persistent_storage"]), &vdur),
            [json!({"vim_volume_id": "v"})]
        );
        let volumes = json!([{"name": "data", "vim-volume-id": "v"}]);
        let bare = json!({"vdu-name": "x", "additionalParams": {"OSM": {"vdu_volumes": volumes}}});
        assert!(list(None, &bare).is_empty());
    }

    #[test]
    fn d18_an_empty_list_of_storages_has_no_root_disk() {
        let vnfd = json!({"vdu": [{"name": "vm", "virtual-storage-desc": []}], "virtual-storage-desc": []});
        let vdur = json!({"vdu-name": "vm", "virtual-storages": [storage("a")]});
        assert_eq!(list(Some(&vnfd), &vdur), [json!({"size": 10, "keep": false})]);
        assert!(!boots_from_volume(Some(&Field::new("vnfd", &vnfd)), &Field::new("v", &vdur)).unwrap());
    }

    #[test]
    fn only_a_true_keep_volume_requirement_keeps() {
        for (value, keep) in [
            (json!("true"), true),
            (json!(true), true),
            (json!("false"), false),
            (json!(1), false),
            (json!(null), false),
        ] {
            let mut storage = storage("a");
            storage["vdu-storage-requirements"] =
                json!([{"key": "x", "value": "true"}, {"key": "keep-volume", "value": value}]);
            let vdur = json!({"virtual-storages": [{"id": "r"}, storage]});
            assert_eq!(list(None, &vdur), [json!({"size": 10, "keep": keep})], "{value}");
        }
    }

    #[test]
    fn a_shared_volume_of_the_request_is_waited_for() {
        let mut shared = storage("data");
        shared["vdu-storage-requirements"] = json!([{"key": "multiattach", "value": "true"}]);
        let vdur = json!({"virtual-storages": [{"id": "r"}, shared]});
        let volumes = json!([{"id": "7", "name": "shared-data-vnf-id"}]);
        let (list, references) = derive(None, &vdur, &volumes).unwrap();
        // As NBI and LCM of release 14 and later write it.
        let vnfd = json!({"id": "my_vnf", "vdu": []});
        let of_nbi = json!([{"id": "shared-data-other"}, {"id": "shared-data-my_vnf"}]);
        let wanted = "nsrs:ns-id:shared-volumes.shared-data-my_vnf";
        assert_eq!(derive(Some(&vnfd), &vdur, &of_nbi).unwrap().1, [wanted]);
        let renamed = json!({"virtual-storages": [{"id": "r"}, {"id": "shared-data-my_vnf", "type-of-storage": PERSISTENT,
            "size-of-storage": 10, "vdu-storage-requirements": [{"key": "multiattach", "value": "True"}]}]});
        assert_eq!(derive(Some(&vnfd), &renamed, &of_nbi).unwrap().1, [wanted]);
        assert_eq!(
            derive(None, &vdur, &json!([{"id": "shared-data-my_vnf"}])).unwrap().1,
            [wanted]
        );
        assert!(
            derive(None, &vdur, &of_nbi).unwrap().1.is_empty(),
            "whose it is cannot be told"
        );
        let wanted = json!({"name": "shared-data-vnf-id", "multiattach": true, "size": 10, "keep": false});
        assert_eq!(
            (list, references),
            (vec![wanted], vec!["nsrs:ns-id:shared-volumes.7".to_owned()])
        );
        let (list, references) = derive(None, &vdur, &json!([])).unwrap();
        assert_eq!((list, references), (vec![json!({"size": 10, "keep": false})], vec![]));
    }

    #[test]
    fn hostile_storages_are_errors_with_their_place() {
        let base = "vnf:0:vdur:0:virtual-storages";
        for (storages, path) in [
            (json!({}), base.to_owned()),
            (json!(["a"]), format!("{base}:0")),
            (
                json!([{"id": "a", "type-of-storage": PERSISTENT, "size-of-storage": -4}]),
                format!("{base}:0:size-of-storage"),
            ),
            (
                json!([{"id": "r"}, {"id": "a", "type-of-storage": PERSISTENT, "size-of-storage": 0}]),
                format!("{base}:1:size-of-storage"),
            ),
            (
                json!([{"id": "r"}, {"type-of-storage": PERSISTENT, "size-of-storage": 1}]),
                format!("{base}:1:id"),
            ),
            (
                json!([{"id": "r"}, {"id": "a", "type-of-storage": PERSISTENT, "size-of-storage": 1e40}]),
                format!("{base}:1:size-of-storage"),
            ),
        ] {
            let error = derive(None, &json!({"virtual-storages": storages}), &json!([])).unwrap_err();
            assert_eq!((error.kind(), error.path()), (Kind::Shape, Some(path.as_str())));
        }
    }
}
