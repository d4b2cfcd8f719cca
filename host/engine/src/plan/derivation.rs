//! Calls [`mod@crate::derive`] for one wanted item on one target.

use serde_json::{Map, Value};
use vimhost_model::{Item, ItemList, ItemRef, Record, TargetId, TargetKind};

use super::Facts;
use crate::Error;
use crate::derive::{self, Derived, Field, FlavourUser, NsContext, VduContext};
use crate::wanted::{Wanted, WantedItem, WantedVnf};

/// What an item of a list is on a target.
pub(super) fn kind_of(list: ItemList, target: &TargetId, info: &Value) -> Item {
    match list {
        ItemList::Vld if target.kind != TargetKind::Vim || is_set(info.get("sdn")) => Item::SdnNet,
        ItemList::Vld => Item::Net,
        ItemList::Image => Item::Image,
        ItemList::Flavor => Item::Flavor,
        ItemList::AffinityGroup => Item::AffinityGroup,
        ItemList::SharedVolumes => Item::SharedVolume,
        ItemList::Vdur => Item::Vdu,
    }
}

/// Whether a flag is on, as a descriptor may write it.
fn is_set(flag: Option<&Value>) -> bool {
    match flag {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty() && text != "false",
        Some(_) => true,
    }
}

/// Derives the creation task of an item.
pub(super) fn derive(
    facts: &Facts,
    wanted: &Wanted,
    vnf: Option<&WantedVnf>,
    item_ref: &ItemRef,
    item: &WantedItem,
    (target, info): (&TargetId, &Value),
) -> Result<Derived, Error> {
    let field = Field::new(item.path.clone(), &item.document);
    let ns = NsContext {
        id: facts.nsr_id.as_str(),
        name: wanted.name.as_deref(),
    };
    let derived = match kind_of(item_ref.list, target, info) {
        Item::Image => derive::image(&field),
        Item::Flavor => derive::flavour(&field, &flavour_users(facts, wanted, item.id.as_str(), target)),
        Item::AffinityGroup => derive::group(&field),
        Item::SharedVolume => derive::shared_volume(&field),
        Item::Net | Item::SdnNet => {
            let target_text = target.to_string();
            let info = Field::new(format!("{}:vim_info:{target}", item.path), info);
            derive::network(&ns, &item_ref.to_string(), &field, &target_text, &info)
        }
        Item::Vdu => return derive_vdu(facts, wanted, vnf, &ns, &field),
        other @ (Item::Stack | Item::Update | Item::Migrate | Item::VerticalScale | Item::Console) => {
            return Err(Error::Unsupported {
                reason: format!("{}: item '{other}' is not served", item.path),
            });
        }
    };
    derived.map_err(of_derive)
}

fn derive_vdu(
    facts: &Facts,
    wanted: &Wanted,
    vnf: Option<&WantedVnf>,
    ns: &NsContext<'_>,
    field: &Field<'_>,
) -> Result<Derived, Error> {
    let Some(vnf) = vnf else {
        return Err(Error::shape(field.path(), "a VDU belongs to a VNF"));
    };
    let record = facts
        .vnfrs
        .iter()
        .find(|record| record.id == vnf.id)
        .map(|record| &record.document);
    let text_of = |key: &str| {
        vnf.document
            .get(key)
            .or_else(|| record.and_then(|record| record.get(key)))
            .and_then(Value::as_str)
    };
    let vnfd = text_of("vnfd-id")
        .and_then(|id| facts.vnfds.get(id))
        .map(|vnfd| Field::new("vnfd", vnfd));
    let templates = Value::Object(wanted.cloud_init_content.clone());
    let shared: Vec<Field<'_>> = wanted
        .ns_items(ItemList::SharedVolumes)
        .iter()
        .map(|volume| Field::new(volume.path.clone(), &volume.document))
        .collect();
    let context = VduContext {
        ns: *ns,
        vnf_id: vnf.id.as_str(),
        member_index: text_of("member-vnf-index-ref").unwrap_or_default(),
        vnfd,
        public_key: facts.public_key.as_deref(),
        cloud_init_content: Some(Field::new("cloud_init_content", &templates)),
        templates: &*facts.templates,
        shared_volumes: &shared,
    };
    derive::vdu(&context, field).map_err(of_derive)
}

/// The user data of a VDU of the records, rendered from a template that a request brings; none when it brings none for it.
pub(super) fn user_data(
    facts: &Facts,
    vnfr: &Record,
    vdur: &Value,
    cloud_init_content: &Map<String, Value>,
) -> Result<Option<Value>, Error> {
    let location = vdur.get("cloud-init").and_then(Value::as_str);
    if !location.is_some_and(|location| cloud_init_content.contains_key(location)) {
        return Ok(None);
    }
    let text_of = |key: &str| vnfr.document.get(key).and_then(Value::as_str);
    let templates = Value::Object(cloud_init_content.clone());
    let context = VduContext {
        ns: NsContext {
            id: facts.nsr_id.as_str(),
            name: None,
        },
        vnf_id: vnfr.id.as_str(),
        member_index: text_of("member-vnf-index-ref").unwrap_or_default(),
        vnfd: None,
        public_key: facts.public_key.as_deref(),
        cloud_init_content: Some(Field::new("cloud_init_content", &templates)),
        templates: &*facts.templates,
        shared_volumes: &[],
    };
    derive::user_data(&context, &Field::new("vdur", vdur))
        .map(Some)
        .map_err(of_derive)
}

/// VDUs on a target that use a flavour.
fn flavour_users<'v>(facts: &'v Facts, wanted: &'v Wanted, flavour: &str, target: &TargetId) -> Vec<FlavourUser<'v>> {
    let mut users = Vec::new();
    for vnf in &wanted.vnfs {
        let vnfd = vnf
            .document
            .get("vnfd-id")
            .and_then(Value::as_str)
            .and_then(|id| facts.vnfds.get(id));
        for vdur in &vnf.vdur {
            let uses = match vdur.document.get("ns-flavor-id") {
                Some(Value::String(id)) => id == flavour,
                Some(Value::Number(id)) => id.to_string() == flavour,
                _ => false,
            };
            if uses && vdur.targets.iter().any(|(on, _)| on == target) {
                users.push(FlavourUser {
                    vdur: Field::new(vdur.path.clone(), &vdur.document),
                    vnfd: vnfd.map(|vnfd| Field::new("vnfd", vnfd)),
                });
            }
        }
    }
    users
}

/// An error of the derivation, for a client.
pub(super) fn of_derive(error: derive::Error) -> Error {
    let path = error.path().unwrap_or_default().to_owned();
    match error.kind() {
        derive::Kind::Shape => Error::Shape {
            path,
            reason: error.to_string(),
        },
        derive::Kind::UndefinedVariable | derive::Kind::Template | derive::Kind::NotFound => Error::BadRequest {
            reason: error.to_string(),
        },
        derive::Kind::Unavailable => Error::Unavailable {
            reason: error.to_string(),
        },
        derive::Kind::Internal => crate::accounts::internal("deriving creation parameters", error),
    }
}
