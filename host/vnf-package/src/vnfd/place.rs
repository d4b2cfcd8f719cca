//! A place in a document: a value that knows where it stands, so that every refusal names file and path.

use serde_json::{Map, Value};

use super::Error;

/// What stands where nothing does.
static NOTHING: Value = Value::Null;

/// A value with its file and path. `{get_input: name}` reads as the input's default.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) value: &'a Value,
    document: &'a Value,
    path: String,
}

impl<'a> Place<'a> {
    /// A whole document.
    pub(super) fn document(file: &'a str, document: &'a Value) -> Self {
        Self {
            file,
            value: document,
            document,
            path: String::new(),
        }
    }

    /// A refusal of what stands here.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::Wrong {
            file: self.file.to_owned(),
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    fn below(&self, step: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() {
            step.to_owned()
        } else {
            format!("{}.{step}", self.path)
        };
        let place = Self {
            file: self.file,
            value,
            document: self.document,
            path,
        };
        place.without_input()
    }

    /// The default of the input that stands here, if one does.
    fn without_input(mut self) -> Self {
        let input = self
            .value
            .as_object()
            .filter(|map| map.len() == 1)
            .and_then(|map| map.get("get_input"))
            .and_then(Value::as_str);
        if let Some(name) = input {
            let inputs = self.document.get("topology_template").and_then(|it| it.get("inputs"));
            let default = inputs.and_then(|it| it.get(name)).and_then(|it| it.get("default"));
            self.value = default.unwrap_or(&NOTHING);
        }
        self
    }

    /// What a key leads to; none where there is nothing or null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let found = self.below(key, self.value.get(key)?);
        (!found.value.is_null()).then_some(found)
    }

    /// What several keys lead to.
    pub(super) fn at(&self, keys: &[&str]) -> Option<Self> {
        let mut place = self.clone();
        for key in keys {
            place = place.get(key)?;
        }
        Some(place)
    }

    /// What must be there.
    pub(super) fn need(&self, key: &str) -> Result<Self, Error> {
        self.get(key).ok_or_else(|| {
            let missing = self.below(key, &NOTHING);
            missing.refuse("it is missing")
        })
    }

    /// Text; a number or a truth value as it is written.
    pub(super) fn text(&self) -> Result<String, Error> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.refuse("text is wanted")),
        }
    }

    /// A count.
    pub(super) fn count(&self) -> Result<u32, Error> {
        let number = match self.value.as_str() {
            Some(text) => text.trim().parse().ok(),
            None => self.value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        number.ok_or_else(|| self.refuse("a count is wanted"))
    }

    /// Entries of a map.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, Error> {
        let map: &'a Map<String, Value> = self.value.as_object().ok_or_else(|| self.refuse("a map is wanted"))?;
        Ok(map
            .iter()
            .map(|(key, value)| (key.as_str(), self.below(key, value)))
            .collect())
    }

    /// Entries of a list; one that is no list is a list of one.
    pub(super) fn items(&self) -> Vec<Self> {
        match self.value.as_array() {
            Some(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| self.below(&index.to_string(), value))
                .collect(),
            None => vec![self.clone()],
        }
    }

    /// Entries of a list of maps with one key each, as TOSCA writes requirements and policies; a plain map is taken too.
    pub(super) fn named_items(&self) -> Result<Vec<(&'a str, Self)>, Error> {
        let mut named = Vec::new();
        for item in self.items() {
            named.extend(item.entries()?);
        }
        Ok(named)
    }

    /// Bytes of a size: `1 GB`, `512 MiB`, or a number of bytes.
    pub(super) fn size(&self) -> Result<u64, Error> {
        let text = self.text()?;
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
        let unit = text
            .strip_prefix(digits)
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let factor: u64 = match unit.as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "kib" => 1 << 10,
            "mb" => 1_000_000,
            "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            "tb" => 1_000_000_000_000,
            "tib" => 1 << 40,
            _ => return Err(self.refuse("a size is wanted, as in `1 GB`")),
        };
        let number: u64 = match digits.split_once('.') {
            Some((whole, fraction)) if fraction.chars().all(|c| c == '0') => whole.parse().ok(),
            Some(_) => None,
            None => digits.parse().ok(),
        }
        .ok_or_else(|| self.refuse("a size is wanted, as in `1 GB`"))?;
        number
            .checked_mul(factor)
            .ok_or_else(|| self.refuse("the size is too large"))
    }
}
