//! Bodies: bounded reading, and decoding by content type into one kind of value.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::failure::{Failure, WrongField};
use crate::yaml::{self, Duplicates};

/// Values in a JSON body. As for YAML: a million take about 100 MB.
const MAX_JSON_VALUES: usize = 1_000_000;

/// A body of more bytes is decoded where blocking is allowed: a megabyte of YAML takes some tens of milliseconds.
const DECODE_INLINE: usize = 64 << 10;

/// How strictly a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As PyYAML's safe loader and Python's `json` do: of a repeated key the last counts.
    AsPython,
    /// A repeated key in YAML is refused: a person made a mistake.
    Strict,
}

/// Reads a body to its end, at most `limit` bytes.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Failure::too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::too_large(limit)),
        Err(_) => Err(Failure::bad_request("the body did not come whole and in time")),
    }
}

/// Decodes a body: JSON when the content type says so, YAML otherwise. Whatever is empty, null, false or zero is an empty map.
pub(crate) async fn decode(headers: &HeaderMap, bytes: Bytes, reading: Reading) -> Result<Value, Failure> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|text| text.to_str().ok())
        .unwrap_or_default();
    let json = content_type.contains("application/json") || content_type.contains("+json");
    if bytes.len() <= DECODE_INLINE {
        return decode_now(&bytes, json, reading);
    }
    tokio::task::spawn_blocking(move || decode_now(&bytes, json, reading))
        .await
        .unwrap_or_else(|_| Err(Failure::bad_request("the body cannot be decoded")))
}

fn decode_now(bytes: &[u8], json: bool, reading: Reading) -> Result<Value, Failure> {
    let value = if bytes.is_empty() {
        Value::Null
    } else if json {
        from_json(bytes)?
    } else {
        from_yaml(bytes, reading)?
    };
    Ok(if is_falsy(&value) {
        Value::Object(serde_json::Map::new())
    } else {
        value
    })
}

/// Decodes JSON, with a bound of values.
pub(crate) fn from_json(bytes: &[u8]) -> Result<Value, Failure> {
    if json_values(bytes) > MAX_JSON_VALUES {
        return Err(malformed(
            "json",
            format!("the document has more than {MAX_JSON_VALUES} values"),
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed("json", error.to_string()))
}

fn from_yaml(bytes: &[u8], reading: Reading) -> Result<Value, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| malformed("yaml", format!("not UTF-8: {error}")))?;
    let duplicates = match reading {
        Reading::AsPython => Duplicates::LastWins,
        Reading::Strict => Duplicates::Refused,
    };
    yaml::read(text, duplicates).map_err(|error| malformed("yaml", error.to_string()))
}

fn malformed(format: &str, reason: String) -> Failure {
    Failure {
        fields: vec![WrongField {
            path: String::new(),
            reason: reason.clone(),
        }],
        code: "malformed-body",
        ..Failure::bad_request(format!("Invalid {format} format {reason}"))
    }
}

/// An upper bound of the values in a JSON text, without building them.
fn json_values(bytes: &[u8]) -> usize {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b',' | b'[' | b'{') => values += 1,
            _ => {}
        }
    }
    values
}

fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(bytes: &[u8], json: bool) -> Result<Value, Failure> {
        decode_now(bytes, json, Reading::AsPython)
    }

    #[test]
    fn what_is_falsy_in_python_is_an_empty_map() {
        for text in ["", "null", "0", "0.0", "''", "[]", "{}", "no", "# nothing"] {
            assert_eq!(decoded(text.as_bytes(), false).unwrap(), json!({}), "{text}");
        }
        for text in ["", "null", "0", "\"\"", "[]", "false"] {
            assert_eq!(decoded(text.as_bytes(), true).unwrap(), json!({}), "{text}");
        }
        assert_eq!(decoded(b"[0]", false).unwrap(), json!([0]));
    }

    #[test]
    fn malformed_bodies_say_where() {
        let yaml = decoded(b"a: [1", false).unwrap_err();
        assert!(
            yaml.detail.starts_with("Invalid yaml format ") && yaml.detail.contains("line"),
            "{}",
            yaml.detail
        );
        let json = decoded(b"{\"a\": \n1,}", true).unwrap_err();
        assert!(
            json.detail.starts_with("Invalid json format ") && json.detail.contains("line 2 column"),
            "{}",
            json.detail
        );
        assert!(decoded(b"\xff\xfe", false).unwrap_err().detail.contains("UTF-8"));
        assert!(decoded("[".repeat(1 << 16).as_bytes(), true).is_err());
        let many = decoded(format!("[{}1]", "1,".repeat(MAX_JSON_VALUES)).as_bytes(), true).unwrap_err();
        assert!(many.detail.contains("values"), "{}", many.detail);
        assert_eq!(
            decoded(format!("[\"{}\"]", ",[\\\"".repeat(1 << 20)).as_bytes(), true).unwrap()[0]
                .as_str()
                .unwrap()
                .len(),
            3 << 20
        );
    }
}
