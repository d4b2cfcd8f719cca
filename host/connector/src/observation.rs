//! What a connector sees in the VIM (`vim-types`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vimhost_model::{Item, VimId, VimStatus};

/// Kinds of elements that are observed and audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ElementKind {
    /// Network.
    Network,
    /// Image.
    Image,
    /// Flavour.
    Flavour,
    /// Placement group.
    Group,
    /// Volume.
    Volume,
    /// Server.
    Server,
    /// Port of a server. Audited only.
    Port,
    /// Floating address. Audited only.
    FloatingAddress,
    /// Stack.
    Stack,
    /// SDN or WIM service.
    ConnectivityService,
}

impl ElementKind {
    /// Its name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Image => "image",
            Self::Flavour => "flavour",
            Self::Group => "group",
            Self::Volume => "volume",
            Self::Server => "server",
            Self::Port => "port",
            Self::FloatingAddress => "floating-address",
            Self::Stack => "stack",
            Self::ConnectivityService => "connectivity-service",
        }
    }
}

impl ElementKind {
    /// The element kind an item of a record is made of; operations have none.
    #[must_use]
    pub fn of_item(item: Item) -> Option<Self> {
        match item {
            Item::Net => Some(Self::Network),
            Item::Image => Some(Self::Image),
            Item::Flavor => Some(Self::Flavour),
            Item::AffinityGroup => Some(Self::Group),
            Item::SharedVolume => Some(Self::Volume),
            Item::Vdu => Some(Self::Server),
            Item::SdnNet => Some(Self::ConnectivityService),
            Item::Stack => Some(Self::Stack),
            Item::Update | Item::Migrate | Item::VerticalScale | Item::Console => None,
        }
    }
}

/// Status as the engine acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElementStatus {
    /// In service.
    Active,
    /// On its way.
    Build,
    /// Paused.
    Paused,
    /// Suspended.
    Suspended,
    /// Stopped.
    Inactive,
    /// Administratively down.
    Down,
    /// In error.
    Error,
    /// None of these.
    Other,
}

impl ElementStatus {
    /// NG-RO's word for it.
    #[must_use]
    pub fn vim_status(self) -> VimStatus {
        match self {
            Self::Active => VimStatus::Active,
            Self::Build => VimStatus::Build,
            Self::Paused => VimStatus::Paused,
            Self::Suspended => VimStatus::Suspended,
            Self::Inactive => VimStatus::Inactive,
            Self::Down => VimStatus::Down,
            Self::Error => VimStatus::Error,
            Self::Other => VimStatus::Other,
        }
    }
}

/// One interface of an observed server.
#[derive(Debug, Clone, PartialEq)]
pub struct InterfaceObservation {
    /// Port id.
    pub id: VimId,
    /// Network id.
    pub network: Option<VimId>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Addresses, a floating one first.
    pub ip_addresses: Vec<String>,
    /// Compute host.
    pub compute_node: Option<String>,
    /// PCI address.
    pub pci: Option<String>,
    /// VLAN.
    pub vlan: Option<u32>,
    /// As the VIM shows it.
    pub details: Value,
}

/// What only servers have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerObservation {
    /// Interfaces, in any order.
    pub interfaces: Vec<InterfaceObservation>,
    /// Attached volumes.
    pub volumes: Vec<VimId>,
    /// Flavour.
    pub flavour: Option<VimId>,
    /// Image.
    pub image: Option<VimId>,
    /// Host.
    pub compute_node: Option<String>,
}

/// An element as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Its id.
    pub id: VimId,
    /// Its name.
    pub name: Option<String>,
    /// Status.
    pub status: ElementStatus,
    /// The VIM's word.
    pub status_text: String,
    /// Why it is in error.
    pub message: Option<String>,
    /// As the VIM shows it.
    pub details: Value,
    /// Set for servers.
    pub server: Option<ServerObservation>,
}

/// Answer to one observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// What changed since the cursor, or all that exists without one.
    pub changed: Vec<Observation>,
    /// What the VIM says does not exist.
    pub gone: Vec<VimId>,
    /// For the next time.
    pub cursor: Option<Vec<u8>>,
    /// Call again at once.
    pub more: bool,
}

/// An element that carries one of our tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Its id.
    pub id: VimId,
    /// Its token.
    pub token: String,
    /// Its name.
    pub name: Option<String>,
}

/// One page of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnedPage {
    /// Elements.
    pub elements: Vec<Owned>,
    /// Absent on the last page.
    pub cursor: Option<Vec<u8>>,
}
