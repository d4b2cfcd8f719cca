//! Flavours: looked up by their sizes, created if none fits.
//!
//! A flavour belongs to the NS, while the storages that shape it belong to the VDUs that use it. Each user is asked
//! with its own descriptor, and the flavour has to serve all of them: it has no disk only if all of them boot from a
//! volume, and the largest ephemeral disk and swap that any of them wants.

use serde_json::{Map, Value, json};

use super::disks::{StorageType, boots_from_volume, size, storage_type};
use super::{Derived, Error, Field, Item, epa, vdu::osm};

/// A VDU that uses the flavour, with the descriptor of its VNF where there is one.
#[derive(Debug, Clone)]
pub struct FlavourUser<'v> {
    /// The VDU's item.
    pub vdur: Field<'v>,
    /// The descriptor of its VNF.
    pub vnfd: Option<Field<'v>>,
}

/// Derives lookup and creation of a flavour.
///
/// Where all users name the same existing flavour (`additionalParams.OSM.vim_flavor_id` or `vim_flavor_name`) there are
/// only `find_params` with that key, and nothing is ever created.
///
/// # Errors
/// A size or the name is missing or no number, or users name different existing flavours.
pub fn flavour(item: &Field<'_>, users: &[FlavourUser<'_>]) -> Result<Derived, Error> {
    let mut derived = Derived {
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::Flavor)
    };
    if let Some((key, value)) = existing(item, users)? {
        derived.find_params = Some(Value::Object(Map::from_iter([(key.to_owned(), value.into())])));
        return Ok(derived);
    }
    let vcpus = item.require_whole("vcpu-count")?;
    let mut data = Map::from_iter([
        ("disk".to_owned(), json!(item.require_whole("storage-gb")?)),
        ("ram".to_owned(), json!(item.require_whole("memory-mb")?)),
        ("vcpus".to_owned(), json!(vcpus)),
    ]);
    let mut all_boot_from_volume = !users.is_empty();
    for user in users {
        all_boot_from_volume &= boots_from_volume(user.vnfd.as_ref(), &user.vdur)?;
        for (key, wanted) in [("ephemeral", StorageType::Ephemeral), ("swap", StorageType::Swap)] {
            if let Some(size) = size_of(&user.vdur, wanted)? {
                let largest = data.get(key).and_then(Value::as_u64).unwrap_or(0).max(size);
                data.insert(key.to_owned(), largest.into());
            }
        }
    }
    if all_boot_from_volume {
        data.insert("disk".to_owned(), json!(0));
    }
    if let Some(extended) = epa::extended(item, vcpus)? {
        data.insert("extended".to_owned(), extended);
    }
    derived.find_params = Some(json!({ "flavor_data": data }));
    data.insert("name".to_owned(), item.require_text("name")?.into());
    derived.params = Some(json!({ "flavor_data": data }));
    Ok(derived)
}

/// The size of a VDU's storage of one kind; a flavour has room for one, and the last one listed is it.
fn size_of(vdur: &Field<'_>, wanted: StorageType) -> Result<Option<u64>, Error> {
    let mut last = None;
    for storage in vdur.list("virtual-storages")? {
        if storage_type(&storage)? == wanted {
            last = Some(size(&storage)?.unwrap_or(0));
        }
    }
    Ok(last)
}

/// The existing flavour that all users name.
///
/// A VDU that names one by id uses it whatever this flavour becomes, so users may differ in ids. A name has to be
/// looked up by this flavour's task, which can find only one.
fn existing(item: &Field<'_>, users: &[FlavourUser<'_>]) -> Result<Option<(&'static str, String)>, Error> {
    let mut named = Vec::new();
    for user in users {
        named.push(match osm(&user.vdur)? {
            Some(osm) => match osm.text_of("vim_flavor_id")? {
                Some(id) => Some(("vim_flavor_id", id)),
                None => osm.text_of("vim_flavor_name")?.map(|name| ("vim_flavor_name", name)),
            },
            None => None,
        });
    }
    let Some(first) = named.first() else { return Ok(None) };
    if named.iter().all(|name| name == first) {
        return Ok(first.clone());
    }
    for (user, name) in users.iter().zip(&named) {
        if let Some(("vim_flavor_name", _)) = name {
            let path = format!("{}:additionalParams:OSM:vim_flavor_name", user.vdur.path());
            return Err(Error::FlavourConflict {
                path,
                flavour: item.text_of("id")?.unwrap_or_default(),
            });
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{Kind, testing};

    fn derive(item: &Value, users: &[(&Value, Option<&Value>)]) -> Result<Derived, Error> {
        let users: Vec<_> = users
            .iter()
            .map(|(vdur, vnfd)| FlavourUser {
                vdur: Field::new("vnf:0:vdur:0", vdur),
                vnfd: vnfd.map(|vnfd| Field::new("vnfd", vnfd)),
            })
            .collect();
        flavour(&Field::new("flavor:0", item), &users)
    }

    fn small() -> Value {
        json!({"id": "0", "name": "vm-flv", "memory-mb": "1024", "vcpu-count": 1, "storage-gb": "10"})
    }

    fn data(item: &Value, users: &[(&Value, Option<&Value>)]) -> Value {
        derive(item, users).unwrap().find_params.unwrap()["flavor_data"].clone()
    }

    #[test]
    fn sizes_become_integers_and_only_params_have_the_name() {
        let derived = derive(&small(), &[]).unwrap();
        assert_eq!(
            derived.find_params,
            Some(json!({"flavor_data": {"disk": 10, "ram": 1024, "vcpus": 1}}))
        );
        let params = json!({"flavor_data": {"name": "vm-flv", "disk": 10, "ram": 1024, "vcpus": 1}});
        assert_eq!((derived.item, derived.params), (Item::Flavor, Some(params)));
    }

    #[test]
    fn guest_epa_becomes_extended() {
        let mut item = small();
        item["guest-epa"] = json!({"mempage-size": "LARGE"});
        assert_eq!(data(&item, &[])["extended"], json!({"mempage-size": "LARGE"}));
    }

    #[test]
    fn a_vdu_that_boots_from_a_volume_needs_no_disk() {
        let constants = testing::ng_ro_constants();
        let vdur = &constants["target_vdu_wth_persistent_storage"];
        let with = Some(&constants["vnfd_wth_persistent_storage"]);
        assert_eq!(
            data(&small(), &[(vdur, with)]),
            json!({"disk": 0, "ram": 1024, "vcpus": 1, "ephemeral": 1})
        );
        let vdur = &constants["target_vdu_wthout_persistent_storage"];
        let without = Some(&constants["vnfd_wthout_persistent_storage"]);
        assert_eq!(data(&small(), &[(vdur, without)])["disk"], 10);
    }

    #[test]
    fn d18_the_disk_is_decided_by_each_vdu_with_its_own_descriptor() {
        let constants = testing::ng_ro_constants();
        let booting = (
            &constants["target_vdu_wth_persistent_storage"],
            Some(&constants["vnfd_wth_persistent_storage"]),
        );
        let plain = (
            &constants["target_vdu_wthout_persistent_storage"],
            Some(&constants["vnfd_wthout_persistent_storage"]),
        );
        assert_eq!(data(&small(), &[booting, plain])["disk"], 10);
        assert_eq!(data(&small(), &[plain, booting])["disk"], 10);
        assert_eq!(data(&small(), &[booting, booting])["disk"], 0);
    }

    #[test]
    fn d18_an_empty_list_of_storages_needs_the_flavours_disk() {
        let vnfd = json!({"vdu": [{"name": "vm", "virtual-storage-desc": []}]});
        assert_eq!(data(&small(), &[(&json!({"vdu-name": "vm"}), Some(&vnfd))])["disk"], 10);
    }

    #[test]
    fn ephemeral_disk_and_swap_serve_the_most_demanding_vdu() {
        let storages = |ephemeral: u64| {
            json!({"virtual-storages": [
                {"id": "e", "type-of-storage": "etsi-nfv-descriptors:ephemeral-storage", "size-of-storage": ephemeral},
                {"id": "s", "type-of-storage": "etsi-nfv-descriptors:swap-storage", "size-of-storage": "1"},
            ]})
        };
        let (small_one, large_one) = (storages(2), storages(5));
        let data = data(&small(), &[(&large_one, None), (&small_one, None)]);
        assert_eq!((&data["ephemeral"], &data["swap"]), (&json!(5), &json!(1)));
    }

    #[test]
    fn an_existing_flavour_that_all_users_name_is_only_looked_up() {
        let by_id = json!({"additionalParams": {"OSM": {"vim_flavor_id": "f1", "vim_flavor_name": "x"}}});
        let derived = derive(&json!({"id": "0"}), &[(&by_id, None), (&by_id, None)]).unwrap();
        assert_eq!(
            (derived.find_params, derived.params),
            (Some(json!({"vim_flavor_id": "f1"})), None)
        );
        let by_name = json!({"additionalParams": {"OSM": {"vim_flavor_name": "m1"}}});
        let derived = derive(&json!({"id": "0"}), &[(&by_name, None)]).unwrap();
        assert_eq!(
            (derived.find_params, derived.params),
            (Some(json!({"vim_flavor_name": "m1"})), None)
        );
        let plain = json!({});
        assert!(
            derive(&small(), &[(&by_id, None), (&plain, None)])
                .unwrap()
                .params
                .is_some()
        );
        let error = derive(&small(), &[(&plain, None), (&by_name, None)]).unwrap_err();
        assert_eq!(error.kind(), Kind::Shape);
    }

    #[test]
    fn hostile_flavours_are_errors_with_their_place() {
        for (key, value) in [
            ("memory-mb", json!(-1)),
            ("vcpu-count", json!(1e99)),
            ("storage-gb", json!([])),
            ("name", json!({})),
        ] {
            let mut item = small();
            item[key] = value;
            let error = derive(&item, &[]).unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (Kind::Shape, Some(format!("flavor:0:{key}").as_str()))
            );
        }
        let error = derive(&json!({"name": "f", "memory-mb": 1, "vcpu-count": 1}), &[]).unwrap_err();
        assert_eq!(error.path(), Some("flavor:0:storage-gb"));
    }
}
