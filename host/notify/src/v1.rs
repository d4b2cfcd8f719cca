//! Shapes that version 1 (1.3.0) has otherwise: what version 2 has as a map by the ids of its entries is an array there.
//!
//! A map says by null that an entry was removed. An array cannot, so such an entry is left out.

use serde_json::{Map, Value};
use vimhost_model::vnf::ExtVirtualLinkInfo;

/// External networks after a change. Configurations of connection points have no ids in version 1, and so no parents.
pub(crate) fn ext_connectivity(links: &[ExtVirtualLinkInfo]) -> Result<Value, serde_json::Error> {
    let mut links = serde_json::to_value(links)?;
    for link in links.as_array_mut().into_iter().flatten() {
        let cps = link.get_mut("currentVnfExtCpData").and_then(Value::as_array_mut);
        for cp in cps.into_iter().flatten() {
            if let Some(config) = cp.get_mut("cpConfig") {
                *config = array(config.take(), |_, entry| {
                    entry.remove("parentCpConfigId");
                });
            }
        }
    }
    Ok(links)
}

/// What a modification changed. A connection has its id inside.
pub(crate) fn changed_info(info: &Map<String, Value>) -> Map<String, Value> {
    let mut info = info.clone();
    if let Some(connections) = info.get_mut("vimConnectionInfo") {
        *connections = array(connections.take(), |key, entry| {
            entry.insert("id".to_owned(), Value::String(key));
        });
    }
    info
}

/// The entries of a map, each changed by what it is told of its key.
fn array(map: Value, change: impl Fn(String, &mut Map<String, Value>)) -> Value {
    let Value::Object(map) = map else { return map };
    let entries = map.into_iter().filter_map(|(key, entry)| {
        let Value::Object(mut entry) = entry else { return None };
        change(key, &mut entry);
        Some(Value::Object(entry))
    });
    Value::Array(entries.collect())
}
