//! The functions of a template that matter to what it makes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A function of HOT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    GetParam,
    GetResource,
    GetAttr,
    GetFile,
    StrReplace,
    ListJoin,
}

impl Function {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "get_param" => Self::GetParam,
            "get_resource" => Self::GetResource,
            "get_attr" => Self::GetAttr,
            "get_file" => Self::GetFile,
            "str_replace" => Self::StrReplace,
            "list_join" => Self::ListJoin,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::GetParam => "get_param",
            Self::GetResource => "get_resource",
            Self::GetAttr => "get_attr",
            Self::GetFile => "get_file",
            Self::StrReplace => "str_replace",
            Self::ListJoin => "list_join",
        }
    }
}

/// What functions see.
#[derive(Debug)]
pub(crate) struct Scope<'s> {
    pub(crate) parameters: &'s Map<String, Value>,
    /// Ids of the resources of the same template, by name.
    pub(crate) ids: &'s BTreeMap<String, String>,
    pub(crate) files: &'s BTreeMap<String, String>,
}

impl Scope<'_> {
    /// The value without functions. `place` is the resource it belongs to.
    pub(crate) fn resolve(&self, place: &str, value: &Value) -> Result<Value> {
        match value {
            Value::Object(map) => match only(map) {
                Some((function, arguments)) => self.call(place, function, arguments),
                None => self.each(place, map).map(Value::Object),
            },
            Value::Array(items) => {
                let items: Result<Vec<_>> = items.iter().map(|item| self.resolve(place, item)).collect();
                items.map(Value::Array)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn each(&self, place: &str, map: &Map<String, Value>) -> Result<Map<String, Value>> {
        map.iter()
            .map(|(name, value)| Ok((name.clone(), self.resolve(place, value)?)))
            .collect()
    }

    fn call(&self, place: &str, function: Function, arguments: &Value) -> Result<Value> {
        let arguments = self.resolve(place, arguments)?;
        let wrong = || Error::Arguments {
            place: place.to_owned(),
            function: function.name(),
        };
        match function {
            Function::GetParam => {
                let (name, path) = name_and_path(&arguments).ok_or_else(wrong)?;
                let whole = self.parameters.get(name);
                let whole = whole.ok_or_else(|| Error::MissingParameter(name.to_owned()))?;
                // As in Heat: what is not there is the empty text.
                let found = path.iter().try_fold(whole, step);
                Ok(found.cloned().unwrap_or_else(|| Value::String(String::new())))
            }
            Function::GetResource => {
                let (name, _) = name_and_path(&arguments).ok_or_else(wrong)?;
                self.referred(place, name).map(|id| Value::String(id.clone()))
            }
            Function::GetAttr => {
                let (name, _) = name_and_path(&arguments).ok_or_else(wrong)?;
                self.referred(place, name).map(|_| Value::String(String::new()))
            }
            Function::GetFile => {
                let name = arguments.as_str().ok_or_else(wrong)?;
                let text = self.files.get(name).ok_or_else(|| Error::NoFile(name.to_owned()))?;
                Ok(Value::String(text.clone()))
            }
            Function::StrReplace => {
                let template = arguments.get("template").and_then(Value::as_str).ok_or_else(wrong)?;
                let params = arguments.get("params").and_then(Value::as_object).ok_or_else(wrong)?;
                let mut params: Vec<_> = params.iter().collect();
                // The longest first, so that `$name` does not spoil `$name_of_it`.
                params.sort_by_key(|(name, _)| Reverse(name.len()));
                let replace = |text: String, (name, value): (&String, &Value)| match name.as_str() {
                    "" => text,
                    name => text.replace(name, &as_text(value)),
                };
                Ok(Value::String(params.into_iter().fold(template.to_owned(), replace)))
            }
            Function::ListJoin => {
                let (delimiter, lists) = name_and_path(&arguments).ok_or_else(wrong)?;
                let mut texts = Vec::new();
                for list in lists {
                    texts.extend(list.as_array().ok_or_else(wrong)?.iter().map(as_text));
                }
                Ok(Value::String(texts.join(delimiter)))
            }
        }
    }

    fn referred(&self, place: &str, name: &str) -> Result<&String> {
        self.ids.get(name).ok_or_else(|| Error::Reference {
            target: name.to_owned(),
            place: place.to_owned(),
        })
    }
}

/// The function that a mapping is, if it is one.
fn only(map: &Map<String, Value>) -> Option<(Function, &Value)> {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((name, arguments)), None) => Function::of(name).map(|function| (function, arguments)),
        _ => None,
    }
}

/// `name`, or `[name, step, …]`.
fn name_and_path(arguments: &Value) -> Option<(&str, &[Value])> {
    if let Some(name) = arguments.as_str() {
        return Some((name, <&[Value]>::default()));
    }
    let (name, path) = arguments.as_array()?.split_first()?;
    Some((name.as_str()?, path))
}

fn step<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(&as_text(key)),
        Value::Array(items) => items.get(as_text(key).parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A text as it is, anything else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Puts another text in place of one, in all texts within a value.
pub(crate) fn replace(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(from, to)),
        Value::Array(items) => items.iter().map(|item| replace(item, from, to)).collect(),
        Value::Object(map) => {
            let replaced = map.iter().map(|(name, value)| (name.clone(), replace(value, from, to)));
            Value::Object(replaced.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Names of the resources a definition refers to.
pub(crate) fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some((Function::GetResource | Function::GetAttr, arguments)) = only(map)
                && let Some((name, _)) = name_and_path(arguments)
            {
                found.insert(name.to_owned());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
