//! What a stack is made of: the body of a request that makes or changes one, and what Heat has stored of it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::*;

use crate::finding::At;
use crate::vim::Vim;

/// What Heat shows of a parameter that is hidden.
const HIDDEN: &str = "******";

/// Parameters that every stack has and that nobody may set: `OS::stack_id` and others.
const PSEUDO: &str = "OS::";

/// What stands in the body of a request: all that is given, and nothing else.
///
/// # Errors
///
/// Parameters or an environment that are no objects.
pub(crate) fn body(content: &StackContent) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| {
        body.insert(key.to_owned(), value);
    };
    if let Some(template) = &content.template {
        put("template", json!(template));
    }
    put("parameters", object("the stack's parameters", &content.parameters)?);
    if !content.files.is_empty() {
        let files: Map<String, Value> = content
            .files
            .iter()
            .map(|(name, text)| (name.clone(), Value::from(text.as_str())))
            .collect();
        put("files", Value::Object(files));
    }
    if let Some(environment) = &content.environment {
        put("environment", object("the stack's environment", environment)?);
    }
    if let Some(minutes) = content.timeout_minutes {
        put("timeout_mins", json!(minutes));
    }
    if let Some(rollback) = content.rollback_on_failure {
        put("disable_rollback", json!(!rollback));
    }
    Ok(body)
}

fn object(what: &str, text: &str) -> Result<Value, Error> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    from_json::<Map<String, Value>>(what, text).map(Value::Object)
}

/// Template, files, environment and parameters that Heat has stored.
pub(crate) fn get(vim: &Vim, stack: &StackRef) -> Result<StackContent, Error> {
    let (shown, at) = vim.on_stack(stack, |at| {
        let shown = vim.live(at)?;
        Ok((shown, at.id.to_owned()))
    })?;
    let at = At {
        name: &stack.name,
        id: &at,
    };
    let template: Value = part(vim, at, "template")?;
    let files: Map<String, Value> = part(vim, at, "files")?;
    let environment: Map<String, Value> = part(vim, at, "environment")?;
    let files = files
        .into_iter()
        .map(|(name, text)| match text {
            Value::String(text) => (name, text),
            // A file that was sent as JSON.
            json @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                (name, json.to_string())
            }
        })
        .collect();
    Ok(StackContent {
        // JSON is YAML too.
        template: Some(template.to_string()),
        files,
        parameters: json_text(parameters(shown.parameters)),
        environment: Some(json_text(environment)),
        rollback_on_failure: shown.disable_rollback.map(|disabled| !disabled),
        timeout_minutes: shown.timeout_mins,
    })
}

fn part<T: DeserializeOwned>(vim: &Vim, at: At<'_>, what: &str) -> Result<T, Failure> {
    let response = vim.send(&[at.name, at.id, what], |heat, path| {
        heat.get(path.iter().copied())
            .doing(format!("reading the {what} of stack {}", at.name))
    })?;
    response.json()
}

fn json_text(object: Map<String, Value>) -> String {
    Value::Object(object).to_string()
}

/// Parameters as they can be given again. Heat shows texts, objects among them; what it hides or makes itself is left out.
fn parameters(shown: Map<String, Value>) -> Map<String, Value> {
    let given = shown
        .into_iter()
        .filter(|(name, value)| !name.starts_with(PSEUDO) && value.as_str() != Some(HIDDEN));
    given
        .map(|(name, value)| {
            let decoded = value
                .as_str()
                .filter(|text| text.trim_start().starts_with('{'))
                .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
            (name, decoded.map_or(value, Value::Object))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_stands_in_a_body() {
        let bare = StackContent {
            parameters: "{}".into(),
            ..StackContent::default()
        };
        assert_eq!(Value::Object(body(&bare).unwrap()), json!({"parameters": {}}));
        let full = StackContent {
            template: Some("heat_template_version: 2021-04-16".into()),
            files: vec![("a.yaml".into(), "x: 1".into())],
            parameters: r#"{"nfv": {"VDU": {}}}"#.into(),
            environment: Some(r#"{"parameter_defaults": {"k": 1}}"#.into()),
            rollback_on_failure: Some(true),
            timeout_minutes: Some(20),
        };
        let expected = json!({
            "template": "heat_template_version: 2021-04-16", "files": {"a.yaml": "x: 1"},
            "parameters": {"nfv": {"VDU": {}}}, "environment": {"parameter_defaults": {"k": 1}},
            "disable_rollback": false, "timeout_mins": 20,
        });
        assert_eq!(Value::Object(body(&full).unwrap()), expected);
    }

    #[test]
    fn parameters_that_are_no_object_are_refused() {
        let wrong = StackContent {
            parameters: "[1]".into(),
            ..StackContent::default()
        };
        let error = body(&wrong).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
        assert!(error.message.contains("parameters"), "{}", error.message);
    }

    #[test]
    fn parameters_are_read_as_they_can_be_given_again() {
        let shown = json!({"nfv": "{\"VDU\": {\"a\": 1}}", "size": "3", "odd": "{no json", "secret": HIDDEN,
                           "OS::stack_id": "i1"});
        let Value::Object(shown) = shown else { unreachable!() };
        let expected = json!({"nfv": {"VDU": {"a": 1}}, "size": "3", "odd": "{no json"});
        assert_eq!(Value::Object(parameters(shown)), expected);
    }
}
