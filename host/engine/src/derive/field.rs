//! A JSON value that knows where it stands in the request.
//!
//! Readers answer what Python's truth tests made of the same value, so that a record which NG-RO accepts means the same
//! here: `null`, an absent key and an empty text are "not given". They differ from Python where that crashed or
//! guessed: a wrong type is an error that names the place, and the text `false` is false.

use serde_json::{Map, Value};

use super::Error;

/// Largest number accepted for a size, a count or a quota. Nova keeps all of them in 32-bit signed columns and refuses
/// what is larger only after the task has started.
pub const MAX_WHOLE: u64 = 2_147_483_647;

const WHOLE: &str = "a whole number from 0 to 2147483647";

/// A JSON value and its place, like `vnf:0:vdur:1:interfaces:0:position`.
#[derive(Debug, Clone)]
pub struct Field<'v> {
    value: &'v Value,
    path: String,
}

impl<'v> Field<'v> {
    /// A value at a place.
    pub fn new(path: impl Into<String>, value: &'v Value) -> Self {
        Self {
            value,
            path: path.into(),
        }
    }

    /// The place.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value.
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// A member of this object; `null` is absent.
    ///
    /// # Errors
    /// This is not an object.
    pub fn get(&self, key: &str) -> Result<Option<Field<'v>>, Error> {
        let value = self.object()?.get(key).filter(|value| !value.is_null());
        Ok(value.map(|value| Field {
            value,
            path: format!("{}:{key}", self.path),
        }))
    }

    /// A member of this object that has to be there.
    ///
    /// # Errors
    /// This is not an object, or it has no such member.
    pub fn require(&self, key: &str, expected: &'static str) -> Result<Field<'v>, Error> {
        self.get(key)?.ok_or_else(|| self.missing(key, expected))
    }

    /// The error of a member that is not there.
    pub(super) fn missing(&self, key: &str, expected: &'static str) -> Error {
        Error::Shape {
            path: format!("{}:{key}", self.path),
            expected,
            found: "nothing",
        }
    }

    /// The members.
    ///
    /// # Errors
    /// This is not an object.
    pub fn object(&self) -> Result<&'v Map<String, Value>, Error> {
        self.value.as_object().ok_or_else(|| self.unlike("an object"))
    }

    /// The elements of a list member; none when the list is absent.
    ///
    /// # Errors
    /// This is not an object, or the member is not a list.
    pub fn list(&self, key: &str) -> Result<Vec<Field<'v>>, Error> {
        let Some(list) = self.get(key)? else {
            return Ok(Vec::new());
        };
        let elements = list.value.as_array().ok_or_else(|| list.unlike("a list"))?;
        Ok(elements
            .iter()
            .enumerate()
            .map(|(index, value)| Field {
                value,
                path: format!("{}:{index}", list.path),
            })
            .collect())
    }

    /// A text; an integer is taken as its decimal text, since YAML makes numbers of unquoted ids.
    ///
    /// # Errors
    /// This is neither.
    pub fn text(&self) -> Result<String, Error> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.unlike("a text"))
            }
        }
    }

    /// A text member; absent when empty.
    ///
    /// # Errors
    /// This is not an object, or the member is not a text.
    pub fn text_of(&self, key: &str) -> Result<Option<String>, Error> {
        match self.get(key)? {
            Some(field) => Ok(Some(field.text()?).filter(|text| !text.is_empty())),
            None => Ok(None),
        }
    }

    /// A text member that has to be there.
    ///
    /// # Errors
    /// This is not an object, or the member is missing, empty or not a text.
    pub fn require_text(&self, key: &str) -> Result<String, Error> {
        self.text_of(key)?.ok_or_else(|| self.missing(key, "a text"))
    }

    /// A whole number up to [`MAX_WHOLE`]. A fraction is cut off, as Python's `int` does; numeric text is accepted.
    ///
    /// # Errors
    /// This is no number, negative or too large.
    pub fn whole(&self) -> Result<u64, Error> {
        let number = match self.value {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole_part)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number
            .filter(|number| *number <= MAX_WHOLE)
            .ok_or_else(|| self.unlike(WHOLE))
    }

    /// A whole-number member.
    ///
    /// # Errors
    /// This is not an object, or the member is not a whole number.
    pub fn whole_of(&self, key: &str) -> Result<Option<u64>, Error> {
        self.get(key)?.map(|field| field.whole()).transpose()
    }

    /// A whole-number member that has to be there.
    ///
    /// # Errors
    /// This is not an object, or the member is missing or not a whole number.
    pub fn require_whole(&self, key: &str) -> Result<u64, Error> {
        self.require(key, WHOLE)?.whole()
    }

    /// An integer with sign, or its text.
    ///
    /// # Errors
    /// This is neither.
    pub fn integer(&self) -> Result<i64, Error> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.ok_or_else(|| self.unlike("an integer"))
    }

    /// Whether a member is set in Python's sense: neither absent nor false, zero or empty. The text `false` is not set.
    ///
    /// # Errors
    /// This is not an object.
    pub fn is_set(&self, key: &str) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some_and(|field| match field.value {
            Value::Null => false,
            Value::Bool(set) => *set,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty() && !text.eq_ignore_ascii_case("false"),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
        }))
    }

    /// The error of a value that is of another kind or outside its bounds.
    pub(super) fn unlike(&self, expected: &'static str) -> Error {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "another number",
            Value::String(_) => "another text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Error::Shape {
            path: self.path.clone(),
            expected,
            found,
        }
    }
}

/// The integer part of a number that a size can have.
fn whole_part(number: f64) -> Option<u64> {
    // Compared before the conversion, because the conversion would turn an absurd number into the nearest possible one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 and 2^31 by the line above"
    )]
    (number >= 0.0 && number <= MAX_WHOLE as f64).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::derive::Kind;

    #[test]
    fn numbers_are_accepted_as_text_and_cut_to_whole() {
        for (value, wanted) in [
            (json!(10), 10),
            (json!("10"), 10),
            (json!(" 10 "), 10),
            (json!(10.9), 10),
            (json!(0), 0),
        ] {
            assert_eq!(Field::new("n", &value).whole().unwrap(), wanted, "{value}");
        }
    }

    #[test]
    fn absurd_numbers_are_refused_with_their_place() {
        for value in [
            json!(-1),
            json!("-1"),
            json!(1e300),
            json!(u64::MAX),
            json!("1.5"),
            json!("ten"),
            json!([]),
            json!(true),
        ] {
            let error = Field::new("flavor:0:memory-mb", &value).whole().unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (Kind::Shape, Some("flavor:0:memory-mb")),
                "{value}"
            );
        }
    }

    #[test]
    fn integer_ids_are_texts() {
        assert_eq!(Field::new("id", &json!(0)).text().unwrap(), "0");
        assert!(Field::new("id", &json!(0.5)).text().is_err());
    }

    #[test]
    fn null_absent_and_empty_mean_not_given() {
        let value =
            json!({"null": null, "empty": "", "false": "False", "no": false, "zero": 0, "yes": true, "list": [1]});
        let field = Field::new("item", &value);
        for key in ["null", "empty", "absent"] {
            assert_eq!(field.text_of(key).unwrap(), None, "{key}");
        }
        let set =
            ["null", "empty", "absent", "false", "no", "zero", "yes", "list"].map(|key| field.is_set(key).unwrap());
        assert_eq!(set, [false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn places_name_keys_and_positions() {
        let value = json!({"vdur": [{}, {"interfaces": [{"position": "first"}]}]});
        let vdurs = Field::new("vnf:0", &value).list("vdur").unwrap();
        let interfaces = vdurs[1].list("interfaces").unwrap();
        let error = interfaces[0]
            .require("position", "an integer")
            .unwrap()
            .integer()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "vnf:0:vdur:1:interfaces:0:position: expected an integer, found another text"
        );
    }
}
