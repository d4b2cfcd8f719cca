//! What is refused before anything begins, and with which word. Pure.

use serde_json::{Map, Value};
use vimhost_model::TargetId;
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, HealVnfRequest, InstantiationState, ScaleInfo, ScaleVnfRequest, TerminateVnfRequest,
    VnfInfoModificationRequest, VnfInstance, VnfcInfo,
};

use super::connection::merged;
use super::plan::levels::level_after;
use super::work::Kept;
use crate::Error;
use crate::accounts::internal;

/// VDUs that a change of the package rolls out. Each is an update of its own, kept with all parameters of the stack.
const MAX_ROLLED: usize = 64;

/// Nothing is done to the instance.
pub(super) fn free(instance: &VnfInstance) -> Result<(), Error> {
    match &instance.own.operation {
        Some(op_occ) => Err(Error::Conflict {
            reason: format!("the operation '{op_occ}' has the VNF instance '{}'", instance.id),
        }),
        None => Ok(()),
    }
}

/// The instance is in a state.
pub(super) fn state(instance: &VnfInstance, wanted: InstantiationState) -> Result<(), Error> {
    if instance.instantiation_state == wanted {
        return Ok(());
    }
    Err(Error::Conflict {
        reason: format!(
            "the VNF instance '{}' is {}, not {}",
            instance.id,
            instance.instantiation_state.as_str(),
            wanted.as_str()
        ),
    })
}

/// What is kept of the stack of an instance.
pub(super) fn kept_of(instance: &VnfInstance) -> Result<Kept, Error> {
    Kept::read(&instance.own.stack).map_err(|error| internal("reading the record of a stack", error))
}

/// Whether an operation that was given up has left a stack, or may have, of an instance that is not instantiated.
pub(super) fn has_left_stack(instance: &VnfInstance) -> Result<bool, Error> {
    let is_instantiated = instance.instantiation_state == InstantiationState::Instantiated;
    Ok(!is_instantiated && kept_of(instance)?.may_have_stack())
}

fn left(instance: &VnfInstance, what_to_do: &str) -> Error {
    let target = instance.own.target.as_ref();
    Error::Conflict {
        reason: format!(
            "the stack {} of an operation that was given up may still be on account '{}'; {what_to_do}",
            instance.stack_name(),
            target.map_or("unknown", |target| target.account.as_str())
        ),
    }
}

/// Nothing in a VIM is known by this instance alone.
pub(super) fn nothing_left(instance: &VnfInstance) -> Result<(), Error> {
    if has_left_stack(instance)? {
        return Err(left(instance, "terminate the VNF instance first, which deletes it"));
    }
    Ok(())
}

/// Nothing is left on another account: what makes a stack deletes the one before on its own account.
pub(super) fn nothing_left_elsewhere(instance: &VnfInstance, target: &TargetId) -> Result<(), Error> {
    if has_left_stack(instance)? && instance.own.target.as_ref() != Some(target) {
        let what_to_do = "instantiate there, or terminate the VNF instance first, which deletes it";
        return Err(left(instance, what_to_do));
    }
    Ok(())
}

fn vnfcs(instance: &VnfInstance) -> impl Iterator<Item = &VnfcInfo> {
    let info = instance.instantiated_vnf_info.as_ref();
    info.and_then(|info| info.vnfc_info.as_ref()).into_iter().flatten()
}

fn known_vnfc(instance: &VnfInstance, field: &'static str, id: &str) -> Result<(), Error> {
    if vnfcs(instance).any(|known| known.id == id) {
        return Ok(());
    }
    Err(Error::shape(field, format!("the VNF instance has no VNFC '{id}'")))
}

pub(super) fn modify(instance: &VnfInstance, request: &VnfInfoModificationRequest) -> Result<(), Error> {
    if request.vim_connection_info.is_some() && instance.instantiation_state == InstantiationState::NotInstantiated {
        return Err(Error::shape(
            "vimConnectionInfo",
            "the VNF instance is NOT_INSTANTIATED and has no connections to change",
        ));
    }
    if let Some(patch) = &request.vim_connection_info {
        // What would be none is refused here, since afterwards nobody is asked.
        merged(&instance.vim_connection_info, patch)?;
    }
    for change in request.vnfc_info_modifications.iter().flatten() {
        known_vnfc(instance, "vnfcInfoModifications", &change.id)?;
    }
    Ok(())
}

pub(super) fn terminate(request: &TerminateVnfRequest) -> Result<(), Error> {
    if request.graceful_termination_timeout == Some(0) {
        return Err(Error::shape("gracefulTerminationTimeout", "is less than 1"));
    }
    Ok(())
}

pub(super) fn scale(instance: &VnfInstance, request: &ScaleVnfRequest) -> Result<(), Error> {
    if request.number_of_steps == 0 {
        return Err(Error::shape("numberOfSteps", "is less than 1"));
    }
    let info = instance.instantiated_vnf_info.as_ref();
    let of = |list: Option<&Vec<ScaleInfo>>| {
        let mut aspects = list.into_iter().flatten();
        aspects
            .find(|known| known.aspect_id == request.aspect_id)
            .map(|known| known.scale_level)
    };
    let level = of(info.and_then(|info| info.scale_status.as_ref()));
    let highest = of(info.and_then(|info| info.max_scale_levels.as_ref()));
    let (Some(level), Some(highest)) = (level, highest) else {
        return Err(Error::shape(
            "aspectId",
            format!("the VNF instance has no aspect '{}'", request.aspect_id),
        ));
    };
    if level_after(level, request.scale_type, request.number_of_steps, highest).is_none() {
        let reason = format!(
            "aspect '{}' is at level {level}; {} steps lead out of 0 to {highest}",
            request.aspect_id, request.number_of_steps
        );
        return Err(Error::shape("numberOfSteps", reason));
    }
    Ok(())
}

pub(super) fn heal(instance: &VnfInstance, request: &HealVnfRequest) -> Result<(), Error> {
    let all = request.additional_params.as_ref().and_then(|params| params.get("all"));
    if all.is_some_and(|all| !all.is_boolean()) {
        return Err(Error::shape("additionalParams:all", "is neither true nor false"));
    }
    for id in request.vnfc_instance_id.iter().flatten() {
        known_vnfc(instance, "vnfcInstanceId", id)?;
    }
    Ok(())
}

pub(super) fn change_vnfpkg(request: &ChangeCurrentVnfPkgRequest) -> Result<(), Error> {
    let Some(params) = &request.additional_params else {
        return Err(Error::shape("additionalParams", "is missing"));
    };
    if params.get("upgrade_type").and_then(Value::as_str) != Some("RollingUpdate") {
        return Err(Error::shape("additionalParams:upgrade_type", "is not 'RollingUpdate'"));
    }
    let listed = params.get("vdu_params").and_then(Value::as_array);
    let named = |vdu: &Value| vdu.get("vdu_id").is_some_and(Value::is_string);
    let Some(listed) = listed.filter(|listed| listed.iter().all(named)) else {
        return Err(Error::shape(
            "additionalParams:vdu_params",
            "is not a list of objects that each have a vdu_id",
        ));
    };
    if listed.len() > MAX_ROLLED {
        return Err(Error::shape(
            "additionalParams:vdu_params",
            format!("names more than {MAX_ROLLED} VDUs"),
        ));
    }
    Ok(())
}

/// Passwords of coordination are of no use here, and nothing is kept of them.
pub(super) fn strip_vdu_passwords(params: Option<&mut Map<String, Value>>) {
    let listed = params
        .and_then(|params| params.get_mut("vdu_params"))
        .and_then(Value::as_array_mut);
    for vdu in listed.into_iter().flatten() {
        for part in ["old_vnfc_param", "new_vnfc_param"] {
            if let Some(object) = vdu.get_mut(part).and_then(Value::as_object_mut) {
                object.remove("password");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn instance() -> VnfInstance {
        serde_json::from_value(json!({
            "id": "i", "vnfdId": "d", "vnfProvider": "p", "vnfProductName": "n", "vnfSoftwareVersion": "1",
            "vnfdVersion": "1", "instantiationState": "INSTANTIATED",
            "vimConnectionInfo": {"vim1": {"vimId": "v", "vimType": "T", "accessInfo": {"username": "u"}}},
            "_vimhost": {"package": "pkg"}}))
        .unwrap()
    }

    #[test]
    fn a_patch_that_leaves_no_connection_is_refused_and_does_not_remove_it() {
        for (patch, good) in [
            (json!({"vim1": null}), true),
            (json!({"vim1": {"accessInfo": {"username": "w"}}}), true),
            (json!({"vim1": {"accessInfo": null, "vimId": null}}), true),
            (json!({"vim2": {"vimType": "T"}}), true),
            (json!({"vim1": {"vimType": 5}}), false),
            (json!({"vim1": {"vimType": null}}), false),
            (json!({"vim1": "text"}), false),
            (json!({"vim2": {"vimId": "v"}}), false),
        ] {
            let request: VnfInfoModificationRequest =
                serde_json::from_value(json!({"vimConnectionInfo": patch})).unwrap();
            let refused = modify(&instance(), &request);
            assert_eq!(refused.is_ok(), good, "{patch} {refused:?}");
        }
    }

    #[test]
    fn a_change_of_the_package_names_a_few_vdus() {
        let of = |count: usize| {
            let named = vec![json!({"vdu_id": "VDU1"}); count];
            let params = json!({"upgrade_type": "RollingUpdate", "vdu_params": named});
            let request = json!({"vnfdId": "d", "additionalParams": params});
            change_vnfpkg(&serde_json::from_value(request).unwrap())
        };
        assert!(of(MAX_ROLLED).is_ok());
        assert!(matches!(of(MAX_ROLLED + 1), Err(Error::Shape { .. })));
    }
}
