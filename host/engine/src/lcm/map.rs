//! From the resources of a stack to what SOL003 shows of an instance. Pure.
//!
//! Ids are the VIM's own, so an element keeps its id for as long as it lives. Which VM a port or a volume belongs to is what Heat says: the
//! same stack, and the VM among those that need it. A port that the client provides is no resource of the stack: its VM is that of the member
//! for which the template was given it.

use std::cmp::Reverse;

use serde_json::{Map, Value};
use vimhost_connector::StackResource;
use vimhost_model::vnf::{
    DeploymentFlavour, ExtCpProtocolInfo, ExtLinkPortData, ExtLinkPortInfo, ExtManagedVirtualLinkInfo,
    ExtVirtualLinkData, ExtVirtualLinkInfo, InstantiatedVnfInfo, ResourceHandle, ScaleInfo, VirtualStorageResourceInfo,
    VnfExtCpConfig, VnfExtCpInfo, VnfLinkPortInfo, VnfOperationalState, VnfVirtualLinkResourceInfo, VnfcCpInfo,
    VnfcInfo, VnfcResourceInfo,
};

use super::plan::parameters::external;
use super::plan::template::{base_name, number_of};
use super::work::Kept;

const SERVER: &str = "OS::Nova::Server";
const VOLUME: &str = "OS::Cinder::Volume";
const NETWORK: &str = "OS::Neutron::Net";
const PORT: &str = "OS::Neutron::Port";

/// What the instance is made of.
pub(crate) struct Picture<'a> {
    /// Resources, nested ones included.
    pub resources: &'a [StackResource],
    /// Flavour.
    pub flavour: &'a DeploymentFlavour,
    /// VNFD.
    pub vnfd_id: &'a str,
    /// Record of the stack.
    pub kept: &'a Kept,
    /// Key of the connection.
    pub connection: Option<&'a str>,
    /// Project.
    pub tenant: Option<&'a str>,
    /// What was there before.
    pub before: Option<&'a InstantiatedVnfInfo>,
}

/// A port that the client provides, as the template was given it.
struct Provided<'a> {
    link: &'a ExtVirtualLinkData,
    cpd: &'a str,
    config_id: &'a str,
    config: &'a VnfExtCpConfig,
    port: &'a ExtLinkPortData,
    /// Id of the VM it is plugged into.
    server: Option<&'a str>,
}

impl Provided<'_> {
    fn cp_id(&self) -> String {
        format!("cp-{}", self.port.resource_handle.resource_id)
    }
}

impl Picture<'_> {
    /// What SOL003 shows.
    pub(crate) fn info(&self) -> InstantiatedVnfInfo {
        let provided = self.provided();
        let vnfcs = self.vnfcs(&provided);
        InstantiatedVnfInfo {
            flavour_id: self.kept.flavour.clone(),
            vnf_state: VnfOperationalState::Started,
            scale_status: self.levels(|aspect| self.kept.levels.get(aspect).copied().unwrap_or_default()),
            max_scale_levels: self.levels(|aspect| {
                let described = self.flavour.aspects.get(aspect);
                described.map(|aspect| aspect.max_scale_level).unwrap_or_default()
            }),
            ext_cp_info: Some(self.ext_cps(&provided)),
            ext_virtual_link_info: some(self.ext_links(&provided)),
            ext_managed_virtual_link_info: some(self.ext_managed()),
            localization_language: self.before.and_then(|before| before.localization_language.clone()),
            vnfc_info: some(vnfcs.iter().map(|vnfc| self.vnfc_info(vnfc)).collect()),
            vnfc_resource_info: some(vnfcs),
            vnf_virtual_link_resource_info: some(self.links()),
            virtual_storage_resource_info: some(self.storages()),
            metadata: Some(self.metadata()),
        }
    }

    fn metadata(&self) -> Map<String, Value> {
        let before = self.before.and_then(|before| before.metadata.clone());
        let mut metadata = before.unwrap_or_default();
        if let Some(id) = &self.kept.id {
            metadata.insert("stack_id".to_owned(), Value::from(id.as_str()));
        }
        metadata.insert("nfv".to_owned(), Value::Object(self.kept.nfv.clone()));
        if let Some(tenant) = self.tenant {
            metadata.insert("tenant".to_owned(), Value::from(tenant));
        }
        metadata
    }

    fn levels(&self, level: impl Fn(&str) -> u32) -> Option<Vec<ScaleInfo>> {
        let aspects = self.flavour.aspects.keys();
        some(
            aspects
                .map(|aspect| ScaleInfo {
                    aspect_id: aspect.clone(),
                    vnfd_id: Some(self.vnfd_id.to_owned()),
                    scale_level: level(aspect),
                })
                .collect(),
        )
    }

    fn of_type<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = (&'s StackResource, &'s str)> {
        self.resources
            .iter()
            .filter(move |resource| resource.resource_type == kind)
            .filter_map(|resource| Some((resource, resource.physical_id.as_ref()?.as_str())))
    }

    fn handle(&self, resource: &StackResource, id: &str) -> ResourceHandle {
        ResourceHandle {
            vim_connection_id: self.connection.map(str::to_owned),
            resource_provider_id: None,
            resource_id: id.to_owned(),
            vim_level_resource_type: Some(resource.resource_type.clone()),
        }
    }

    fn handle_of_network(&self, id: &str) -> ResourceHandle {
        ResourceHandle {
            vim_connection_id: self.connection.map(str::to_owned),
            resource_provider_id: None,
            resource_id: id.to_owned(),
            vim_level_resource_type: Some(NETWORK.to_owned()),
        }
    }

    /// The resource whose nested stack a resource is in.
    fn member_of(&self, resource: &StackResource) -> Option<&StackResource> {
        let parent = resource.parent.as_ref()?;
        self.resources.iter().find(|member| {
            member.name == *parent && member.physical_id.is_some() && member.physical_id == resource.stack.id
        })
    }

    fn metadata_of(&self, resource: &StackResource) -> Map<String, Value> {
        let mut metadata = Map::new();
        let mut put = |name: &str, value: String| metadata.insert(name.to_owned(), Value::from(value));
        if let Some(created) = &resource.created {
            put("creation_time", created.clone());
        }
        put("stack_id", stack_id(resource));
        put("resource_name", resource.name.clone());
        if let Some(member) = self.member_of(resource) {
            put("parent_stack_id", stack_id(member));
            put("parent_resource_name", member.name.clone());
        }
        if let Some(number) = number_of(self.member_name(resource), |name| self.is_vdu(name)) {
            metadata.insert("vdu_idx".to_owned(), Value::from(number));
        }
        metadata
    }

    fn is_vdu(&self, name: &str) -> bool {
        self.flavour.vdus.contains_key(name)
    }

    fn is_cpd(&self, name: &str) -> bool {
        self.flavour.cps.contains_key(name)
    }

    /// What a template calls the member that a resource is of. A nested stack has its own names, the same for every member: then it is the
    /// name of the resource whose stack that is.
    fn member_name<'r>(&'r self, resource: &'r StackResource) -> &'r str {
        self.member_of(resource)
            .map_or(resource.name.as_str(), |member| member.name.as_str())
    }

    /// The number of the member that a resource is of.
    fn number_of(&self, resource: &StackResource) -> Option<u32> {
        let is_known = |name: &str| self.is_vdu(name) || self.is_cpd(name);
        number_of(&resource.name, is_known).or_else(|| number_of(self.member_name(resource), is_known))
    }

    fn vdu_of<'r>(&self, server: &'r StackResource) -> Option<&'r str> {
        base_name(&server.name, |name| self.is_vdu(name))
    }

    fn cpd_of<'r>(&self, port: &'r StackResource) -> Option<&'r str> {
        base_name(&port.name, |name| self.is_cpd(name))
    }

    /// The ports that the template was given. One that it does not ask for is used by nothing.
    fn provided(&self) -> Vec<Provided<'_>> {
        let sent = self.kept.nfv.get("CP").and_then(Value::as_object);
        sent.into_iter()
            .flatten()
            .filter_map(|(name, fields)| {
                let given = fields.get("port")?.as_str()?;
                let cpd = base_name(name, |name| self.is_cpd(name))?;
                let (link, cp) = external(self.kept, cpd)?;
                let mut ports = link.ext_link_ports.iter().flatten();
                let port = ports.find(|port| port.resource_handle.resource_id == given)?;
                let mut configs = cp
                    .cp_config
                    .iter()
                    .filter_map(|(key, config)| Some((key.as_str(), config.as_ref()?)));
                let (config_id, config) = configs.find(|(_, config)| config.link_port_id.as_ref() == Some(&port.id))?;
                let vdu = self.flavour.cps.get(cpd).and_then(|cp| cp.vdu.as_deref());
                let number = number_of(name, |name| self.is_cpd(name));
                let server = vdu.and_then(|vdu| {
                    self.of_type(SERVER).find(|(server, _)| {
                        self.vdu_of(server) == Some(vdu) && (number.is_none() || number == self.number_of(server))
                    })
                });
                Some(Provided {
                    link,
                    cpd,
                    config_id,
                    config,
                    port,
                    server: server.map(|(_, id)| id),
                })
            })
            .collect()
    }

    fn vnfcs(&self, provided: &[Provided<'_>]) -> Vec<VnfcResourceInfo> {
        let servers = self.of_type(SERVER);
        let mut found: Vec<(Option<String>, Option<u64>, VnfcResourceInfo)> = servers
            .filter_map(|(server, id)| {
                let vdu_id = self.vdu_of(server)?.to_owned();
                let mut metadata = self.metadata_of(server);
                if let Some(parameters) = self.kept.nfv.get("VDU").and_then(|vdus| {
                    let own = vdus.get(self.member_name(server));
                    own.or_else(|| vdus.get(&vdu_id))
                }) {
                    for (name, field) in [("flavor", "computeFlavourId"), ("zone", "locationConstraints")] {
                        if let Some(value) = parameters.get(field).filter(|value| value.is_string()) {
                            metadata.insert(name.to_owned(), value.clone());
                        }
                    }
                    if let Some(image) = parameters.get("vcImageId").filter(|image| image.is_string()) {
                        metadata.insert(format!("image-{vdu_id}"), image.clone());
                    }
                }
                let number = metadata.get("vdu_idx").and_then(Value::as_u64);
                let zone = metadata.get("zone").and_then(Value::as_str).map(str::to_owned);
                let volumes = self.of_type(VOLUME).filter(|(volume, _)| belongs(volume, server));
                let vnfc = VnfcResourceInfo {
                    id: id.to_owned(),
                    vdu_id,
                    vnfd_id: Some(self.vnfd_id.to_owned()),
                    compute_resource: self.handle(server, id),
                    zone_id: zone,
                    storage_resource_ids: some(volumes.map(|(_, id)| id.to_owned()).collect()),
                    reservation_id: None,
                    vnfc_cp_info: some(self.cps_of(server, id, provided)),
                    metadata: Some(metadata),
                };
                Some((server.created.clone(), number, vnfc))
            })
            .collect();
        // Newest first: scale in takes from the head.
        found.sort_by_cached_key(|(created, number, vnfc)| Reverse((*number, created.clone(), vnfc.id.clone())));
        found.into_iter().map(|(_, _, vnfc)| vnfc).collect()
    }

    fn cps_of(&self, server: &StackResource, id: &str, provided: &[Provided<'_>]) -> Vec<VnfcCpInfo> {
        let ports = self.of_type(PORT).filter(|(port, _)| belongs(port, server));
        let of_stack = ports.filter_map(|(port, port_id)| {
            let cpd = self.cpd_of(port)?;
            let external = external(self.kept, cpd).is_some();
            Some(VnfcCpInfo {
                id: format!("{cpd}-{id}"),
                cpd_id: cpd.to_owned(),
                vnf_ext_cp_id: external.then(|| format!("cp-{port_id}")),
                cp_protocol_info: None,
                vnf_link_port_id: (!external).then(|| port_id.to_owned()),
                metadata: None,
            })
        });
        let of_client = provided.iter().filter(|provided| provided.server == Some(id));
        of_stack
            .chain(of_client.map(|provided| VnfcCpInfo {
                id: format!("{}-{id}", provided.cpd),
                cpd_id: provided.cpd.to_owned(),
                vnf_ext_cp_id: Some(provided.cp_id()),
                cp_protocol_info: None,
                vnf_link_port_id: None,
                metadata: None,
            }))
            .collect()
    }

    /// The VNFC connection point of a port.
    fn cp_of(&self, port: &StackResource) -> Option<String> {
        let cpd = self.cpd_of(port)?;
        let mut servers = self.of_type(SERVER);
        servers
            .find(|(server, _)| belongs(port, server) && self.vdu_of(server).is_some())
            .map(|(_, id)| format!("{cpd}-{id}"))
    }

    fn vnfc_info(&self, vnfc: &VnfcResourceInfo) -> VnfcInfo {
        let id = format!("{}-{}", vnfc.vdu_id, vnfc.id);
        let known = self.before.and_then(|before| before.vnfc_info.as_ref());
        let known = known.into_iter().flatten().find(|known| known.id == id);
        VnfcInfo {
            vdu_id: vnfc.vdu_id.clone(),
            vnfc_resource_info_id: Some(vnfc.id.clone()),
            vnfc_state: VnfOperationalState::Started,
            vnfc_configurable_properties: known.and_then(|known| known.vnfc_configurable_properties.clone()),
            id,
        }
    }

    fn ext_cps(&self, provided: &[Provided<'_>]) -> Vec<VnfExtCpInfo> {
        let ports = self.of_type(PORT);
        let of_stack = ports.filter_map(|(port, id)| {
            let cpd = self.cpd_of(port)?;
            let (_, cp) = external(self.kept, cpd)?;
            // With a port for each member the configurations are given to them in order.
            let number = self.number_of(port).and_then(|number| usize::try_from(number).ok());
            let mut configs = cp
                .cp_config
                .iter()
                .filter_map(|(key, config)| Some((key.as_str(), config.as_ref()?)));
            let configured = configs.clone().nth(number.unwrap_or_default());
            let (key, config) = configured.or_else(|| configs.next()).unzip();
            Some(VnfExtCpInfo {
                id: format!("cp-{id}"),
                cpd_id: cpd.to_owned(),
                cp_config_id: key.unwrap_or_default().to_owned(),
                vnfd_id: Some(self.vnfd_id.to_owned()),
                cp_protocol_info: protocols(config),
                ext_link_port_id: Some(id.to_owned()),
                metadata: None,
                associated_vnfc_cp_id: self.cp_of(port),
                associated_vnf_virtual_link_id: None,
            })
        });
        of_stack
            .chain(provided.iter().map(|provided| VnfExtCpInfo {
                id: provided.cp_id(),
                cpd_id: provided.cpd.to_owned(),
                cp_config_id: provided.config_id.to_owned(),
                vnfd_id: Some(self.vnfd_id.to_owned()),
                cp_protocol_info: protocols(Some(provided.config)),
                ext_link_port_id: Some(provided.port.id.clone()),
                metadata: None,
                associated_vnfc_cp_id: provided.server.map(|id| format!("{}-{id}", provided.cpd)),
                associated_vnf_virtual_link_id: None,
            }))
            .collect()
    }

    fn ext_links(&self, provided: &[Provided<'_>]) -> Vec<ExtVirtualLinkInfo> {
        let links = self.kept.ext_links.iter();
        links
            .map(|link| {
                let is_on_it = |port: &StackResource| {
                    let cpd = self.cpd_of(port);
                    cpd.is_some_and(|cpd| link.ext_cps.iter().any(|cp| cp.cpd_id == cpd))
                };
                let ports = self.of_type(PORT).filter(|(port, _)| is_on_it(port));
                let of_stack = ports.map(|(port, id)| ExtLinkPortInfo {
                    id: id.to_owned(),
                    resource_handle: self.handle(port, id),
                    cp_instance_id: Some(format!("cp-{id}")),
                });
                let of_client = link.ext_link_ports.iter().flatten().map(|port| {
                    let mut used = provided.iter();
                    let used = used.find(|used| used.link.id == link.id && used.port.id == port.id);
                    ExtLinkPortInfo {
                        id: port.id.clone(),
                        resource_handle: port.resource_handle.clone(),
                        cp_instance_id: used.map(Provided::cp_id),
                    }
                });
                ExtVirtualLinkInfo {
                    id: link.id.clone(),
                    resource_handle: self.handle_of_network(&link.resource_id),
                    ext_link_ports: some(of_stack.chain(of_client).collect()),
                    current_vnf_ext_cp_data: link.ext_cps.clone(),
                }
            })
            .collect()
    }

    /// Ports of the CPDs that are on an internal link and on no external one.
    fn link_ports(&self, link: &str) -> Vec<VnfLinkPortInfo> {
        let is_on_it = |port: &StackResource| {
            self.cpd_of(port).is_some_and(|cpd| {
                let described = self.flavour.cps.get(cpd);
                let on = described.and_then(|cp| cp.virtual_link.as_deref());
                on == Some(link) && external(self.kept, cpd).is_none()
            })
        };
        let ports = self.of_type(PORT).filter(|(port, _)| is_on_it(port));
        ports
            .map(|(port, id)| {
                let cp = self.cp_of(port);
                VnfLinkPortInfo {
                    id: id.to_owned(),
                    resource_handle: self.handle(port, id),
                    cp_instance_type: cp.is_some().then(|| "VNFC_CP".to_owned()),
                    cp_instance_id: cp,
                }
            })
            .collect()
    }

    fn ext_managed(&self) -> Vec<ExtManagedVirtualLinkInfo> {
        let managed = self.kept.ext_managed.iter();
        managed
            .map(|link| ExtManagedVirtualLinkInfo {
                id: link.id.clone(),
                vnf_virtual_link_desc_id: link.vnf_virtual_link_desc_id.clone(),
                vnfd_id: Some(self.vnfd_id.to_owned()),
                network_resource: self.handle_of_network(&link.resource_id),
                vnf_link_ports: some(self.link_ports(&link.vnf_virtual_link_desc_id)),
                ext_managed_multisite_virtual_link_id: link.ext_managed_multisite_virtual_link_id.clone(),
            })
            .collect()
    }

    fn links(&self) -> Vec<VnfVirtualLinkResourceInfo> {
        let networks = self.of_type(NETWORK);
        networks
            .filter(|(network, _)| self.flavour.virtual_links.contains_key(&network.name))
            .map(|(network, id)| VnfVirtualLinkResourceInfo {
                id: id.to_owned(),
                vnf_virtual_link_desc_id: network.name.clone(),
                vnfd_id: Some(self.vnfd_id.to_owned()),
                network_resource: self.handle(network, id),
                zone_id: None,
                reservation_id: None,
                vnf_link_ports: some(self.link_ports(&network.name)),
                metadata: None,
            })
            .collect()
    }

    fn storages(&self) -> Vec<VirtualStorageResourceInfo> {
        let volumes = self.of_type(VOLUME);
        volumes
            .filter_map(|(volume, id)| {
                let known = base_name(&volume.name, |name| self.flavour.storages.contains_key(name))?;
                Some(VirtualStorageResourceInfo {
                    id: id.to_owned(),
                    virtual_storage_desc_id: known.to_owned(),
                    vnfd_id: Some(self.vnfd_id.to_owned()),
                    storage_resource: self.handle(volume, id),
                    zone_id: None,
                    reservation_id: None,
                    metadata: Some(self.metadata_of(volume)),
                })
            })
            .collect()
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Addresses of an external connection point as its configuration says them.
fn protocols(config: Option<&VnfExtCpConfig>) -> Vec<ExtCpProtocolInfo> {
    let said = config.and_then(|config| config.cp_protocol_data.clone());
    said.unwrap_or_else(|| {
        vec![ExtCpProtocolInfo {
            layer_protocol: "IP_OVER_ETHERNET".to_owned(),
            ip_over_ethernet: None,
        }]
    })
}

/// Whether a port or a volume is a VM's.
fn belongs(part: &StackResource, server: &StackResource) -> bool {
    part.stack == server.stack && part.required_by.contains(&server.name)
}

/// A stack as metadata name it: `name/id`.
fn stack_id(resource: &StackResource) -> String {
    let stack = &resource.stack;
    match &stack.id {
        Some(id) => format!("{}/{id}", stack.name),
        None => stack.name.clone(),
    }
}

#[cfg(test)]
mod tests;
