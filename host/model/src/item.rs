//! Kinds of items a task can be about, with NG-RO's names (`ns.py`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ItemList;

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Item {
    /// A network.
    #[serde(rename = "net")]
    Net,
    /// An image.
    #[serde(rename = "image")]
    Image,
    /// A flavour.
    #[serde(rename = "flavor")]
    Flavor,
    /// A VM.
    #[serde(rename = "vdu")]
    Vdu,
    /// A placement group.
    #[serde(rename = "affinity-or-anti-affinity-group")]
    AffinityGroup,
    /// A volume that belongs to no VM.
    #[serde(rename = "shared-volumes")]
    SharedVolume,
    /// An SDN or WIM connectivity service.
    #[serde(rename = "sdn_net")]
    SdnNet,
    /// A power operation on a VM.
    #[serde(rename = "update")]
    Update,
    /// A migration of a VM.
    #[serde(rename = "migrate")]
    Migrate,
    /// A change of a VM's flavour.
    #[serde(rename = "verticalscale")]
    VerticalScale,
    /// A console of a VM.
    #[serde(rename = "console")]
    Console,
    /// A stack.
    #[serde(rename = "stack")]
    Stack,
}

impl Item {
    /// NG-RO's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::Image => "image",
            Self::Flavor => "flavor",
            Self::Vdu => "vdu",
            Self::AffinityGroup => "affinity-or-anti-affinity-group",
            Self::SharedVolume => "shared-volumes",
            Self::SdnNet => "sdn_net",
            Self::Update => "update",
            Self::Migrate => "migrate",
            Self::VerticalScale => "verticalscale",
            Self::Console => "console",
            Self::Stack => "stack",
        }
    }

    /// The list of a record that holds such items.
    #[must_use]
    pub fn list(self) -> ItemList {
        match self {
            Self::Net | Self::SdnNet => ItemList::Vld,
            Self::Image => ItemList::Image,
            Self::Flavor => ItemList::Flavor,
            Self::AffinityGroup => ItemList::AffinityGroup,
            Self::SharedVolume => ItemList::SharedVolumes,
            Self::Vdu | Self::Update | Self::Migrate | Self::VerticalScale | Self::Console | Self::Stack => {
                ItemList::Vdur
            }
        }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
