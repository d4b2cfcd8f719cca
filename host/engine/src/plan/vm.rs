//! Finds the VDUs that an operation names, and the VMs they are.

use serde_json::Value;
use vimhost_model::{
    Collection, ItemId, ItemList, ItemRef, Record, RecordId, Resource, TargetId, Task, TaskAction, TaskStatus, VimId,
};

use super::Facts;
use super::existing::{existing_of, recorded_items, recorded_targets};
use crate::Error;
use crate::operation::Replica;

/// A VDU of a VNF record.
pub(super) struct Vdu {
    pub(super) item: ItemRef,
    /// Where it stands now; shown, never written by.
    pub(super) position: usize,
    pub(super) document: Value,
}

/// A document of ours that speaks for a VDU on a target.
pub(super) struct Known<'f> {
    pub(super) resource: &'f Resource,
    /// Why it is to be cleared away; none: it is held.
    pub(super) broken: Option<String>,
}

/// A VM that something can be done to.
pub(super) enum Vm<'f> {
    /// One of ours.
    Ours(&'f Resource, VimId),
    /// Somebody else made it, and the record knows it.
    Recorded(VimId),
}

impl Vm<'_> {
    pub(super) fn id(&self) -> &VimId {
        match self {
            Self::Ours(_, id) | Self::Recorded(id) => id,
        }
    }
}

/// The record of a VNF of the service.
pub(super) fn vnfr<'f>(facts: &'f Facts, id: &RecordId) -> Result<&'f Record, Error> {
    let found = facts.vnfrs.iter().find(|record| record.id == *id);
    found.ok_or_else(|| Error::not_found("VNF", id))
}

/// All VDUs of a VNF.
pub(super) fn all(vnfr: &Record) -> Vec<Vdu> {
    let items = recorded_items(&vnfr.document, ItemList::Vdur).into_iter().enumerate();
    items
        .map(|(position, (item, document))| Vdu {
            item: ItemRef {
                collection: Collection::Vnfrs,
                record: vnfr.id.clone(),
                list: ItemList::Vdur,
                item,
            },
            position,
            document,
        })
        .collect()
}

/// The VDU of an id.
pub(super) fn by_id(vnfr: &Record, id: &ItemId) -> Result<Vdu, Error> {
    let found = all(vnfr).into_iter().find(|vdu| vdu.item.item == *id);
    found.ok_or_else(|| Error::not_found("VDU", format!("{}.{id}", vnfr.id)))
}

/// A replica of a VDU of the descriptor, by the first of these keys under which there is one.
pub(super) fn replica(vnfr: &Record, wanted: &Replica, keys: [&str; 2]) -> Result<Vdu, Error> {
    let mut vdus = all(vnfr);
    let is_it = |vdu: &Vdu, key: &str| {
        let count = vdu.document.get("count-index").and_then(Value::as_u64).unwrap_or(0);
        vdu.document.get(key).and_then(Value::as_str) == Some(&wanted.name) && count == wanted.count_index
    };
    let found = keys.iter().find_map(|key| vdus.iter().position(|vdu| is_it(vdu, key)));
    match found {
        Some(index) => Ok(vdus.swap_remove(index)),
        None => {
            let name = format!("{}.{} (count {})", vnfr.id, wanted.name, wanted.count_index);
            Err(Error::not_found("VDU", name))
        }
    }
}

/// Documents that speak for a VDU, on all targets.
fn documents<'f>(facts: &'f Facts, vdu: &Vdu) -> Vec<Known<'f>> {
    let mut known = Vec::new();
    for resource in &facts.resources {
        let slots = existing_of(facts, resource).into_iter();
        for (_, broken) in slots.filter(|(item, _)| *item == vdu.item) {
            known.push(Known { resource, broken });
        }
    }
    known
}

/// Documents that speak for a VDU on a target.
pub(super) fn known_on<'f>(facts: &'f Facts, vdu: &Vdu, target: &TargetId) -> Vec<Known<'f>> {
    let mut known = documents(facts, vdu);
    known.retain(|known| known.resource.target == *target);
    known
}

/// Targets on which there is something of a VDU.
pub(super) fn targets_of(facts: &Facts, vdu: &Vdu) -> Vec<TargetId> {
    let mut targets = recorded_targets(&vdu.document);
    targets.extend(
        documents(facts, vdu)
            .into_iter()
            .map(|known| known.resource.target.clone()),
    );
    targets.sort();
    targets.dedup();
    targets
}

/// The last CREATE of a VDU that nobody has ended, or is about to end.
pub(super) fn creation<'r>(resource: &'r Resource, vdu: &Vdu) -> Option<&'r Task> {
    let of_vdu = || {
        resource
            .tasks
            .iter()
            .rev()
            .filter(|task| task.target_record == vdu.item)
    };
    let ended = of_vdu()
        .take_while(|task| task.action != TaskAction::Create)
        .any(|task| task.action == TaskAction::Delete && task.status.is_open());
    let live = |task: &&Task| task.action == TaskAction::Create && task.status != TaskStatus::Finished;
    of_vdu().find(live).filter(|_| !ended)
}

/// The VM of a VDU on a target.
pub(super) fn vm_of<'f>(facts: &'f Facts, vdu: &Vdu, target: &TargetId) -> Result<Vm<'f>, Error> {
    let known = known_on(facts, vdu, target);
    if known.is_empty() {
        return recorded(vdu, target).ok_or_else(|| not_deployed(vdu, target));
    }
    // One that is in error can be what is to be rebuilt.
    let mut made: Vec<&Known<'f>> = known
        .iter()
        .filter(|known| known.resource.vim.vim_id.is_some() && creation(known.resource, vdu).is_some())
        .collect();
    made.sort_by_key(|known| known.broken.is_some());
    let found = made.first().map(|known| known.resource);
    match found.and_then(|resource| Some((resource, resource.vim.vim_id.clone()?))) {
        Some((resource, id)) => Ok(Vm::Ours(resource, id)),
        None => {
            let why = known.iter().find_map(|known| known.broken.clone());
            let why = why.unwrap_or_else(|| "it is still being made".to_owned());
            let reason = format!("VDU '{}' has no VM on {target}: {why}", vdu.item);
            Err(Error::Conflict { reason })
        }
    }
}

fn recorded<'f>(vdu: &Vdu, target: &TargetId) -> Option<Vm<'f>> {
    let info = vdu.document.get("vim_info")?.get(target.to_string())?;
    if info.get("vim_status").and_then(Value::as_str) == Some("DELETED") {
        return None;
    }
    let id = info.get("vim_id").and_then(Value::as_str)?;
    VimId::new(id).ok().map(Vm::Recorded)
}

pub(super) fn not_deployed(vdu: &Vdu, target: &TargetId) -> Error {
    let reason = format!("VDU '{}' is not deployed on {target}", vdu.item);
    Error::Conflict { reason }
}
