//! The first-boot data of a VM: rendered template, keys and the config drive flag.
//!
//! Templates are Jinja2 with undefined variables refused, rendered with `additionalParams` as variables. They are
//! rendered as plain text: HTML escaping would put entities into shell commands. Line ends become `\n` and one trailing
//! newline goes, as Jinja2 does by default.
//!
//! A template comes from whoever wrote the VNF package, so its work, its text and its output have bounds. What is not
//! bounded is the memory of values that a template builds without printing them (`x ~ x` again and again); the bound on
//! instructions limits it only indirectly.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value, json};

use super::vdu::VduContext;
use super::{Error, Field, python_methods};

/// Largest template and largest rendered text. Nova refuses user data above 64 KiB; twice that leaves room for comments
/// in the template and for VIMs with other limits.
const MAX_TEXT: usize = 128 * 1024;

/// Text that a template may print in all, including what it captures in variables and prints again.
const MAX_PRINTED: usize = 4 * MAX_TEXT;

/// Template instructions. A loop over a thousand elements with ten expressions needs 30 000. Work on nested lazy lists
/// grows with the square of this number: the worst template found runs for three seconds at this bound.
const FUEL: u64 = 50_000;

/// Stack of the thread that renders. The template engine recurses over chains of operators without a bound of its own,
/// and an exhausted stack ends the process; the worst template of [`MAX_TEXT`] (one long row of minus signs) needs
/// between 32 and 64 MiB. The memory is reserved, and used only as far as a template reaches.
const STACK: usize = 128 * 1024 * 1024;

/// Levels of nested variables; serde_json reads no deeper document from text.
const MAX_DEPTH: usize = 128;

/// Characters of the template engine's words that go into an error.
const MAX_REASON: usize = 300;

/// `cloud_config`; null when the VDU asks for nothing.
pub(super) fn cloud_config(cx: &VduContext<'_>, vdu: &str, vdur: &Field<'_>) -> Result<Value, Error> {
    let mut config = Map::new();
    if let Some(location) = vdur.text_of("cloud-init")? {
        let place = Place {
            vdu,
            location: &location,
        };
        let template = template(cx, &place)?;
        let variables = match vdur.get("additionalParams")? {
            Some(params) => {
                params.object()?;
                variable(&params, params.value(), 0)?
            }
            None => minijinja::Value::from_pairs(std::iter::empty::<(String, minijinja::Value)>()),
        };
        config.insert("user-data".to_owned(), render(&template, variables, &place)?.into());
    }
    if vdur.is_set("boot-data-drive")? {
        config.insert("boot-data-drive".to_owned(), true.into());
    }
    let mut keys = vdur
        .list("ssh-keys")?
        .iter()
        .map(Field::text)
        .collect::<Result<Vec<_>, _>>()?;
    if vdur.is_set("ssh-access-required")? {
        let no_key = || Error::NoKeyPair {
            path: vdur.path().to_owned(),
            vdu: vdu.to_owned(),
        };
        keys.push(cx.public_key.ok_or_else(no_key)?.to_owned());
    }
    if !keys.is_empty() {
        config.insert("key-pairs".to_owned(), json!(keys));
    }
    Ok(if config.is_empty() {
        Value::Null
    } else {
        Value::Object(config)
    })
}

/// Which template of which VDU, for errors.
struct Place<'a> {
    vdu: &'a str,
    location: &'a str,
}

impl Place<'_> {
    fn exhausted(&self, limit: &'static str) -> Error {
        Error::TemplateExhausted {
            vdu: self.vdu.to_owned(),
            location: self.location.to_owned(),
            limit,
        }
    }

    fn faulty(&self, reason: &str) -> Error {
        let reason = super::cut(reason, MAX_REASON);
        Error::Template {
            vdu: self.vdu.to_owned(),
            location: self.location.to_owned(),
            reason,
        }
    }

    fn missing(&self) -> Error {
        Error::TemplateMissing {
            vdu: self.vdu.to_owned(),
            location: self.location.to_owned(),
        }
    }
}

/// The template's text: from the request, else from the descriptor, which has those that stand in a VDU itself
/// (`<vnfd _id>:vdu:<index>`). A `<vnfd _id>:file:<name>` is in a package, which is not read here.
fn template(cx: &VduContext<'_>, place: &Place<'_>) -> Result<String, Error> {
    if let Some(content) = &cx.cloud_init_content
        && let Some(text) = content.get(place.location)?
    {
        return text.text();
    }
    let Some(vnfd) = &cx.vnfd else {
        return Err(place.missing());
    };
    let Some((id, index)) = place.location.rsplit_once(":vdu:") else {
        return Err(place.missing());
    };
    let (Some(known), Ok(index)) = (vnfd.text_of("_id")?, index.parse::<usize>()) else {
        return Err(place.missing());
    };
    if known != id {
        return Err(place.missing());
    }
    let vdu = vnfd
        .list("vdu")?
        .into_iter()
        .nth(index)
        .ok_or_else(|| place.missing())?;
    vdu.text_of("cloud-init")?.ok_or_else(|| place.missing())
}

/// A template variable. `field` is the root, which an error names.
fn variable(field: &Field<'_>, value: &Value, depth: usize) -> Result<minijinja::Value, Error> {
    if depth > MAX_DEPTH {
        return Err(field.unlike("variables of at most 128 levels"));
    }
    Ok(match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(flag) => minijinja::Value::from(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => minijinja::Value::from(number),
            (None, Some(number)) => minijinja::Value::from(number),
            (None, None) => minijinja::Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(list) => {
            let list = list
                .iter()
                .map(|value| variable(field, value, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            minijinja::Value::from(list)
        }
        Value::Object(map) => {
            let mut pairs = Vec::with_capacity(map.len());
            for (key, value) in map {
                pairs.push((key.clone(), variable(field, value, depth + 1)?));
            }
            minijinja::Value::from_pairs(pairs)
        }
    })
}

fn render(template: &str, variables: minijinja::Value, place: &Place<'_>) -> Result<String, Error> {
    if template.len() > MAX_TEXT {
        return Err(place.exhausted("128 KiB of template"));
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("cloud-init".to_owned())
            .stack_size(STACK);
        match thread.spawn_scoped(scope, || render_on_this_stack(template, variables, place)) {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(place.faulty("the template engine failed"))),
            Err(error) => Err(place.faulty(&format!("no thread to render it: {error}"))),
        }
    })
}

fn render_on_this_stack(template: &str, variables: minijinja::Value, place: &Place<'_>) -> Result<String, Error> {
    let template = template.replace("\r\n", "\n").replace('\r', "\n");
    let printed = Arc::new(Printed::default());
    let environment = environment(Arc::clone(&printed));
    let mut output = Bounded {
        text: Vec::new(),
        exceeded: false,
    };
    let result = environment
        .template_from_named_str("cloud-init", &template)
        .and_then(|template| template.render_captured_to(variables, &mut output).map(drop));
    if output.exceeded {
        return Err(place.exhausted("128 KiB of text"));
    }
    if printed.exceeded.load(Ordering::Relaxed) {
        return Err(place.exhausted("512 KiB of printed values"));
    }
    result.map_err(|error| refused(&error, place))?;
    String::from_utf8(output.text).map_err(|error| place.faulty(&error.to_string()))
}

fn environment<'s>(printed: Arc<Printed>) -> Environment<'s> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(python_methods::call);
    environment.set_fuel(Some(FUEL));
    // Names the undefined variable in errors; the values that it also notes are never shown.
    environment.set_debug(true);
    environment.set_formatter(move |out, _state, value| {
        let mut text = Remaining {
            text: String::new(),
            left: MAX_PRINTED.saturating_sub(printed.bytes.load(Ordering::Relaxed)),
        };
        if write!(text, "{value}").is_err() {
            printed.exceeded.store(true, Ordering::Relaxed);
            return Err(minijinja::Error::new(ErrorKind::WriteFailure, "too much text"));
        }
        printed.bytes.fetch_add(text.text.len(), Ordering::Relaxed);
        out.write_str(&text.text).map_err(minijinja::Error::from)
    });
    environment
}

/// What expressions have printed. The formatter is shared by threads in principle, hence the atomics.
#[derive(Default)]
struct Printed {
    bytes: AtomicUsize,
    exceeded: AtomicBool,
}

/// One expression's text, as far as it may go.
struct Remaining {
    text: String,
    left: usize,
}

impl std::fmt::Write for Remaining {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(std::fmt::Error)?;
        self.text.push_str(text);
        Ok(())
    }
}

/// The rendered text, as far as it may go.
struct Bounded {
    text: Vec<u8>,
    exceeded: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.text.len().saturating_add(bytes.len()) > MAX_TEXT {
            self.exceeded = true;
            return Err(std::io::Error::other("too much text"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The template engine's refusal in our words. Its own error is not kept: in debug form it shows variables.
fn refused(error: &minijinja::Error, place: &Place<'_>) -> Error {
    // The engine's enum is open, and what is added to it is a fault of the template as well.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "non-exhaustive, and all other kinds are treated alike"
    )]
    match error.kind() {
        ErrorKind::UndefinedError => {
            // Between backticks in the detail stands the expression.
            let variable = error
                .detail()
                .and_then(|detail| detail.split('`').nth(1))
                .unwrap_or("of unknown name");
            Error::UndefinedVariable {
                variable: super::cut(variable, MAX_REASON),
                vdu: place.vdu.to_owned(),
                location: place.location.to_owned(),
            }
        }
        ErrorKind::OutOfFuel => place.exhausted("50000 instructions"),
        kind => {
            let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            place.faulty(&format!("{kind}{line}{detail}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{Kind, testing};

    const LOCATION: &str = "vnfd-id:file:init.cfg";

    fn config(template: &str, params: Value) -> Result<Value, Error> {
        let content = json!({ LOCATION: template });
        let vdur = json!({"cloud-init": LOCATION, "additionalParams": params});
        let cx = VduContext {
            cloud_init_content: Some(Field::new("cloud_init_content", &content)),
            ..testing::context()
        };
        cloud_config(&cx, "vm", &Field::new("vnf:0:vdur:0", &vdur))
    }

    fn rendered(template: &str, params: Value) -> String {
        config(template, params).unwrap()["user-data"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn ng_ros_template_renders_to_ng_ros_user_data() {
        let constants = testing::ng_ro_constants();
        let template = constants["cloud_init_content"].as_str().unwrap();
        // The expectation keeps the newline at its end because its test replaces the template engine.
        let wanted = constants["user_data"].as_str().unwrap().strip_suffix('\n').unwrap();
        for is_override in [json!("False"), json!(false)] {
            let params = json!({"type": "mbr", "is_override": is_override, "command": "& rm -rf /"});
            assert_eq!(rendered(template, params), wanted);
        }
    }

    #[test]
    fn d10_nothing_is_escaped() {
        assert_eq!(
            rendered("{{ x }}", json!({"x": "a && b > \"c\" < 'd'"})),
            "a && b > \"c\" < 'd'"
        );
    }

    #[test]
    fn values_print_as_in_python() {
        let params = json!({"n": null, "t": true, "i": 7, "f": 1.0, "l": ["a", 1], "m": {"k": false}, "big": u64::MAX});
        let wanted = format!("None True 7 1.0 ['a', 1] {{'k': False}} {}", u64::MAX);
        assert_eq!(
            rendered("{{ n }} {{ t }} {{ i }} {{ f }} {{ l }} {{ m }} {{ big }}", params),
            wanted
        );
    }

    #[test]
    fn one_trailing_newline_is_removed_and_line_ends_are_unified() {
        assert_eq!(rendered("a\r\nb\n\n", json!({})), "a\nb\n");
        assert_eq!(
            rendered("{% for i in [1, 2] %}{{ i }}\n{% endfor %}", json!({})),
            "1\n2\n"
        );
        assert_eq!(rendered("", json!(null)), "");
    }

    #[test]
    fn an_undefined_variable_is_named() {
        for (template, variable) in [
            ("a\n{{ missing }}", "missing"),
            ("{{ vm.missing }}", "vm.missing"),
            ("{% for i in missing %}{% endfor %}", "missing"),
            ("{% if missing %}{% endif %}", "missing"),
            ("{{ missing|upper }}", "missing"),
            ("{{ missing.deep }}", "missing"),
        ] {
            let error = config(template, json!({"vm": {}})).unwrap_err();
            let wanted = Error::UndefinedVariable {
                variable: variable.into(),
                vdu: "vm".into(),
                location: LOCATION.into(),
            };
            assert_eq!(error, wanted, "{template}");
            assert_eq!(error.kind(), Kind::UndefinedVariable);
        }
        assert_eq!(
            rendered(
                "{{ missing|default('d') }}{% if missing is defined %}x{% endif %}",
                json!({})
            ),
            "d"
        );
    }

    #[test]
    fn a_faulty_template_is_an_error_that_names_it() {
        for template in [
            "{{ x",
            "{% if %}",
            "{{ 1 / 'a' }}",
            "{% include 'other' %}",
            "{{ x|nofilter }}",
            "{{ nofunction() }}",
            "{{ [].nomethod() }}",
        ] {
            let error = config(template, json!({"x": 1})).unwrap_err();
            assert_eq!(error.kind(), Kind::Template, "{template}: {error}");
            assert!(
                error
                    .to_string()
                    .starts_with("cannot render cloud-init vnfd-id:file:init.cfg of VDU vm: "),
                "{error}"
            );
        }
    }

    #[test]
    fn errors_do_not_show_variables() {
        let error = config("{{ missing }}", json!({"password": "canary"})).unwrap_err();
        assert!(!format!("{error} {error:?} {error:#}").contains("canary"));
    }

    #[test]
    fn rendered_text_is_bounded() {
        for template in [
            "{% for i in range(100000) %}0123456789{% endfor %}",
            "{{ 'x' * 1000000 }}",
            "{% set a %}{{ 'x' * 300000 }}{% endset %}{% set b %}{{ a }}{{ a }}{% endset %}",
            "{{ [['x' * 1000] * 1000] * 1000 }}",
        ] {
            let error = config(template, json!({})).unwrap_err();
            assert!(matches!(error, Error::TemplateExhausted { .. }), "{template}: {error}");
            assert_eq!(error.kind(), Kind::Template);
        }
        let error = config(&"x".repeat(MAX_TEXT + 1), json!({})).unwrap_err();
        assert!(matches!(error, Error::TemplateExhausted { .. }));
        assert_eq!(rendered(&"x".repeat(MAX_TEXT), json!({})).len(), MAX_TEXT);
    }

    #[test]
    fn recursion_is_bounded() {
        let error = config("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", json!({})).unwrap_err();
        assert_eq!(error.kind(), Kind::Template);
    }

    #[test]
    fn endless_work_is_bounded() {
        let loops = "{% for a in range(9999) %}{% for b in range(999) %}{% endfor %}{% endfor %}";
        let error = config(loops, json!({})).unwrap_err();
        assert!(
            matches!(
                error,
                Error::TemplateExhausted {
                    limit: "50000 instructions",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn chains_of_operators_do_not_exhaust_the_stack() {
        for (operator, length) in [("-", 120_000), ("not ", 30_000)] {
            assert!(
                config(&format!("{{{{ {}1 }}}}", operator.repeat(length)), json!({})).is_ok(),
                "{operator}"
            );
        }
        assert_eq!(
            rendered(&format!("{{{{ 0{} }}}}", "+1".repeat(20_000)), json!({})),
            "20000"
        );
        let error = config(&format!("{{{{ {}1", "(".repeat(120_000)), json!({})).unwrap_err();
        assert_eq!(error.kind(), Kind::Template);
    }

    #[test]
    fn values_nested_by_a_template_do_not_exhaust_the_stack() {
        let template = format!("{{% set x = [] %}}{}{{{{ x }}}}", "{% set x = [x] %}".repeat(7_000));
        assert_eq!(rendered(&template, json!({})).len(), 14_002);
    }

    #[test]
    fn too_deep_variables_are_refused() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        let error = config("x", json!({"deep": deep})).unwrap_err();
        assert_eq!(error.path(), Some("vnf:0:vdur:0:additionalParams"));
    }

    #[test]
    fn templates_in_the_descriptor_are_found() {
        let vnfd = json!({"_id": "vnfd-id", "vdu": [{"id": "a"}, {"id": "b", "cloud-init": "host: {{ name }}"}]});
        let find = |location: &str| {
            let vdur = json!({"cloud-init": location, "additionalParams": {"name": "n"}});
            let cx = VduContext {
                vnfd: Some(Field::new("vnfd", &vnfd)),
                ..testing::context()
            };
            cloud_config(&cx, "vm", &Field::new("v", &vdur))
        };
        assert_eq!(find("vnfd-id:vdu:1").unwrap(), json!({"user-data": "host: n"}));
        for location in [
            "vnfd-id:vdu:0",
            "vnfd-id:vdu:9",
            "vnfd-id:vdu:x",
            "other:vdu:1",
            LOCATION,
            "rubbish",
        ] {
            let error = find(location).unwrap_err();
            assert_eq!(
                error,
                Error::TemplateMissing {
                    vdu: "vm".into(),
                    location: location.into()
                }
            );
            assert_eq!(error.kind(), Kind::NotFound);
        }
    }

    #[test]
    fn keys_and_config_drive_are_added() {
        let with = |vdur: Value, key: Option<&'static str>| {
            let cx = VduContext {
                public_key: key,
                ..testing::context()
            };
            cloud_config(&cx, "vm", &Field::new("v", &vdur))
        };
        assert_eq!(with(json!({}), Some("ns-key")).unwrap(), Value::Null);
        assert_eq!(
            with(json!({"boot-data-drive": true}), None).unwrap(),
            json!({"boot-data-drive": true})
        );
        let both = json!({"ssh-keys": ["a", "b"], "ssh-access-required": true, "boot-data-drive": false});
        assert_eq!(
            with(both, Some("ns-key")).unwrap(),
            json!({"key-pairs": ["a", "b", "ns-key"]})
        );
        let error = with(json!({"ssh-access-required": true}), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
    }
}
