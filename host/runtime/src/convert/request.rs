//! Requests about elements and connectivity services, toward the guest.

/// Requests of `infrastructure`.
pub(crate) mod infrastructure {
    use vimhost_connector::{
        CloudConfig, DiskSource, Filter, FlavourData, FloatingIp, GroupRequest, InterfaceKind, InterfaceUse, IpProfile,
        NetworkKind, NetworkRequest, PortSecurityDisableStrategy, ProviderNetwork, ServerInterface, ServerRequest,
        VolumeRequest,
    };

    use super::super::{maybe_text_of, text_of, texts_of};
    use crate::bindings::guest::infrastructure as wit;

    pub(crate) fn filter(filter: &Filter) -> wit::Filter {
        wit::Filter {
            name: filter.name.clone(),
            id: maybe_text_of(filter.id.as_ref()),
            checksum: filter.checksum.clone(),
            shared: filter.shared,
        }
    }

    pub(crate) fn network(request: &NetworkRequest) -> wit::NetworkRequest {
        wit::NetworkRequest {
            name: request.name.clone(),
            kind: request.kind.map(|kind| match kind {
                NetworkKind::Bridge => wit::NetworkKind::Bridge,
                NetworkKind::Data => wit::NetworkKind::Data,
                NetworkKind::Ptp => wit::NetworkKind::Ptp,
            }),
            shared: request.shared,
            ip_profile: request.ip_profile.as_ref().map(ip_profile),
            provider: request.provider.as_ref().map(provider),
        }
    }

    fn ip_profile(profile: &IpProfile) -> wit::IpProfile {
        wit::IpProfile {
            version: if profile.ipv6 {
                wit::IpVersion::Ipv6
            } else {
                wit::IpVersion::Ipv4
            },
            subnet: profile.subnet.clone(),
            gateway: profile.gateway.clone(),
            dns: profile.dns.clone(),
            dhcp_enabled: profile.dhcp_enabled,
            dhcp_start: profile.dhcp_start.clone(),
            dhcp_count: profile.dhcp_count,
            ipv6_address_mode: profile.ipv6_address_mode.clone(),
            security_group: profile.security_group.clone(),
        }
    }

    fn provider(provider: &ProviderNetwork) -> wit::ProviderNetwork {
        wit::ProviderNetwork {
            network_type: provider.network_type.clone(),
            physical_network: provider.physical_network.clone(),
            segmentation_id: provider.segmentation_id,
            extra: provider.extra.to_string(),
        }
    }

    pub(crate) fn flavour(data: &FlavourData) -> wit::FlavourData {
        wit::FlavourData {
            name: data.name.clone(),
            ram: data.ram,
            vcpus: data.vcpus,
            disk: data.disk,
            ephemeral: data.ephemeral,
            swap: data.swap,
            extended: data.extended.as_ref().map(ToString::to_string),
        }
    }

    pub(crate) fn group(request: &GroupRequest) -> wit::GroupRequest {
        wit::GroupRequest {
            name: request.name.clone(),
            policy: request.policy.clone(),
            scope: request.scope.clone(),
        }
    }

    pub(crate) fn volume(request: &VolumeRequest) -> wit::VolumeRequest {
        wit::VolumeRequest {
            name: request.name.clone(),
            size: request.size,
            multi_attach: request.multi_attach,
            availability_zone: request.availability_zone.clone(),
        }
    }

    pub(crate) fn server(request: &ServerRequest) -> wit::ServerRequest {
        wit::ServerRequest {
            name: request.name.clone(),
            description: request.description.clone(),
            start: request.start,
            image: maybe_text_of(request.image.as_ref()),
            flavour: text_of(&request.flavour),
            interfaces: request.interfaces.iter().map(interface).collect(),
            disks: request
                .disks
                .iter()
                .map(|disk| wit::ServerDisk {
                    root: disk.root,
                    source: match &disk.source {
                        DiskSource::New { size, image } => wit::DiskSource::New(wit::NewDisk {
                            size: *size,
                            image: image.clone(),
                        }),
                        DiskSource::Existing(id) => wit::DiskSource::Existing(text_of(id)),
                    },
                    keep: disk.keep,
                })
                .collect(),
            groups: texts_of(&request.groups),
            cloud_config: request.cloud_config.as_ref().map(cloud_config),
            availability_zone: request.availability_zone.clone(),
            security_groups: request.security_groups.clone(),
        }
    }

    fn interface(interface: &ServerInterface) -> wit::ServerInterface {
        wit::ServerInterface {
            name: interface.name.clone(),
            network: text_of(&interface.network),
            kind: match interface.kind {
                InterfaceKind::Virtual => wit::InterfaceKind::Virtual,
                InterfaceKind::SrIov => wit::InterfaceKind::SrIov,
                InterfaceKind::PciPassthrough => wit::InterfaceKind::PciPassthrough,
                InterfaceKind::VfNotShared => wit::InterfaceKind::VfNotShared,
            },
            use_for: match interface.use_for {
                InterfaceUse::Mgmt => wit::InterfaceUse::Mgmt,
                InterfaceUse::Bridge => wit::InterfaceUse::Bridge,
                InterfaceUse::Data => wit::InterfaceUse::Data,
            },
            model: interface.model.clone(),
            vpci: interface.vpci.clone(),
            ip_addresses: interface.ip_addresses.clone(),
            mac_address: interface.mac_address.clone(),
            port_security: interface.port_security,
            port_security_disable_strategy: interface.port_security_disable_strategy.map(|strategy| match strategy {
                PortSecurityDisableStrategy::Full => wit::PortSecurityDisableStrategy::Full,
                PortSecurityDisableStrategy::AllowAddressPairs => wit::PortSecurityDisableStrategy::AllowAddressPairs,
            }),
            floating_ip: interface.floating_ip.as_ref().map(|floating| match floating {
                FloatingIp::Any => wit::FloatingIp::Any,
                FloatingIp::Pool(id) => wit::FloatingIp::Pool(text_of(id)),
            }),
        }
    }

    fn cloud_config(config: &CloudConfig) -> wit::CloudConfig {
        wit::CloudConfig {
            user_data: config.user_data.clone(),
            key_pairs: config.key_pairs.clone(),
            users: config
                .users
                .iter()
                .map(|user| wit::CloudUser {
                    name: user.name.clone(),
                    key_pairs: user.key_pairs.clone(),
                    info: user.info.clone(),
                })
                .collect(),
            config_files: config
                .config_files
                .iter()
                .map(|file| wit::CloudFile {
                    dest: file.dest.clone(),
                    content: file.content.clone(),
                    encoding: file.encoding.clone(),
                    permissions: file.permissions.clone(),
                    owner: file.owner.clone(),
                })
                .collect(),
            boot_data_drive: config.boot_data_drive,
        }
    }
}

/// Requests of `operations`.
pub(crate) mod operations {
    use vimhost_connector::PowerAction;

    use crate::bindings::guest::operations as wit;

    pub(crate) fn power(action: PowerAction) -> wit::PowerAction {
        match action {
            PowerAction::Start => wit::PowerAction::Start,
            PowerAction::Stop => wit::PowerAction::Stop,
            PowerAction::Pause => wit::PowerAction::Pause,
            PowerAction::Unpause => wit::PowerAction::Unpause,
            PowerAction::Suspend => wit::PowerAction::Suspend,
            PowerAction::Resume => wit::PowerAction::Resume,
            PowerAction::Reboot => wit::PowerAction::Reboot,
            PowerAction::Rebuild => wit::PowerAction::Rebuild,
        }
    }
}

use vimhost_connector::{ElementKind, Encapsulation, ServiceRequest, ServiceType};

use crate::bindings::guest::connectivity;
use crate::bindings::host::vim_types;

/// A request of `connectivity`.
pub(crate) fn connectivity_request(request: &ServiceRequest) -> connectivity::ServiceRequest {
    connectivity::ServiceRequest {
        name: request.name.clone(),
        service_type: match request.service_type {
            ServiceType::Eline => connectivity::ServiceType::Eline,
            ServiceType::Elan => connectivity::ServiceType::Elan,
        },
        endpoints: request
            .endpoints
            .iter()
            .map(|endpoint| connectivity::Endpoint {
                id: endpoint.id.clone(),
                encapsulation: match endpoint.encapsulation {
                    Encapsulation::None => connectivity::Encapsulation::None,
                    Encapsulation::Dot1q => connectivity::Encapsulation::Dot1q,
                },
                vlan: endpoint.vlan,
                mac_address: endpoint.mac_address.clone(),
                device_id: endpoint.device_id.clone(),
                device_interface_id: endpoint.device_interface_id.clone(),
                switch_dpid: endpoint.switch_dpid.clone(),
                switch_port: endpoint.switch_port.clone(),
                mapping_info: endpoint.mapping_info.as_ref().map(ToString::to_string),
            })
            .collect(),
    }
}

/// A kind of element.
pub(crate) fn wit_kind(kind: ElementKind) -> vim_types::ElementKind {
    match kind {
        ElementKind::Network => vim_types::ElementKind::Network,
        ElementKind::Image => vim_types::ElementKind::Image,
        ElementKind::Flavour => vim_types::ElementKind::Flavour,
        ElementKind::Group => vim_types::ElementKind::Group,
        ElementKind::Volume => vim_types::ElementKind::Volume,
        ElementKind::Server => vim_types::ElementKind::Server,
        ElementKind::Port => vim_types::ElementKind::Port,
        ElementKind::FloatingAddress => vim_types::ElementKind::FloatingAddress,
        ElementKind::Stack => vim_types::ElementKind::Stack,
        ElementKind::ConnectivityService => vim_types::ElementKind::ConnectivityService,
    }
}
