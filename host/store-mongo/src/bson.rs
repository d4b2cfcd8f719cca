//! JSON as the engine knows it, BSON as the database keeps it.
//!
//! An integer is kept as the smallest of the database's two that holds it, as other programs do; one beyond 64 bits with a sign is
//! refused, because it would come back as another number. What JSON has no word for (dates, object ids, which other programs may
//! have put into their records) is shown as text and never written back: changes set single fields.

use mongodb::bson::{Bson, Document};
use serde_json::{Map, Number, Value};
use vimhost_store::Error;

/// A JSON map as a document.
pub(crate) fn document(what: &str, map: Map<String, Value>) -> Result<Document, Error> {
    let mut document = Document::new();
    for (key, value) in map {
        if key.contains('\0') {
            return Err(Error::corrupt(what, "a field name holds a NUL character"));
        }
        document.insert(key, value_of(what, value)?);
    }
    Ok(document)
}

/// A JSON value for the database.
pub(crate) fn value_of(what: &str, value: Value) -> Result<Bson, Error> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(value),
        Value::String(text) => Bson::String(text),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| value_of(what, value));
            Bson::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Bson::Document(document(what, map)?),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => i32::try_from(integer).map_or(Bson::Int64(integer), Bson::Int32),
            (None, Some(double)) if number.is_f64() => Bson::Double(double),
            _ => return Err(Error::corrupt(what, format!("{number} has more than 64 bits"))),
        },
    })
}

/// A document as JSON.
pub(crate) fn json(document: Document) -> Value {
    Value::Object(document.into_iter().map(|(key, value)| (key, json_of(value))).collect())
}

fn json_of(value: Bson) -> Value {
    match value {
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Boolean(value) => Value::Bool(value),
        Bson::String(text) | Bson::Symbol(text) => Value::String(text),
        Bson::Int32(integer) => Value::from(integer),
        Bson::Int64(integer) => Value::from(integer),
        // NaN and the infinities have no number in JSON.
        Bson::Double(double) => Number::from_f64(double).map_or(Value::Null, Value::Number),
        Bson::Array(values) => Value::Array(values.into_iter().map(json_of).collect()),
        Bson::Document(inner) => json(inner),
        Bson::DateTime(at) => Value::String(
            at.try_to_rfc3339_string()
                .unwrap_or_else(|_| at.timestamp_millis().to_string()),
        ),
        Bson::ObjectId(id) => Value::String(id.to_hex()),
        Bson::Decimal128(decimal) => Value::String(decimal.to_string()),
        other @ (Bson::RegularExpression(_)
        | Bson::JavaScriptCode(_)
        | Bson::JavaScriptCodeWithScope(_)
        | Bson::Timestamp(_)
        | Bson::Binary(_)
        | Bson::MaxKey
        | Bson::MinKey
        | Bson::DbPointer(_)) => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_database_with_its_kinds_of_numbers() {
        let map = json!({"a": 1, "b": 5_000_000_000_i64, "c": 1.5, "d": -1, "e": 2.0, "f": [null, true, {"g.h": "$x"}], "i": i64::MIN});
        let Value::Object(map) = map else { panic!() };
        let kept = document("it", map.clone()).unwrap();
        assert_eq!(kept.get("a"), Some(&Bson::Int32(1)));
        assert_eq!(kept.get("b"), Some(&Bson::Int64(5_000_000_000)));
        assert_eq!(kept.get("e"), Some(&Bson::Double(2.0)));
        assert_eq!(json(kept), Value::Object(map));
        let Value::Object(large) = json!({"n": u64::MAX}) else {
            panic!()
        };
        assert!(document("it", large).is_err());
        let Value::Object(nul) = json!({"n\u{0}": 1}) else {
            panic!()
        };
        assert!(document("it", nul).is_err());
    }
}
