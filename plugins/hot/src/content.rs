//! What a stack is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a stack is made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The template's text.
    pub template: String,
    /// Files it refers to, by the name it uses.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Parameters.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The environment: `parameters`, `parameter_defaults`, `resource_registry`.
    #[serde(default)]
    pub environment: Map<String, Value>,
}

/// The content of an update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// Another template.
    pub template: Option<String>,
    /// Files, new or in place of those of the same name.
    pub files: BTreeMap<String, String>,
    /// Parameters, new or in place of those of the same name.
    pub parameters: Map<String, Value>,
    /// Another environment.
    pub environment: Option<Map<String, Value>>,
}

impl Content {
    /// The content after a partial update: what is not given stays.
    #[must_use]
    pub fn patched(&self, change: Change) -> Self {
        let mut patched = self.clone();
        if let Some(template) = change.template {
            patched.template = template;
        }
        patched.files.extend(change.files);
        patched.parameters.extend(change.parameters);
        if let Some(environment) = change.environment {
            patched.environment = environment;
        }
        patched
    }

    /// A part of the environment; empty when there is none.
    pub(crate) fn of_environment(&self, part: &str) -> Map<String, Value> {
        let part = self.environment.get(part).and_then(Value::as_object);
        part.cloned().unwrap_or_default()
    }

    /// Parameters of the request over those of the environment.
    pub(crate) fn all_parameters(&self) -> Map<String, Value> {
        let mut all = self.of_environment("parameters");
        all.extend(self.parameters.clone());
        all
    }
}

impl Change {
    /// The content after a full update: what is not given is gone. `None` without a template.
    #[must_use]
    pub fn full(self) -> Option<Content> {
        Some(Content {
            template: self.template?,
            files: self.files,
            parameters: self.parameters,
            environment: self.environment.unwrap_or_default(),
        })
    }
}
