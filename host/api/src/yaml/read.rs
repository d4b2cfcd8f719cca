//! The reader: parser events to a JSON value, with bounds.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::scalar::resolve;

/// Nesting of collections. serde_json stops at 128 as well, so a value that was read can be written in every form.
const MAX_DEPTH: usize = 128;

/// Values in a document, aliases counted as often as they are used. A service of LCM has some hundred per VM; a million values
/// take about 100 MB.
const MAX_NODES: usize = 1_000_000;

/// Bytes of text that aliases and anchors may copy.
const MAX_COPIED_BYTES: usize = 16 << 20;

/// What becomes of a key that stands in a map twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// The last one counts, as for PyYAML.
    LastWins,
    /// The document is refused.
    Refused,
}

/// Why a text is no acceptable document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub(crate) struct ReadError {
    /// What is wrong.
    pub reason: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// Reads one document. An empty one is null.
pub(crate) fn read(text: &str, duplicates: Duplicates) -> Result<Value, ReadError> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(duplicates);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| at(error.marker(), error.kind().to_string()))?;
        builder.take(event).map_err(|reason| at(&span.start, reason))?;
    }
    Ok(builder.document.unwrap_or(Value::Null))
}

fn at(place: &Marker, reason: impl Into<String>) -> ReadError {
    ReadError {
        reason: reason.into(),
        line: place.line(),
        column: place.col() + 1,
    }
}

/// How much a value is, for the bounds.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Size {
    /// Recurses, but only over what was built within the bound on depth.
    fn of(value: &Value) -> Self {
        let add = |mut sum: Self, inner: Self| {
            sum.nodes += inner.nodes;
            sum.bytes += inner.bytes;
            sum.depth = sum.depth.max(inner.depth + 1);
            sum
        };
        let own = Self {
            nodes: 1,
            bytes: 0,
            depth: 0,
        };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => own,
            Value::String(text) => Self {
                bytes: text.len(),
                ..own
            },
            Value::Array(list) => list.iter().map(Self::of).fold(Self { depth: 1, ..own }, add),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| {
                    let size = Self::of(value);
                    Self {
                        bytes: size.bytes + key.len(),
                        ..size
                    }
                })
                .fold(Self { depth: 1, ..own }, add),
        }
    }
}

enum Key {
    Text(String),
    /// `<<`: the value's entries are taken over.
    Merge,
}

enum Open {
    List(Vec<Value>),
    Map {
        entries: Map<String, Value>,
        key: Option<Key>,
        merged: Vec<Map<String, Value>>,
    },
}

struct Frame {
    open: Open,
    anchor: usize,
}

struct Builder {
    duplicates: Duplicates,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Value, Size)>,
    nodes: usize,
    copied: usize,
    document: Option<Value>,
}

impl Builder {
    fn new(duplicates: Duplicates) -> Self {
        Self {
            duplicates,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            copied: 0,
            document: None,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a feature of the parser that another crate may turn on adds a variant"
    )]
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) if self.document.is_some() => {
                return Err("expected a single document, found another one".to_owned());
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count()?;
                if self.wants_key() {
                    return self.key(text.into_owned(), style == ScalarStyle::Plain && tag.is_none());
                }
                let value = scalar(&text, style, tag.as_deref())?;
                self.complete(value, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_collection(tag.as_deref(), "seq")?;
                self.open(Open::List(Vec::new()), anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                check_collection(tag.as_deref(), "map")?;
                self.open(
                    Open::Map {
                        entries: Map::new(),
                        key: None,
                        merged: Vec::new(),
                    },
                    anchor,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => self.alias(id)?,
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            Err(format!("the document has more than {MAX_NODES} values"))
        } else {
            Ok(())
        }
    }

    fn charge(&mut self, size: Size) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.copied = self.copied.saturating_add(size.bytes);
        if self.nodes > MAX_NODES || self.copied > MAX_COPIED_BYTES {
            return Err("aliases make the document too large".to_owned());
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.frames.last(),
            Some(Frame {
                open: Open::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: String, plain: bool) -> Result<(), String> {
        let Some(Frame {
            open: Open::Map { entries, key, .. },
            ..
        }) = self.frames.last_mut()
        else {
            return Ok(());
        };
        if plain && text == "<<" {
            *key = Some(Key::Merge);
            return Ok(());
        }
        if self.duplicates == Duplicates::Refused && entries.contains_key(&text) {
            return Err(format!("key '{}' stands in the map twice", shortened(&text)));
        }
        *key = Some(Key::Text(text));
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        self.count()?;
        if self.wants_key() {
            return Err("a key that is a list or map is not allowed".to_owned());
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(format!("the document is nested deeper than {MAX_DEPTH} levels"));
        }
        self.frames.push(Frame { open, anchor });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(Frame { open, anchor }) = self.frames.pop() else {
            return Ok(());
        };
        let value = match open {
            Open::List(list) => Value::Array(list),
            Open::Map {
                mut entries, merged, ..
            } => {
                for (key, value) in merged.into_iter().flatten() {
                    entries.entry(key).or_insert(value);
                }
                Value::Object(entries)
            }
        };
        self.complete(value, anchor)
    }

    fn alias(&mut self, id: usize) -> Result<(), String> {
        let Some((value, size)) = self.anchors.get(&id) else {
            return Err("an alias names a value that it is part of".to_owned());
        };
        let size = *size;
        if self.frames.len() + size.depth > MAX_DEPTH {
            return Err(format!("the document is nested deeper than {MAX_DEPTH} levels"));
        }
        let wants_key = self.wants_key();
        let text = value.as_str().filter(|_| wants_key).map(str::to_owned);
        match (wants_key, text) {
            (true, Some(text)) => self.key(text, false),
            (true, None) => Err("a key has to be a text".to_owned()),
            (false, _) => {
                self.charge(size)?;
                let value = self
                    .anchors
                    .get(&id)
                    .map(|(value, _)| value.clone())
                    .unwrap_or_default();
                self.place(value)
            }
        }
    }

    fn complete(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            let size = Size::of(&value);
            self.charge(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.place(value)
    }

    fn place(&mut self, value: Value) -> Result<(), String> {
        match self.frames.last_mut().map(|frame| &mut frame.open) {
            None => self.document = Some(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map { entries, key, merged }) => match key.take() {
                Some(Key::Text(key)) => {
                    entries.insert(key, value);
                }
                Some(Key::Merge) => merge(merged, value)?,
                None => return Err("a value without a key".to_owned()),
            },
        }
        Ok(())
    }
}

/// Takes a merge key's value: a map or a list of maps, the earlier one first.
fn merge(merged: &mut Vec<Map<String, Value>>, value: Value) -> Result<(), String> {
    let maps = match value {
        Value::Array(list) => list,
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![value],
    };
    for map in maps {
        match map {
            Value::Object(map) => merged.push(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err("'<<' merges a map or a list of maps".to_owned());
            }
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            resolve(text)
        } else {
            Value::String(text.to_owned())
        });
    };
    let refuse = |kind: &str| Err(format!("'{}' is no {kind}", shortened(text)));
    let kind = tag.suffix_in_namespace("tag:yaml.org,2002:");
    match kind.as_deref() {
        Some("str" | "timestamp") => Ok(Value::String(text.to_owned())),
        Some(kind @ ("int" | "float" | "bool" | "null")) => match (kind, resolve(text)) {
            ("int", value @ Value::Number(_)) if value.is_i64() || value.is_u64() => Ok(value),
            ("float", value @ Value::Number(_)) => Ok(value),
            ("bool", value @ Value::Bool(_)) => Ok(value),
            ("null", value @ Value::Null) => Ok(value),
            _ => refuse(kind),
        },
        // The non-specific tag `!` makes a text of anything.
        None if tag.suffix().is_empty() || tag.suffix() == "!" => Ok(Value::String(text.to_owned())),
        _ => Err(format!("tag '{}' is not allowed", shortened(&tag.original()))),
    }
}

fn check_collection(tag: Option<&Tag>, kind: &str) -> Result<(), String> {
    match tag {
        Some(tag) if tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() != Some(kind) => {
            Err(format!("tag '{}' is not allowed", shortened(&tag.original())))
        }
        Some(_) | None => Ok(()),
    }
}

/// Text of a document as far as an error may repeat it.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn value(text: &str) -> Value {
        read(text, Duplicates::LastWins).unwrap()
    }

    fn refusal(text: &str) -> String {
        read(text, Duplicates::LastWins).unwrap_err().to_string()
    }

    #[test]
    fn a_document_of_pyyaml_is_read_as_pyyaml_reads_it() {
        let text = "---\naction_id: 1e3\nid: '0'\nmemory-mb: 1024\nns:\n    vld:\n    -   id: mgmt\n        \
                    mgmt-network: true\n        type: null\n        vim_info:\n            vim:6a: {}\nvnf: []\n\
                    text: \"a\\nb\"\nblock: |\n    #cloud-config\n    x: 1\n";
        assert_eq!(
            value(text),
            json!({"action_id": "1e3", "id": "0", "memory-mb": 1024, "vnf": [], "text": "a\nb",
                   "block": "#cloud-config\nx: 1\n",
                   "ns": {"vld": [{"id": "mgmt", "mgmt-network": true, "type": null, "vim_info": {"vim:6a": {}}}]}})
        );
        assert_eq!(value(""), Value::Null);
        assert_eq!(value("# nothing\n"), Value::Null);
        assert_eq!(value("\u{feff}a: 1"), json!({"a": 1}));
        assert_eq!(
            value("{\"a\": [1, \"x\", null, true]}"),
            json!({"a": [1, "x", null, true]})
        );
    }

    /// `tests/data/pyyaml_texts.yaml` was written by PyYAML 6.0.3's `safe_dump` from the JSON file beside it.
    #[test]
    fn what_pyyaml_writes_is_read_as_it_was_meant() {
        let written = value(include_str!("../../tests/data/pyyaml_texts.yaml"));
        let meant: Value = serde_json::from_str(include_str!("../../tests/data/pyyaml_texts.json")).unwrap();
        let (written, meant) = (written.as_array().unwrap(), meant.as_array().unwrap());
        assert_eq!(written.len(), meant.len());
        for (written, meant) in written.iter().zip(meant) {
            assert_eq!(written, meant);
        }
    }

    #[test]
    fn aliases_merges_keys_and_tags() {
        assert_eq!(
            value("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n"),
            json!({"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}, "c": {"p": 1, "q": 2}})
        );
        // As PyYAML lays out a list that two maps share: no deeper than the key, and long lines folded at their blanks.
        assert_eq!(
            value("vdur:\n- keys: &id001\n  - ssh-rsa\n    AAAA x\n  - b\n- keys: *id001\nvld: []\n"),
            json!({"vdur": [{"keys": ["ssh-rsa AAAA x", "b"]}, {"keys": ["ssh-rsa AAAA x", "b"]}], "vld": []})
        );
        assert_eq!(value("'<<': 1"), json!({"<<": 1}));
        assert_eq!(
            value("{0: a, yes: b, a: 1, a: 2}"),
            json!({"0": "a", "yes": "b", "a": 2})
        );
        assert_eq!(
            value("[!!str 12, !!int '12', ! 12, !!timestamp 2020-01-01]"),
            json!(["12", 12, "12", "2020-01-01"])
        );
        assert!(refusal("!!python/object/apply:os.system [x]").contains("not allowed"));
        assert!(refusal("!!binary aGk=").contains("not allowed"));
        assert!(refusal("!!int x").contains("no int"));
        assert!(refusal("? [a]\n: b").contains("list or map"));
        assert!(refusal("a: 1\n---\nb: 2").contains("single document"));
        assert!(refusal("&a [*a]").contains("part of"));
        let twice = read("a: 1\nb: 2\na: 3\n", Duplicates::Refused).unwrap_err();
        assert_eq!(twice.to_string(), "key 'a' stands in the map twice at line 3, column 1");
    }

    #[test]
    fn errors_name_the_place() {
        let error = read("a: 1\nb: [1, 2\n", Duplicates::LastWins).unwrap_err();
        assert!(error.line >= 2, "{error}");
        assert!(read("a: b: c", Duplicates::LastWins).is_err());
    }

    /// Each takes a second at most where nothing else runs. What is not bounded takes hours.
    const BOUND: Duration = Duration::from_secs(60);

    #[test]
    fn hostile_documents_are_refused_quickly() {
        let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        let text = "x".repeat(1 << 20);
        let copies = format!("t: &t {text}\nl: [{}]", vec!["*t"; 100].join(", "));
        let mut nested = String::from("a0: &a0 [[[[[[[[[[1]]]]]]]]]]\n");
        for level in 1..20 {
            nested.push_str(&format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1));
        }
        let anchors = format!("{}1{}", "[&a ".repeat(100), "]".repeat(100));
        let block_depth = (0..3000)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect::<String>();
        let cases = [
            ("alias bomb", laughs),
            ("text bomb", copies),
            ("depth by aliases", nested),
            ("flow depth", "[".repeat(1 << 20)),
            ("flow maps", "{a: ".repeat(1 << 18)),
            ("block depth", block_depth),
            ("dashes", "- ".repeat(1 << 18)),
            ("many values", format!("[{}]", "1,".repeat(2 << 20))),
            ("many keys", "? ".repeat(1 << 18)),
            ("long key", format!("{}: 1\n{}", "k".repeat(1 << 20), "[")),
        ];
        for (name, text) in cases {
            let started = Instant::now();
            let result = read(&text, Duplicates::LastWins);
            let taken = started.elapsed();
            assert!(result.is_err(), "{name}");
            assert!(taken < BOUND, "{name} took {taken:?}");
        }
        let started = Instant::now();
        assert!(read(&anchors, Duplicates::LastWins).is_ok());
        let _ = read(&"a: &a ".repeat(1 << 16), Duplicates::LastWins);
        let _ = read(&format!("'{}", "x\n".repeat(1 << 20)), Duplicates::LastWins);
        let _ = read(&format!("a: |\n{}", "  x\n".repeat(1 << 20)), Duplicates::LastWins);
        let _ = read(&"# c\n".repeat(1 << 20), Duplicates::LastWins);
        let _ = read(&"\n".repeat(4 << 20), Duplicates::LastWins);
        let _ = read(&"%TAG ! x\n".repeat(1 << 16), Duplicates::LastWins);
        assert!(started.elapsed() < BOUND);
    }
}
