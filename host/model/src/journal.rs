//! The journal of an element: what a creating call announced, kept until the VIM has confirmed that it is gone.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, VimId};

/// How far a journalled step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournalStatus {
    /// The request may or may not have reached the VIM.
    Begun,
    /// The element exists, or existed, under the entry's id.
    Committed,
}

/// One announced element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Number of the entry within its resource, from 1.
    pub id: u64,
    /// The connector's word: `port`, `volume`, `volume:keep`, `server`.
    pub kind: String,
    /// The token the element carries in the VIM.
    pub token: String,
    /// How far it came.
    pub status: JournalStatus,
    /// When it was announced last, by the clock of the host that did.
    pub begun_at: Timestamp,
    /// Set once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<VimId>,
}
