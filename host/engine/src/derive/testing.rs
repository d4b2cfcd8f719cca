//! What the tests of several files share.

use serde_json::Value;

use super::templates::InProcess;
use super::{NsContext, VduContext};

/// Parts of the constants of NG-RO's own unit tests.
pub(super) fn ng_ro_constants() -> Value {
    serde_json::from_str(include_str!("testdata/ng_ro_constants.json")).unwrap()
}

/// Parts of the records of a deployed service.
pub(super) fn deployed_records() -> Value {
    serde_json::from_str(include_str!("testdata/deployed_records.json")).unwrap()
}

/// The NS `ns-id` with its VNF `vnf-id`, and nothing else.
pub(super) fn context() -> VduContext<'static> {
    VduContext {
        ns: NsContext {
            id: "ns-id",
            name: Some("ns"),
        },
        vnf_id: "vnf-id",
        member_index: "vnf1",
        vnfd: None,
        public_key: None,
        cloud_init_content: None,
        templates: &InProcess,
        shared_volumes: &[],
    }
}
