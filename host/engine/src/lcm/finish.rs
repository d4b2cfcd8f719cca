//! How a run ends: what becomes of the operation and of its instance, written in one step. Pure.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use vimhost_connector::StackResource;
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, InstantiateVnfRequest, InstantiatedVnfInfo, InstantiationState, LcmOperation,
    OperationState, ProblemDetails, VimConnectionInfo, VnfInfoModificationRequest, VnfInstance, VnfLcmOpOcc,
    VnfOperationalState, VnfPackage, Vnfd,
};
use vimhost_model::{TargetId, Timestamp, VnfdId};
use vimhost_store::InstanceWrite;

use super::changes;
use super::connection::{VIM_TYPE, merged};
use super::journal::Document;
use super::map::Picture;
use super::plan::template::merge_object;
use super::work::{Kept, Moved};

/// How it ended.
pub(crate) enum Ended {
    /// All steps are done; the resources where they were read.
    Done(Option<Vec<StackResource>>),
    /// One failed.
    Failed(ProblemDetails),
}

/// What ends.
pub(crate) struct Run<'a> {
    pub(crate) document: &'a Document,
    pub(crate) instance: &'a VnfInstance,
    /// Of the instance, or the one that a change brings.
    pub(crate) package: &'a VnfPackage,
    pub(crate) target: &'a TargetId,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) now: Timestamp,
    pub(crate) ended: Ended,
}

/// Why it cannot end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinishError {
    /// A fault of this program.
    #[error(transparent)]
    Move(#[from] vimhost_model::vnf::IllegalStateMove),
    /// Something that was kept cannot be read.
    #[error("what was kept cannot be read: {0}")]
    Kept(#[from] serde_json::Error),
    /// Connections that were accepted and make none.
    #[error(transparent)]
    Connections(#[from] crate::Error),
}

/// The operation and what becomes of its instance.
///
/// # Errors
/// When something that was kept cannot be read.
pub(crate) fn ended(run: Run<'_>) -> Result<(VnfLcmOpOcc, InstanceWrite), FinishError> {
    let mut op_occ = run.document.to_write()?;
    let undone = op_occ.operation_state == OperationState::RollingBack;
    let resources = match &run.ended {
        Ended::Failed(problem) => {
            op_occ.enter(OperationState::FailedTemp, run.now)?;
            op_occ.error = Some(problem.clone());
            return Ok((op_occ, InstanceWrite::None));
        }
        Ended::Done(resources) => resources.as_deref().unwrap_or_default(),
    };
    let mut after = run.instance.clone();
    after.own.operation = None;
    let before = run.instance.instantiated_vnf_info.as_ref();
    let work = &run.document.work;
    let mut kept = if undone {
        Kept::read(&run.instance.own.stack)?
    } else {
        work.after.clone()
    };
    kept.id.clone_from(&work.stack.id);
    kept.token.clone_from(&work.stack.token);
    if kept.id.is_some() {
        kept.begun.clear();
    }
    if undone {
        op_occ.enter(OperationState::RolledBack, run.now)?;
        if op_occ.operation == LcmOperation::Instantiate {
            clear(&mut after);
        } else {
            let info = info(&run, &kept, resources, &after.vim_connection_info);
            after.instantiated_vnf_info = info.or(after.instantiated_vnf_info);
            after.own.stack = serde_json::to_value(&kept)?;
        }
    } else {
        op_occ.enter(OperationState::Completed, run.now)?;
        op_occ.error = None;
        match op_occ.operation {
            LcmOperation::Terminate => {
                clear(&mut after);
                after.instantiation_state = InstantiationState::NotInstantiated;
                after.vim_connection_info.clear();
                after.instantiated_vnf_info = before.map(|before| stopped(&before.flavour_id));
            }
            LcmOperation::Instantiate => {
                let request: InstantiateVnfRequest =
                    serde_json::from_value(op_occ.operation_params.clone().unwrap_or_default())?;
                after.instantiation_state = InstantiationState::Instantiated;
                after.vim_connection_info = request.vim_connection_info.clone().unwrap_or_default();
                if after.vim_connection_info.is_empty() {
                    let connection = own_connection(run.target);
                    after
                        .vim_connection_info
                        .insert(run.target.account.to_string(), connection);
                }
                merge_into(&mut after.extensions, request.extensions.as_ref());
                merge_into(
                    &mut after.vnf_configurable_properties,
                    request.vnf_configurable_properties.as_ref(),
                );
                after.own.target = Some(run.target.clone());
                after.own.stack = serde_json::to_value(&kept)?;
                let connection = after.vim_connection_info.keys().next().cloned();
                let mut made = picture(&run, &kept, resources, connection.as_deref()).map(|picture| picture.info());
                if let Some(made) = &mut made {
                    made.localization_language = request.localization_language;
                }
                after.instantiated_vnf_info = made;
            }
            LcmOperation::Scale
            | LcmOperation::Heal
            | LcmOperation::ChangeExtConn
            | LcmOperation::ChangeVnfpkg
            | LcmOperation::ModifyInfo => {
                if op_occ.operation == LcmOperation::ChangeVnfpkg
                    && let Some(vnfd) = &run.package.vnfd
                {
                    let request: ChangeCurrentVnfPkgRequest =
                        serde_json::from_value(op_occ.operation_params.clone().unwrap_or_default())?;
                    op_occ.modifications_triggered_by_vnf_pkg_change = Some(changed_package(vnfd));
                    take_package(&mut after, run.package, vnfd);
                    merge_into(&mut after.extensions, request.extensions.as_ref());
                    merge_into(
                        &mut after.vnf_configurable_properties,
                        request.vnf_configurable_properties.as_ref(),
                    );
                }
                // Others have no connections: what they call so is kept with their request and says nothing.
                let brings = matches!(
                    op_occ.operation,
                    LcmOperation::ChangeExtConn | LcmOperation::ChangeVnfpkg
                );
                let params = op_occ.operation_params.as_ref().filter(|_| brings);
                let brought = params.and_then(|params| params.get("vimConnectionInfo")?.as_object());
                if let Some(brought) = brought {
                    after.vim_connection_info = merged(&after.vim_connection_info, brought)?;
                    after.own.target = Some(run.target.clone());
                }
                let info = info(&run, &kept, resources, &after.vim_connection_info);
                after.instantiated_vnf_info = info.or(after.instantiated_vnf_info);
                after.own.stack = serde_json::to_value(&kept)?;
            }
        }
        op_occ.resource_changes = changes::between(before, after.instantiated_vnf_info.as_ref());
        if op_occ.operation == LcmOperation::ChangeExtConn {
            let info = after.instantiated_vnf_info.as_ref();
            op_occ.changed_ext_connectivity = info.and_then(|info| info.ext_virtual_link_info.clone());
        }
    }
    // Nothing follows, and templates are large.
    op_occ.own.work = Value::Null;
    Ok((op_occ, InstanceWrite::Replace(Box::new(after))))
}

/// Nothing is left in the VIM.
fn clear(instance: &mut VnfInstance) {
    instance.own.stack = Value::Null;
    instance.own.target = None;
}

/// What is shown of an instance that was terminated.
fn stopped(flavour_id: &str) -> InstantiatedVnfInfo {
    InstantiatedVnfInfo {
        flavour_id: flavour_id.to_owned(),
        vnf_state: VnfOperationalState::Stopped,
        scale_status: None,
        max_scale_levels: None,
        ext_cp_info: None,
        ext_virtual_link_info: None,
        ext_managed_virtual_link_info: None,
        localization_language: None,
        vnfc_resource_info: None,
        vnf_virtual_link_resource_info: None,
        virtual_storage_resource_info: None,
        vnfc_info: None,
        metadata: None,
    }
}

/// How an account is shown when the client named no connection.
fn own_connection(target: &TargetId) -> VimConnectionInfo {
    VimConnectionInfo {
        vim_id: Some(target.account.to_string()),
        vim_type: VIM_TYPE.to_owned(),
        interface_info: None,
        access_info: None,
        extra: None,
    }
}

fn picture<'a>(
    run: &'a Run<'_>,
    kept: &'a Kept,
    resources: &'a [StackResource],
    connection: Option<&'a str>,
) -> Option<Picture<'a>> {
    let vnfd = run.package.vnfd.as_ref()?;
    Some(Picture {
        resources,
        flavour: vnfd.flavours.get(&kept.flavour)?,
        vnfd_id: vnfd.id.as_str(),
        kept,
        connection,
        tenant: run.tenant,
        before: run.instance.instantiated_vnf_info.as_ref(),
    })
}

fn info(
    run: &Run<'_>,
    kept: &Kept,
    resources: &[StackResource],
    connections: &BTreeMap<String, VimConnectionInfo>,
) -> Option<InstantiatedVnfInfo> {
    let connection = connections.keys().next();
    let picture = picture(run, kept, resources, connection.map(String::as_str))?;
    Some(picture.info())
}

fn merge_into(object: &mut Option<Map<String, Value>>, patch: Option<&Map<String, Value>>) {
    if let Some(patch) = patch {
        merge_object(object.get_or_insert_with(Map::new), patch);
        if object.as_ref().is_some_and(Map::is_empty) {
            *object = None;
        }
    }
}

/// Merges a patch that may be null: then nothing is left.
fn patch(object: &mut Option<Map<String, Value>>, patch: Option<&Option<Map<String, Value>>>) {
    match patch {
        None => {}
        Some(None) => *object = None,
        Some(patch) => merge_into(object, patch.as_ref()),
    }
}

fn changed_package(vnfd: &Vnfd) -> Map<String, Value> {
    [
        ("vnfdId", vnfd.id.as_str()),
        ("vnfProvider", vnfd.provider.as_str()),
        ("vnfProductName", vnfd.product_name.as_str()),
        ("vnfSoftwareVersion", vnfd.software_version.as_str()),
        ("vnfdVersion", vnfd.version.as_str()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect()
}

fn take_package(instance: &mut VnfInstance, package: &VnfPackage, vnfd: &Vnfd) {
    instance.vnfd_id = vnfd.id.clone();
    instance.vnf_provider.clone_from(&vnfd.provider);
    instance.vnf_product_name.clone_from(&vnfd.product_name);
    instance.vnf_software_version.clone_from(&vnfd.software_version);
    instance.vnfd_version.clone_from(&vnfd.version);
    instance.own.package = package.id.clone();
}

/// The VNFD that a modification brings.
pub(crate) fn new_vnfd(op_occ: &VnfLcmOpOcc) -> Option<VnfdId> {
    let params = op_occ.operation_params.as_ref()?.get("vnfdId")?;
    params.as_str()?.parse().ok()
}

/// The instance after a MODIFY_INFO; what changed is noted in the occurrence.
///
/// # Errors
/// When what was accepted cannot be read; the occurrence is as it was then.
pub(crate) fn modified(
    op_occ: &mut VnfLcmOpOcc,
    instance: &VnfInstance,
    package: Option<&VnfPackage>,
) -> Result<VnfInstance, FinishError> {
    let work = &op_occ.own.work;
    let moved = if work.is_null() {
        None
    } else {
        Some(Moved::deserialize(work)?)
    };
    let mut after = instance.clone();
    after.own.operation = None;
    let params = op_occ
        .operation_params
        .clone()
        .unwrap_or_else(|| Value::Object(Map::new()));
    let mut changed: Map<String, Value> = params.as_object().cloned().unwrap_or_default();
    let request: VnfInfoModificationRequest = serde_json::from_value(params)?;
    // An attribute that nobody knows has changed nothing.
    changed.retain(|name, _| !request.other.contains_key(name));
    if let Some(name) = request.vnf_instance_name {
        after.vnf_instance_name = name;
    }
    if let Some(description) = request.vnf_instance_description {
        after.vnf_instance_description = description;
    }
    patch(&mut after.metadata, request.metadata.as_ref());
    patch(&mut after.extensions, request.extensions.as_ref());
    patch(
        &mut after.vnf_configurable_properties,
        request.vnf_configurable_properties.as_ref(),
    );
    if let Some(package) = package
        && let Some(vnfd) = &package.vnfd
    {
        take_package(&mut after, package, vnfd);
        changed.extend(changed_package(vnfd));
    }
    if let Some(connections) = &request.vim_connection_info {
        after.vim_connection_info = merged(&after.vim_connection_info, connections)?;
    }
    let infos = after
        .instantiated_vnf_info
        .as_mut()
        .and_then(|info| info.vnfc_info.as_mut());
    for info in infos.into_iter().flatten() {
        let of_it = request.vnfc_info_modifications.iter().flatten();
        for change in of_it.filter(|change| change.id == info.id) {
            merge_into(
                &mut info.vnfc_configurable_properties,
                Some(&change.vnfc_configurable_properties),
            );
        }
    }
    op_occ.own.work = Value::Null;
    if let Some(moved) = moved
        && after.own.target.is_some()
    {
        after.own.target = Some(moved.target);
    }
    op_occ.changed_info = Some(changed);
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn instance() -> VnfInstance {
        serde_json::from_value(json!({
            "id": "i", "vnfdId": "d", "vnfProvider": "p", "vnfProductName": "n", "vnfSoftwareVersion": "1",
            "vnfdVersion": "1", "vnfInstanceName": "one", "instantiationState": "INSTANTIATED",
            "metadata": {"a": 1, "b": 2}, "extensions": {"c": 3},
            "instantiatedVnfInfo": {"flavourId": "f", "vnfState": "STARTED"},
            "_vimhost": {"package": "pkg"}}))
        .unwrap()
    }

    fn op_occ(operation: &str, params: Value) -> VnfLcmOpOcc {
        serde_json::from_value(json!({
            "id": "op", "operationState": "PROCESSING", "stateEnteredTime": "2026-01-01T00:00:00.000Z",
            "startTime": "2026-01-01T00:00:00.000Z", "vnfInstanceId": "i", "operation": operation,
            "isAutomaticInvocation": false, "isCancelPending": false, "operationParams": params, "_vimhost": {}}))
        .unwrap()
    }

    #[test]
    fn an_attribute_that_is_null_is_removed_and_one_that_is_absent_stays() {
        // As it was accepted: read and written again.
        let given = json!({"vnfInstanceName": null, "metadata": null, "extensions": {"c": null, "d": 4}});
        let request: VnfInfoModificationRequest = serde_json::from_value(given.clone()).unwrap();
        let mut op_occ = op_occ("MODIFY_INFO", serde_json::to_value(&request).unwrap());
        let after = modified(&mut op_occ, &instance(), None).unwrap();
        assert_eq!((after.vnf_instance_name, after.metadata), (None, None));
        assert_eq!(after.extensions.map(Value::Object), Some(json!({"d": 4})));
        assert_eq!(op_occ.changed_info.map(Value::Object), Some(given));

        let mut op_occ = self::op_occ("MODIFY_INFO", json!({"metadata": {"a": null}}));
        let after = modified(&mut op_occ, &instance(), None).unwrap();
        assert_eq!(after.vnf_instance_name.as_deref(), Some("one"));
        assert_eq!(after.metadata.map(Value::Object), Some(json!({"b": 2})));
        assert_eq!(after.extensions.map(Value::Object), Some(json!({"c": 3})));
    }

    #[test]
    fn what_was_accepted_and_cannot_be_read_is_an_error_and_stays() {
        for (params, work) in [
            (json!({"vnfInstanceName": "two"}), json!({"target": 5})),
            (json!({"vnfInstanceName": 2}), Value::Null),
        ] {
            let mut op_occ = op_occ("MODIFY_INFO", params);
            op_occ.own.work = work.clone();
            let before = op_occ.clone();
            let refused = modified(&mut op_occ, &instance(), None);
            assert!(matches!(refused, Err(FinishError::Kept(_))), "{refused:?}");
            assert_eq!(op_occ, before);
        }
    }
}
