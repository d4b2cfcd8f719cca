//! Whose turn it is while a package changes VDU by VDU.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use vimhost_model::vnf::DeploymentFlavour;

/// Whether parameters are those of a VDU: its own, those of one of its members (`VDU1-0`) or of its storage (`VDU1-Disk`).
pub(super) fn is_of_vdu(flavour: &DeploymentFlavour, name: &str, vdu: &str) -> bool {
    let is_part =
        || !flavour.vdus.contains_key(name) && name.strip_prefix(vdu).is_some_and(|rest| rest.starts_with('-'));
    name == vdu || is_part()
}

/// Parameters of VDUs by their names in the template.
pub(super) fn vdus_of(nfv: &Map<String, Value>) -> Map<String, Value> {
    nfv.get("VDU").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The VDUs that a rolling change names, in its order.
pub(super) fn rolled_vdus(params: Option<&Map<String, Value>>) -> Vec<String> {
    let listed = params
        .and_then(|params| params.get("vdu_params"))
        .and_then(Value::as_array);
    let named = listed
        .into_iter()
        .flatten()
        .filter_map(|vdu| vdu.get("vdu_id")?.as_str());
    // Each has one turn: one that is named again has had it.
    let mut seen = BTreeSet::new();
    named.filter(|vdu| seen.insert(*vdu)).map(str::to_owned).collect()
}
