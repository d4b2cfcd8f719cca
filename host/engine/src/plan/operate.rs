//! Power actions, consoles and migrations: commands to VMs that exist.

use serde_json::{Value, json};
use vimhost_model::{ActionId, Item, Record, ResourceId, TargetId, Task, TaskAction};

use super::assembly::{Assembly, What};
use super::vm::{self, Vdu, Vm};
use super::{Facts, Plan, connect, inject, recreate, resize, texts};
use crate::Error;
use crate::operation::{Operation, Place};

/// Plans an operation.
///
/// # Errors
/// When it names what does not exist, or no VM that it could be done to.
pub fn plan_operation(
    facts: &Facts,
    operation: &Operation,
    action_id: &ActionId,
    new_id: &mut dyn FnMut() -> ResourceId,
) -> Result<Plan, Error> {
    let mut assembly = Assembly::new(facts, action_id, new_id);
    match operation {
        Operation::Power(power, place) => at(&mut assembly, place, Item::Update, power.as_str())?,
        Operation::Console(place) => at(&mut assembly, place, Item::Console, "console")?,
        Operation::Migrate { vnf, vdu, host } => {
            let vnfr = vm::vnfr(facts, vnf)?;
            let vdus = match vdu {
                Some(one) => vec![vm::replica(vnfr, one, ["vdu-id-ref", "vdu-name"])?],
                None => deployed(facts, vnfr)?,
            };
            for vdu in &vdus {
                migrate(&mut assembly, vdu, host.as_deref())?;
            }
        }
        Operation::VerticalScale { vnf, vdu, size } => {
            let vnfr = vm::vnfr(facts, vnf)?;
            let vdu = vm::replica(vnfr, vdu, ["vdu-id-ref", "vdu-name"])?;
            resize::plan(&mut assembly, vnfr, &vdu, *size)?;
        }
        Operation::Recreate {
            vnfs,
            cloud_init_content,
        } => recreate::plan(&mut assembly, vnfs, cloud_init_content)?,
        Operation::InjectKey(injection) => inject::plan(&mut assembly, injection)?,
    }
    connect::follow(&mut assembly)?;
    Ok(assembly.finish())
}

/// All VDUs of a VNF of which something is deployed: physical ones and those that were never made have no VM. None at all is an
/// error, where NG-RO reports success (D13).
pub(super) fn deployed(facts: &Facts, vnfr: &Record) -> Result<Vec<Vdu>, Error> {
    let mut vdus = vm::all(vnfr);
    vdus.retain(|vdu| !vm::targets_of(facts, vdu).is_empty());
    if vdus.is_empty() {
        return Err(Error::not_found("deployed VDU of VNF", &vnfr.id));
    }
    Ok(vdus)
}

/// A command to the VM that a place names.
fn at(assembly: &mut Assembly<'_>, place: &Place, item: Item, action: &str) -> Result<(), Error> {
    let vnfr = vm::vnfr(assembly.facts, &place.vnf)?;
    let vdu = vm::by_id(vnfr, &place.vdu)?;
    let vm = vm::vm_of(assembly.facts, &vdu, &place.target)?;
    if *vm.id() != place.server {
        let reason = format!(
            "VDU '{}' is VM '{}' on {}, not '{}'",
            vdu.item,
            vm.id(),
            place.target,
            place.server
        );
        return Err(Error::Conflict { reason });
    }
    let params = json!({"vim_vm_id": vm.id(), "action": action});
    let task = command(assembly, item, &vdu, params)?;
    give(assembly, &place.target, vm, task, Vec::new());
    Ok(())
}

fn migrate(assembly: &mut Assembly<'_>, vdu: &Vdu, host: Option<&str>) -> Result<(), Error> {
    let targets = vm::targets_of(assembly.facts, vdu);
    if targets.is_empty() {
        let reason = format!("VDU '{}' is not deployed", vdu.item);
        return Err(Error::Conflict { reason });
    }
    for target in targets {
        let vm = vm::vm_of(assembly.facts, vdu, &target)?;
        let info = vdu.document.get("vim_info").cloned().unwrap_or(Value::Null);
        let mut params = json!({"vim_vm_id": vm.id(), "migrate_host": host, "vdu_vim_info": info});
        texts::extract(&mut params, &mut assembly.texts, "vdur")?;
        let task = command(assembly, Item::Migrate, vdu, params)?;
        give(assembly, &target, vm, task, Vec::new());
    }
    Ok(())
}

/// A command to a VDU's VM.
pub(super) fn command(assembly: &mut Assembly<'_>, item: Item, vdu: &Vdu, params: Value) -> Result<Task, Error> {
    let task = assembly.task(What {
        action: TaskAction::Exec,
        item,
        record: &vdu.item,
        position: vdu.position,
    })?;
    Ok(Task {
        params: Some(params),
        ..task
    })
}

/// Gives a command to a VM: into its document, or into one of its own where somebody else made the VM.
pub(super) fn give(assembly: &mut Assembly<'_>, target: &TargetId, vm: Vm<'_>, task: Task, uses: Vec<ResourceId>) {
    match vm {
        Vm::Ours(resource, _) => {
            // A VM that gets another flavour may get another host with it.
            if matches!(task.item, Item::Migrate | Item::VerticalScale) {
                assembly.moved.push((resource.id.clone(), resource.id.clone()));
            }
            assembly.update(resource, task, uses);
        }
        Vm::Recorded(_) => {
            assembly.add(target, task, uses, Vec::new());
        }
    }
}
