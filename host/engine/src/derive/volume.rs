//! Volumes that several VMs attach, and that belong to none of them.

use serde_json::json;

use super::disks::requires;
use super::{Derived, Error, Field, Item};

/// Derives a shared volume, in the shape that NG-RO has from release 14 on. Its name in the VIM is its id: LCM writes
/// `shared-<storage>-<descriptor>` there, and NG-RO's VMs find it by that name.
///
/// # Errors
/// The size or the id is missing or of the wrong type.
pub fn shared_volume(item: &Field<'_>) -> Result<Derived, Error> {
    let size = match item.whole_of("size-of-storage")? {
        Some(size) => size,
        None => item.require_whole("size")?,
    };
    let name = match item.text_of("name")? {
        Some(name) => name,
        None => item.require_text("id")?,
    };
    Ok(Derived {
        common_id: item.text_of("common_id")?,
        params: Some(json!({
            "name": name,
            "size": size,
            "type": item.text_of("type-of-storage")?,
            "keep": requires(item, "keep-volume")?,
        })),
        ..Derived::new(Item::SharedVolume)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_volume_has_ng_ros_shape() {
        let item = json!({"id": "shared-data-vnfd", "size-of-storage": "10", "type-of-storage": "persistent-storage",
            "vdu-storage-requirements": [{"key": "multiattach", "value": "True"}, {"key": "keep-volume", "value": "true"}]});
        let derived = shared_volume(&Field::new("shared-volumes:0", &item)).unwrap();
        let wanted = json!({"name": "shared-data-vnfd", "size": 10, "type": "persistent-storage", "keep": true});
        assert_eq!(derived.params, Some(wanted));
        let item = json!({"id": "7"});
        let error = shared_volume(&Field::new("shared-volumes:0", &item)).unwrap_err();
        assert_eq!(error.path(), Some("shared-volumes:0:size"));
    }
}
