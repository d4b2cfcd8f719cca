//! Recreate: a VM is deleted, and made anew as it was.
//!
//! A VM is made anew from what it was made from: the parameters of its last creation, kept in our own document, so neither the
//! descriptor nor the templates of its user data are needed. What the VIM showed of it since takes precedence: image and flavour
//! (it may have been resized), the networks and addresses of its interfaces, the volumes attached to it. Where the VIM shows none of
//! these, the records do (D12). Whatever cannot be told is an error before anything is deleted.
//!
//! Attached volumes are held when the old VM goes and given to the new one. With them goes the duty to delete them: their journal
//! entries stand in the new VM's document from the start, so that a terminate finds them at whatever point the host dies.
//!
//! The old VM's document stays and keeps its history; the new VM has a document of its own that waits for the end of the old.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use vimhost_model::{
    Collection, Dependency, InterfaceInfo, Item, ItemList, JournalEntry, Resource, ResourceId, TargetId, Task,
    TaskAction, Until, VimId,
};

use super::assembly::{Assembly, What};
use super::existing::recorded_items;
use super::operate::deployed;
use super::vm::{self, Known, Vdu};
use super::{Facts, HELD_VOLUMES, TAKEN_OVER, derivation, texts};
use crate::Error;
use crate::operation::Healed;

/// How connectors name volumes in the journal: `volume`, `volume:keep` (`journal-entry.kind` of the contract).
const VOLUME: &str = "volume";

pub(super) fn plan(
    assembly: &mut Assembly<'_>,
    vnfs: &[Healed],
    cloud_init_content: &Map<String, Value>,
) -> Result<(), Error> {
    let facts = assembly.facts;
    let mut seen = HashSet::new();
    for healed in vnfs {
        let vnfr = vm::vnfr(facts, &healed.vnf)?;
        let vdus = if healed.vdus.is_empty() {
            deployed(facts, vnfr)?
        } else {
            let named = healed.vdus.iter();
            named
                .map(|vdu| vm::replica(vnfr, vdu, ["vdu-name", "vdu-id-ref"]))
                .collect::<Result<_, _>>()?
        };
        for vdu in vdus {
            // Named twice is meant once.
            if !seen.insert(vdu.item.clone()) {
                continue;
            }
            let user_data = derivation::user_data(facts, vnfr, &vdu.document, cloud_init_content)?;
            let targets = vm::targets_of(facts, &vdu);
            if targets.is_empty() {
                let reason = format!("VDU '{}' is not deployed", vdu.item);
                return Err(Error::Conflict { reason });
            }
            for target in targets {
                on_target(assembly, &vdu, &target, user_data.as_ref())?;
            }
        }
    }
    Ok(())
}

/// Plans the end of the VM on a target and the one that takes its place.
fn on_target(
    assembly: &mut Assembly<'_>,
    vdu: &Vdu,
    target: &TargetId,
    user_data: Option<&Value>,
) -> Result<(), Error> {
    let known = vm::known_on(assembly.facts, vdu, target);
    let (old, creation) = source(vdu, target, &known)?;
    let volumes = attached(old, creation);
    let mut params = as_it_was(assembly.facts, vdu, target, old, creation, &volumes)?;
    if let Some(user_data) = user_data {
        params.insert("cloud_config".to_owned(), user_data.clone());
        if let Some(config) = params.get_mut("cloud_config") {
            texts::extract(config, &mut assembly.texts, "cloud_init_content")?;
        }
    }
    let journal = taken_over(&known, &volumes);
    let previous: Map<String, Value> = journal.iter().map(|entry| (item_of(entry), json!(true))).collect();
    params.insert(TAKEN_OVER.to_owned(), Value::Object(previous));

    let mut depends_on = Vec::new();
    let mut uses: Vec<ResourceId> = Vec::new();
    for Known { resource, .. } in &known {
        let task = assembly.task(What {
            action: TaskAction::Delete,
            item: Item::Vdu,
            record: &vdu.item,
            position: vdu.position,
        })?;
        depends_on.push(Dependency {
            reference: task.id.to_string(),
            resource: resource.id.clone(),
            until: Until::Deleted,
            interfaces: Vec::new(),
        });
        uses.extend(resource.uses.iter().cloned());
        let created: Map<String, Value> = resource
            .journal
            .iter()
            .map(|entry| (item_of(entry), json!(true)))
            .collect();
        let params = json!({"vim_id": resource.vim.vim_id, "created_items": created, HELD_VOLUMES: volumes});
        let task = Task {
            params: Some(params),
            ..task
        };
        assembly.update(resource, task, Vec::new());
    }
    // A volume that several VMs attach is known by the task that makes it until this VM has it.
    let shared = creation
        .depends_on
        .iter()
        .filter(|on| on.reference.contains(":shared-volumes."));
    depends_on.extend(shared.cloned());
    uses.sort();
    uses.dedup();
    let task = assembly.task(What {
        action: TaskAction::Create,
        item: Item::Vdu,
        record: &vdu.item,
        position: vdu.position,
    })?;
    let task = Task {
        params: Some(Value::Object(params)),
        depends_on,
        common_id: creation.common_id.clone(),
        mgmt_vnf_interface: creation.mgmt_vnf_interface,
        mgmt_vdu_interface: creation.mgmt_vdu_interface,
        interface_places: creation.interface_places.clone(),
        ..task
    };
    let new = assembly.add(target, task, uses, journal);
    let before = known.iter().map(|known| (known.resource.id.clone(), new.clone()));
    assembly.moved.extend(before);
    Ok(())
}

/// The document to make the VM anew from, and its creation: the one that works, else the newest try.
fn source<'f>(vdu: &Vdu, target: &TargetId, known: &[Known<'f>]) -> Result<(&'f Resource, &'f Task), Error> {
    let conflict = |reason: String| Err(Error::Conflict { reason });
    if known.is_empty() {
        let info = vdu.document.get("vim_info").and_then(|map| map.get(target.to_string()));
        if info.and_then(|info| info.get("vim_id")).is_some_and(Value::is_string) {
            return conflict(format!(
                "VDU '{}' on {target} was not made by this vimhost, which does not know what else belongs to its VM; \
                 `vimhost import-ng-ro` takes over what NG-RO made",
                vdu.item
            ));
        }
        return Err(vm::not_deployed(vdu, target));
    }
    let mut made: Vec<(&Known<'_>, &'f Task)> = Vec::new();
    for one in known {
        made.extend(vm::creation(one.resource, vdu).map(|creation| (one, creation)));
    }
    made.sort_by_key(|(known, _)| (known.broken.is_some(), std::cmp::Reverse(known.resource.created_at)));
    let Some(&(found, creation)) = made.first() else {
        let why = known.iter().find_map(|known| known.broken.clone()).unwrap_or_default();
        return conflict(format!("VDU '{}' on {target} cannot be made anew: {why}", vdu.item));
    };
    if found.resource.live_creates().any(|task| task.nsr_id != creation.nsr_id) {
        return conflict(format!("VDU '{}' on {target} is shared with other services", vdu.item));
    }
    Ok((found.resource, creation))
}

/// Volumes of a VM: those seen on it, or, before it was ever seen, those it is to get because an earlier one had them.
fn attached(old: &Resource, creation: &Task) -> Vec<VimId> {
    if !old.vim.volumes.is_empty() {
        return old.vim.volumes.clone();
    }
    let disks = creation.params.as_ref().and_then(|params| params.get("disk_list"));
    let disks = disks.and_then(Value::as_array).into_iter().flatten();
    disks
        .filter_map(|disk| VimId::new(disk.get("vim_id")?.as_str()?).ok())
        .collect()
}

/// Journal entries of held volumes, for the document of the VM that gets them.
fn taken_over(known: &[Known<'_>], volumes: &[VimId]) -> Vec<JournalEntry> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    let all = known.iter().flat_map(|known| &known.resource.journal);
    for entry in all.filter(|entry| entry.kind.split(':').next() == Some(VOLUME)) {
        let held = entry.element.as_ref().is_some_and(|element| volumes.contains(element));
        if held && !entries.iter().any(|other| other.element == entry.element) {
            entries.push(JournalEntry {
                id: u64::try_from(entries.len()).unwrap_or(u64::MAX).saturating_add(1),
                ..entry.clone()
            });
        }
    }
    entries
}

/// NG-RO's name of something a VM was made with: `port:<id>`, `volume:<id>:keep`.
fn item_of(entry: &JournalEntry) -> String {
    let element = entry.element.as_ref().map_or(entry.token.as_str(), VimId::as_str);
    match entry.kind.split_once(':') {
        Some((kind, rest)) => format!("{kind}:{element}:{rest}"),
        None => format!("{}:{element}", entry.kind),
    }
}

/// The parameters that make the VM as it was. Ids stand in them instead of what stood for ids.
fn as_it_was(
    facts: &Facts,
    vdu: &Vdu,
    target: &TargetId,
    old: &Resource,
    creation: &Task,
    volumes: &[VimId],
) -> Result<Map<String, Value>, Error> {
    let Some(Value::Object(mut params)) = creation.params.clone() else {
        let reason = format!("VDU '{}' on {target} has no creation parameters", vdu.item);
        return Err(Error::Conflict { reason });
    };
    let resolve = |text: &str| resolved(facts, vdu, target, creation, text);
    for (key, seen) in [("image_id", &old.vim.image), ("flavor_id", &old.vim.flavour)] {
        let id = match (seen, params.get(key).and_then(Value::as_str)) {
            (Some(seen), _) => seen.to_string(),
            (None, Some(text)) => resolve(text)?,
            (None, None) => continue,
        };
        params.insert(key.to_owned(), Value::String(id));
    }
    let floating =
        |entry: &Map<String, Value>| !matches!(entry.get("floating_ip"), None | Some(Value::Null | Value::Bool(false)));
    let in_order = !old.vim.interfaces_vim_ids.is_empty();
    for (index, entry) in maps(params.get_mut("net_list")).enumerate() {
        let seen = old
            .vim
            .interfaces_backup
            .get(index)
            .and_then(Option::as_ref)
            .filter(|_| in_order);
        let network = match seen.and_then(|seen| seen.vim_net_id.clone()) {
            Some(id) => id,
            None => resolve(entry.get("net_id").and_then(Value::as_str).unwrap_or_default())?,
        };
        entry.insert("net_id".to_owned(), Value::String(network));
        if let Some(seen) = seen {
            let floating = floating(&*entry);
            keep_addresses(entry, seen, floating);
        }
    }
    for entry in maps(params.get_mut("affinity_group_list")) {
        if let Some(group) = entry.get("affinity_group_id").and_then(Value::as_str) {
            let id = resolve(group)?;
            entry.insert("affinity_group_id".to_owned(), Value::String(id));
        }
    }
    if !volumes.is_empty() {
        let planned = params
            .get("disk_list")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        params.insert("disk_list".to_owned(), Value::Array(disks(old, &planned, volumes)));
    }
    for entry in maps(params.get_mut("disk_list")) {
        if let Some(image) = entry.get("image_id").and_then(Value::as_str) {
            let id = resolve(image)?;
            entry.insert("image_id".to_owned(), Value::String(id));
        }
    }
    Ok(params)
}

fn maps(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let entries = list.and_then(Value::as_array_mut).into_iter().flatten();
    entries.filter_map(Value::as_object_mut)
}

/// The same addresses are asked for again. The VIM shows a floating one first, which is not the port's own.
fn keep_addresses(entry: &mut Map<String, Value>, seen: &InterfaceInfo, floating: bool) {
    let addresses = seen.ip_address.iter().flat_map(|text| text.split(';'));
    let mut addresses: Vec<&str> = addresses.filter(|text| !text.is_empty()).collect();
    if floating && addresses.len() > 1 {
        addresses.remove(0);
    }
    match addresses.as_slice() {
        [] => {}
        [one] => {
            entry.insert("ip_address".to_owned(), json!(one));
        }
        several => {
            entry.insert("ip_address".to_owned(), json!(several));
        }
    }
    if let Some(mac) = seen.mac_address.as_ref().filter(|mac| !mac.is_empty()) {
        entry.insert("mac_address".to_owned(), json!(mac));
    }
}

/// Disks of the new VM: the old one's volumes, the one it boots from first, then what the old one had not got yet.
fn disks(old: &Resource, planned: &[Value], volumes: &[VimId]) -> Vec<Value> {
    let root = planned.iter().find(|disk| disk.get("image_id").is_some());
    let boots_from = root.and_then(|root| {
        let given = ["vim_volume_id", "vim_id"]
            .iter()
            .find_map(|key| root.get(key)?.as_str());
        // The first one that was made for it, since disks are made in order.
        let made = || {
            old.journal
                .iter()
                .filter(|entry| entry.kind.split(':').next() == Some(VOLUME))
        };
        let made = || {
            made()
                .min_by_key(|entry| entry.id)
                .and_then(|entry| entry.element.as_ref())
        };
        let known = volumes.iter().find(|volume| Some(volume.as_str()) == given);
        known
            .or_else(|| volumes.iter().find(|volume| Some(*volume) == made()))
            .or(volumes.first())
    });
    let disk = |volume: &VimId| {
        let kept = old
            .journal
            .iter()
            .any(|entry| entry.element.as_ref() == Some(volume) && entry.kind.ends_with(":keep"));
        let mut disk = json!({"vim_id": volume});
        if let Some(disk) = disk.as_object_mut() {
            if kept {
                disk.insert("keep".to_owned(), json!(true));
            }
            if let Some(image) = root
                .filter(|_| boots_from == Some(volume))
                .and_then(|root| root.get("image_id"))
            {
                disk.insert("image_id".to_owned(), image.clone());
            }
        }
        disk
    };
    let others = volumes.iter().filter(|volume| boots_from != Some(*volume));
    let attached = boots_from.into_iter().chain(others).map(disk);
    attached.chain(planned.iter().skip(volumes.len()).cloned()).collect()
}

/// The id that a text is or stands for: by the element it was planned with, else by the records.
fn resolved(facts: &Facts, vdu: &Vdu, target: &TargetId, creation: &Task, text: &str) -> Result<String, Error> {
    let Some(reference) = text.strip_prefix("TASK-") else {
        return Ok(text.to_owned());
    };
    let planned = creation.depends_on.iter().find(|on| on.reference == reference);
    let element = planned.and_then(|on| facts.resources.iter().find(|resource| resource.id == on.resource));
    if let Some(id) = element.and_then(|element| element.vim.vim_id.as_ref()) {
        return Ok(id.to_string());
    }
    recorded_id(facts, reference, target).ok_or_else(|| Error::Conflict {
        reason: format!(
            "VDU '{}' on {target} cannot be made anew: {reference} is not deployed there",
            vdu.item
        ),
    })
}

/// The id that the records give for an item.
pub(super) fn recorded_id(facts: &Facts, reference: &str, target: &TargetId) -> Option<String> {
    let of_nsr = std::iter::once((Collection::Nsrs, &facts.nsr));
    let of_vnfrs = facts.vnfrs.iter().map(|vnfr| (Collection::Vnfrs, vnfr));
    for (collection, record) in of_nsr.chain(of_vnfrs) {
        let beginning = format!("{}:{}:", collection.as_str(), record.id);
        let Some((list, id)) = reference.strip_prefix(&beginning).and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let list = ItemList::from_name(list)?;
        let items = recorded_items(&record.document, list);
        let (_, item) = items.into_iter().find(|(item, _)| item.as_str() == id)?;
        let info = item.get("vim_info")?.get(target.to_string())?;
        return info.get("vim_id").and_then(Value::as_str).map(str::to_owned);
    }
    None
}
