//! The writer: a JSON value as PyYAML's safe dumper lays it out, so that every reader, PyYAML first, reads the same value back.

use std::fmt::Write as _;

use serde_json::Value;

use super::scalar::resolve;

/// Indentation of NG-RO's answers.
const INDENT: usize = 4;

/// A longer key is written with `?`, since readers look for the `:` of a short one only so far (1024 characters by the
/// specification, 128 in PyYAML).
const MAX_SIMPLE_KEY: usize = 120;

/// Writes a document: leading `---`, block style, four blanks of indentation, keys in the order of the map, which is sorted.
///
/// Texts that a reader of YAML 1.1 or 1.2 would take for something else are quoted. No text is folded: folding is where
/// readers differ.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::from("---");
    if is_block(value) {
        out.push('\n');
        block(&mut out, value, 0, false);
    } else {
        out.push(' ');
        inline(&mut out, value);
        out.push('\n');
    }
    out
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Writes a collection that is not empty. `begun`: the indentation of the first line is written already.
fn block(out: &mut String, value: &Value, indent: usize, mut begun: bool) {
    let mut start = |out: &mut String| {
        if !std::mem::take(&mut begun) {
            pad(out, indent);
        }
    };
    match value {
        Value::Array(list) => {
            for item in list {
                start(out);
                out.push('-');
                nested(out, item, indent);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                start(out);
                let key = text(key);
                if key.len() > MAX_SIMPLE_KEY {
                    let _ = writeln!(out, "? {key}");
                    pad(out, indent);
                    out.push(':');
                    nested(out, value, indent);
                    continue;
                }
                out.push_str(&key);
                out.push(':');
                if !is_block(value) {
                    out.push(' ');
                    inline(out, value);
                    out.push('\n');
                } else {
                    out.push('\n');
                    // PyYAML does not indent a list under its key.
                    block(
                        out,
                        value,
                        if value.is_array() { indent } else { indent + INDENT },
                        false,
                    );
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes what follows the indicator of a list item or of a long key's value.
fn nested(out: &mut String, value: &Value, indent: usize) {
    if is_block(value) {
        pad(out, INDENT - 1);
        block(out, value, indent + INDENT, true);
    } else {
        out.push(' ');
        inline(out, value);
        out.push('\n');
    }
}

fn pad(out: &mut String, blanks: usize) {
    out.extend(std::iter::repeat_n(' ', blanks));
}

fn inline(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Number(number) => out.push_str(&self::number(number)),
        Value::String(value) => out.push_str(&text(value)),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A float needs a point, and a sign in its exponent, to be one by YAML 1.1.
fn number(number: &serde_json::Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// A text: plain where nobody can mistake it, else in single quotes, and in double quotes when it needs escapes.
fn text(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        escaped(text)
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                let _ = match u32::from(c) {
                    code @ 0..=0xff => write!(out, "\\x{code:02X}"),
                    code @ 0x100..=0xffff => write!(out, "\\u{code:04X}"),
                    code => write!(out, "\\U{code:08X}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// Whether a text can stand without quotes for readers of YAML 1.1 and 1.2 alike. Quotes never harm, so doubt means no.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !(first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/' | b'(' | b'$')) || matches!(last, b' ' | b':') {
        return false;
    }
    let safe = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-./+@,;=()$%~^<>*!|?:' ".contains(byte));
    safe && !text.contains(": ") && resolve(text).is_string() && !is_ambiguous(text)
}

/// What PyYAML takes for a text, or this reader does, and another reader does not.
fn is_ambiguous(text: &str) -> bool {
    if matches!(text, "y" | "Y" | "n" | "N") {
        return true;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let digits = text.replace('_', "");
    let based = || {
        let rest = digits.get(2..).unwrap_or_default();
        matches!(digits.get(..2), Some("0x" | "0X" | "0o" | "0O" | "0b" | "0B"))
            && rest.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let base_60 = || text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || b":_.".contains(&byte));
    let date = || {
        let mut parts = text.splitn(3, '-');
        let year = parts
            .next()
            .is_some_and(|year| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()));
        let month = parts
            .next()
            .is_some_and(|month| month.len() <= 2 && month.bytes().all(|b| b.is_ascii_digit()));
        year && month
            && parts
                .next()
                .is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()))
    };
    digits.parse::<f64>().is_ok() || based() || base_60() || date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Duplicates, read};
    use serde_json::json;

    /// Texts that readers of YAML take for something else.
    const TRAPS: [&str; 81] = [
        "",
        " ",
        "~",
        "null",
        "Null",
        "NULL",
        "yes",
        "Yes",
        "no",
        "NO",
        "on",
        "off",
        "Off",
        "true",
        "False",
        "y",
        "n",
        "Y",
        "1:30",
        "11:22:33:44:55:56",
        "190:20:30.15",
        "2020-06-29",
        "2001-12-14t21:59:43.10-05:00",
        "2001-12-14 21:59:43.10 -5",
        "0o7",
        "012",
        "08",
        "0x1F",
        "0b101",
        "1_000",
        "1e3",
        "12e5",
        "1E+3",
        ".5",
        "-.5",
        "1.",
        "1.5e+3",
        ".inf",
        "-.INF",
        ".nan",
        "+1",
        "-1",
        "0",
        "007",
        "=",
        "<<",
        "@x",
        "`x",
        "%x",
        "&x",
        "*x",
        "!x",
        "!!str x",
        "|",
        ">",
        "- x",
        "-",
        "?",
        "? x",
        ": x",
        ":",
        "a: b",
        "a:",
        "a #b",
        "#b",
        "[x",
        "{x",
        ",",
        "'x'",
        "\"x\"",
        " lead",
        "trail ",
        "\ttab",
        "tab\t",
        "line\nbreak",
        "line\n",
        "\n",
        "\r\n",
        "---",
        "...",
        "\u{feff}bom",
    ];

    #[test]
    fn every_text_is_read_back_as_the_same_text_by_the_rules_of_pyyaml() {
        let controls = [
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "\u{1F600}",
            "a\u{0301}",
            "\\",
            "\\n",
            "é",
            "\u{1b}[0m",
        ];
        let long = ["x ".repeat(200), "x".repeat(2000), "a\nb ".repeat(100)];
        for text in TRAPS
            .iter()
            .copied()
            .chain(controls)
            .chain(long.iter().map(String::as_str))
        {
            let value = json!({"k": text, "list": [text, [text]], "map": {text: {"deep": text}}});
            let written = write(&value);
            let back =
                read(&written, Duplicates::Refused).unwrap_or_else(|error| panic!("{text:?}: {error}\n{written}"));
            assert_eq!(back, value, "{written}");
        }
    }

    #[test]
    fn texts_that_another_reader_could_mistake_are_quoted() {
        for text in TRAPS {
            let written = write(&json!({ "k": text }));
            let shown = written.strip_prefix("---\nk: ").unwrap();
            assert!(shown.starts_with(['"', '\'']), "{text:?} is written as {shown:?}");
        }
    }

    #[test]
    fn values_keep_their_kind() {
        let value = json!({"a": 1, "b": -1.5, "c": null, "d": true, "e": [], "f": {}, "g": [[], {}], "h": u64::MAX, "i": 1e300,
                           "j": [{"x": 1, "y": [1, 2]}], "k": 1.0});
        let written = write(&value);
        assert_eq!(read(&written, Duplicates::Refused).unwrap(), value, "{written}");
        assert_eq!(write(&json!([])), "--- []\n");
        assert_eq!(write(&json!({})), "--- {}\n");
    }
}
