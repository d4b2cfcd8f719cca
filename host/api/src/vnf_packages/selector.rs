//! Which attributes a list of packages shows (SOL013 5.3).

use serde_json::{Map, Value};

use crate::vnf_lcm::selector::{Attributes, MAX_PATHS};

/// Shown in a list only when they are asked for.
const EXCLUDED: &[&str] = &[
    "softwareImages",
    "additionalArtifacts",
    "userDefinedData",
    "checksum",
    "onboardingFailureDetails",
];

/// Shown always.
const MANDATORY: &[&str] = &["id", "onboardingState", "operationalState", "usageState", "_links"];

/// Shown unless somebody asks for less.
const OTHERS: &[&str] = &[
    "vnfdId",
    "vnfProvider",
    "vnfProductName",
    "vnfSoftwareVersion",
    "vnfdVersion",
    "vnfmInfo",
];

/// All of them.
pub(crate) const ATTRIBUTES: Attributes = Attributes {
    mandatory: MANDATORY,
    optional: OTHERS,
    excluded: EXCLUDED,
};

/// What of each package is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// All but what is excluded by default.
    Default,
    /// Everything.
    All,
    /// What is mandatory and these; with what is not excluded by default, or without.
    Fields(Vec<String>, bool),
    /// Everything but these.
    Without(Vec<String>),
}

impl Selector {
    /// Reads the selector of a query; the error says what is wrong with it.
    pub(super) fn of(query: &[(String, String)]) -> Result<Self, String> {
        let value = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let (all, default) = (value("all_fields").is_some(), value("exclude_default").is_some());
        match (all, value("fields"), value("exclude_fields"), default) {
            (true, None, None, false) => Ok(Self::All),
            (true, _, _, _) => Err("all_fields stands alone".to_owned()),
            (false, Some(_), Some(_), _) => Err("fields and exclude_fields exclude each other".to_owned()),
            (false, None, Some(_), true) => Err("exclude_fields and exclude_default exclude each other".to_owned()),
            (false, Some(fields), None, with_default) => Ok(Self::Fields(paths(fields)?, with_default)),
            (false, None, Some(without), false) => Ok(Self::Without(paths(without)?)),
            (false, None, None, _) => Ok(Self::Default),
        }
    }

    /// What is shown of a package.
    pub(super) fn select(&self, info: Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::All => info,
            Self::Default => retained(info, |name| !EXCLUDED.contains(&name)),
            Self::Fields(fields, with_default) => {
                let mut shown = Map::new();
                for path in fields {
                    let parts: Vec<&str> = path.split('/').collect();
                    copy(&info, &mut shown, &parts);
                }
                let rest = retained(info, |name| {
                    MANDATORY.contains(&name) || (*with_default && !EXCLUDED.contains(&name))
                });
                shown.extend(rest);
                shown
            }
            Self::Without(fields) => {
                let mut shown = info;
                for path in fields {
                    let parts: Vec<&str> = path.split('/').collect();
                    if parts.first().is_some_and(|name| !MANDATORY.contains(name)) {
                        remove(&mut shown, &parts);
                    }
                }
                shown
            }
        }
    }
}

fn retained(mut info: Map<String, Value>, keep: impl Fn(&str) -> bool) -> Map<String, Value> {
    info.retain(|name, _| keep(name));
    info
}

/// Attribute paths of a list; the first name of each must be an attribute.
fn paths(list: &str) -> Result<Vec<String>, String> {
    if list.split(',').count() > MAX_PATHS {
        return Err(format!("more than {MAX_PATHS} attributes are named"));
    }
    let paths = list.split(',').map(str::trim).filter(|path| !path.is_empty());
    paths
        .map(|path| {
            let name = path.split('/').next().unwrap_or(path);
            let known = [EXCLUDED, MANDATORY, OTHERS].iter().any(|names| names.contains(&name));
            if known {
                Ok(path.to_owned())
            } else {
                Err(format!("{name} is no attribute of a VNF package"))
            }
        })
        .collect()
}

/// Copies what a path leads to, through lists as well.
fn copy(from: &Map<String, Value>, into: &mut Map<String, Value>, path: &[&str]) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(value) = from.get(*name) else { return };
    if rest.is_empty() {
        into.insert((*name).to_owned(), value.clone());
        return;
    }
    match value {
        Value::Object(inner) => {
            let kept = into
                .entry((*name).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(kept) = kept.as_object_mut() {
                copy(inner, kept, rest);
            }
        }
        Value::Array(items) => {
            let empty = vec![Value::Object(Map::new()); items.len()];
            let kept = into.entry((*name).to_owned()).or_insert(Value::Array(empty));
            let kept = kept.as_array_mut().into_iter().flatten();
            for (item, kept) in items.iter().zip(kept) {
                if let (Some(item), Some(kept)) = (item.as_object(), kept.as_object_mut()) {
                    copy(item, kept, rest);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes what a path leads to, through lists as well.
fn remove(from: &mut Map<String, Value>, path: &[&str]) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        from.remove(*name);
        return;
    }
    match from.get_mut(*name) {
        Some(Value::Object(inner)) => remove(inner, rest),
        Some(Value::Array(items)) => {
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                remove(item, rest);
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{info, tests::package};
    use super::*;

    fn names(query: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let query: Vec<(String, String)> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let shown = Selector::of(&query)?.select(info(&package(true)));
        Ok(shown.keys().cloned().collect())
    }

    #[test]
    fn what_is_large_is_shown_in_a_list_only_when_asked_for() {
        for query in [&[][..], &[("exclude_default", "")]] {
            let shown = names(query).unwrap();
            assert!(shown.contains(&"vnfdId".to_owned()) && shown.contains(&"_links".to_owned()));
            assert!(!shown.iter().any(|name| EXCLUDED.contains(&name.as_str())), "{shown:?}");
        }
        assert!(names(&[("all_fields", "")]).unwrap().contains(&"checksum".to_owned()));
    }

    #[test]
    fn fields_are_chosen_and_left_out() {
        let query = [(
            "fields".to_owned(),
            "checksum/hash,additionalArtifacts/artifactPath".to_owned(),
        )];
        let shown = Selector::of(&query).unwrap().select(info(&package(true)));
        assert_eq!(shown.get("checksum"), Some(&serde_json::json!({"hash": "22"})));
        assert_eq!(
            shown.get("additionalArtifacts"),
            Some(&serde_json::json!([{"artifactPath": "Files/a.txt"}]))
        );
        assert!(shown.contains_key("id") && !shown.contains_key("vnfdId"));

        let query = [("exclude_fields".to_owned(), "checksum/hash,vnfdId,id".to_owned())];
        let shown = Selector::of(&query).unwrap().select(info(&package(true)));
        assert_eq!(
            shown.get("checksum"),
            Some(&serde_json::json!({"algorithm": "sha-256"}))
        );
        assert!(shown.contains_key("id") && !shown.contains_key("vnfdId"));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for query in [
            &[("all_fields", ""), ("fields", "id")][..],
            &[("fields", "id"), ("exclude_fields", "vnfdId")],
            &[("exclude_fields", "vnfdId"), ("exclude_default", "")],
            &[("fields", "nonsense")],
        ] {
            assert!(names(query).is_err(), "{query:?}");
        }
    }
}
