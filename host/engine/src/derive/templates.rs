//! What renders templates of user data, and the bounds of it.
//!
//! Templates are Jinja2 with undefined variables refused. They are rendered as plain text: HTML escaping would put entities into shell
//! commands. Line ends become `\n` and one trailing newline goes, as Jinja2 does by default.
//!
//! A template comes from whoever wrote the VNF package, so its work, its text and its output have bounds, and so has what a filter or a
//! method makes out of little where that is easily seen. The memory of values that a template builds without printing them (`x ~ x` again
//! and again) is not bounded in the process that renders: the template engine has no place to count it, and a process that gets no memory
//! ends. So [`Templates`] is a trait: a host renders in a process of its own whose memory is bounded, and [`InProcess`] is what that process
//! does, and what is enough where whoever writes the templates is trusted.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::python_methods;

/// Largest template and largest rendered text. Nova refuses user data above 64 KiB; twice that leaves room for comments
/// in the template and for VIMs with other limits.
pub const MAX_TEXT: usize = 128 * 1024;

/// Stack of the thread that renders. The template engine recurses over chains of operators without a bound of its own,
/// and an exhausted stack ends the process; the worst template of [`MAX_TEXT`] (one long row of minus signs) needs
/// between 32 and 64 MiB. The memory is reserved, and used only as far as a template reaches.
pub const STACK: usize = 128 * 1024 * 1024;

/// Levels of nested variables. They are sent to another process as JSON, of which serde_json reads 127 levels; a few are for what is
/// around them.
pub(super) const MAX_DEPTH: usize = 120;

/// Text that a template may print in all, including what it captures in variables and prints again.
const MAX_PRINTED: usize = 4 * MAX_TEXT;

/// Template instructions. A loop over a thousand elements with ten expressions needs 30 000. Work on nested lazy lists
/// grows with the square of this number: the worst template found runs for three seconds at this bound.
const FUEL: u64 = 50_000;

/// Characters of the template engine's words that go into a failure.
const MAX_REASON: usize = 300;

/// Renders templates. It is asked on threads that may wait.
pub trait Templates: std::fmt::Debug + Send + Sync {
    /// Renders a template of at most [`MAX_TEXT`] with the members of an object as its variables.
    ///
    /// # Errors
    /// The template is faulty, uses what is not given or hits a bound; or there is nothing that could render it.
    fn render(&self, template: &str, variables: &Value) -> Result<String, Failure>;
}

/// Why a template was not rendered. No variable's value is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It uses a variable that is not given.
    Undefined {
        /// The expression as it stands in the template.
        variable: String,
    },
    /// It cannot be parsed or rendered.
    Faulty {
        /// The template engine's words, cut to a bounded length.
        reason: String,
    },
    /// It needs more than any real one.
    Exhausted {
        /// The bound it hit.
        limit: Limit,
    },
    /// Nothing is known of the template: there is nothing that could render it.
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// A bound that a template can hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Of the template itself.
    #[error("{} KiB of template", MAX_TEXT >> 10)]
    Template,
    /// Of what it makes.
    #[error("{} KiB of text", MAX_TEXT >> 10)]
    Text,
    /// Of what it prints, which may be captured and printed again.
    #[error("{} KiB of printed values", MAX_PRINTED >> 10)]
    Printed,
    /// Of its work.
    #[error("{} instructions", FUEL)]
    Instructions,
    /// Of the memory of its values.
    #[error("{mebibytes} MiB of memory")]
    Memory {
        /// How much there is.
        mebibytes: u64,
    },
    /// Of the time it takes.
    #[error("{seconds} seconds")]
    Time {
        /// How long is waited for it.
        seconds: u64,
    },
}

/// Renders in this process. All bounds hold except that of memory: a hostile template can end the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcess;

impl Templates for InProcess {
    fn render(&self, template: &str, variables: &Value) -> Result<String, Failure> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("cloud-init".to_owned())
                .stack_size(STACK);
            match thread.spawn_scoped(scope, || render_on_this_stack(template, variables)) {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|_| Err(faulty("the template engine failed"))),
                Err(error) => Err(Failure::Unavailable {
                    reason: format!("no thread to render it: {error}"),
                }),
            }
        })
    }
}

/// Renders what has to be rendered. Most user data is plain text, which asks nobody.
pub(super) fn render(templates: &dyn Templates, template: &str, variables: &Value) -> Result<String, Failure> {
    if template.len() > MAX_TEXT {
        return Err(Failure::Exhausted { limit: Limit::Template });
    }
    if is_plain(template) {
        // What the template engine would make of it, to the byte.
        let mut text = with_line_ends_unified(template);
        if text.ends_with('\n') {
            text.pop();
        }
        return Ok(text);
    }
    templates.render(template, variables)
}

/// Whether variables are nested no deeper than `left` levels.
pub(super) fn is_shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(list) => left > 0 && list.iter().all(|value| is_shallow(value, left - 1)),
        Value::Object(map) => left > 0 && map.values().all(|value| is_shallow(value, left - 1)),
    }
}

/// Without any of the marks that mean something in a template.
fn is_plain(template: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| template.contains(*mark))
}

fn with_line_ends_unified(template: &str) -> String {
    template.replace("\r\n", "\n").replace('\r', "\n")
}

/// A template variable.
fn variable(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(flag) => minijinja::Value::from(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => minijinja::Value::from(number),
            (None, Some(number)) => minijinja::Value::from(number),
            (None, None) => minijinja::Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(list) => minijinja::Value::from(list.iter().map(variable).collect::<Vec<_>>()),
        Value::Object(map) => {
            minijinja::Value::from_pairs(map.iter().map(|(key, value)| (key.clone(), variable(value))))
        }
    }
}

fn render_on_this_stack(template: &str, variables: &Value) -> Result<String, Failure> {
    let template = with_line_ends_unified(template);
    let printed = Arc::new(Printed::default());
    let environment = environment(Arc::clone(&printed));
    let mut output = Bounded {
        text: Vec::new(),
        exceeded: false,
    };
    let result = environment
        .template_from_named_str("cloud-init", &template)
        .and_then(|template| template.render_captured_to(variable(variables), &mut output).map(drop));
    if output.exceeded {
        return Err(Failure::Exhausted { limit: Limit::Text });
    }
    if printed.exceeded.load(Ordering::Relaxed) {
        return Err(Failure::Exhausted { limit: Limit::Printed });
    }
    result.map_err(|error| refused(&error))?;
    String::from_utf8(output.text).map_err(|error| faulty(&error.to_string()))
}

fn environment<'s>(printed: Arc<Printed>) -> Environment<'s> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(python_methods::call);
    python_methods::bound_filters(&mut environment);
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
fn refused(error: &minijinja::Error) -> Failure {
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
            Failure::Undefined {
                variable: super::cut(variable, MAX_REASON),
            }
        }
        ErrorKind::OutOfFuel => Failure::Exhausted {
            limit: Limit::Instructions,
        },
        kind => {
            let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            faulty(&format!("{kind}{line}{detail}"))
        }
    }
}

fn faulty(reason: &str) -> Failure {
    Failure::Faulty {
        reason: super::cut(reason, MAX_REASON),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Renders nothing.
    #[derive(Debug)]
    struct Nobody;

    impl Templates for Nobody {
        fn render(&self, _: &str, _: &Value) -> Result<String, Failure> {
            let reason = "nobody is there".to_owned();
            Err(Failure::Unavailable { reason })
        }
    }

    #[test]
    fn plain_text_asks_nobody_and_is_what_the_template_engine_makes_of_it() {
        let marks = "#!/bin/sh\nx=${y}; a={ }\n% # }} %} #}\n";
        for text in [
            "",
            "\n",
            "\n\n",
            "a",
            "a\r\n",
            "a\n\r",
            "a\rb\r\r\n",
            "\r",
            "\n\r\n",
            "{",
            "{ {",
            "\u{feff}ä\n",
            marks,
        ] {
            let alone = render(&Nobody, text, &json!({})).unwrap();
            assert_eq!(Ok(alone), InProcess.render(text, &json!({})), "{text:?}");
        }
        for template in ["{{ 1 }}", "a {% if x %}", "{# c #}"] {
            assert!(matches!(
                render(&Nobody, template, &json!({})),
                Err(Failure::Unavailable { .. })
            ));
        }
    }

    #[test]
    fn a_failure_is_the_same_behind_a_wire() {
        for failure in [
            Failure::Undefined { variable: "a.b".into() },
            Failure::Faulty { reason: "ä".into() },
            Failure::Exhausted { limit: Limit::Text },
            Failure::Exhausted {
                limit: Limit::Memory { mebibytes: 1 },
            },
        ] {
            let sent = serde_json::to_string(&failure).unwrap();
            assert_eq!(serde_json::from_str::<Failure>(&sent).unwrap(), failure, "{sent}");
        }
    }

    #[test]
    fn a_width_that_no_text_has_is_refused_before_anything_is_made() {
        for template in [
            "{{ 'a'|indent(99999999999) }}",
            "{{ 'a\nb\nc'|indent(width=100000) }}",
            "{{ '%99999999999d'|format(1) }}",
            "{{ '%.99999999999f'|format(1.5) }}",
            "{{ '%100000d%100000d'|format(1, 1) }}",
            "{{ '%(a)99999999999s'|format(a=1) }}",
        ] {
            match InProcess.render(template, &json!({})) {
                Err(Failure::Faulty { reason }) => {
                    assert!(reason.contains("makes more than 131072 bytes"), "{template}: {reason}");
                }
                other => panic!("{template}: {other:?}"),
            }
        }
        for (template, wanted) in [
            ("{{ 'a\nb'|indent }}", "a\n    b"),
            ("{{ 'a\nb'|indent(2, true) }}", "  a\n  b"),
            ("{{ 'a\nb'|indent(width=1) }}", "a\n b"),
            ("{{ '%05d-%s'|format(7, 'x') }}", "00007-x"),
            ("{{ '%(a)3s'|format(a=1) }}", "  1"),
            ("{{ '100%%'|format }}", "100%"),
        ] {
            assert_eq!(
                InProcess.render(template, &json!({})).as_deref(),
                Ok(wanted),
                "{template}"
            );
        }
    }
}
