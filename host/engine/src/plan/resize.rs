//! Vertical scale: a VM gets a flavour of another size.
//!
//! LCM of release 14 and later puts a flavour of the new size into the NS record and points the VDU to it before it asks. LCM before
//! that changes nothing, and NG-RO left the record as it was (D19): the next deploy would then not know the flavour, and delete it.
//! So where the VDU's flavour is not of the wanted size, a new one is put into the record here, like the old one but for its
//! sizes (so EPA hints stay), and the VDU is pointed to it when the VM has it.

use serde_json::{Map, Value, json};
use vimhost_model::{
    Collection, Dependency, FieldPath, Item, ItemId, ItemList, ItemRef, Record, RecordChange, ResourceId, TargetId,
    Task, TaskAction, Until,
};

use super::assembly::{Assembly, What};
use super::existing::{existing_of, recorded_items};
use super::operate::{command, give};
use super::vm::{self, Vdu};
use super::{FLAVOUR, NS_FLAVOUR, derivation};
use crate::Error;
use crate::derive::{self, Field, FlavourUser, placeholder};
use crate::operation::Size;

/// The item of the NS record that the VM is to have.
struct Wanted {
    item: ItemRef,
    position: usize,
    document: Value,
    /// It is not in the record yet.
    new: bool,
}

/// What the VM's command needs of the flavour.
struct Flavour {
    /// Its id, or what stands for it.
    id: String,
    depends_on: Option<Dependency>,
}

pub(super) fn plan(assembly: &mut Assembly<'_>, vnfr: &Record, vdu: &Vdu, size: Size) -> Result<(), Error> {
    let targets = vm::targets_of(assembly.facts, vdu);
    if targets.is_empty() {
        let reason = format!("VDU '{}' is not deployed", vdu.item);
        return Err(Error::Conflict { reason });
    }
    let wanted = wanted(assembly, vdu, size)?;
    let mut made_on = Vec::new();
    for target in targets {
        let vm = vm::vm_of(assembly.facts, vdu, &target)?;
        let flavour = match existing(assembly, &wanted, &target) {
            Some(flavour) => flavour,
            None => {
                made_on.push(target.clone());
                make(assembly, &wanted, vnfr, vdu, &target)?
            }
        };
        let name = format!("{}-flv", name_of(vdu));
        let mut params = json!({
            "vim_vm_id": vm.id(),
            "flavor_dict": {"name": name, "ram": size.ram, "vcpus": size.vcpus, "disk": size.disk},
            FLAVOUR: flavour.id,
        });
        if let Some(params) = params.as_object_mut().filter(|_| wanted.new) {
            params.insert(NS_FLAVOUR.to_owned(), json!(wanted.item.item));
        }
        let uses: Vec<ResourceId> = flavour.depends_on.iter().map(|on| on.resource.clone()).collect();
        let task = command(assembly, Item::VerticalScale, vdu, params)?;
        let task = Task {
            depends_on: flavour.depends_on.into_iter().collect(),
            ..task
        };
        give(assembly, &target, vm, task, uses);
    }
    record(assembly, &wanted, &made_on);
    Ok(())
}

/// The VDU's flavour if it is of the size, else a new one.
fn wanted(assembly: &Assembly<'_>, vdu: &Vdu, size: Size) -> Result<Wanted, Error> {
    let facts = assembly.facts;
    let items = recorded_items(&facts.nsr.document, ItemList::Flavor);
    let item_ref = |item: ItemId| ItemRef {
        collection: Collection::Nsrs,
        record: facts.nsr.id.clone(),
        list: ItemList::Flavor,
        item,
    };
    let current = match vdu.document.get("ns-flavor-id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    let current = current.and_then(|id| items.iter().position(|(item, _)| item.as_str() == id));
    let found = current.and_then(|position| items.get(position).map(|(id, document)| (position, id, document)));
    if let Some((position, id, document)) = found
        && sizes(document) == Some(size)
    {
        return Ok(Wanted {
            item: item_ref(id.clone()),
            position,
            document: document.clone(),
            new: false,
        });
    }
    // LCM takes the id of a flavour for its position.
    let free = (items.len()..)
        .map(|number| number.to_string())
        .find(|id| items.iter().all(|(item, _)| item.as_str() != id))
        .unwrap_or_default();
    let mut document = found
        .map(|(_, _, document)| document.clone())
        .unwrap_or_else(|| json!({}));
    if let Some(map) = document.as_object_mut() {
        map.remove("vim_info");
        map.remove("status");
        map.remove("common_id");
        map.extend(Map::from_iter([
            ("id".to_owned(), json!(free)),
            ("name".to_owned(), json!(format!("{}-flv", name_of(vdu)))),
            ("memory-mb".to_owned(), json!(size.ram)),
            ("vcpu-count".to_owned(), json!(size.vcpus)),
            ("storage-gb".to_owned(), json!(size.disk)),
        ]));
    }
    let id = ItemId::new(free).map_err(|error| crate::accounts::internal("numbering a flavour", error))?;
    Ok(Wanted {
        item: item_ref(id),
        position: items.len(),
        document,
        new: true,
    })
}

/// The sizes of a flavour of the record; none when it gives none that can be read.
fn sizes(document: &Value) -> Option<Size> {
    let field = Field::new("flavor", document);
    let number = |key| field.whole_of(key).ok().flatten();
    Some(Size {
        ram: number("memory-mb")?,
        vcpus: number("vcpu-count")?,
        disk: number("storage-gb")?,
    })
}

/// The flavour where it is deployed already.
fn existing(assembly: &Assembly<'_>, wanted: &Wanted, target: &TargetId) -> Option<Flavour> {
    let reference = wanted.item.to_string();
    let facts = assembly.facts;
    let on_target = facts.resources.iter().filter(|resource| resource.target == *target);
    for resource in on_target {
        let held = existing_of(facts, resource).into_iter();
        if held
            .filter(|(_, broken)| broken.is_none())
            .any(|(item, _)| item == wanted.item)
        {
            return Some(Flavour {
                id: placeholder(&reference),
                depends_on: Some(Dependency {
                    reference,
                    resource: resource.id.clone(),
                    until: Until::Created,
                    interfaces: Vec::new(),
                }),
            });
        }
    }
    let info = wanted.document.get("vim_info")?.get(target.to_string())?;
    Some(Flavour {
        id: info.get("vim_id").and_then(Value::as_str)?.to_owned(),
        depends_on: None,
    })
}

/// Plans the search and the creation of the flavour.
fn make(
    assembly: &mut Assembly<'_>,
    wanted: &Wanted,
    vnfr: &Record,
    vdu: &Vdu,
    target: &TargetId,
) -> Result<Flavour, Error> {
    // The client asks for a size: a flavour that the VDU named when it was made is none of its wishes any more.
    let mut user = vdu.document.clone();
    if let Some(osm) = user.pointer_mut("/additionalParams/OSM").and_then(Value::as_object_mut) {
        osm.remove("vim_flavor_id");
        osm.remove("vim_flavor_name");
    }
    let facts = assembly.facts;
    let vnfd = vnfr.document.get("vnfd-id").and_then(Value::as_str);
    let vnfd = vnfd.and_then(|id| facts.vnfds.get(id));
    let users = [FlavourUser {
        vdur: Field::new("vdur", &user),
        vnfd: vnfd.map(|vnfd| Field::new("vnfd", vnfd)),
    }];
    let derived = derive::flavour(&Field::new("flavor", &wanted.document), &users).map_err(derivation::of_derive)?;
    let task = assembly.task(What {
        action: TaskAction::Create,
        item: Item::Flavor,
        record: &wanted.item,
        position: wanted.position,
    })?;
    let task = Task {
        params: derived.params,
        find_params: derived.find_params,
        ..task
    };
    let resource = assembly.add(target, task, Vec::new(), Vec::new());
    let reference = wanted.item.to_string();
    Ok(Flavour {
        id: placeholder(&reference),
        depends_on: Some(Dependency {
            reference,
            resource,
            until: Until::Created,
            interfaces: Vec::new(),
        }),
    })
}

/// The record shows the flavour that is made.
fn record(assembly: &mut Assembly<'_>, wanted: &Wanted, made_on: &[TargetId]) {
    if made_on.is_empty() {
        return;
    }
    let mut change = RecordChange::to_item(&wanted.item);
    if wanted.new {
        let info: Map<String, Value> = made_on.iter().map(|target| (target.to_string(), json!({}))).collect();
        let mut document = wanted.document.clone();
        if let Some(map) = document.as_object_mut() {
            map.insert("vim_info".to_owned(), Value::Object(info));
        }
        change.insert = Some(document);
    } else {
        for target in made_on {
            change
                .set
                .push((FieldPath::keys(["vim_info"]).key(target.to_string()), json!({})));
        }
    }
    assembly.record_changes.push(change);
}

fn name_of(vdu: &Vdu) -> &str {
    let text = |key: &str| vdu.document.get(key).and_then(Value::as_str);
    text("vdu-name").or_else(|| text("vdu-id-ref")).unwrap_or("vdu")
}
