//! Key injection: one command for each VDU.
//!
//! The VM may still be in the making, which NG-RO's task waits for too. Where no document of ours speaks for the VM, the task gets one
//! of its own. The address is the one that the record shows now; where it shows none yet, the machine takes the one that the VM gets.

use serde_json::{Value, json};
use vimhost_model::{Item, ItemId, RecordId, TargetId};

use super::assembly::Assembly;
use super::vm::{self, Vdu};
use super::{Facts, PASSWORD, operate};
use crate::Error;
use crate::operation::KeyInjection;

pub(super) fn plan(assembly: &mut Assembly<'_>, injection: &KeyInjection) -> Result<(), Error> {
    for (vnf, vdu) in &injection.vdus {
        let vdu = find(assembly.facts, vnf, vdu)?;
        let target = target_of(assembly.facts, &vdu)?;
        let address = vdu.document.get("ip-address").and_then(Value::as_str);
        let params = json!({
            "ip_address": address.filter(|address| !address.is_empty()),
            "user": injection.user,
            "key": injection.key,
            PASSWORD: assembly.facts.sealed_password,
            // Where it is kept, in place of the key itself: it is read when it is needed, and is gone when the service is.
            "private_key": format!("ro_nsrs:{}", assembly.facts.nsr_id),
        });
        let task = operate::command(assembly, Item::Vdu, &vdu, params)?;
        let known = vm::known_on(assembly.facts, &vdu, &target);
        let mut live: Vec<_> = known
            .iter()
            .filter(|known| vm::creation(known.resource, &vdu).is_some())
            .collect();
        live.sort_by_key(|known| known.broken.is_some());
        match live.first() {
            Some(known) => assembly.update(known.resource, task, Vec::new()),
            None => {
                let vm = vm::vm_of(assembly.facts, &vdu, &target)?;
                operate::give(assembly, &target, vm, task, Vec::new());
            }
        }
    }
    Ok(())
}

/// The VDU, or NG-RO's words for one that is not there (`ns.py`).
fn find(facts: &Facts, vnf: &RecordId, vdu: &ItemId) -> Result<Vdu, Error> {
    let refused = |reason: String| Error::BadRequest { reason };
    let vnfr = facts.vnfrs.iter().find(|record| record.id == *vnf);
    let vnfr = vnfr.ok_or_else(|| refused(format!("Invalid vnf={vnf}")))?;
    let found = vm::all(vnfr).into_iter().find(|known| known.item.item == *vdu);
    found.ok_or_else(|| refused(format!("Invalid vdu vnf={vnf}.{vdu}")))
}

/// The account that the VM is on: the first one, as in NG-RO.
fn target_of(facts: &Facts, vdu: &Vdu) -> Result<TargetId, Error> {
    let target = vm::targets_of(facts, vdu).into_iter().next();
    target.ok_or_else(|| {
        let reason = format!("VDU '{}' is not deployed", vdu.item);
        Error::Conflict { reason }
    })
}
