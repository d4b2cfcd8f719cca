//! What a plain scalar means: PyYAML's table of implicit resolvers.

use serde_json::{Number, Value};

/// The meaning of a plain scalar. A number that JSON cannot hold (infinite, or an integer beyond 64 bits) stays a text, digits
/// kept: nothing is rounded silently.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    integer(text)
        .or_else(|| float(text))
        .map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// `[-+]?` then `0b…`, `0x…`, octal with a leading zero, or decimal; underscores anywhere after the first digit.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        b'0'..=b'9' => (false, text),
        _ => return None,
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'b', ..] => (2, digits.get(2..)?),
        [b'0', b'x', ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        [b'0'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    if !digits
        .bytes()
        .all(|byte| byte == b'_' || char::from(byte).is_digit(radix))
    {
        return None;
    }
    let digits = digits.replace('_', "");
    let magnitude = u64::from_str_radix(&digits, radix).ok()?;
    if negative {
        // The magnitude of the smallest integer does not fit itself.
        0i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

/// `[-+]?` digits with a point, and an exponent only with a sign: `1e3` is a text.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit());
    let begins_with_digit = |part: &str| part.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let valid = digits(whole)
        && digits(fraction)
        && if whole.is_empty() {
            // PyYAML's expression for the short form takes no sign.
            begins_with_digit(fraction) && unsigned.len() == text.len()
        } else {
            begins_with_digit(whole)
        }
        && exponent.is_none_or(|exponent| {
            exponent
                .strip_prefix(['-', '+'])
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        });
    if !valid {
        return None;
    }
    Number::from_f64(text.replace('_', "").parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_only_look_like_numbers_stay_texts() {
        for text in [
            "1e3",
            "12e5",
            "1E+3",
            "0o7",
            "08",
            "1:30",
            "11:22:33:44:55:56",
            "2020-06-29",
            "1.2.3",
            "1.0e3",
            "0b",
            "0x",
            "-",
            "+",
            ".",
            "..5",
            "_1",
            "._5",
            "-.5",
            "1.5e",
            "y",
            "n",
            "Y",
            "nULL",
            "=",
            "0b12",
            "18446744073709551616",
            "-9223372036854775809",
            ".inf",
            ".NaN",
            "1.0e+999",
            "1__a",
        ] {
            assert_eq!(resolve(text), json!(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_what_pyyaml_makes_of_it() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("012", json!(10)),
            ("0x1F", json!(31)),
            ("0b1_0", json!(2)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("1_000", json!(1000)),
            ("0", json!(0)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551615", json!(u64::MAX)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("-1.5", json!(-1.5)),
            ("1.0e+3", json!(1000.0)),
            ("1_0.5", json!(10.5)),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }
}
