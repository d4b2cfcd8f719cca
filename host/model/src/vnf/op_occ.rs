//! Operation occurrences (SOL003 5.5.2.13) and the table of their moves.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Revision, TargetId, Timestamp, VnfInstanceId, VnfLcmOpOccId, date_time};

use super::{ExtVirtualLinkInfo, ProblemDetails, ResourceHandle};

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LcmOperation {
    /// Make the stack.
    Instantiate,
    /// More or fewer VNFCs of an aspect.
    Scale,
    /// Delete the stack.
    Terminate,
    /// Replace VNFCs.
    Heal,
    /// Change what is known of the instance.
    ModifyInfo,
    /// Other external networks.
    ChangeExtConn,
    /// Another version of the package.
    ChangeVnfpkg,
}

impl LcmOperation {
    /// SOL003's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instantiate => "INSTANTIATE",
            Self::Scale => "SCALE",
            Self::Terminate => "TERMINATE",
            Self::Heal => "HEAL",
            Self::ModifyInfo => "MODIFY_INFO",
            Self::ChangeExtConn => "CHANGE_EXT_CONN",
            Self::ChangeVnfpkg => "CHANGE_VNFPKG",
        }
    }
}

/// State of an occurrence.
///
/// ```text
///              grant or validation fails
///   STARTING ───────────────────────────► ROLLED_BACK (end)
///      │ granted
///      ▼
///   PROCESSING ──ok──► COMPLETED (end)
///      ▲   │ error
///      │   ▼
///   retry FAILED_TEMP ──fail──► FAILED (end)
///          ▲   │ rollback
///    error │   ▼
///        ROLLING_BACK ──ok──► ROLLED_BACK (end)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationState {
    /// Accepted.
    Starting,
    /// Under way.
    Processing,
    /// Done.
    Completed,
    /// Failed; nothing runs any more. A client decides.
    FailedTemp,
    /// Given up.
    Failed,
    /// Being undone.
    RollingBack,
    /// Undone.
    RolledBack,
}

/// A move the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation occurrence does not go from {} to {}", from.as_str(), to.as_str())]
pub struct IllegalStateMove {
    /// From.
    pub from: OperationState,
    /// To.
    pub to: OperationState,
}

impl OperationState {
    /// SOL003's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
            Self::FailedTemp => "FAILED_TEMP",
            Self::Failed => "FAILED",
            Self::RollingBack => "ROLLING_BACK",
            Self::RolledBack => "ROLLED_BACK",
        }
    }

    /// Goes to another state, if that is a legal move.
    ///
    /// # Errors
    /// When it is none.
    pub fn go(self, to: Self) -> Result<Self, IllegalStateMove> {
        let legal = match self {
            Self::Starting => matches!(to, Self::Processing | Self::RolledBack),
            Self::Processing => matches!(to, Self::Completed | Self::FailedTemp),
            Self::FailedTemp => matches!(to, Self::Processing | Self::RollingBack | Self::Failed),
            Self::RollingBack => matches!(to, Self::RolledBack | Self::FailedTemp),
            Self::Completed | Self::Failed | Self::RolledBack => false,
        };
        if legal {
            Ok(to)
        } else {
            Err(IllegalStateMove { from: self, to })
        }
    }

    /// It is over: nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::RolledBack)
    }

    /// Something is being done.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Processing | Self::RollingBack)
    }
}

/// What became of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeType {
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Other.
    Modified,
    /// For the time of the operation.
    Temporary,
    /// A port of the link is new.
    LinkPortAdded,
    /// A port of the link is gone.
    LinkPortRemoved,
}

/// A VNFC an operation changed (SOL003 5.5.3.13).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVnfc {
    /// Id in `vnfcResourceInfo`.
    pub id: String,
    /// VDU.
    pub vdu_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// What became of it.
    pub change_type: ChangeType,
    /// The server.
    pub compute_resource: ResourceHandle,
    /// Definition in the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_definition_id: Option<String>,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Connection points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_vnfc_cp_ids: Option<Vec<String>>,
    /// New volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_storage_resource_ids: Option<Vec<String>>,
    /// Volumes that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_storage_resource_ids: Option<Vec<String>>,
}

/// A virtual link an operation changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVirtualLink {
    /// Id.
    pub id: String,
    /// VLD.
    pub vnf_virtual_link_desc_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// What became of it.
    pub change_type: ChangeType,
    /// The network.
    pub network_resource: ResourceHandle,
    /// Ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_link_port_ids: Option<Vec<String>>,
}

/// An external port an operation changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedExtLinkPort {
    /// Id.
    pub id: String,
    /// What became of it.
    pub change_type: ChangeType,
    /// External connection point.
    pub ext_cp_instance_id: String,
    /// The port.
    pub resource_handle: ResourceHandle,
}

/// A volume an operation changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVirtualStorage {
    /// Id.
    pub id: String,
    /// Storage of the VNFD.
    pub virtual_storage_desc_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// What became of it.
    pub change_type: ChangeType,
    /// The volume.
    pub storage_resource: ResourceHandle,
}

/// What an operation changed: the difference of `instantiatedVnfInfo` before and after, when it completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChanges {
    /// VMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_vnfcs: Option<Vec<AffectedVnfc>>,
    /// Networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_virtual_links: Option<Vec<AffectedVirtualLink>>,
    /// External ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_ext_link_ports: Option<Vec<AffectedExtLinkPort>>,
    /// Volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected_virtual_storages: Option<Vec<AffectedVirtualStorage>>,
}

/// An operation occurrence. The serialised form has SOL003's names; what is vimhost's own stands under `_vimhost`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfLcmOpOcc {
    /// Id.
    pub id: VnfLcmOpOccId,
    /// State.
    pub operation_state: OperationState,
    /// Since when.
    #[serde(with = "date_time")]
    #[schema(value_type = String, format = DateTime)]
    pub state_entered_time: Timestamp,
    /// When it was accepted.
    #[serde(with = "date_time")]
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// The instance.
    pub vnf_instance_id: VnfInstanceId,
    /// The grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// Operation.
    pub operation: LcmOperation,
    /// Always false: nobody but a client asks.
    pub is_automatic_invocation: bool,
    /// The request as accepted, secrets left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub operation_params: Option<Value>,
    /// Always false: `cancel` is not served.
    pub is_cancel_pending: bool,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDetails>,
    /// What it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_changes: Option<ResourceChanges>,
    /// What a MODIFY_INFO changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub changed_info: Option<Map<String, Value>>,
    /// External networks after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_ext_connectivity: Option<Vec<ExtVirtualLinkInfo>>,
    /// What another package changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub modifications_triggered_by_vnf_pkg_change: Option<Map<String, Value>>,
    /// What only vimhost knows.
    #[serde(rename = "_vimhost")]
    #[schema(value_type = Object)]
    pub own: OpOccOwn,
}

/// What only vimhost knows of an occurrence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpOccOwn {
    /// Grows with each write. 0 before the first.
    #[serde(default)]
    pub revision: Revision,
    /// Account it works on; none: nothing in a VIM (MODIFY_INFO).
    #[serde(default)]
    pub target: Option<TargetId>,
    /// Attempts before this one.
    #[serde(default)]
    pub attempt: u32,
    /// The plan and its progress, journal included. Its form is the engine's.
    #[serde(default)]
    pub work: Value,
}

impl VnfLcmOpOcc {
    /// Attributes that a list leaves out unless it is asked for them (SOL003 5.4.12.3.2).
    pub const DEFAULT_EXCLUDED: [&'static str; 5] = [
        "operationParams",
        "error",
        "resourceChanges",
        "changedInfo",
        "changedExtConnectivity",
    ];

    /// Enters another state.
    ///
    /// # Errors
    /// When the table does not have the move; nothing is changed then.
    pub fn enter(&mut self, state: OperationState, at: Timestamp) -> Result<(), IllegalStateMove> {
        self.operation_state = self.operation_state.go(state)?;
        self.state_entered_time = at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_moves_of_the_drawing_are_legal() {
        use OperationState::{Completed, Failed, FailedTemp, Processing, RolledBack, RollingBack, Starting};
        let all = [
            Starting,
            Processing,
            Completed,
            FailedTemp,
            Failed,
            RollingBack,
            RolledBack,
        ];
        let legal = [
            (Starting, Processing),
            (Starting, RolledBack),
            (Processing, Completed),
            (Processing, FailedTemp),
            (FailedTemp, Processing),
            (FailedTemp, RollingBack),
            (FailedTemp, Failed),
            (RollingBack, RolledBack),
            (RollingBack, FailedTemp),
        ];
        for from in all {
            for to in all {
                assert_eq!(from.go(to).is_ok(), legal.contains(&(from, to)), "{from:?} {to:?}");
            }
        }
    }
}
