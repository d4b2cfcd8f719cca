//! Volumes that several VMs attach, and that belong to none of them.

use serde_json::json;

use super::{Derived, Error, Field, Item};

/// Derives a shared volume. VMs find it by its name, `shared-<storage>-<vnf>`.
///
/// # Errors
/// The size or the name is missing or of the wrong type.
pub fn shared_volume(item: &Field<'_>) -> Result<Derived, Error> {
    let name = match item.text_of("name")? {
        Some(name) => name,
        None => item.require_text("id")?,
    };
    let size = match item.whole_of("size-of-storage")? {
        Some(size) => size,
        None => item.require_whole("size")?,
    };
    Ok(Derived {
        common_id: item.text_of("common_id")?,
        params: Some(json!({"shared_volume_data": {"name": name, "size": size}})),
        ..Derived::new(Item::SharedVolume)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_volume_has_a_name_and_a_size() {
        let item = json!({"id": "7", "name": "shared-data-v", "size-of-storage": "10"});
        let derived = shared_volume(&Field::new("shared-volumes:0", &item)).unwrap();
        assert_eq!(
            derived.params,
            Some(json!({"shared_volume_data": {"name": "shared-data-v", "size": 10}}))
        );
        let item = json!({"id": "7"});
        let error = shared_volume(&Field::new("shared-volumes:0", &item)).unwrap_err();
        assert_eq!(error.path(), Some("shared-volumes:0:size"));
    }
}
