//! Heat templates: which paths of the parameter `nfv` one asks for, and a resource for each VM.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use vimhost_model::vnf::DeploymentFlavour;

/// Most bytes of a template with a resource for each member. Heat takes half a megabyte unless it is told otherwise, and what is kept of an
/// operation has the template several times.
const MAX_TEMPLATE_BYTES: usize = 2 << 20;

/// A template as data.
///
/// # Errors
/// When it is no YAML.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str::<Value>(text).map_err(|error| format!("the template is not YAML: {error}"))
}

/// Paths below `nfv` that a template asks for: `[VDU, VDU1, computeFlavourId]`.
pub(crate) fn paths(template: &Value) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    collect(template, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<Vec<String>>) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                match nfv_path(key, inner) {
                    Some(path) => {
                        found.insert(path.into_iter().map(str::to_owned).collect());
                    }
                    None => collect(inner, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path of `get_param: [nfv, …]`.
fn nfv_path<'v>(key: &str, value: &'v Value) -> Option<Vec<&'v str>> {
    let list = value.as_array().filter(|_| key == "get_param")?;
    let mut parts = list.iter().map(Value::as_str);
    if parts.next()? != Some("nfv") {
        return None;
    }
    let path: Option<Vec<&str>> = parts.collect();
    path.filter(|path| !path.is_empty())
}

/// A name of the VNFD behind the name of a resource, which may have a member's number at its end.
pub(crate) fn base_name(name: &str, is_known: impl Fn(&str) -> bool) -> Option<&str> {
    if is_known(name) {
        return Some(name);
    }
    let (base, number) = name.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    (is_number && is_known(base)).then_some(base)
}

/// The member's number at the end of the name of a resource; none where the name has none.
pub(crate) fn number_of(name: &str, is_known: impl Fn(&str) -> bool) -> Option<u32> {
    let base = base_name(name, is_known)?;
    name.strip_prefix(base)?.strip_prefix('-')?.parse().ok()
}

/// The template with a resource for each member: `VDU1` becomes `VDU1-0`, `VDU1-1`, with the ports and storages of the VDU that stand
/// beside it. JSON, which is YAML too.
///
/// # Errors
/// When it is no template, or would be too large.
pub(crate) fn with_members(
    text: &str,
    flavour: &DeploymentFlavour,
    members: &BTreeMap<String, Vec<u32>>,
) -> Result<String, String> {
    let mut template = parse(text)?;
    let resources = template
        .get_mut("resources")
        .and_then(Value::as_object_mut)
        .ok_or("the template has no resources")?;
    let mut left = MAX_TEMPLATE_BYTES;
    for (vdu, described) in &flavour.vdus {
        if !resources.contains_key(vdu) {
            continue;
        }
        let mut names: BTreeSet<&str> = [vdu.as_str()].into();
        names.extend(described.storages.iter().map(String::as_str));
        let of_vdu = flavour.cps.iter().filter(|(_, cp)| cp.vdu.as_ref() == Some(vdu));
        names.extend(of_vdu.map(|(cp, _)| cp.as_str()));
        let taken: Vec<(&str, Value)> = names
            .iter()
            .filter_map(|name| Some((*name, resources.remove(*name)?)))
            .collect();
        let numbers = members.get(vdu).map(Vec::as_slice).unwrap_or_default();
        // Before they are made: a large definition and many members are no more than a few kilobytes of a package.
        let bytes: usize = taken.iter().map(|(_, definition)| definition.to_string().len()).sum();
        left = bytes
            .checked_mul(numbers.len())
            .and_then(|all| left.checked_sub(all))
            .ok_or_else(|| {
                format!("the template with a resource for each VNFC has more than {MAX_TEMPLATE_BYTES} bytes")
            })?;
        for number in numbers {
            for (name, definition) in &taken {
                let mut definition = definition.clone();
                renumber(&mut definition, &names, *number);
                resources.insert(format!("{name}-{number}"), definition);
            }
        }
    }
    Ok(template.to_string())
}

/// Has a definition speak of one member.
fn renumber(value: &mut Value, names: &BTreeSet<&str>, number: u32) {
    let numbered = |value: &mut Value| {
        if let Value::String(name) = value
            && names.contains(name.as_str())
        {
            *name = format!("{name}-{number}");
        }
    };
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                match key.as_str() {
                    "get_resource" | "depends_on" | "get_attr" => {
                        if let Some(list) = inner.as_array_mut() {
                            list.iter_mut().for_each(numbered);
                        } else {
                            numbered(inner);
                        }
                    }
                    "get_param" if nfv_path(key, inner).is_some() => {
                        if let Some(name) = inner.get_mut(2) {
                            numbered(name);
                        }
                    }
                    _ => renumber(inner, names, number),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| renumber(inner, names, number)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Sets a value at a path of objects; what is no object on the way gives way to one.
pub(crate) fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        object.insert(first.clone(), value);
        return;
    }
    let inner = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Some(inner) = inner.as_object_mut() {
        put(inner, rest, value);
    }
}

/// Merges a patch over a value (RFC 7396).
pub(crate) fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(object) = value {
        merge_object(object, patch);
    }
}

/// Merges a patch over an object (RFC 7396).
pub(crate) fn merge_object(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        if change.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let template = parse("resources:\n  a:\n    x: { get_param: [ nfv, VDU, VDU1, vcImageId ] }\n    y:\n    - get_param: [nfv, CP, c, network]\n    z: { get_param: other }\n").unwrap();
        let found = paths(&template);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&vec!["CP".to_owned(), "c".to_owned(), "network".to_owned()]));
    }

    #[test]
    fn a_patch_removes_by_null_and_merges_objects() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(
            &mut value,
            &json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": [1]}),
        );
        assert_eq!(value, json!({"a": {"c": 2, "e": {"g": 1}}, "d": [1]}));
    }

    #[test]
    fn a_template_that_members_make_too_large_is_refused() {
        let flavour: DeploymentFlavour = serde_json::from_value(json!({
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1}}}))
        .unwrap();
        let text = format!("resources:\n  VDU1:\n    type: {}\n", "x".repeat(1000));
        let of = |count: u32| {
            let members: BTreeMap<String, Vec<u32>> = [("VDU1".to_owned(), (0..count).collect::<Vec<u32>>())].into();
            with_members(&text, &flavour, &members)
        };
        assert!(of(1000).is_ok());
        assert!(of(3000).unwrap_err().contains("bytes"));
    }

    #[test]
    fn each_member_has_its_own_resources_and_parameters() {
        let flavour: DeploymentFlavour = serde_json::from_value(json!({
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1}},
            "cps": {"VDU1_CP1": {"vdu": "VDU1"}}}))
        .unwrap();
        let text = "heat_template_version: 2013-05-23\nresources:\n  VDU1:\n    type: VDU1.yaml\n    properties:\n      flavor: { get_param: [nfv, VDU, VDU1, computeFlavourId] }\n      port: { get_resource: VDU1_CP1 }\n  VDU1_CP1:\n    type: OS::Neutron::Port\n  net:\n    type: OS::Neutron::Net\n";
        let members = [("VDU1".to_owned(), vec![0, 2])].into();
        let made: Value = serde_json::from_str(&with_members(text, &flavour, &members).unwrap()).unwrap();
        assert_eq!(made["heat_template_version"], "2013-05-23");
        let resources = made["resources"].as_object().unwrap();
        let names: BTreeSet<&str> = resources.keys().map(String::as_str).collect();
        assert_eq!(names, ["VDU1-0", "VDU1-2", "VDU1_CP1-0", "VDU1_CP1-2", "net"].into());
        let member = &resources["VDU1-2"]["properties"];
        assert_eq!(member["port"]["get_resource"], "VDU1_CP1-2");
        assert_eq!(
            member["flavor"]["get_param"],
            json!(["nfv", "VDU", "VDU1-2", "computeFlavourId"])
        );
    }
}
