//! Secrets in what is shown: the value of any key that names one is replaced.

use serde_json::Value;

const MASK: &str = "***";
const WORDS: [&str; 4] = ["password", "secret", "private_key", "private-key"];

/// Replaces the values of keys that name a secret, at any depth. Null stays: it says that there is none.
pub(crate) fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                let key = key.to_ascii_lowercase();
                if !value.is_null() && WORDS.iter().any(|word| key.contains(word)) {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_that_name_a_secret_lose_their_value_at_any_depth() {
        let mut value =
            json!({"Password": "a", "x": [{"client_secret": {"deep": 1}, "private_key": null, "name": "n"}]});
        mask(&mut value);
        assert_eq!(
            value,
            json!({"Password": "***", "x": [{"client_secret": "***", "private_key": null, "name": "n"}]})
        );
    }
}
