//! The configuration file: YAML, one setting a line, by the names of the flags.
//!
//! YAML because network services are written in it too, so an operator learns one syntax. The file is read as texts with their
//! lines; what they mean is decided where flags and environment are read too, so that a value is right or wrong everywhere alike.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A configuration file is longer than this only by mistake: all settings fit in a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// How like a known name an unknown one must be to be taken for a slip.
const ALIKE: f64 = 0.8;

/// A file as it was read.
#[derive(Debug, Default)]
pub struct File {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// One setting of it.
#[derive(Debug)]
pub struct Entry {
    key: String,
    /// Line in the file.
    pub line: u64,
    /// Its values: one, or those of a list.
    pub values: Vec<String>,
}

/// What is wrong with a setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Problem {
    /// File and line, flag, or name in the environment.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

impl File {
    /// Reads a file; `known` are the names of all settings.
    ///
    /// # Errors
    /// Everything that is wrong with its form.
    pub fn read(path: &Path, known: &[&str]) -> Result<Self, Vec<Problem>> {
        let whole = |what: String| {
            vec![Problem {
                place: path.display().to_string(),
                what,
            }]
        };
        let size = std::fs::metadata(path)
            .map_err(|error| whole(format!("cannot read the configuration: {error}")))?
            .len();
        if size > LARGEST {
            return Err(whole(format!("it has {size} bytes, which is no configuration")));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| whole(format!("cannot read the configuration: {error}")))?;
        Self::parse(path, &text, known)
    }

    fn parse(path: &Path, text: &str, known: &[&str]) -> Result<Self, Vec<Problem>> {
        let at = |line: u64, what: String| Problem {
            place: format!("{}:{line}", path.display()),
            what,
        };
        let entries = match serde_saphyr::from_str::<Option<Entries>>(text) {
            Ok(entries) => entries.map_or_else(Vec::new, |entries| entries.0),
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line());
                // The first line says what; the rest shows the file, which may hold what is not to be shown.
                let what = error.without_snippet().to_string();
                return Err(vec![at(line, what.lines().next().unwrap_or("not YAML").to_owned())]);
            }
        };
        let unknown: Vec<Problem> = entries
            .iter()
            .filter(|entry| !known.contains(&&*entry.key))
            .map(|entry| at(entry.line, not_known(&entry.key, known)))
            .collect();
        if unknown.is_empty() {
            Ok(Self {
                path: path.to_owned(),
                entries,
            })
        } else {
            Err(unknown)
        }
    }

    /// A setting of the file.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A place in it, for errors.
    pub fn place(&self, line: u64) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn not_known(key: &str, known: &[&str]) -> String {
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    let likeness = |name: &&&str| strsim::jaro_winkler(key, name);
    let nearest = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|name| likeness(name) >= ALIKE);
    match nearest {
        Some(name) => format!("unknown setting '{shown}'; did you mean '{name}'?"),
        None => format!("unknown setting '{shown}'; the settings are in docs/configuration.md"),
    }
}

/// The settings of a file in their order.
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings as 'name: value'")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = vec![];
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let Texts(values) = map.next_value()?;
                    entries.push(Entry {
                        line: key.referenced.line(),
                        key: key.value,
                        values,
                    });
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A scalar or a list of scalars, as texts.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false, or a list of them")
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
                let mut texts = vec![];
                while let Some(Texts(mut more)) = seq.next_element()? {
                    texts.append(&mut more);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["admin-listen", "ng-ro-sources", "calls-per-account", "log-json"];

    fn parse(text: &str) -> Result<File, Vec<Problem>> {
        File::parse(Path::new("vimhost.yaml"), text, KNOWN)
    }

    #[test]
    fn scalars_and_lists_keep_their_lines() {
        let file = parse(
            "# comment\nadmin-listen: 127.0.0.1:1\ncalls-per-account: 8\nlog-json: true\nng-ro-sources:\n- 10.0.0.0/8\n- ::1/128\n",
        )
        .unwrap();
        let of = |key| {
            file.entry(key)
                .map(|entry| (entry.line, entry.values.join(" ")))
                .unwrap()
        };
        assert_eq!(of("admin-listen"), (2, "127.0.0.1:1".to_owned()));
        assert_eq!(of("calls-per-account"), (3, "8".to_owned()));
        assert_eq!(of("log-json"), (4, "true".to_owned()));
        assert_eq!(of("ng-ro-sources"), (5, "10.0.0.0/8 ::1/128".to_owned()));
        assert!(parse("").unwrap().entries.is_empty());
        assert!(parse("# nothing\n").unwrap().entries.is_empty());
    }

    #[test]
    fn a_slip_is_named_with_file_line_and_what_was_meant() {
        let problems = parse("log-json: true\nadmin-listn: 1\nnonsense: 2\n").unwrap_err();
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts[0],
            "vimhost.yaml:2: unknown setting 'admin-listn'; did you mean 'admin-listen'?"
        );
        assert!(
            texts[1].starts_with("vimhost.yaml:3: unknown setting 'nonsense';"),
            "{texts:?}"
        );
    }

    #[test]
    fn what_is_no_map_of_scalars_is_refused_at_its_line() {
        for (text, line) in [
            ("log-json: true\nlog-json: false\n", 2),
            ("log-json: true\nadmin-listen: {a: 1}\n", 2),
            ("log-json: [\n", 1),
            ("- a\n", 1),
        ] {
            let problems = parse(text).unwrap_err();
            assert_eq!(problems.len(), 1);
            assert_eq!(
                problems[0].place,
                format!("vimhost.yaml:{line}"),
                "{text}: {problems:?}"
            );
        }
    }
}
