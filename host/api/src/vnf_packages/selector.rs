//! The attributes of a package, by which lists show them (SOL013 5.3).

use crate::vnf_lcm::selector::Attributes;

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

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::view::{info, tests::package};
    use super::*;
    use crate::vnf_lcm::selector::Selector;

    fn shown(query: &[(&str, &str)]) -> Result<Map<String, Value>, String> {
        let query: Vec<(String, String)> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Ok(Selector::of(&query, &ATTRIBUTES)?.of_entry(info(&package(true)), &ATTRIBUTES))
    }

    #[test]
    fn what_is_large_is_shown_in_a_list_only_when_asked_for() {
        for query in [&[][..], &[("exclude_default", "")]] {
            let shown = shown(query).unwrap();
            assert!(shown.contains_key("vnfdId") && shown.contains_key("_links"));
            assert!(!EXCLUDED.iter().any(|name| shown.contains_key(*name)), "{shown:?}");
        }
        assert!(shown(&[("all_fields", "")]).unwrap().contains_key("checksum"));
    }

    #[test]
    fn fields_are_chosen_and_left_out() {
        let chosen = shown(&[("fields", "checksum/hash,additionalArtifacts/artifactPath")]).unwrap();
        assert_eq!(chosen.get("checksum"), Some(&json!({"hash": "22"})));
        assert_eq!(
            chosen.get("additionalArtifacts"),
            Some(&json!([{"artifactPath": "Files/a.txt"}]))
        );
        for name in MANDATORY {
            assert!(chosen.contains_key(*name), "{name}");
        }
        assert!(!chosen.contains_key("vnfdId"));

        let left = shown(&[("exclude_fields", "checksum/hash,vnfdId,id,_links")]).unwrap();
        assert_eq!(left.get("checksum"), Some(&json!({"algorithm": "sha-256"})));
        assert!(left.contains_key("id") && left.contains_key("_links") && !left.contains_key("vnfdId"));
    }

    #[test]
    fn every_attribute_of_a_package_can_be_asked_for() {
        for onboarded in [true, false] {
            for name in info(&package(onboarded)).keys() {
                assert!(shown(&[("fields", name.as_str())]).is_ok(), "{name}");
            }
        }
        assert!(shown(&[("fields", "nonsense")]).is_err());
    }
}
