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

/// How many letters of an installation begin its tokens.
const LETTERS: usize = 5;

/// Whether a text has the form of a token: an installation's letters, and what it names. Which installation that is nobody here knows,
/// so any will do.
#[must_use]
pub fn is_anybodys(text: &str) -> bool {
    let letters = text.split_once('-').map(|(letters, _)| letters);
    let is_installation =
        |letters: &str| letters.len() == LETTERS && letters.bytes().all(|byte| byte.is_ascii_lowercase());
    letters.is_some_and(is_installation) && ours(text, "").is_some()
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

    #[test]
    fn a_token_of_anybody_begins_with_five_letters() {
        for text in ["abcde-1", "qwert-op-1.op-0a"] {
            assert!(is_anybodys(text), "{text}");
        }
        for text in ["", "abcde", "Abcde-1", "abcdef-1", "abcd-1", "abc1e-1", "abcde-X"] {
            assert!(!is_anybodys(text), "{text}");
        }
    }
}
