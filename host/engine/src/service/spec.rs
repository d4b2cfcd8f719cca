//! The document of a network service, and its translation into wanted items.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use vimhost_model::{AccountId, ItemList, NsrId, RecordId, TargetId};

use super::check::check;
use crate::Error;
use crate::wanted::{Wanted, WantedVnf, items};

/// VMs of one kind: more is refused.
const MAX_COUNT: u32 = 1000;

/// A network service as a person writes it. `docs/network-service.md` explains it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceSpec {
    /// Name, which is also the id: 1 to 63 lower-case letters, digits and dashes.
    pub name: String,
    /// The account everything is made on, unless an entry names another.
    pub vim: AccountId,
    /// Networks by name.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Flavours by name.
    #[serde(default)]
    pub flavours: BTreeMap<String, FlavourSpec>,
    /// Placement groups by name.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupSpec>,
    /// VMs by name.
    #[serde(default)]
    pub vms: BTreeMap<String, VmSpec>,
}

/// A network.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Default, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkSpec {
    /// Use the VIM's network of this name instead of making one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
    /// CIDR of the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Gateway address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Whether the VIM serves DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// Whether it is a data-plane network on a physical one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub underlay: bool,
    /// The account it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim: Option<AccountId>,
}

/// A flavour.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlavourSpec {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// MiB of memory.
    pub memory_mb: u64,
    /// GiB of disk.
    pub disk_gb: u64,
    /// Enhanced platform awareness, as in an OSM descriptor (`guest-epa`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_epa: Option<Value>,
}

/// A placement group.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupSpec {
    /// `affinity` or `anti-affinity`.
    pub policy: GroupPolicy,
}

/// Policy of a placement group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    /// Together on one host.
    Affinity,
    /// Each on a host of its own.
    AntiAffinity,
}

/// VMs of one kind.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VmSpec {
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// Name of the image in the VIM.
    pub image: String,
    /// Name of a flavour of this document.
    pub flavour: String,
    /// Interfaces, in order.
    #[serde(default)]
    pub interfaces: Vec<InterfaceSpec>,
    /// Volumes beside the root disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeSpec>,
    /// Names of placement groups of this document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Cloud-init text; a Jinja2 template with the variables of `variables`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Variables of the template.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub variables: Map<String, Value>,
    /// Public SSH keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// The account they are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim: Option<AccountId>,
}

fn one() -> u32 {
    1
}

/// One interface.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InterfaceSpec {
    /// Name of a network of this document.
    pub network: String,
    /// The VM is managed through it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub management: bool,
    /// Fixed address. Only for a single VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// MAC address. Only for a single VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// `PARAVIRT` when absent; `SR-IOV`, `PCI-PASSTHROUGH`, `VIRTIO`, `E1000`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// One volume.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VolumeSpec {
    /// Name within the VM.
    pub name: String,
    /// GiB.
    pub size_gb: u64,
    /// It outlives the VM.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

impl ServiceSpec {
    /// Parses a document.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the field.
    pub fn parse(document: Value) -> Result<Self, Error> {
        let spec: Self = serde_json::from_value(document).map_err(|error| Error::shape("", error.to_string()))?;
        spec.validate()?;
        Ok(spec)
    }

    /// The service's id.
    ///
    /// # Errors
    /// When the name is none.
    pub fn id(&self) -> Result<NsrId, Error> {
        let valid = (1..=63).contains(&self.name.len())
            && self
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !valid {
            return Err(Error::shape(
                "name",
                "is not 1 to 63 lower-case letters, digits and dashes",
            ));
        }
        NsrId::new(self.name.clone()).map_err(|error| Error::shape("name", error.to_string()))
    }

    fn validate(&self) -> Result<(), Error> {
        self.id()?;
        for (name, vm) in &self.vms {
            let path = format!("vms:{name}");
            if vm.count > MAX_COUNT {
                return Err(Error::shape(format!("{path}:count"), format!("is above {MAX_COUNT}")));
            }
            if !self.flavours.contains_key(&vm.flavour) {
                return Err(Error::shape(
                    format!("{path}:flavour"),
                    format!("'{}' is no flavour of this document", vm.flavour),
                ));
            }
            for (index, interface) in vm.interfaces.iter().enumerate() {
                if !self.networks.contains_key(&interface.network) {
                    let reason = format!("'{}' is no network of this document", interface.network);
                    return Err(Error::shape(format!("{path}:interfaces:{index}:network"), reason));
                }
                if vm.count > 1 && (interface.ip_address.is_some() || interface.mac_address.is_some()) {
                    let reason = "a fixed address needs count 1";
                    return Err(Error::shape(format!("{path}:interfaces:{index}"), reason));
                }
            }
            if let Some(group) = vm.groups.iter().find(|group| !self.groups.contains_key(*group)) {
                return Err(Error::shape(
                    format!("{path}:groups"),
                    format!("'{group}' is no group of this document"),
                ));
            }
        }
        check(self)
    }

    /// Accounts that VMs using something are on; the default one when nothing uses it.
    fn targets_of(&self, uses: impl Fn(&VmSpec) -> bool) -> Vec<TargetId> {
        let mut targets: Vec<TargetId> = self
            .vms
            .values()
            .filter(|vm| uses(vm))
            .map(|vm| TargetId::vim(vm.vim.clone().unwrap_or_else(|| self.vim.clone())))
            .collect();
        targets.sort();
        targets.dedup();
        if targets.is_empty() {
            targets.push(TargetId::vim(self.vim.clone()));
        }
        targets
    }

    /// The wanted state, in the words of a deploy request.
    pub(crate) fn wanted(&self) -> Result<Wanted, Error> {
        let mut images: Vec<&str> = self.vms.values().map(|vm| vm.image.as_str()).collect();
        images.sort_unstable();
        images.dedup();
        let vim_info = |targets: Vec<TargetId>, info: &dyn Fn() -> Value| {
            Value::Object(targets.into_iter().map(|target| (target.to_string(), info())).collect())
        };
        let image_items = images
            .iter()
            .map(|name| json!({"id": name, "image": name, "vim_info": vim_info(self.targets_of(|vm| vm.image == *name), &|| json!({}))}))
            .collect();
        let flavour_items = self
            .flavours
            .iter()
            .map(|(name, flavour)| {
                let mut item = json!({
                    "id": name, "name": format!("{}-{name}", self.name), "vcpu-count": flavour.vcpus,
                    "memory-mb": flavour.memory_mb, "storage-gb": flavour.disk_gb,
                    "vim_info": vim_info(self.targets_of(|vm| vm.flavour == *name), &|| json!({})),
                });
                if let (Some(epa), Some(map)) = (&flavour.guest_epa, item.as_object_mut()) {
                    map.insert("guest-epa".to_owned(), epa.clone());
                }
                item
            })
            .collect();
        let group_items = self
            .groups
            .iter()
            .map(|(name, group)| {
                json!({"id": name, "name": format!("{}-{name}", self.name), "type": group.policy, "scope": "nfvi-node",
                       "vim_info": vim_info(self.targets_of(|vm| vm.groups.contains(name)), &|| json!({}))})
            })
            .collect();
        let network_items = self.networks.iter().map(|(name, network)| {
            let targets = match &network.vim {
                Some(vim) => vec![TargetId::vim(vim.clone())],
                None => self.targets_of(|vm| vm.interfaces.iter().any(|interface| interface.network == *name)),
            };
            let managed = self.vms.values().flat_map(|vm| &vm.interfaces).any(|i| i.network == *name && i.management);
            json!({"id": name, "name": name, "mgmt-network": managed && network.existing.is_some(), "underlay": network.underlay,
                   "vim_info": vim_info(targets, &|| network.vim_parameters())})
        });
        let vdur: Vec<Value> = self
            .vms
            .iter()
            .flat_map(|(name, vm)| (0..vm.count).map(move |index| self.vdur(name, vm, index)))
            .collect();
        let cloud_init_content = self
            .vms
            .iter()
            .filter_map(|(name, vm)| {
                vm.user_data
                    .as_ref()
                    .map(|text| (self.template_key(name), Value::String(text.clone())))
            })
            .collect();
        let mut wanted = Wanted {
            name: Some(self.name.clone()),
            ns: vec![
                (
                    ItemList::Vld,
                    items("networks", Some(Value::Array(network_items.collect())))?,
                ),
                (ItemList::Image, items("images", Some(Value::Array(image_items)))?),
                (ItemList::Flavor, items("flavours", Some(Value::Array(flavour_items)))?),
                (
                    ItemList::AffinityGroup,
                    items("groups", Some(Value::Array(group_items)))?,
                ),
            ],
            vnfs: vec![WantedVnf {
                id: self.vnf_id()?,
                vld: Vec::new(),
                vdur: items("vms", Some(Value::Array(vdur)))?,
                document: self.vnfr_document()?,
                path: "vms".to_owned(),
            }],
            cloud_init_content,
        };
        wanted.ns.sort_by_key(|(list, _)| *list);
        Ok(wanted)
    }

    fn vdur(&self, name: &str, vm: &VmSpec, index: u32) -> Value {
        let target = TargetId::vim(vm.vim.clone().unwrap_or_else(|| self.vim.clone()));
        let interfaces: Vec<Value> = vm
            .interfaces
            .iter()
            .enumerate()
            .map(|(number, interface)| {
                let mut value = json!({
                    "name": format!("eth{number}"), "ns-vld-id": interface.network,
                    "type": interface.kind.as_deref().unwrap_or("PARAVIRT"),
                });
                if let Some(map) = value.as_object_mut() {
                    if interface.management {
                        map.insert("mgmt-vnf".to_owned(), Value::Bool(true));
                        map.insert("mgmt-interface".to_owned(), Value::Bool(true));
                    }
                    for (key, address) in [
                        ("ip-address", &interface.ip_address),
                        ("mac-address", &interface.mac_address),
                    ] {
                        if let Some(address) = address {
                            map.insert(key.to_owned(), Value::String(address.clone()));
                        }
                    }
                }
                value
            })
            .collect();
        let storages: Vec<Value> = vm
            .volumes
            .iter()
            .map(|volume| {
                let requirements = if volume.keep {
                    json!([{"key": "keep-volume", "value": "true"}])
                } else {
                    json!([])
                };
                json!({"id": volume.name, "size-of-storage": volume.size_gb, "vdu-storage-requirements": requirements,
                       "type-of-storage": "persistent-storage:persistent-storage"})
            })
            .collect();
        let mut value = json!({
            "id": format!("{name}-{index}"), "_id": format!("{name}-{index}"), "vdu-name": name, "vdu-id-ref": name,
            "count-index": index, "ns-image-id": vm.image, "ns-flavor-id": vm.flavour, "interfaces": interfaces,
            "virtual-storages": storages, "affinity-or-anti-affinity-group-id": vm.groups, "ssh-keys": vm.ssh_keys,
            "additionalParams": vm.variables, "vim_info": {target.to_string(): {}},
        });
        if let (Some(_), Some(map)) = (&vm.user_data, value.as_object_mut()) {
            map.insert("cloud-init".to_owned(), Value::String(self.template_key(name)));
        }
        value
    }

    fn template_key(&self, vm: &str) -> String {
        format!("{}:file:{vm}", self.name)
    }

    pub(super) fn vnf_id(&self) -> Result<RecordId, Error> {
        RecordId::new(format!("{}-vnf", self.name)).map_err(|error| Error::shape("name", error.to_string()))
    }

    pub(super) fn vnfr_document(&self) -> Result<Map<String, Value>, Error> {
        let document = json!({
            "_id": self.vnf_id()?, "id": self.vnf_id()?, "nsr-id-ref": self.name, "member-vnf-index-ref": "vnf",
            "vim-account-id": self.vim, "additionalParamsForVnf": null,
        });
        Ok(document.as_object().cloned().unwrap_or_default())
    }
}

impl NetworkSpec {
    fn vim_parameters(&self) -> Value {
        if let Some(existing) = &self.existing {
            return json!({"vim_network_name": existing});
        }
        let mut profile = Map::new();
        if let Some(subnet) = &self.subnet {
            profile.insert("subnet-address".to_owned(), json!(subnet));
            profile.insert(
                "ip-version".to_owned(),
                json!(if subnet.contains(':') { "ipv6" } else { "ipv4" }),
            );
        }
        if let Some(gateway) = &self.gateway {
            profile.insert("gateway-address".to_owned(), json!(gateway));
        }
        if !self.dns.is_empty() {
            let servers: Vec<Value> = self.dns.iter().map(|address| json!({"address": address})).collect();
            profile.insert("dns-server".to_owned(), Value::Array(servers));
        }
        if let Some(dhcp) = self.dhcp {
            profile.insert("dhcp-params".to_owned(), json!({"enabled": dhcp}));
        }
        if profile.is_empty() {
            json!({})
        } else {
            json!({"ip_profile": profile})
        }
    }
}
