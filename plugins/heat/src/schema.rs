//! The JSON schema of an account's settings.
//!
//! Wide, as that of the connector of OpenStack: what a setting means is checked when it is read. Settings nobody knows pass, since an
//! account may carry those of other programs.

use serde_json::{Map, Value, json};
use vimhost_keystone::declare;

pub(crate) fn schema() -> String {
    let heat_endpoint = json!({
        "type": ["string", "null"],
        "description": "URL of Heat, with or without version and project, instead of the one that the catalogue names.",
    });
    let properties: Map<String, Value> = declare::properties()
        .into_iter()
        .chain([("heat_endpoint", heat_endpoint)])
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": true,
    })
    .to_string()
}
