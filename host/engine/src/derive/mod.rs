//! What a wanted item is created with: NG-RO's creation parameters, derived from the request and the descriptor.
//!
//! A deploy request describes networks, images, flavours, groups and VMs in the words of OSM's records. A CREATE task
//! carries the words of a connector: `net_name`, `flavor_data`, `net_list`. Everything here turns the first into the
//! second and says what each task has to wait for.
//!
//! **Why pure functions over JSON.** The records belong to other programs and keep keys that are unknown here, so a
//! typed model of them would either lose those keys or restate them. A [`Field`] is the compromise: a value that knows
//! where it stands, whose readers answer a typed error with that place instead of a panic. Nothing here reads a clock,
//! a file or a database; the same input always derives the same task. What renders templates is handed in ([`templates::Templates`]).
//!
//! **What always holds.**
//! * The keys and shapes of the result are NG-RO's, because task documents are shown to clients and shared with NG-RO's
//!   connectors' vocabulary.
//! * `null`, an absent key and an empty text mean the same: not given. Numbers may come as numeric text and ids as
//!   integers, for that is how descriptors and LCM write them.
//! * A request of any shape ends in a result or an [`Error`], never in a panic; templates run within bounds.
//!
//! **What it does not do.** It does not decide *whether* something is created (the planner does), does not resolve
//! `TASK-` placeholders (the task machine does), and does not read packages from a file system.

mod cloud_init;
mod disks;
mod epa;
mod error;
mod field;
mod flavour;
mod group;
mod image;
mod interfaces;
mod network;
mod python_methods;
mod sdn;
pub mod templates;
#[cfg(test)]
mod testing;
mod vdu;
mod volume;

use serde_json::Value;

pub use error::{Error, Kind, Misplaced, PositionProblem};
pub use field::{Field, MAX_WHOLE};
pub use flavour::{FlavourUser, flavour};
pub use group::group;
pub use image::image;
pub use network::network;
pub use vdu::{VduContext, user_data, vdu};
pub use vimhost_model::Item;
pub use volume::shared_volume;

/// What one CREATE task is made of, in NG-RO's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The kind of item the task creates.
    pub item: Item,
    /// Creation parameters; absent when the element may only be found.
    pub params: Option<Value>,
    /// How to look for an existing element first; absent when one is always created.
    pub find_params: Option<Value>,
    /// What must exist before: `nsrs:<ns>:image.0`, or `<target> <reference>` for something on another target. Each
    /// reference stands here once, in the order in which the item names it.
    pub depends_on: Vec<String>,
    /// Items of several services with the same key share one element.
    pub common_id: Option<String>,
    /// Position in `net_list` of the interface that carries the VNF's management address.
    pub mgmt_vnf_interface: Option<u32>,
    /// Position in `net_list` of the interface that carries the VDU's management address.
    pub mgmt_vdu_interface: Option<u32>,
    /// Of each entry of `net_list`, its place among the interfaces of the record; empty where both count alike.
    pub interface_places: Vec<usize>,
    /// The wanted item as it is to be written to the record, where derivation changes it: interfaces put in order and
    /// port security renamed.
    pub record_item: Option<Value>,
    /// References of networks that an SR-IOV or passthrough interface turns into `net_type: data`, where the same
    /// request creates them.
    pub data_networks: Vec<String>,
}

impl Derived {
    fn new(item: Item) -> Self {
        Self {
            item,
            params: None,
            find_params: None,
            depends_on: Vec::new(),
            common_id: None,
            mgmt_vnf_interface: None,
            mgmt_vdu_interface: None,
            interface_places: Vec::new(),
            record_item: None,
            data_networks: Vec::new(),
        }
    }

    fn depend_on(&mut self, reference: String) {
        push_new(&mut self.depends_on, reference);
    }
}

/// The network service for which is derived.
#[derive(Debug, Clone, Copy)]
pub struct NsContext<'v> {
    /// Id of the NS record.
    pub id: &'v str,
    /// Name of the NS in the request. The schema leaves it out for a terminate; creating a network or a VM needs it.
    pub name: Option<&'v str>,
}

impl NsContext<'_> {
    /// The part of the NS name that goes into names of VIM elements.
    fn name_prefix(&self) -> Result<String, Error> {
        match self.name {
            Some(name) if !name.is_empty() => Ok(cut(name, NAME_PART)),
            Some(_) | None => Err(Error::Shape {
                path: "name".to_owned(),
                expected: "the name of the NS",
                found: "nothing",
            }),
        }
    }
}

/// Reference of an item of the NS record: `nsrs:<ns>:<list>.<id>`.
pub fn ns_reference(ns: &str, list: &str, id: &str) -> String {
    format!("nsrs:{ns}:{list}.{id}")
}

/// Reference of an item of a VNF record: `vnfrs:<vnf>:<list>.<id>`.
pub fn vnf_reference(vnf: &str, list: &str, id: &str) -> String {
    format!("vnfrs:{vnf}:{list}.{id}")
}

/// What stands in parameters for the VIM id of something that is not created yet.
pub fn placeholder(reference: &str) -> String {
    format!("TASK-{reference}")
}

/// Characters of the NS name, the member index and a network's name that reach a VIM name. NG-RO's number; a longer
/// part would make names that differ from those of elements NG-RO created.
const NAME_PART: usize = 16;

/// Characters of a VDU's name that reach a VM name; NG-RO's number.
const VDU_NAME_PART: usize = 32;

/// The first `length` characters; counted in characters, because a cut inside one would not be text any more.
fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

fn push_new(list: &mut Vec<String>, reference: String) {
    if !list.contains(&reference) {
        list.push(reference);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_cut_by_characters_not_bytes() {
        assert_eq!(cut("äöüäöüäöüäöüäöüäöü", 16), "äöüäöüäöüäöüäöüä");
        assert_eq!(cut("short", 16), "short");
    }

    /// Every copy of `value` in which one member or element, at any depth, is replaced by `with`.
    fn spoilt(value: &Value, with: &Value) -> Vec<Value> {
        let mut copies = vec![with.clone()];
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    copies.extend(spoilt(inner, with).into_iter().map(|inner| {
                        let mut copy = map.clone();
                        copy.insert(key.clone(), inner);
                        Value::Object(copy)
                    }));
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    copies.extend(spoilt(inner, with).into_iter().map(|inner| {
                        let mut copy = list.clone();
                        copy[index] = inner;
                        Value::Array(copy)
                    }));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        copies
    }

    #[test]
    fn rubbish_anywhere_is_survived_and_every_shape_error_has_its_place() {
        let constants = testing::ng_ro_constants();
        let mut item = testing::deployed_records()["vdur"].clone();
        item["cloud-init"] = json!(null);
        item["ssh-access-required"] = json!(false);
        item["virtual-storages"] = constants["target_vdu_wth_persistent_storage"]["virtual-storages"].clone();
        item["vdu-name"] = json!("several_volumes-VM");
        let vnfd = &constants["vnfd_wth_persistent_storage"];
        let check = |result: Result<Derived, Error>| {
            if let Err(error) = result
                && error.kind() == Kind::Shape
            {
                assert!(error.path().is_some_and(|path| !path.is_empty()), "{error}");
            }
        };
        let flavor = json!({"name": "f", "memory-mb": 1, "vcpu-count": 1, "storage-gb": 1, "guest-epa": {
            "cpu-pinning-policy": "DEDICATED", "mem-quota": {"limit": 1}, "numa-node-policy": {"node": [{
                "id": 0, "vcpu": [{"id": 0}], "memory-mb": 1,
                "paired-threads": {"num-paired-threads": 1, "paired-thread-ids": [{"thread-a": 0, "thread-b": 1}]},
            }]},
        }});
        let info =
            json!({"ip_profile": {"dns-server": [{"address": "a"}], "dhcp-params": {"enabled": true, "count": 1}}});
        let net = json!({"id": "n"});
        for with in [
            json!(null),
            json!(true),
            json!(-1),
            json!(1e308),
            json!(""),
            json!("x"),
            json!([[]]),
            json!({"a": {}}),
        ] {
            for vdur in spoilt(&item, &with) {
                let vdur = Field::new("vnf:0:vdur:0", &vdur);
                let vnfd = Some(Field::new("vnfd", vnfd));
                check(vdu(
                    &VduContext {
                        vnfd: vnfd.clone(),
                        ..testing::context()
                    },
                    &vdur,
                ));
                check(flavour(&Field::new("flavor:0", &flavor), &[FlavourUser { vdur, vnfd }]));
            }
            for vnfd in spoilt(vnfd, &with) {
                let cx = VduContext {
                    vnfd: Some(Field::new("vnfd", &vnfd)),
                    ..testing::context()
                };
                check(vdu(&cx, &Field::new("vnf:0:vdur:0", &item)));
            }
            for flavor in spoilt(&flavor, &with) {
                check(flavour(&Field::new("flavor:0", &flavor), &[]));
                check(image(&Field::new("image:0", &flavor)));
                check(group(&Field::new("group:0", &flavor)));
            }
            for info in spoilt(&info, &with) {
                let (item, info) = (Field::new("ns:vld:0", &net), Field::new("ns:vld:0:vim_info", &info));
                check(network(
                    &testing::context().ns,
                    "nsrs:ns-id:vld.n",
                    &item,
                    "vim:1",
                    &info,
                ));
            }
        }
    }

    #[test]
    fn references_have_the_forms_of_task_documents() {
        assert_eq!(ns_reference("n", "image", "0"), "nsrs:n:image.0");
        assert_eq!(placeholder(&vnf_reference("v", "vld", "int")), "TASK-vnfrs:v:vld.int");
    }
}
