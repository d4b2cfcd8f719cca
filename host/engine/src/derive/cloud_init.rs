//! The first-boot data of a VM: rendered template, keys and the config drive flag.
//!
//! A template is found here and its failure told as an error of its VDU; what renders it, and within which bounds, says
//! [`super::templates`]. Its variables are `additionalParams`.

use serde_json::{Map, Value, json};

use super::templates::{self, Failure, is_shallow};
use super::vdu::VduContext;
use super::{Error, Field};

/// `cloud_config`; null when the VDU asks for nothing.
pub(super) fn cloud_config(cx: &VduContext<'_>, vdu: &str, vdur: &Field<'_>) -> Result<Value, Error> {
    let mut config = Map::new();
    if let Some(location) = vdur.text_of("cloud-init")? {
        let place = Place {
            vdu,
            location: &location,
        };
        let template = template(cx, &place)?;
        let params = vdur.get("additionalParams")?;
        let none = Value::Object(Map::new());
        let variables = match &params {
            Some(params) => {
                params.object()?;
                if !is_shallow(params.value(), templates::MAX_DEPTH) {
                    return Err(params.unlike("variables of at most 120 levels"));
                }
                params.value()
            }
            None => &none,
        };
        let rendered = templates::render(cx.templates, &template, variables);
        let text = rendered.map_err(|failure| place.failed(failure))?;
        config.insert("user-data".to_owned(), text.into());
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
    fn failed(&self, failure: Failure) -> Error {
        let (vdu, location) = (self.vdu.to_owned(), self.location.to_owned());
        match failure {
            Failure::Undefined { variable } => Error::UndefinedVariable {
                variable,
                vdu,
                location,
            },
            Failure::Faulty { reason } => Error::Template { vdu, location, reason },
            Failure::Exhausted { limit } => Error::TemplateExhausted { vdu, location, limit },
            Failure::Unavailable { reason } => Error::TemplatesUnavailable { vdu, location, reason },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::templates::{Limit, MAX_TEXT};
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
                    limit: Limit::Instructions,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().ends_with("exceeds 50000 instructions"), "{error}");
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
