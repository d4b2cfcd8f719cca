//! OSM's documents as JSON, which they are but for a few types of MongoDB. Those are shown as text; nothing that is read here is
//! written back.

use mongodb::bson::{Bson, Document};
use serde_json::{Number, Value};

/// A document as JSON.
pub(super) fn of_document(document: Document) -> Value {
    Value::Object(document.into_iter().map(|(key, value)| (key, of(value))).collect())
}

fn of(value: Bson) -> Value {
    match value {
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Boolean(value) => Value::Bool(value),
        Bson::String(text) | Bson::Symbol(text) => Value::String(text),
        Bson::Int32(integer) => Value::from(integer),
        Bson::Int64(integer) => Value::from(integer),
        // NaN and the infinities have no number in JSON.
        Bson::Double(double) => Number::from_f64(double).map_or(Value::Null, Value::Number),
        Bson::Array(values) => Value::Array(values.into_iter().map(of).collect()),
        Bson::Document(inner) => of_document(inner),
        Bson::ObjectId(id) => Value::String(id.to_hex()),
        other @ (Bson::DateTime(_)
        | Bson::Decimal128(_)
        | Bson::RegularExpression(_)
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
    use mongodb::bson::{DateTime, doc};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_json_with_its_kinds_of_numbers() {
        let document = doc! {"a": 1, "b": 5_000_000_000_i64, "c": 1.5, "d": [null, true, {"e": "f"}]};
        assert_eq!(
            of_document(document),
            json!({"a": 1, "b": 5_000_000_000_i64, "c": 1.5, "d": [null, true, {"e": "f"}]})
        );
        assert!(of_document(doc! {"at": DateTime::from_millis(0)})["at"].is_string());
    }
}
