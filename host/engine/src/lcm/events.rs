//! What subscribers may be told of, made of an instance as it is stored at that moment.

use vimhost_model::Timestamp;
use vimhost_model::vnf::{EventKind, LcmEvent, VnfInstance, VnfLcmOpOcc};

/// Something happened to an instance.
pub(crate) fn event(instance: &VnfInstance, at: Timestamp, what: EventKind) -> LcmEvent {
    LcmEvent {
        at,
        vnf_instance_id: instance.id.clone(),
        vnf_instance_name: instance.vnf_instance_name.clone(),
        vnfd_id: instance.vnfd_id.clone(),
        vnf_provider: instance.vnf_provider.clone(),
        vnf_product_name: instance.vnf_product_name.clone(),
        vnf_software_version: instance.vnf_software_version.clone(),
        vnfd_version: instance.vnfd_version.clone(),
        what,
    }
}

/// An operation entered a state. What it was asked with and what only vimhost knows is nobody's business.
pub(crate) fn entered(instance: &VnfInstance, op_occ: &VnfLcmOpOcc) -> LcmEvent {
    let mut told = op_occ.clone();
    told.operation_params = None;
    told.own.work = serde_json::Value::Null;
    let at = told.state_entered_time;
    let op_occ = Box::new(told);
    event(instance, at, EventKind::OperationOccurrence { op_occ })
}
