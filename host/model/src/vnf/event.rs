//! What subscribers may be told of (SOL003 5.3.9).

use serde::{Deserialize, Serialize};

use crate::{Timestamp, VnfInstanceId, VnfLcmOpOccId, VnfdId};

use super::{VnfInstance, VnfLcmOpOcc};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum EventKind {
    /// An instance was created.
    IdentifierCreation,
    /// An instance was deleted.
    IdentifierDeletion,
    /// An operation entered a state: the occurrence as it was then.
    #[serde(rename_all = "camelCase")]
    OperationOccurrence {
        /// The occurrence, without its operation parameters.
        op_occ: Box<VnfLcmOpOcc>,
    },
}

/// An event, with what subscriptions are matched by. It is written with the change it tells of, in one step, so that none is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LcmEvent {
    /// When.
    pub at: Timestamp,
    /// The instance.
    pub vnf_instance_id: VnfInstanceId,
    /// Its name at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    /// Its VNFD at that moment.
    pub vnfd_id: VnfdId,
    /// Provider.
    pub vnf_provider: String,
    /// Product.
    pub vnf_product_name: String,
    /// Software version.
    pub vnf_software_version: String,
    /// VNFD version.
    pub vnfd_version: String,
    /// What happened.
    pub what: EventKind,
}

impl LcmEvent {
    /// Something happened to an instance as it is.
    #[must_use]
    pub fn of(instance: &VnfInstance, at: Timestamp, what: EventKind) -> Self {
        Self {
            at,
            vnf_instance_id: instance.id.clone(),
            vnf_instance_name: instance.vnf_instance_name.clone(),
            vnfd_id: instance.vnfd_id.clone(),
            vnf_provider: instance.vnf_provider.clone(),
            vnf_product_name: instance.vnf_product_name.clone(),
            vnf_software_version: instance.vnf_software_version.clone(),
            vnfd_version: instance.vnfd_version.clone(),
            what,
        }
    }

    /// The operation occurrence it tells of.
    #[must_use]
    pub fn op_occ_id(&self) -> Option<&VnfLcmOpOccId> {
        match &self.what {
            EventKind::OperationOccurrence { op_occ } => Some(&op_occ.id),
            EventKind::IdentifierCreation | EventKind::IdentifierDeletion => None,
        }
    }
}
