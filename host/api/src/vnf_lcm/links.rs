//! `_links`, built from the id and the state of a thing; nothing of them is stored.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::path::encoded;

/// What operations are offered on an instance that is not instantiated.
const BEFORE: &[(&str, &str)] = &[("instantiate", "instantiate")];

/// And on one that is. There is none for `change_vnfpkg`, as with Tacker.
const AFTER: &[(&str, &str)] = &[
    ("terminate", "terminate"),
    ("scale", "scale"),
    ("heal", "heal"),
    ("changeExtConn", "change_ext_conn"),
];

/// What may be done with an occurrence: shown whatever its state is, as Tacker does.
const OF_OP_OCC: &[(&str, &str)] = &[("retry", "retry"), ("rollback", "rollback"), ("fail", "fail")];

/// Names with URLs, serialised as `{"self": {"href": …}, …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Links(Vec<(&'static str, String)>);

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
}

impl Serialize for Links {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, href) in &self.0 {
            map.serialize_entry(name, &Link { href })?;
        }
        map.end()
    }
}

/// Where an instance is.
pub(super) fn instance(endpoint: &str, id: &str) -> String {
    format!("{endpoint}/vnflcm/v2/vnf_instances/{}", encoded(id))
}

/// Where an occurrence is.
pub(super) fn op_occ(endpoint: &str, id: &str) -> String {
    format!("{endpoint}/vnflcm/v2/vnf_lcm_op_occs/{}", encoded(id))
}

fn with(own: String, first: Option<(&'static str, String)>, more: &[(&'static str, &'static str)]) -> Links {
    let mut links: Vec<(&'static str, String)> = first.into_iter().collect();
    links.extend(more.iter().map(|(name, end)| (*name, format!("{own}/{end}"))));
    links.insert(0, ("self", own));
    Links(links)
}

/// Links of an instance.
pub(super) fn of_instance(endpoint: &str, id: &str, instantiated: bool) -> Links {
    with(instance(endpoint, id), None, if instantiated { AFTER } else { BEFORE })
}

/// Links of an occurrence.
pub(super) fn of_op_occ(endpoint: &str, id: &str, of: &str) -> Links {
    with(
        op_occ(endpoint, id),
        Some(("vnfInstance", instance(endpoint, of))),
        OF_OP_OCC,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_instance_offers_what_its_state_allows() {
        let before = serde_json::to_value(of_instance("http://h", "i/1", false)).unwrap();
        let own = "http://h/vnflcm/v2/vnf_instances/i%2F1";
        assert_eq!(
            before,
            json!({"self": {"href": own}, "instantiate": {"href": format!("{own}/instantiate")}})
        );
        let after = serde_json::to_value(of_instance("http://h", "i", true)).unwrap();
        let names: Vec<&String> = after.as_object().unwrap().keys().collect();
        assert_eq!(names, ["changeExtConn", "heal", "scale", "self", "terminate"]);
    }

    #[test]
    fn an_occurrence_has_all_links_in_every_state() {
        let links = serde_json::to_value(of_op_occ("http://h", "o", "i")).unwrap();
        assert_eq!(links["vnfInstance"]["href"], "http://h/vnflcm/v2/vnf_instances/i");
        for name in ["self", "retry", "rollback", "fail"] {
            assert!(links[name]["href"].is_string(), "{name}");
        }
    }
}
