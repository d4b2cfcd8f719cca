//! Network services without OSM: a short YAML document instead of NS, VNF and package records.
//!
//! A [`ServiceSpec`] is translated into the same wanted items and records that a deploy request of LCM carries, so planning,
//! tasks and results are the same whoever asks. The service's name is its id; its VMs belong to one VNF record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vimhost_model::{AccountId, Collection, ItemList, NsrId, RecordId, Revision, TargetId};

use crate::wanted::{DeployRequest, Wanted, WantedVnf, digest_of, items};
use crate::{Engine, Error};

/// VMs of one kind: more is refused.
const MAX_COUNT: u32 = 1000;

/// A network service as a person writes it. `docs/network-service.md` explains it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
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
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Default)]
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
    /// `data` (data plane on a physical network) or absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub underlay: bool,
    /// The account it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim: Option<AccountId>,
}

/// A flavour.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
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
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupSpec {
    /// `affinity` or `anti-affinity`.
    pub policy: GroupPolicy,
}

/// Policy of a placement group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    /// Together on one host.
    Affinity,
    /// Each on a host of its own.
    AntiAffinity,
}

/// VMs of one kind.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
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
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
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
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
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

/// A service as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceView {
    /// Its id.
    pub id: NsrId,
    /// Its name.
    pub name: String,
    /// The document it was made from, for services made here.
    pub spec: Option<ServiceSpec>,
    /// The NS record.
    pub nsr: Value,
    /// The VNF records.
    pub vnfrs: Vec<Value>,
    /// Revision of the NS record, for `If-Match`.
    pub revision: Revision,
}

/// How often replacing a document is tried while results of running tasks land in its record.
const PUT_TRIES: usize = 20;

/// The key of the NS record that holds the document.
const SPEC_KEY: &str = "vimhost-spec";

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
        Ok(())
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

    fn vnf_id(&self) -> Result<RecordId, Error> {
        RecordId::new(format!("{}-vnf", self.name)).map_err(|error| Error::shape("name", error.to_string()))
    }

    fn vnfr_document(&self) -> Result<Map<String, Value>, Error> {
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

impl Engine {
    /// Keeps a document: makes the service's records, or replaces the document of an existing service. Deploys nothing.
    ///
    /// # Errors
    /// When an account it names does not exist, or a service of that id exists that was not made here.
    pub async fn put_service(&self, spec: &ServiceSpec) -> Result<ServiceView, Error> {
        let nsr_id = spec.id()?;
        for vim in std::iter::once(&spec.vim).chain(spec.vms.values().filter_map(|vm| vm.vim.as_ref())) {
            self.account(&TargetId::vim(vim.clone())).await?;
        }
        let record_id = nsr_id
            .retype()
            .map_err(|error| Error::shape("name", error.to_string()))?;
        let vnf_id = spec.vnf_id()?;
        let spec_value =
            serde_json::to_value(spec).map_err(|error| crate::accounts::internal("writing a service", error))?;
        // Somebody's result can land in the record while its document is replaced, so replacing is repeated on what is read anew.
        for _ in 0..PUT_TRIES {
            let Some(record) = self.record(Collection::Nsrs, &record_id).await? else {
                let nsr = json!({"_id": nsr_id, "id": nsr_id, "name": spec.name, "constituent-vnfr-ref": [vnf_id],
                                 SPEC_KEY: spec_value});
                let vnfr = Value::Object(spec.vnfr_document()?);
                self.store
                    .put_records(vec![
                        (Collection::Nsrs, record_id, nsr),
                        (Collection::Vnfrs, vnf_id, vnfr),
                    ])
                    .await
                    .map_err(|error| Error::of_store("writing a service", error))?;
                return self.service(&nsr_id).await;
            };
            let mut nsr = record.document;
            match nsr.as_object_mut().and_then(|map| map.get_mut(SPEC_KEY)) {
                Some(kept) => *kept = spec_value.clone(),
                None => {
                    return Err(Error::Conflict {
                        reason: format!("network service '{nsr_id}' exists and was not made here"),
                    });
                }
            }
            match self
                .store
                .put_record(Collection::Nsrs, &record_id, nsr, Some(record.revision))
                .await
            {
                Ok(_) => return self.service(&nsr_id).await,
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("writing a service", error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!("network service '{nsr_id}' is being changed; try again"),
        })
    }

    /// A service with its records.
    ///
    /// # Errors
    /// When there is none.
    pub async fn service(&self, nsr: &NsrId) -> Result<ServiceView, Error> {
        let record_id = nsr.retype().map_err(|error| Error::shape("", error.to_string()))?;
        let record = self
            .record(Collection::Nsrs, &record_id)
            .await?
            .ok_or_else(|| Error::not_found("network service", nsr))?;
        let vnfrs = self
            .store
            .vnfrs_of(nsr)
            .await
            .map_err(|error| Error::of_store("reading VNF records", error))?;
        let spec = record
            .document
            .get(SPEC_KEY)
            .and_then(|value| serde_json::from_value(value.clone()).ok());
        let name = record
            .document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Ok(ServiceView {
            id: nsr.clone(),
            name,
            spec,
            nsr: record.document,
            vnfrs: vnfrs.into_iter().map(|vnfr| vnfr.document).collect(),
            revision: record.revision,
        })
    }

    /// The deploy request of a service's document.
    ///
    /// # Errors
    /// When there is no such service, or it was not made here.
    pub async fn service_request(&self, nsr: &NsrId) -> Result<DeployRequest, Error> {
        let view = self.service(nsr).await?;
        let spec = view.spec.ok_or_else(|| Error::Conflict {
            reason: format!("network service '{nsr}' was not made here; deploy it as NG-RO does"),
        })?;
        let digest = digest_of(&serde_json::to_value(&spec).unwrap_or_default());
        Ok(DeployRequest {
            action_id: None,
            digest,
            wanted: spec.wanted()?,
        })
    }

    /// Removes a service's records and history. Refused while something of it may exist.
    ///
    /// # Errors
    /// When there is none, or it is not terminated.
    pub async fn remove_service(&self, nsr: &NsrId) -> Result<(), Error> {
        let view = self.service(nsr).await?;
        let resources = self
            .store
            .resources_of(nsr)
            .await
            .map_err(|error| Error::of_store("reading resources", error))?;
        let left = resources
            .iter()
            .filter(|resource| {
                let held = resource.holders().any(|holder| holder.nsr_id == *nsr);
                // What a failed deletion left is still this service's business, unless somebody else has it.
                let left = resource.may_exist() && resource.live_creates().next().is_none();
                held || left || resource.has_open_tasks()
            })
            .count();
        if left > 0 {
            return Err(Error::Conflict {
                reason: format!("network service '{nsr}' still has {left} elements; terminate it first"),
            });
        }
        self.forget(nsr).await?;
        for vnfr in view.vnfrs {
            if let Some(id) = vnfr
                .get("_id")
                .and_then(Value::as_str)
                .and_then(|id| RecordId::new(id).ok())
            {
                self.store
                    .delete_record(Collection::Vnfrs, &id)
                    .await
                    .map_err(|error| Error::of_store("removing a VNF record", error))?;
            }
        }
        let record_id = nsr.retype().map_err(|error| Error::shape("", error.to_string()))?;
        self.store
            .delete_record(Collection::Nsrs, &record_id)
            .await
            .map_err(|error| Error::of_store("removing a service record", error))?;
        Ok(())
    }
}
