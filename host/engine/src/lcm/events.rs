//! What subscribers may be told of, made of an instance as it is stored at that moment.

use vimhost_model::vnf::{EventKind, LcmEvent, VnfInstance, VnfLcmOpOcc};

/// An operation entered a state. What it was asked with and what only vimhost knows is nobody's business.
pub(crate) fn entered(instance: &VnfInstance, op_occ: &VnfLcmOpOcc) -> LcmEvent {
    let mut told = op_occ.clone();
    told.operation_params = None;
    told.own.work = serde_json::Value::Null;
    let at = told.state_entered_time;
    let op_occ = Box::new(told);
    LcmEvent::of(instance, at, EventKind::OperationOccurrence { op_occ })
}
