//! Attribute selectors (SOL013 5.3): what of each entry a list shows.

use serde_json::{Map, Value};

use super::filter::names;

/// The attributes of a kind of thing at the top level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    /// Always shown.
    pub mandatory: &'static [&'static str],
    /// Shown unless somebody asks for less.
    pub optional: &'static [&'static str],
    /// Not shown unless somebody asks for more.
    pub excluded: &'static [&'static str],
}

impl Attributes {
    fn know(&self, name: &str) -> bool {
        [self.mandatory, self.optional, self.excluded, &["_links"]]
            .iter()
            .any(|names| names.contains(&name))
    }

    pub(super) fn excludes(&self, name: &str) -> bool {
        self.excluded.contains(&name)
    }
}

/// A path of names into a thing; the first is an attribute of the top level.
type Path = Vec<String>;

/// What of an entry is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// All but what is excluded by default.
    Default,
    /// Everything.
    All,
    /// What is mandatory and some more.
    Fields {
        /// These.
        chosen: Vec<Path>,
        /// And all that is not excluded by default.
        with_default: bool,
    },
    /// Everything but these.
    Without(Vec<Path>),
}

impl Selector {
    /// Reads the selector of a query.
    pub(crate) fn of(query: &[(String, String)], attributes: &Attributes) -> Result<Self, String> {
        let has = |name: &str| query.iter().any(|(key, _)| key == name);
        let text = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let (all, default) = (has("all_fields"), has("exclude_default"));
        let (fields, without) = (text("fields"), text("exclude_fields"));
        match (all, fields, without, default) {
            (true, None, None, false) => Ok(Self::All),
            (true, ..) => Err("'all_fields' stands alone".to_owned()),
            (_, Some(_), Some(_), _) => Err("'fields' and 'exclude_fields' exclude each other".to_owned()),
            (_, None, Some(_), true) => Err("'exclude_fields' and 'exclude_default' exclude each other".to_owned()),
            (_, Some(fields), None, with_default) => Ok(Self::Fields {
                chosen: paths("fields", fields, attributes)?,
                with_default,
            }),
            (_, None, Some(without), false) => Ok(Self::Without(paths("exclude_fields", without, attributes)?)),
            (_, None, None, true) => Ok(Self::Default),
            // The client writes a hyphen (and means `exclude_fields`): whatever it says there is no error.
            (_, None, None, false) => Ok(text("exclude-fields")
                .and_then(|without| paths("exclude-fields", without, attributes).ok())
                .map_or(Self::Default, Self::Without)),
        }
    }

    /// Whether what is excluded by default is needed.
    pub(super) fn needs_rest(&self, attributes: &Attributes) -> bool {
        match self {
            Self::Default => false,
            Self::All | Self::Without(_) => true,
            Self::Fields { chosen, .. } => chosen
                .iter()
                .any(|path| path.first().is_some_and(|name| attributes.excludes(name))),
        }
    }

    /// Whether an entry is shown as it is stored, so that it need not be parsed.
    pub(super) fn is_as_stored(&self) -> bool {
        match self {
            Self::Default | Self::All => true,
            Self::Fields { .. } | Self::Without(_) => false,
        }
    }

    /// What is shown of an entry.
    pub(crate) fn of_entry(&self, mut entry: Map<String, Value>, attributes: &Attributes) -> Map<String, Value> {
        match self {
            Self::All => entry,
            Self::Default => {
                entry.retain(|name, _| !attributes.excludes(name));
                entry
            }
            Self::Without(paths) => {
                for path in paths {
                    let mandatory = path
                        .first()
                        .is_some_and(|name| attributes.mandatory.contains(&name.as_str()) || name == "_links");
                    if !mandatory {
                        remove(&mut entry, path);
                    }
                }
                entry
            }
            Self::Fields { chosen, with_default } => {
                let mut shown = Map::new();
                for (name, value) in entry {
                    let wanted =
                        attributes.mandatory.contains(&name.as_str()) || (*with_default && !attributes.excludes(&name));
                    if wanted {
                        shown.insert(name, value);
                        continue;
                    }
                    let paths: Vec<&[String]> = chosen
                        .iter()
                        .filter_map(|path| path.split_first().filter(|(first, _)| **first == name))
                        .map(|(_, further)| further)
                        .collect();
                    if let Some(value) = picked(value, &paths) {
                        shown.insert(name, value);
                    }
                }
                shown
            }
        }
    }
}

/// Paths of one selector: each is looked for in each entry of a list.
const MAX_PATHS: usize = 256;

/// The paths of a list of them.
fn paths(parameter: &str, text: &str, attributes: &Attributes) -> Result<Vec<Path>, String> {
    if text.split(',').count() > MAX_PATHS {
        return Err(format!("'{parameter}' names more than {MAX_PATHS} attributes"));
    }
    text.split(',')
        .map(|path| {
            let names = names(path).map_err(|reason| format!("'{parameter}': {reason}"))?;
            match names.first() {
                Some(name) if attributes.know(name) => Ok(names),
                Some(_) | None => Err(format!("'{parameter}': there is no attribute '{path}'")),
            }
        })
        .collect()
}

/// What paths choose of a value; none when that is nothing.
fn picked(value: Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value);
    }
    match value {
        _ if paths.is_empty() => None,
        Value::Array(list) => {
            let list: Vec<Value> = list.into_iter().filter_map(|element| picked(element, paths)).collect();
            (!list.is_empty()).then_some(Value::Array(list))
        }
        Value::Object(map) => {
            let mut shown = Map::new();
            for (name, value) in map {
                let further: Vec<&[String]> = paths
                    .iter()
                    .filter_map(|path| path.split_first().filter(|(first, _)| **first == name))
                    .map(|(_, further)| further)
                    .collect();
                if let Some(value) = picked(value, &further) {
                    shown.insert(name, value);
                }
            }
            (!shown.is_empty()).then_some(Value::Object(shown))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Removes what a path leads to, from every element of the lists on its way.
fn remove(map: &mut Map<String, Value>, path: &[String]) {
    let Some((name, further)) = path.split_first() else {
        return;
    };
    if further.is_empty() {
        map.remove(name);
    } else if let Some(value) = map.get_mut(name) {
        remove_below(value, further);
    }
}

fn remove_below(value: &mut Value, path: &[String]) {
    match value {
        Value::Object(map) => remove(map, path),
        Value::Array(list) => list.iter_mut().for_each(|element| remove_below(element, path)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const THING: Attributes = Attributes {
        mandatory: &["id"],
        optional: &["name"],
        excluded: &["info", "metadata"],
    };

    fn selector(query: &str) -> Result<Selector, String> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Selector::of(&pairs, &THING)
    }

    fn shown(query: &str) -> Value {
        let thing = json!({
            "id": "1", "name": "n", "metadata": {"a": 1, "b": 2},
            "info": {"state": "UP", "parts": [{"id": "x", "zone": "z"}, {"id": "y"}]},
        });
        let Value::Object(thing) = thing else { unreachable!() };
        Value::Object(selector(query).unwrap().of_entry(thing, &THING))
    }

    #[test]
    fn the_table_of_selectors() {
        assert_eq!(shown(""), json!({"id": "1", "name": "n"}));
        assert_eq!(shown("exclude_default"), shown(""));
        assert_eq!(shown("all_fields").as_object().unwrap().len(), 4);
        assert_eq!(shown("fields=name"), json!({"id": "1", "name": "n"}));
        assert_eq!(
            shown("fields=metadata/b,info/parts/zone"),
            json!({"id": "1", "metadata": {"b": 2}, "info": {"parts": [{"zone": "z"}]}})
        );
        assert_eq!(
            shown("fields=metadata&exclude_default"),
            json!({"id": "1", "name": "n", "metadata": {"a": 1, "b": 2}})
        );
        assert_eq!(
            shown("exclude_fields=name,info/parts/id,metadata"),
            json!({"id": "1", "info": {"state": "UP", "parts": [{"zone": "z"}, {}]}})
        );
        assert_eq!(
            shown("exclude_fields=id,metadata,info"),
            json!({"id": "1", "name": "n"})
        );
    }

    #[test]
    fn combinations_that_contradict_each_other_are_refused() {
        for query in [
            "all_fields&fields=name",
            "all_fields&exclude_fields=name",
            "all_fields&exclude_default",
            "fields=name&exclude_fields=id",
            "exclude_fields=name&exclude_default",
            "fields=nothing",
            "exclude_fields=nothing/id",
            "fields=",
            "fields=name,,id",
            &format!("fields={}", ["name"; MAX_PATHS + 1].join(",")),
        ] {
            assert!(selector(query).is_err(), "{query}");
        }
    }

    #[test]
    fn what_the_client_misspells_is_understood_and_never_refused() {
        assert_eq!(
            shown("exclude-fields=name,info"),
            json!({"id": "1", "metadata": {"a": 1, "b": 2}})
        );
        assert_eq!(selector("exclude-fields=nothing"), Ok(Selector::Default));
        assert_eq!(selector("exclude-fields=name&all_fields"), Ok(Selector::All));
    }

    #[test]
    fn only_what_needs_it_reads_the_rest() {
        for (query, rest, stored) in [
            ("", false, true),
            ("all_fields", true, true),
            ("fields=name", false, false),
            ("fields=info/state", true, false),
            ("exclude_fields=name", true, false),
        ] {
            let selector = selector(query).unwrap();
            assert_eq!(
                (selector.needs_rest(&THING), selector.is_as_stored()),
                (rest, stored),
                "{query}"
            );
        }
    }
}
