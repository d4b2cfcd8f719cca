//! Instances, occurrences and events to check with, and the short ways to read and to move them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vimhost_model::vnf::{
    EventKind, InstanceOwn, InstantiationState, LcmEvent, LcmOperation, OpOccOwn, OperationState, VimConnectionInfo,
    VnfInstance, VnfLcmOpOcc,
};

use crate::contract::sample::{NOW, account, id, target};
use crate::{Error, InstanceWrite, Store};

pub(super) fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

pub(in crate::contract) fn instance(name: &str) -> VnfInstance {
    VnfInstance {
        id: id(name),
        vnf_instance_name: Some(format!("vnf {name}")),
        vnf_instance_description: None,
        vnfd_id: id("vnfd"),
        vnf_provider: "Company".to_owned(),
        vnf_product_name: "Product".to_owned(),
        vnf_software_version: "1.0".to_owned(),
        vnfd_version: "1.0".to_owned(),
        vnf_configurable_properties: None,
        vim_connection_info: BTreeMap::new(),
        instantiation_state: InstantiationState::NotInstantiated,
        instantiated_vnf_info: None,
        metadata: None,
        extensions: None,
        own: InstanceOwn {
            revision: 0,
            package: id("package"),
            target: None,
            operation: None,
            stack: Value::Null,
        },
    }
}

/// An instance with a stack on `vim:<account>` and an attribute of each kind.
pub(super) fn instantiated(name: &str, account: &str) -> VnfInstance {
    let info = json!({
        "flavourId": "simple",
        "vnfState": "STARTED",
        "scaleStatus": [{"aspectId": "more", "scaleLevel": 2}],
        "vnfcResourceInfo": [{"id": "vm", "vduId": "VDU1", "computeResource": {"resourceId": "server"}}],
    });
    let connection = VimConnectionInfo {
        vim_id: Some(account.to_owned()),
        vim_type: "ETSINFV.OPENSTACK_KEYSTONE.V_3".to_owned(),
        interface_info: Some(object(json!({"endpoint": "https://keystone.example:5000/v3"}))),
        access_info: Some(object(json!({"username": "operator"}))),
        extra: None,
    };
    let mut instance = VnfInstance {
        vnf_instance_description: Some("a \"quoted\" description — with a dash".to_owned()),
        vnf_configurable_properties: Some(object(json!({"isAutoscaleEnabled": false}))),
        vim_connection_info: [("vim".to_owned(), connection)].into(),
        instantiation_state: InstantiationState::Instantiated,
        instantiated_vnf_info: Some(serde_json::from_value(info).unwrap()),
        metadata: Some(object(json!({"a": {"b": [1, null, 2.5]}}))),
        extensions: Some(Map::new()),
        ..instance(name)
    };
    instance.own.target = Some(target(account));
    instance.own.stack = json!({"name": "vnf", "parameters": {"nfv": {"VDU": {}}}});
    instance
}

/// An occurrence, accepted just now, on `vim:<account>` or on none.
pub(in crate::contract) fn op_occ(name: &str, instance: &str, account: Option<&str>) -> VnfLcmOpOcc {
    VnfLcmOpOcc {
        id: id(name),
        operation_state: OperationState::Starting,
        state_entered_time: NOW,
        start_time: NOW,
        vnf_instance_id: id(instance),
        grant_id: None,
        operation: LcmOperation::Instantiate,
        is_automatic_invocation: false,
        operation_params: Some(json!({"flavourId": "simple"})),
        is_cancel_pending: false,
        error: None,
        resource_changes: None,
        changed_info: None,
        changed_ext_connectivity: None,
        modifications_triggered_by_vnf_pkg_change: None,
        own: OpOccOwn {
            revision: 0,
            target: account.map(target),
            attempt: 0,
            work: json!({"steps": []}),
        },
    }
}

pub(super) fn entered(instance: &VnfInstance, op_occ: &VnfLcmOpOcc) -> LcmEvent {
    let op_occ = Box::new(op_occ.clone());
    LcmEvent::of(
        instance,
        op_occ.state_entered_time,
        EventKind::OperationOccurrence { op_occ },
    )
}

pub(super) async fn read(store: &dyn Store, name: &str) -> VnfInstance {
    store.vnf_instance(&id(name)).await.unwrap().unwrap()
}

/// Adds the account of an occurrence, unless it is there.
pub(super) async fn with_account(store: &dyn Store, op_occ: &VnfLcmOpOcc) {
    if let Some(target) = &op_occ.own.target
        && store.account(target).await.unwrap().is_none()
    {
        store.put_account(account(target.account.as_str()), None).await.unwrap();
    }
}

/// Accepts an operation on the instance as it stands, and reads the occurrence back.
pub(super) async fn begin(store: &dyn Store, op_occ: &VnfLcmOpOcc) -> VnfLcmOpOcc {
    with_account(store, op_occ).await;
    let instance = store.vnf_instance(&op_occ.vnf_instance_id).await.unwrap().unwrap();
    store.begin_operation(op_occ, instance.own.revision, &[]).await.unwrap();
    store.op_occ(&op_occ.id).await.unwrap().unwrap()
}

/// Ends an operation with a change of its instance, which is free then.
pub(super) async fn end_with(store: &dyn Store, op_occ: &mut VnfLcmOpOcc, change: impl FnOnce(&mut VnfInstance)) {
    let mut changed = store.vnf_instance(&op_occ.vnf_instance_id).await.unwrap().unwrap();
    changed.own.operation = None;
    change(&mut changed);
    enter(store, op_occ, &DONE, InstanceWrite::Replace(Box::new(changed))).await;
}

/// Adds an instance and begins an operation of the same name on it.
pub(super) async fn begun(store: &dyn Store, name: &str, account: Option<&str>) -> VnfLcmOpOcc {
    store.add_vnf_instance(&instance(name), &[]).await.unwrap();
    begin(store, &op_occ(name, name, account)).await
}

/// Enters states one after the other, without a claim; the last one with what becomes of the instance.
pub(super) async fn enter(store: &dyn Store, op_occ: &mut VnfLcmOpOcc, states: &[OperationState], last: InstanceWrite) {
    let mut last = Some(last);
    for (number, state) in states.iter().enumerate() {
        op_occ.enter(*state, NOW).unwrap();
        let is_last = number + 1 == states.len();
        let instance = last.take_if(|_| is_last).unwrap_or(InstanceWrite::None);
        op_occ.own.revision = store.save_op_occ(None, op_occ, instance, &[]).await.unwrap();
    }
}

pub(super) const DONE: [OperationState; 2] = [OperationState::Processing, OperationState::Completed];

pub(super) fn is_conflict<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

pub(super) fn is_missing<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Missing { .. }))
}

pub(super) fn is_fenced<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Fenced { .. }))
}
