//! Settings of an account against the JSON schema that its connector declares.
//!
//! The schema comes from a plugin, so it is not trusted: its patterns run on the engine without backtracking, and it may refer to
//! nothing outside of itself. What is wrong is told by its place; the value is not repeated, since it may be a secret.

use jsonschema::PatternOptions;
use serde_json::{Map, Value};

use crate::Error;

/// Checks settings.
///
/// # Errors
/// [`Error::Shape`] at the first place that does not fit.
pub(crate) fn check(plugin: &str, schema: &Value, config: &Map<String, Value>) -> Result<(), Error> {
    let validator = jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema);
    let validator = match validator {
        Ok(validator) => validator,
        Err(error) => {
            // The plugin's fault; it will say itself what it cannot use.
            tracing::warn!(plugin, error = %error, "the schema of a connector's settings cannot be used; settings are not checked");
            return Ok(());
        }
    };
    let value = Value::Object(config.clone());
    let Some(error) = validator.iter_errors(&value).next() else {
        return Ok(());
    };
    let place = error.instance_path().to_string().replace('/', ":");
    let reason = format!("does not fit what the connector '{plugin}' takes: {}", error.masked());
    Err(Error::shape(format!("config{place}"), reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(schema: &Value, config: &Value) -> Result<(), Error> {
        check("p", schema, config.as_object().unwrap())
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_place_and_not_repeated() {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": {
            "region": {"type": "string", "pattern": "^[a-z]+$"}, "zones": {"items": {"type": "integer"}}}});
        assert!(checked(&schema, &json!({})).is_ok());
        assert!(checked(&schema, &json!({"region": "north", "zones": [1]})).is_ok());
        for (config, place) in [
            (json!({"region": "CANARY"}), "config:region"),
            (json!({"zones": [1, "CANARY"]}), "config:zones:1"),
            (json!({"CANARY-x": 1}), "config"),
        ] {
            match checked(&schema, &config) {
                Err(Error::Shape { path, reason }) => {
                    assert_eq!(path, place);
                    assert!(reason.contains("'p'") && !reason.contains("\"CANARY\""), "{reason}");
                }
                other => panic!("{config}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_schema_that_is_none_or_leads_outside_checks_nothing() {
        for schema in [
            json!({"type": 5}),
            json!({"$ref": "http://127.0.0.1:1/x"}),
            json!({"$ref": "file:///etc/passwd"}),
        ] {
            assert!(checked(&schema, &json!({"a": 1})).is_ok(), "{schema}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_time() {
        let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
        let begun = std::time::Instant::now();
        assert!(checked(&schema, &json!({"a": format!("{}!", "a".repeat(5000))})).is_err());
        // An engine with backtracking would not end at all.
        assert!(begun.elapsed().as_secs() < 60);
    }
}
