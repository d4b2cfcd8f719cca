//! Fields of our own documents. One that is missing reads as nothing: no text, zero, an empty list.

use mongodb::bson::{Bson, Document};

/// Text.
pub(crate) fn text_of<'a>(document: &'a Document, field: &str) -> &'a str {
    document.get_str(field).unwrap_or_default()
}

/// A counter.
pub(crate) fn number_of(document: &Document, field: &str) -> i64 {
    document.get_i64(field).unwrap_or_default()
}

/// A list.
pub(crate) fn list_of<'a>(document: &'a Document, field: &str) -> &'a [Bson] {
    document.get_array(field).map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list.
pub(crate) fn texts_of(document: &Document, field: &str) -> Vec<String> {
    list_of(document, field)
        .iter()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
