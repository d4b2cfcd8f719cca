//! Large texts: kept once, referred to by digest, so that a resource document stays small however long its user data is.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use vimhost_model::hex;
use vimhost_store::Store;

use crate::Error;

/// Longer texts are kept apart. Most parameters are far below, most user data above.
const LARGE: usize = 2048;

/// The key of the map that stands for a text.
const KEY: &str = "$text";

/// Takes the large texts out of a value.
///
/// # Errors
/// When the value already holds a map that looks like a reference: only the host may write one, or a request could read texts of
/// others.
pub(super) fn extract(value: &mut Value, texts: &mut Vec<(String, String)>, path: &str) -> Result<(), Error> {
    match value {
        Value::String(text) if text.len() > LARGE => {
            let digest = hex(&Sha256::digest(text.as_bytes()));
            let text = std::mem::take(text);
            if !texts.iter().any(|(known, _)| *known == digest) {
                texts.push((digest.clone(), text));
            }
            *value = Value::Object(Map::from_iter([(KEY.to_owned(), Value::String(digest))]));
        }
        Value::Array(list) => {
            for inner in list {
                extract(inner, texts, path)?;
            }
        }
        Value::Object(map) => {
            if map.contains_key(KEY) {
                return Err(Error::shape(path, format!("key '{KEY}' is reserved")));
            }
            for inner in map.values_mut() {
                extract(inner, texts, path)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// Digests of the texts a value refers to.
#[must_use]
pub fn text_digests(value: &Value) -> Vec<String> {
    let mut digests = Vec::new();
    collect(value, &mut digests);
    digests
}

/// Puts back the texts that are at hand.
pub fn put_texts_back(value: &mut Value, texts: &std::collections::HashMap<String, String>) {
    for digest in text_digests(value) {
        if let Some(text) = texts.get(&digest) {
            replace(value, &digest, text);
        }
    }
}

/// Puts the large texts back.
///
/// # Errors
/// When a text is missing or the store cannot be read.
pub async fn fill_texts(value: &mut Value, store: &dyn Store) -> Result<(), Error> {
    for digest in text_digests(value) {
        let text = store
            .text(&digest)
            .await
            .map_err(|error| Error::of_store("reading a large text", error))?
            .ok_or_else(|| Error::Internal {
                doing: format!("reading text {digest}, which is missing"),
                source: None,
            })?;
        replace(value, &digest, &text);
    }
    Ok(())
}

fn reference(value: &Value) -> Option<&str> {
    let map = value.as_object()?;
    if map.len() == 1 { map.get(KEY)?.as_str() } else { None }
}

fn collect(value: &Value, digests: &mut Vec<String>) {
    if let Some(digest) = reference(value) {
        digests.push(digest.to_owned());
    } else if let Some(list) = value.as_array() {
        list.iter().for_each(|inner| collect(inner, digests));
    } else if let Some(map) = value.as_object() {
        map.values().for_each(|inner| collect(inner, digests));
    }
}

fn replace(value: &mut Value, digest: &str, text: &str) {
    if reference(value) == Some(digest) {
        *value = Value::String(text.to_owned());
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(|inner| replace(inner, digest, text));
    } else if let Some(map) = value.as_object_mut() {
        map.values_mut().for_each(|inner| replace(inner, digest, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_large_text_is_kept_once_and_comes_back() {
        let long = "x".repeat(LARGE + 1);
        let original = json!({"cloud_config": {"user-data": long}, "again": [long], "short": "y"});
        let mut value = original.clone();
        let mut texts = Vec::new();
        extract(&mut value, &mut texts, "").unwrap();
        assert_eq!(texts.len(), 1);
        assert!(value.to_string().len() < 300);
        replace(&mut value, &texts[0].0, &texts[0].1);
        assert_eq!(value, original);
    }

    #[test]
    fn a_request_cannot_refer_to_texts_itself() {
        let mut value = json!({"provider": {"$text": "abc"}});
        assert!(extract(&mut value, &mut Vec::new(), "ns:vld:0").is_err());
    }
}
