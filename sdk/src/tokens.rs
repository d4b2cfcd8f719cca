//! Tokens as an audit finds them. Where they stand, anybody may write anything that begins like one; what is none is not ours, and
//! the host refuses a page that holds it.

/// Longest token of an element, and of a child of it.
const ELEMENT: usize = 48;
const CHILD: usize = 60;

/// A text that is a token and begins with `prefix`.
#[must_use]
pub fn ours<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let mut parts = text.split('.');
    let is_token = text.len() <= CHILD
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('.').next().is_some_and(|element| element.len() <= ELEMENT)
        && parts.all(|part| !part.is_empty() && part.bytes().all(fits));
    (is_token && text.starts_with(prefix)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_of_ours_is_ours() {
        for token in ["abcde-1", "abcde-ns-7.p0", "abcde-ns-7.g-0a1b"] {
            assert_eq!(ours(token, "abcde-"), Some(token));
        }
        let too_long = format!("abcde-{}", "x".repeat(43));
        for text in [
            "",
            "other-1",
            "abcde-1 was here",
            "abcde-X",
            "abcde-1..p0",
            "abcde-1.",
            "abcde-ü",
            &too_long,
        ] {
            assert_eq!(ours(text, "abcde-"), None, "{text}");
        }
    }
}
