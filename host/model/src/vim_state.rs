//! What is known of an element in its VIM: `vim_info` of NG-RO's resource document.

use serde::{Deserialize, Serialize};

use crate::VimId;

/// Status words of NG-RO (`vimconn.py`), with `DONE` for images, flavours and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VimStatus {
    /// In service.
    Active,
    /// Found or made, and nothing to observe about it.
    Done,
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
    /// In error, says the VIM.
    Error,
    /// Could not be made, deleted or read.
    VimError,
    /// A word of the VIM that is none of these.
    Other,
    /// Gone.
    Deleted,
}

impl VimStatus {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Done => "DONE",
            Self::Build => "BUILD",
            Self::Paused => "PAUSED",
            Self::Suspended => "SUSPENDED",
            Self::Inactive => "INACTIVE",
            Self::Down => "DOWN",
            Self::Error => "ERROR",
            Self::VimError => "VIM_ERROR",
            Self::Other => "OTHER",
            Self::Deleted => "DELETED",
        }
    }
}

/// One interface of a VM as records show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct InterfaceInfo {
    /// Port id.
    pub vim_interface_id: Option<String>,
    /// Network id.
    pub vim_net_id: Option<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Addresses joined with `;`, a floating one first.
    pub ip_address: Option<String>,
    /// Compute host.
    pub compute_node: Option<String>,
    /// PCI address.
    pub pci: Option<String>,
    /// VLAN.
    pub vlan: Option<u32>,
    /// The port as the VIM shows it, as YAML in flow style.
    pub vim_info: Option<String>,
    /// The management interface of the VNF.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mgmt_vnf_interface: bool,
    /// The management interface of the VDU.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mgmt_vdu_interface: bool,
}

/// What is known of an element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct VimState {
    /// Made by us, so that deleting it is ours too.
    #[serde(default)]
    pub created: bool,
    /// Id in the VIM.
    pub vim_id: Option<VimId>,
    /// Name in the VIM.
    pub vim_name: Option<String>,
    /// Status word.
    pub vim_status: Option<VimStatus>,
    /// As the VIM shows it, YAML in flow style.
    pub vim_details: Option<String>,
    /// What is wrong with it.
    pub vim_message: Option<String>,
    /// VM: port ids in request order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces_vim_ids: Vec<Option<VimId>>,
    /// VM: interfaces in request order; null where the VIM shows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Option<InterfaceInfo>>,
    /// VM: each interface as it was seen last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces_backup: Vec<Option<InterfaceInfo>>,
    /// VM: volumes attached to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VimId>,
    /// VM: the image it was made from, as the VIM showed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<VimId>,
    /// VM: its flavour, as the VIM showed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavour: Option<VimId>,
    /// Connectivity service: the interfaces of VMs that it joins, each as a text that changes when the interface moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connected_ports: Vec<String>,
}
