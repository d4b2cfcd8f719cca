//! What the engine asks for (`infrastructure`, `operations`, `connectivity`).
//!
//! One enum per verb instead of one method per element kind: the engine treats all kinds alike, and only the runtime needs to
//! tell them apart.

use serde_json::Value;
use vimhost_model::VimId;

use crate::{ElementKind, ElementStatus};

/// Look for existing elements.
#[derive(Debug, Clone, PartialEq)]
pub enum FindRequest {
    /// Networks that match.
    Networks(Filter),
    /// Images that match.
    Images(Filter),
    /// A flavour exactly as given, the name apart.
    Flavour(FlavourData),
    /// Flavours that match.
    Flavours(Filter),
    /// A group by id.
    Group(VimId),
}

/// All fields that are set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Exact name.
    pub name: Option<String>,
    /// Exact id.
    pub id: Option<VimId>,
    /// Images: checksum.
    pub checksum: Option<String>,
    /// Networks: shared.
    pub shared: Option<bool>,
}

/// An element that was looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: VimId,
    /// Its name.
    pub name: Option<String>,
    /// The VIM's status word.
    pub status_text: Option<String>,
    /// As the VIM shows it.
    pub details: Value,
}

/// Make an element.
#[derive(Debug, Clone, PartialEq)]
pub enum CreateRequest {
    /// A network.
    Network(NetworkRequest),
    /// A flavour.
    Flavour(FlavourData),
    /// A placement group.
    Group(GroupRequest),
    /// A volume.
    Volume(VolumeRequest),
    /// A server.
    Server(Box<ServerRequest>),
    /// A connectivity service.
    Service(ServiceRequest),
}

/// Delete an element, by id, by journal, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Kind.
    pub kind: ElementKind,
    /// Its id, when known.
    pub id: Option<VimId>,
    /// Servers: volumes that stay.
    pub hold: Vec<VimId>,
}

/// What exists after a creating call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: VimId,
    /// Its name.
    pub name: Option<String>,
    /// Servers: port ids in request order.
    pub interfaces: Vec<Option<VimId>>,
}

/// Use of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// Overlay.
    Bridge,
    /// Data plane.
    Data,
    /// Data plane between two points.
    Ptp,
}

/// Address plan of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpProfile {
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// CIDR.
    pub subnet: Option<String>,
    /// Gateway.
    pub gateway: Option<String>,
    /// Name servers.
    pub dns: Vec<String>,
    /// DHCP.
    pub dhcp_enabled: Option<bool>,
    /// First address.
    pub dhcp_start: Option<String>,
    /// How many.
    pub dhcp_count: Option<u32>,
    /// IPv6 address mode.
    pub ipv6_address_mode: Option<String>,
    /// Security group.
    pub security_group: Option<String>,
}

/// The physical network under a network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderNetwork {
    /// `vlan`, `flat`, `vxlan`.
    pub network_type: Option<String>,
    /// Physical network.
    pub physical_network: Option<String>,
    /// VLAN or VNI.
    pub segmentation_id: Option<u32>,
    /// The request's own map.
    pub extra: Value,
}

/// A network to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// Use.
    pub kind: Option<NetworkKind>,
    /// Visible to other projects.
    pub shared: bool,
    /// Address plan.
    pub ip_profile: Option<IpProfile>,
    /// Physical network.
    pub provider: Option<ProviderNetwork>,
}

/// Size of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlavourData {
    /// Name for a new one.
    pub name: Option<String>,
    /// MiB.
    pub ram: u64,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// GiB.
    pub disk: u64,
    /// GiB.
    pub ephemeral: u64,
    /// As the descriptor gives it, GiB.
    pub swap: u64,
    /// EPA hints.
    pub extended: Option<Value>,
}

/// A placement group to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// Name.
    pub name: String,
    /// `affinity` or `anti-affinity`.
    pub policy: String,
    /// `nfvi-node`.
    pub scope: String,
}

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Name.
    pub name: String,
    /// GiB.
    pub size: u64,
    /// Several servers at once.
    pub multi_attach: bool,
    /// Zone.
    pub availability_zone: Option<String>,
}

/// Kind of interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// Virtual switch.
    Virtual,
    /// SR-IOV virtual function.
    SrIov,
    /// Whole device.
    PciPassthrough,
    /// Virtual function nobody else uses.
    VfNotShared,
}

/// Use of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceUse {
    /// Management.
    Mgmt,
    /// Ordinary.
    Bridge,
    /// Data plane.
    Data,
}

/// How port security is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSecurityDisableStrategy {
    /// Off.
    Full,
    /// Any address pair allowed.
    AllowAddressPairs,
}

/// A floating address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FloatingIp {
    /// From any external network.
    Any,
    /// From this pool.
    Pool(VimId),
}

/// One interface of a server to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInterface {
    /// Port name.
    pub name: Option<String>,
    /// Network.
    pub network: VimId,
    /// Kind.
    pub kind: InterfaceKind,
    /// Use.
    pub use_for: InterfaceUse,
    /// Device model.
    pub model: Option<String>,
    /// Address of the device in the guest.
    pub vpci: Option<String>,
    /// Fixed addresses.
    pub ip_addresses: Vec<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Port security.
    pub port_security: Option<bool>,
    /// How it is taken away.
    pub port_security_disable_strategy: Option<PortSecurityDisableStrategy>,
    /// Floating address.
    pub floating_ip: Option<FloatingIp>,
}

/// Where a disk comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    /// Made with the server.
    New {
        /// GiB.
        size: u64,
        /// Descriptor's image reference, for root disks.
        image: Option<String>,
    },
    /// An existing volume.
    Existing(VimId),
}

/// One disk of a server to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDisk {
    /// Boot disk.
    pub root: bool,
    /// Where it comes from.
    pub source: DiskSource,
    /// It outlives the server.
    pub keep: bool,
}

/// A user that cloud-init makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudUser {
    /// Login.
    pub name: String,
    /// Public keys.
    pub key_pairs: Vec<String>,
    /// Full name.
    pub info: Option<String>,
}

/// A file that cloud-init writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudFile {
    /// Path.
    pub dest: String,
    /// Content.
    pub content: String,
    /// Encoding of the content.
    pub encoding: Option<String>,
    /// Mode.
    pub permissions: Option<String>,
    /// Owner.
    pub owner: Option<String>,
}

/// First-boot data of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudConfig {
    /// Parts of the user data.
    pub user_data: Vec<String>,
    /// Public keys of the default user.
    pub key_pairs: Vec<String>,
    /// Further users.
    pub users: Vec<CloudUser>,
    /// Files.
    pub config_files: Vec<CloudFile>,
    /// Configuration drive.
    pub boot_data_drive: Option<bool>,
}

/// A server to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRequest {
    /// Name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Started at once.
    pub start: bool,
    /// Image.
    pub image: Option<VimId>,
    /// Flavour.
    pub flavour: VimId,
    /// Interfaces, in order.
    pub interfaces: Vec<ServerInterface>,
    /// Disks, in order.
    pub disks: Vec<ServerDisk>,
    /// Placement groups.
    pub groups: Vec<VimId>,
    /// First-boot data.
    pub cloud_config: Option<CloudConfig>,
    /// Zone.
    pub availability_zone: Option<String>,
    /// Security groups of its ports.
    pub security_groups: Vec<String>,
}

/// Kind of connectivity service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceType {
    /// Point to point.
    Eline,
    /// Multipoint.
    Elan,
}

/// How traffic arrives at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// Untagged.
    None,
    /// VLAN tag.
    Dot1q,
}

/// One end of a connectivity service.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Id.
    pub id: String,
    /// Encapsulation.
    pub encapsulation: Encapsulation,
    /// VLAN.
    pub vlan: Option<u32>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Device.
    pub device_id: Option<String>,
    /// Interface of the device.
    pub device_interface_id: Option<String>,
    /// Switch.
    pub switch_dpid: Option<String>,
    /// Port of the switch.
    pub switch_port: Option<String>,
    /// The operator's mapping data.
    pub mapping_info: Option<Value>,
}

/// A connectivity service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceRequest {
    /// Name.
    pub name: String,
    /// Kind.
    pub service_type: ServiceType,
    /// Ends.
    pub endpoints: Vec<Endpoint>,
}

/// Power and life-cycle actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerAction {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Pause.
    Pause,
    /// Unpause.
    Unpause,
    /// Suspend.
    Suspend,
    /// Resume.
    Resume,
    /// Reboot.
    Reboot,
    /// Rebuild in place.
    Rebuild,
}

/// Do something with a server, or change a service.
#[derive(Debug, Clone, PartialEq)]
pub enum OperateRequest {
    /// Power action.
    Power {
        /// Server.
        server: VimId,
        /// Action.
        action: PowerAction,
    },
    /// Move it.
    Migrate {
        /// Server.
        server: VimId,
        /// Host; none: the VIM chooses.
        host: Option<String>,
    },
    /// Give it another flavour.
    Resize {
        /// Server.
        server: VimId,
        /// Flavour.
        flavour: VimId,
    },
    /// Change the ends of a connectivity service.
    EditService {
        /// Service.
        service: VimId,
        /// Its new form.
        request: ServiceRequest,
    },
    /// Open a console.
    Console {
        /// Server.
        server: VimId,
        /// Type; none: `novnc`.
        console_type: Option<String>,
    },
}

/// How to reach a console. Its path and query let in whoever has them, so they are kept out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Console {
    /// Protocol.
    pub protocol: String,
    /// Host.
    pub server: String,
    /// Port.
    pub port: u16,
    /// Path and query.
    pub suffix: String,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("protocol", &self.protocol)
            .field("server", &self.server)
            .field("port", &self.port)
            .field("suffix", &"***")
            .finish()
    }
}

/// Result of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operated {
    /// State after it; none when the operation has none (console, edit).
    pub status: Option<ElementStatus>,
    /// The VIM's word.
    pub status_text: String,
    /// Host.
    pub compute_node: Option<String>,
    /// Set by `Console`.
    pub console: Option<Console>,
}
