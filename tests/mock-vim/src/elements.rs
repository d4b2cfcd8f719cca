//! The elements the VIM keeps, as they are shown over REST and as they are stored: one shape for both.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Kind;
use crate::clock::UnixMillis;

/// What every element has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Chosen by the VIM.
    pub id: String,
    /// Chosen by the client; need not be unique.
    pub name: String,
    /// The client's own mark; need not be unique either: posting twice makes two elements, as at a real VIM.
    pub token: Option<String>,
    /// Free JSON of the client's.
    pub metadata: Value,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Its place in listings; never changes.
    pub number: u64,
    /// The sequence number of its last change.
    pub seq: u64,
    /// Was there from the start; cannot be deleted and does not count for quotas.
    pub preset: bool,
}

/// An element of a collection.
pub(crate) trait Element: Clone + Send + Sync + 'static {
    const KIND: Kind;
    /// Query parameters of its own that listings understand.
    const FILTERS: &'static [&'static str];
    fn meta(&self) -> &Meta;
    fn meta_mut(&mut self) -> &mut Meta;
    /// The value one of [`Self::FILTERS`] is compared with.
    fn field(&self, filter: &str) -> Option<&str>;
}

macro_rules! element {
    ($type:ident, $kind:ident, [$($filter:literal => $value:expr),*]) => {
        impl Element for $type {
            const KIND: Kind = Kind::$kind;
            const FILTERS: &'static [&'static str] = &[$($filter),*];

            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut Meta {
                &mut self.meta
            }

            fn field(&self, filter: &str) -> Option<&str> {
                match filter {
                    $($filter => { let read: fn(&$type) -> Option<&str> = $value; read(self) })*
                    _ => None,
                }
            }
        }
    };
}

/// A network with its one subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// `bridge`, `data`, `ptp` or what the client said.
    #[serde(rename = "type")]
    pub network_type: Option<String>,
    /// Whether other tenants see it.
    pub shared: bool,
    /// Provider settings, as given.
    pub provider: Value,
    /// The wanted IP profile, as given.
    pub ip_profile: Value,
    /// From the profile, else allocated.
    pub subnet: IpNet,
    /// From the profile.
    pub gateway: Option<IpAddr>,
    /// Segmentation id, from the provider settings, else allocated.
    pub vlan: u16,
    /// ACTIVE.
    pub status: String,
}

/// An image; nothing is uploaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// MD5, in hexadecimal.
    pub checksum: String,
    /// In bytes.
    pub size: u64,
    /// active.
    pub status: String,
}

/// A flavour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavour {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// Virtual processors.
    pub vcpus: u32,
    /// In MiB.
    pub ram: u64,
    /// In GiB.
    pub disk: u64,
    /// In GiB.
    pub ephemeral: u64,
    /// In MiB.
    pub swap: u64,
    /// EPA hints, as given.
    pub extended: Value,
}

/// A placement group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// `affinity` or `anti-affinity`; other texts place nothing.
    #[serde(rename = "type")]
    pub group_type: String,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// In GiB.
    pub size: u64,
    /// The image it was filled from.
    pub image: Option<String>,
    /// What it can be used for.
    pub status: VolumeStatus,
    /// The server it is attached to; the first one where there are several.
    pub server: Option<String>,
    /// All of them. Only a volume whose metadata say `multi_attach` can have more than one.
    #[serde(default)]
    pub servers: Vec<String>,
    /// When it becomes available.
    pub due: Option<UnixMillis>,
}

/// `creating` → `available` ⇄ `in-use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeStatus {
    /// Not usable yet.
    Creating,
    /// Can be attached or deleted.
    Available,
    /// Attached.
    InUse,
}

impl VolumeStatus {
    /// The word over REST.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::InUse => "in-use",
        }
    }
}

/// A port of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// The network's id.
    pub network: String,
    /// `virtual`, `SR-IOV`, `VF`, `PCI-PASSTHROUGH`, `PF`, `VFnotShared` or what the client said.
    #[serde(rename = "type")]
    pub port_type: String,
    /// As given, else generated.
    pub mac: String,
    /// As given, else allocated.
    pub ip: IpAddr,
    /// As given.
    pub port_security: Option<bool>,
    /// The server it is attached to.
    pub server: Option<String>,
    /// That server's host.
    pub host: Option<String>,
    /// The network's segmentation id.
    pub vlan: u16,
    /// The PCI address, while a port that is not virtual is attached.
    pub pci: Option<String>,
    /// ACTIVE while attached, else DOWN.
    pub status: String,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// The image's id; none when it boots from a volume.
    pub image: Option<String>,
    /// The flavour's id.
    pub flavour: String,
    /// The group's id.
    pub group: Option<String>,
    /// Ports, in the order given.
    pub ports: Vec<String>,
    /// Volumes, in the order given.
    pub volumes: Vec<String>,
    /// As given.
    pub user_data: Option<String>,
    /// As given.
    pub config_drive: Option<bool>,
    /// As given.
    pub availability_zone: Option<String>,
    /// Where it runs.
    pub host: String,
    /// Its state.
    pub status: ServerStatus,
    /// Why it is in ERROR.
    pub fault: Option<ServerFault>,
    /// What it is in the middle of.
    pub pending: Option<Pending>,
}

/// The states of a server; which action leads from which to which is decided in `state/actions.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerStatus {
    /// Being made.
    Build,
    /// Runs.
    Active,
    /// Stopped.
    Shutoff,
    /// Paused.
    Paused,
    /// Suspended.
    Suspended,
    /// On the way through a reboot.
    Reboot,
    /// On the way through a rebuild.
    Rebuild,
    /// On the way to another host.
    Migrating,
    /// On the way to another flavour.
    Resize,
    /// On the way out.
    Deleting,
    /// Failed; `fault` says why.
    Error,
}

impl ServerStatus {
    /// The word over REST.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "BUILD",
            Self::Active => "ACTIVE",
            Self::Shutoff => "SHUTOFF",
            Self::Paused => "PAUSED",
            Self::Suspended => "SUSPENDED",
            Self::Reboot => "REBOOT",
            Self::Rebuild => "REBUILD",
            Self::Migrating => "MIGRATING",
            Self::Resize => "RESIZE",
            Self::Deleting => "DELETING",
            Self::Error => "ERROR",
        }
    }
}

/// Why a server is in ERROR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFault {
    /// As an HTTP status.
    pub code: u16,
    /// For people.
    pub message: String,
}

/// The end of a transition that takes time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// When it ends.
    pub due: UnixMillis,
    /// The state it ends in.
    pub status: ServerStatus,
    /// The fault it ends with.
    pub fault: Option<ServerFault>,
    /// The host it ends on, when that changes.
    pub host: Option<String>,
    /// The flavour it ends with, when that changes.
    pub flavour: Option<String>,
}

/// A connectivity service between sites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectivityService {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others.
    pub meta: Meta,
    /// `ELINE`, `ELAN` or what the client said.
    #[serde(rename = "type")]
    pub service_type: String,
    /// As given.
    pub endpoints: Vec<Value>,
    /// ACTIVE.
    pub status: String,
}

/// A stack; what it was made from and its resources are shown at paths of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    #[serde(flatten)]
    /// What every element has; its fields stand beside the others. The name is unique among stacks that exist.
    pub meta: Meta,
    /// Its state.
    pub status: StackStatus,
    /// Why it failed.
    pub reason: Option<String>,
    /// When the last update or deletion began.
    pub updated_at: Option<UnixMillis>,
    /// The client's mark of the last update.
    pub operation: Option<String>,
    /// As given.
    pub rollback_on_failure: Option<bool>,
    /// As given.
    pub timeout_minutes: Option<u32>,
    /// What it is in the middle of.
    pub pending: Option<StackPending>,
}

/// The states of a stack, in Heat's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StackStatus {
    /// Being made.
    CreateInProgress,
    /// Made.
    CreateComplete,
    /// Not made; it is there all the same.
    CreateFailed,
    /// Being changed.
    UpdateInProgress,
    /// Changed.
    UpdateComplete,
    /// Not changed, or not wholly.
    UpdateFailed,
    /// On the way out.
    DeleteInProgress,
    /// Gone; its name is taken until it is purged.
    DeleteComplete,
    /// Still there.
    DeleteFailed,
    /// As it was before what failed.
    RollbackComplete,
}

impl StackStatus {
    /// The word over REST.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::CreateFailed => "CREATE_FAILED",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteComplete => "DELETE_COMPLETE",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
        }
    }

    /// Whether it lasts until something due.
    #[must_use]
    pub const fn is_in_progress(self) -> bool {
        matches!(
            self,
            Self::CreateInProgress | Self::UpdateInProgress | Self::DeleteInProgress
        )
    }
}

/// The end of what a stack is in the middle of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackPending {
    /// When it ends.
    pub due: UnixMillis,
    /// Why it fails, when it does.
    pub failure: Option<String>,
    /// After a deletion: how long the name stays taken.
    pub purge_delay_ms: u64,
}

element!(Network, Networks, []);
element!(Image, Images, ["checksum" => |image| Some(&image.checksum)]);
element!(Flavour, Flavours, []);
element!(Group, Groups, []);
element!(Volume, Volumes, ["server" => |volume| volume.server.as_deref(), "status" => |volume| Some(volume.status.as_str())]);
element!(Port, Ports, ["network" => |port| Some(&port.network), "server" => |port| port.server.as_deref()]);
element!(Server, Servers, [
    "flavour" => |server| Some(&server.flavour),
    "group" => |server| server.group.as_deref(),
    "status" => |server| Some(server.status.as_str())
]);
element!(ConnectivityService, ConnectivityServices, []);
element!(Stack, Stacks, ["status" => |stack| Some(stack.status.as_str())]);
