//! What a token says about whose an element is.

use uuid::Uuid;
use vimhost_model::ResourceId;

/// Letters that begin the tokens of an installation (`Store::installation`).
const LETTERS: usize = 5;

/// Length of a UUID with its hyphens, the only form that stands in a token.
const UUID: usize = 36;

/// A token of vimhost, taken apart: `<letters>-<uuid>[-g<generation>][.<child>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Whose it is.
    pub(super) installation: String,
    /// The document of the element, or of the element it is a child of.
    pub(super) resource: ResourceId,
}

impl Mark {
    /// The mark in a token; none where it is no token of vimhost at all. Connectors hand over whatever has a token's letters, and
    /// `web-1` in a description is somebody's own word.
    pub(super) fn of(token: &str, own: &str) -> Option<Self> {
        let element = token.split('.').next().unwrap_or_default();
        let root = without_generation(element);
        let (letters, rest) = root.split_once('-')?;
        let is_of_another = || {
            letters.len() == LETTERS
                && letters.bytes().all(|letter| letter.is_ascii_lowercase())
                && rest.len() == UUID
                && Uuid::try_parse(rest).is_ok()
        };
        if letters != own && !is_of_another() {
            return None;
        }
        Some(Self {
            installation: letters.to_owned(),
            resource: ResourceId::new(root).ok()?,
        })
    }
}

/// The first generation has no number. No UUID ends like one: `g` is no digit of it.
fn without_generation(element: &str) -> &str {
    match element.rsplit_once("-g") {
        Some((root, number)) if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => root,
        Some(_) | None => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "qwert-0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

    #[test]
    fn an_element_its_children_and_its_generations_have_one_document() {
        for token in ["", ".p0", ".v12", "-g2", "-g17.p3"].map(|rest| format!("{ID}{rest}")) {
            let mark = Mark::of(&token, "qwert").unwrap();
            assert_eq!(
                (mark.installation.as_str(), mark.resource.as_str()),
                ("qwert", ID),
                "{token}"
            );
        }
    }

    #[test]
    fn another_installation_is_known_by_the_form_of_its_tokens() {
        assert_eq!(Mark::of(ID, "other").unwrap().installation, "qwert");
        for text in [
            "",
            "web",
            "web-1",
            "m1.small",
            "qwert-1",
            "qwerty-0192f0c1-7a3b-7c4d-8e5f-0123456789ab",
            "qwert-0192f0c17a3b7c4d8e5f0123456789ab",
            "qw3rt-0192f0c1-7a3b-7c4d-8e5f-0123456789ab",
        ] {
            assert_eq!(Mark::of(text, "other"), None, "{text}");
        }
        // What begins with our own letters is ours, whatever follows.
        assert_eq!(Mark::of("other-7.p0", "other").unwrap().resource.as_str(), "other-7");
    }
}
