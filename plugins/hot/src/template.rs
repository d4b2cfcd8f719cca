//! A template's text and its parameters.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A template, read and not resolved.
#[derive(Debug)]
pub(crate) struct Template {
    parameters: Map<String, Value>,
    pub(crate) resources: Map<String, Value>,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parsed: Value = serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
        let Value::Object(mut parsed) = parsed else {
            return Err(Error::NotAMapping);
        };
        if !parsed.contains_key("heat_template_version") {
            return Err(Error::NoVersion);
        }
        Ok(Self {
            parameters: section(&mut parsed, "parameters")?,
            resources: section(&mut parsed, "resources")?,
        })
    }

    /// A parameter that was given and is not declared.
    pub(crate) fn undeclared<'g>(&self, given: &'g Map<String, Value>) -> Option<&'g String> {
        given.keys().find(|name| !self.parameters.contains_key(*name))
    }

    /// The values of all parameters: given, else by the environment, else by the template.
    pub(crate) fn values(
        &self,
        given: &Map<String, Value>,
        defaults: &Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        let value = |(name, declared): (&String, &Value)| {
            let given = given.get(name).filter(|value| !value.is_null());
            let value = given
                .or_else(|| defaults.get(name))
                .or_else(|| declared.get("default"))
                .ok_or_else(|| Error::MissingParameter(name.clone()))?;
            let kind = declared.get("type").and_then(Value::as_str).unwrap_or("string");
            Ok::<_, Error>((name.clone(), convert(name, kind, value)?))
        };
        self.parameters.iter().map(value).collect()
    }
}

fn section(template: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>> {
    match template.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Error::Section(name.to_owned()))
        }
    }
}

/// A value as its type has it. Clients often send everything as text.
fn convert(name: &str, kind: &str, value: &Value) -> Result<Value> {
    let invalid = |reason: String| Error::InvalidParameter {
        name: name.to_owned(),
        reason,
    };
    match (kind, value) {
        ("json", Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| invalid(format!("Value must be valid JSON: {error}")))
        }
        ("number", Value::String(text)) => {
            let number = serde_json::from_str::<serde_json::Number>(text);
            number
                .map(Value::Number)
                .map_err(|_| invalid(format!("could not convert string to float: '{text}'")))
        }
        ("comma_delimited_list", Value::String(text)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(Value::from).collect())
        }
        ("string", Value::Bool(_) | Value::Number(_)) => Ok(Value::String(value.to_string())),
        ("string", Value::Object(_) | Value::Array(_)) => Err(invalid("Value must be a string".to_owned())),
        _ => Ok(value.clone()),
    }
}
