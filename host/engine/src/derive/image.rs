//! Images: looked up in the VIM, never uploaded.

use serde_json::{Map, Value, json};

use super::{Derived, Error, Field, Item};

/// The keys of an image item and the filter each becomes; a later one wins, because it is the more exact.
const FILTERS: [(&str, &str); 3] = [
    ("image", "name"),
    ("vim_image_id", "id"),
    ("image_checksum", "checksum"),
];

/// Derives the lookup of an image.
///
/// # Errors
/// The item has no search key, or one that is not a text.
pub fn image(item: &Field<'_>) -> Result<Derived, Error> {
    let mut filter = None;
    for (key, name) in FILTERS {
        if let Some(value) = item.text_of(key)? {
            filter = Some((name, value));
        }
    }
    let Some((name, value)) = filter else {
        let image = item.text_of("id")?.unwrap_or_else(|| "without id".to_owned());
        return Err(Error::NoImageFilter {
            path: item.path().to_owned(),
            image,
        });
    };
    let filter = Map::from_iter([(name.to_owned(), Value::String(value))]);
    Ok(Derived {
        find_params: Some(json!({ "filter_dict": filter })),
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::Image)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::Kind;

    #[test]
    fn the_last_present_search_key_wins() {
        let table = [
            (json!({"image": "ubuntu"}), json!({"name": "ubuntu"})),
            (json!({"vim_image_id": "i1", "image": "ubuntu"}), json!({"id": "i1"})),
            (
                json!({"image": "u", "vim_image_id": "i1", "image_checksum": "c"}),
                json!({"checksum": "c"}),
            ),
            (
                json!({"image": "u", "vim_image_id": null, "image_checksum": ""}),
                json!({"name": "u"}),
            ),
            (json!({"image": 2204}), json!({"name": "2204"})),
        ];
        for (item, filter) in table {
            let derived = image(&Field::new("image:0", &item)).unwrap();
            assert_eq!(derived.find_params, Some(json!({"filter_dict": filter})), "{item}");
            assert_eq!((derived.item, derived.params), (Item::Image, None));
        }
    }

    #[test]
    fn an_image_without_search_key_is_an_error_that_names_it() {
        let error = image(&Field::new("image:3", &json!({"id": "3", "vim-type": "azure"}))).unwrap_err();
        assert_eq!(error.kind(), Kind::Shape);
        assert!(error.to_string().contains("image 3 at image:3"), "{error}");
    }

    #[test]
    fn an_image_name_of_another_type_is_an_error_with_its_place() {
        let error = image(&Field::new("image:0", &json!({"image": ["ubuntu"]}))).unwrap_err();
        assert_eq!(error.path(), Some("image:0:image"));
    }

    #[test]
    fn the_sharing_key_is_kept() {
        let derived = image(&Field::new("image:0", &json!({"image": "u", "common_id": "c"}))).unwrap();
        assert_eq!(derived.common_id.as_deref(), Some("c"));
    }
}
