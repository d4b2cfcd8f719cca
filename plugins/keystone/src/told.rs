//! The forms in which operators write settings: a truth that is a text, one thing where several may stand.
//!
//! OSM's own connector takes them all, since Python does; an account that worked there works here. The host checks the settings
//! against the connector's JSON schema first, so what arrives in another form is a mistake that is named.

use serde::{Deserialize, Deserializer, de};

/// True or false, also as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Truth(bool),
            Text(String),
            Nothing(()),
        }
        match Form::deserialize(deserializer)? {
            Form::Truth(truth) => Ok(Self(truth)),
            Form::Nothing(()) => Ok(Self(false)),
            Form::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Self(true)),
                "false" | "no" | "off" | "0" | "" => Ok(Self(false)),
                _ => Err(de::Error::custom(format!("{text:?} is neither true nor false"))),
            },
        }
    }
}

/// A text or a list of texts. Numbers are taken as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(Word),
            Many(Vec<Word>),
            Nothing(()),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::One(word) => vec![word.0],
            Form::Many(words) => words.into_iter().map(|word| word.0).collect(),
            Form::Nothing(()) => Vec::new(),
        }))
    }
}

/// A text, or a number as it is written: `APIversion: 3`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => number.to_string(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_may_be_a_text() {
        let flag = |json: &str| serde_json::from_str::<Flag>(json).map(|flag| flag.0).ok();
        assert_eq!(flag("true"), Some(true));
        assert_eq!(flag(r#""False""#), Some(false));
        assert_eq!(flag("null"), Some(false));
        assert_eq!(flag(r#""perhaps""#), None);
    }

    #[test]
    fn one_word_is_a_list_of_one() {
        let words = |json: &str| serde_json::from_str::<Words>(json).map(|words| words.0).ok();
        assert_eq!(words(r#""nova""#), Some(vec!["nova".to_owned()]));
        assert_eq!(words(r#"["a", 3]"#), Some(vec!["a".to_owned(), "3".to_owned()]));
        assert_eq!(words("null"), Some(vec![]));
        assert_eq!(words(r#"{"a": 1}"#), None);
    }
}
