//! VMs: everything a VM is created with, and what has to exist before.

use serde_json::{Value, json};

use super::cloud_init::cloud_config;
use super::disks::disks;
use super::interfaces::{Interfaces, interfaces};
use super::templates::Templates;
use super::{Derived, Error, Field, Item, NAME_PART, NsContext, VDU_NAME_PART, cut, ns_reference, placeholder};

/// What surrounds a VDU: its NS, its VNF and what the request brings for all VDUs.
#[derive(Debug, Clone)]
pub struct VduContext<'v> {
    /// The network service.
    pub ns: NsContext<'v>,
    /// Id of the VNF record.
    pub vnf_id: &'v str,
    /// `member-vnf-index-ref` of the VNF.
    pub member_index: &'v str,
    /// The VNF's descriptor; without it disks are derived from the VDU's own storages.
    pub vnfd: Option<Field<'v>>,
    /// Public key of the NS.
    pub public_key: Option<&'v str>,
    /// The request's templates: location to text.
    pub cloud_init_content: Option<Field<'v>>,
    /// What renders them.
    pub templates: &'v dyn Templates,
    /// The request's `shared-volumes` items, with ids.
    pub shared_volumes: &'v [Field<'v>],
}

/// The part of `additionalParams` that holds OSM's own parameters.
pub(super) fn osm<'v>(vdur: &Field<'v>) -> Result<Option<Field<'v>>, Error> {
    match vdur.get("additionalParams")? {
        Some(params) => params.get("OSM"),
        None => Ok(None),
    }
}

/// Derives only the user data of a VM (`cloud_config`).
///
/// # Errors
/// The template is missing or cannot be rendered, or the NS has no key pair where one is needed.
pub fn user_data(cx: &VduContext<'_>, item: &Field<'_>) -> Result<Value, Error> {
    let name = item.require_text("vdu-name")?;
    cloud_config(cx, &name, item)
}

/// Derives the creation of a VM.
///
/// # Errors
/// A field is missing or not of the agreed shape, interfaces cannot be ordered, the cloud-init template is missing or
/// cannot be rendered, or the NS has no name or no key pair where one is needed.
pub fn vdu(cx: &VduContext<'_>, item: &Field<'_>) -> Result<Derived, Error> {
    let mut derived = Derived {
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::Vdu)
    };
    let name = item.require_text("vdu-name")?;
    let osm = osm(item)?;
    let osm_text = |key| match &osm {
        Some(osm) => osm.text_of(key),
        None => Ok(None),
    };

    let image = ns_reference(cx.ns.id, "image", &item.require_text("ns-image-id")?);
    let image_id = placeholder(&image);
    derived.depend_on(image);
    let flavor_id = match osm_text("vim_flavor_id")? {
        Some(existing) => existing,
        None => {
            let flavour = ns_reference(cx.ns.id, "flavor", &item.require_text("ns-flavor-id")?);
            let flavor_id = placeholder(&flavour);
            derived.depend_on(flavour);
            flavor_id
        }
    };

    let Interfaces {
        net_list,
        depends_on,
        mgmt_vnf,
        mgmt_vdu,
        places,
        data_networks,
        record,
    } = interfaces(cx, &name, item)?;
    for network in depends_on {
        derived.depend_on(network);
    }

    // A map for each group: one that is shared would end up with the last id everywhere.
    let mut groups = Vec::new();
    for group in item.list("affinity-or-anti-affinity-group-id")? {
        let group = ns_reference(cx.ns.id, Item::AffinityGroup.as_str(), &group.text()?);
        groups.push(json!({ "affinity_group_id": placeholder(&group) }));
        derived.depend_on(group);
    }

    let (disk_list, shared_volumes) = disks(cx, item, &image_id)?;
    for volume in shared_volumes {
        derived.depend_on(volume);
    }

    let vm_name = match osm_text("instance_name")? {
        // A name is one VM's: replicas beyond the first have their number behind it.
        Some(instance_name) => match item.whole_of("count-index")?.filter(|count| *count > 0) {
            Some(count) => format!("{instance_name}-{count}"),
            None => instance_name,
        },
        None => format!(
            "{}-{}-{}-{}",
            cx.ns.name_prefix()?,
            cut(cx.member_index, NAME_PART),
            cut(&name, VDU_NAME_PART),
            item.whole_of("count-index")?.unwrap_or(0),
        ),
    };
    let mut params = json!({
        "name": vm_name,
        "description": name,
        "start": true,
        "image_id": image_id,
        "flavor_id": flavor_id,
        "affinity_group_list": groups,
        "net_list": net_list,
        "cloud_config": cloud_config(cx, &name, item)?,
        "disk_list": disk_list,
        "availability_zone_index": null,
        "availability_zone_list": null,
    });
    if let (Some(group), Some(params)) = (osm_text("security-group-name")?, params.as_object_mut()) {
        params.insert("security_group_name".to_owned(), group.into());
    }

    derived.params = Some(params);
    derived.mgmt_vnf_interface = mgmt_vnf;
    derived.mgmt_vdu_interface = mgmt_vdu;
    derived.interface_places = places;
    derived.data_networks = data_networks;
    derived.record_item = match record {
        Some(interfaces) => {
            let mut record = item.object()?.clone();
            record.insert("interfaces".to_owned(), interfaces);
            Some(Value::Object(record))
        }
        None => None,
    };
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{Kind, testing};

    fn derive(cx: &VduContext<'_>, item: &Value) -> Result<Derived, Error> {
        vdu(cx, &Field::new("vnf:0:vdur:1", item))
    }

    fn minimal() -> Value {
        json!({"id": "v", "vdu-name": "vm", "ns-image-id": "0", "ns-flavor-id": "0"})
    }

    /// NG-RO's expectation comes from a test that replaces the functions for interfaces and disks by empty ones; the
    /// other fields are compared with it, those two with what the same input makes.
    fn compare_with_ng_ro(vnfd: &str, target: &str, expected: &str, disks: Value) {
        let constants = testing::ng_ro_constants();
        let cx = VduContext {
            ns: NsContext {
                id: "th47f48-9870-4169-b758-9732e1ff40f3",
                name: Some("sample_name"),
            },
            member_index: "vnf-several-volumes",
            vnfd: Some(Field::new("vnfd", &constants[vnfd])),
            ..testing::context()
        };
        let derived = derive(&cx, &constants[target]).unwrap();
        let mut wanted = constants[expected].clone();
        wanted["depends_on"]
            .as_array_mut()
            .unwrap()
            .push(json!("nsrs:th47f48-9870-4169-b758-9732e1ff40f3:vld.mgmtnet"));
        wanted["params"]["net_list"] = json!([{
            "name": "vdu-eth0", "net_id": "TASK-nsrs:th47f48-9870-4169-b758-9732e1ff40f3:vld.mgmtnet",
            "type": "virtual", "use": "bridge", "model": null,
        }]);
        wanted["params"]["disk_list"] = disks;
        assert_eq!(
            json!({"depends_on": derived.depends_on, "params": derived.params}),
            wanted
        );
        assert_eq!(
            (derived.item, derived.find_params, derived.record_item),
            (Item::Vdu, None, None)
        );
    }

    #[test]
    fn ng_ros_vdu_with_volumes_is_derived_field_for_field() {
        let disks = json!([{"image_id": "ubuntu20.04", "size": 10, "keep": true}, {"size": 10, "keep": false}]);
        compare_with_ng_ro(
            "vnfd_wth_persistent_storage",
            "target_vdu_wth_persistent_storage",
            "expected_extra_dict",
            disks,
        );
    }

    #[test]
    fn ng_ros_vdu_without_volumes_is_derived_field_for_field() {
        let target = "target_vdu_wthout_persistent_storage";
        compare_with_ng_ro(
            "vnfd_wthout_persistent_storage",
            target,
            "expected_extra_dict2",
            json!([]),
        );
    }

    #[test]
    fn a_real_record_is_derived() {
        let records = testing::deployed_records();
        let location = records["vdur"]["cloud-init"].as_str().unwrap();
        let content = json!({ location: "#cloud-config\nhost: {{ OSM.vdu_id }}\n" });
        let cx = VduContext {
            public_key: Some("ssh-rsa KEY"),
            cloud_init_content: Some(Field::new("cloud_init_content", &content)),
            ..testing::context()
        };
        let derived = derive(&cx, &records["vdur"]).unwrap();
        let params = derived.params.unwrap();
        assert_eq!(params["name"], "ns-vnf1-mgmtVM-0");
        assert_eq!(
            params["cloud_config"],
            json!({"user-data": "#cloud-config\nhost: mgmtVM", "key-pairs": ["ssh-rsa KEY"]})
        );
        assert_eq!(params["net_list"][0]["use"], "mgmt");
        assert_eq!(params["net_list"][1]["model"], "PARAVIRT");
        assert_eq!(
            (derived.mgmt_vnf_interface, derived.mgmt_vdu_interface),
            (Some(0), None)
        );
        assert_eq!(derived.record_item, None);
        let wanted = [
            "nsrs:ns-id:image.0",
            "nsrs:ns-id:flavor.0",
            "nsrs:ns-id:vld.mgmtnet",
            "nsrs:ns-id:vld.datanet",
        ];
        assert_eq!(derived.depends_on, wanted);
    }

    #[test]
    fn names_are_cut_part_by_part() {
        let cx = VduContext {
            ns: NsContext {
                id: "ns-id",
                name: Some("ns-with-dashes-and-ümlauts"),
            },
            member_index: "a member index that is long",
            ..testing::context()
        };
        let mut item = minimal();
        item["vdu-name"] = json!("a-vdu-name-of-more-than-thirty-two-characters");
        item["count-index"] = json!(7);
        let params = derive(&cx, &item).unwrap().params.unwrap();
        assert_eq!(
            params["name"],
            "ns-with-dashes-a-a member index t-a-vdu-name-of-more-than-thirty-t-7"
        );
        assert_eq!(params["description"], "a-vdu-name-of-more-than-thirty-two-characters");
    }

    #[test]
    fn integer_ids_are_references_too() {
        let item = json!({"vdu-name": "vm", "ns-image-id": 1, "ns-flavor-id": 2});
        let derived = derive(&testing::context(), &item).unwrap();
        assert_eq!(derived.depends_on, ["nsrs:ns-id:image.1", "nsrs:ns-id:flavor.2"]);
    }

    #[test]
    fn d21_each_group_has_its_own_entry() {
        let mut item = minimal();
        item["affinity-or-anti-affinity-group-id"] = json!(["0", 1]);
        let derived = derive(&testing::context(), &item).unwrap();
        let reference = |id| format!("nsrs:ns-id:affinity-or-anti-affinity-group.{id}");
        let entry = |id| json!({"affinity_group_id": format!("TASK-{}", reference(id))});
        assert_eq!(
            derived.params.unwrap()["affinity_group_list"],
            json!([entry(0), entry(1)])
        );
        assert_eq!(derived.depends_on[2..], [reference(0), reference(1)]);
    }

    #[test]
    fn dependencies_come_in_ng_ros_order() {
        let mut item = minimal();
        item["affinity-or-anti-affinity-group-id"] = json!(["g"]);
        item["interfaces"] = json!([{"ns-vld-id": "b", "position": 2}, {"vnf-vld-id": "a", "position": 1}]);
        let lists = derive(&testing::context(), &item).unwrap().depends_on;
        let wanted = [
            "nsrs:ns-id:image.0",
            "nsrs:ns-id:flavor.0",
            "vnfrs:vnf-id:vld.a",
            "nsrs:ns-id:vld.b",
            "nsrs:ns-id:affinity-or-anti-affinity-group.g",
        ];
        assert_eq!(lists, wanted);
    }

    #[test]
    fn the_record_keeps_unknown_keys_when_interfaces_change() {
        let mut item = minimal();
        item["unknown"] = json!({"kept": [1, 2]});
        item["interfaces"] = json!([{"name": "e", "ns-vld-id": "n", "port-security-enabled": true, "x": 1}]);
        let record = derive(&testing::context(), &item).unwrap().record_item.unwrap();
        assert_eq!(record["unknown"], json!({"kept": [1, 2]}));
        assert_eq!(
            record["interfaces"],
            json!([{"name": "e", "ns-vld-id": "n", "port_security": true, "x": 1}])
        );
    }

    #[test]
    fn later_releases_parameters_override() {
        let mut item = minimal();
        item["additionalParams"] = json!({"OSM": {
            "vim_flavor_id": "f", "instance_name": "a name of any length that nobody cuts", "security-group-name": "sg",
        }});
        let derived = derive(&testing::context(), &item).unwrap();
        let params = derived.params.unwrap();
        assert_eq!(params["flavor_id"], "f");
        assert_eq!(params["name"], "a name of any length that nobody cuts");
        assert_eq!(params["security_group_name"], "sg");
        assert_eq!(derived.depends_on, ["nsrs:ns-id:image.0"]);
    }

    #[test]
    fn replicas_beyond_the_first_have_their_number_behind_the_given_name() {
        for (count, name) in [
            (json!(null), "edge"),
            (json!(0), "edge"),
            (json!(1), "edge-1"),
            (json!("12"), "edge-12"),
        ] {
            let mut item = minimal();
            item["additionalParams"] = json!({"OSM": {"instance_name": "edge"}});
            item["count-index"] = count;
            let derived = derive(&testing::context(), &item).unwrap();
            assert_eq!(derived.params.unwrap()["name"], name);
        }
    }

    #[test]
    fn hostile_vdus_are_errors_with_their_place() {
        for (key, value, path) in [
            ("vdu-name", json!(null), "vdu-name"),
            ("ns-image-id", json!({"id": 0}), "ns-image-id"),
            ("ns-flavor-id", json!(""), "ns-flavor-id"),
            ("count-index", json!(-1), "count-index"),
            (
                "affinity-or-anti-affinity-group-id",
                json!("g"),
                "affinity-or-anti-affinity-group-id",
            ),
            (
                "affinity-or-anti-affinity-group-id",
                json!([[]]),
                "affinity-or-anti-affinity-group-id:0",
            ),
            ("additionalParams", json!("x"), "additionalParams"),
            ("additionalParams", json!({"OSM": 1}), "additionalParams:OSM"),
            (
                "additionalParams",
                json!({"OSM": {"vdu_volumes": {}}}),
                "additionalParams:OSM:vdu_volumes",
            ),
            ("ssh-keys", json!("ssh-rsa"), "ssh-keys"),
            ("cloud-init", json!(["a"]), "cloud-init"),
        ] {
            let mut item = minimal();
            item[key] = value;
            let error = derive(&testing::context(), &item).unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (Kind::Shape, Some(format!("vnf:0:vdur:1:{path}").as_str()))
            );
        }
        assert!(derive(&testing::context(), &json!("vm")).is_err());
    }
}
