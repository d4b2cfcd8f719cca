//! Text from outside, made safe for logs and messages: bounded, control characters escaped.

use std::fmt::Write as _;

fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether nothing in the text would be escaped.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_active)
}

/// The text with its control characters escaped, so that it cannot forge lines or colours.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// At most so many bytes, cut between characters, with a mark where something is missing.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Bounded and escaped.
pub(crate) fn safe(text: &str, limit: usize) -> String {
    escaped(&cut(text, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_length_is_bounded() {
        assert_eq!(safe("a\nb\u{1b}[31m", 100), "a\\nb\\u{1b}[31m");
        assert_eq!(cut("äöü", 3), "ä…");
    }
}
