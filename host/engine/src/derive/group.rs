//! Placement groups.

use serde_json::json;

use super::{Derived, Error, Field, Item};

/// The only scope that OSM's descriptors allow; taken when a client leaves it out.
const DEFAULT_SCOPE: &str = "nfvi-node";

/// Derives the creation of a placement group, or the use of an existing one.
///
/// # Errors
/// Name or type is missing, or a field is not a text.
pub fn group(item: &Field<'_>) -> Result<Derived, Error> {
    let mut data = json!({
        "name": item.require_text("name")?,
        "type": item.require_text("type")?,
        "scope": item.text_of("scope")?.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
    });
    if let (Some(id), Some(data)) = (item.text_of("vim-affinity-group-id")?, data.as_object_mut()) {
        data.insert("vim-affinity-group-id".to_owned(), id.into());
    }
    Ok(Derived {
        params: Some(json!({ "affinity_group_data": data })),
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::AffinityGroup)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_name_type_and_scope() {
        let item = json!({"id": "0", "name": "g", "type": "anti-affinity", "scope": "nfvi-node"});
        let derived = group(&Field::new("g:0", &item)).unwrap();
        let data = json!({"name": "g", "type": "anti-affinity", "scope": "nfvi-node"});
        assert_eq!(derived.params, Some(json!({"affinity_group_data": data})));
        assert_eq!((derived.item, derived.find_params), (Item::AffinityGroup, None));
    }

    #[test]
    fn the_id_of_an_existing_group_is_passed_on() {
        let item = json!({"name": "g", "type": "affinity", "vim-affinity-group-id": "vim-1"});
        let data = json!({"name": "g", "type": "affinity", "scope": "nfvi-node", "vim-affinity-group-id": "vim-1"});
        assert_eq!(
            group(&Field::new("g:0", &item)).unwrap().params,
            Some(json!({"affinity_group_data": data}))
        );
    }

    #[test]
    fn a_group_without_type_is_an_error_with_its_place() {
        let error = group(&Field::new("g:1", &json!({"name": "g"}))).unwrap_err();
        assert_eq!(error.path(), Some("g:1:type"));
    }
}
