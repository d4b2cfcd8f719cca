//! A VNF instance (SOL003 5.5.2.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Revision, TargetId, VnfInstanceId, VnfLcmOpOccId, VnfPkgId, VnfdId};

use super::InstantiatedVnfInfo;

/// Whether there is anything in a VIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstantiationState {
    /// Nothing.
    NotInstantiated,
    /// A stack.
    Instantiated,
}

impl InstantiationState {
    /// SOL003's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInstantiated => "NOT_INSTANTIATED",
            Self::Instantiated => "INSTANTIATED",
        }
    }
}

/// How to reach a VIM (SOL003 4.4.1.6), as kept and shown: without secrets. Those are sealed in the account that `target` of the instance names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VimConnectionInfo {
    /// A registered account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<String>,
    /// `ETSINFV.OPENSTACK_KEYSTONE.V_3`
    pub vim_type: String,
    /// Endpoint and TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub interface_info: Option<Map<String, Value>>,
    /// User, project, region; never a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub access_info: Option<Map<String, Value>>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extra: Option<Map<String, Value>>,
}

/// A VNF instance. The serialised form has SOL003's names; what is vimhost's own stands under `_vimhost`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfInstance {
    /// Id.
    pub id: VnfInstanceId,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    /// The VNFD it is made by.
    pub vnfd_id: VnfdId,
    /// From the VNFD.
    pub vnf_provider: String,
    /// From the VNFD.
    pub vnf_product_name: String,
    /// From the VNFD.
    pub vnf_software_version: String,
    /// From the VNFD.
    pub vnfd_version: String,
    /// Configurable properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vnf_configurable_properties: Option<Map<String, Value>>,
    /// Connections by key; empty: absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<String, VimConnectionInfo>,
    /// State.
    pub instantiation_state: InstantiationState,
    /// What there is, while INSTANTIATED; after a terminate flavour and state only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instantiated_vnf_info: Option<InstantiatedVnfInfo>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Map<String, Value>>,
    /// What only vimhost knows.
    #[serde(rename = "_vimhost")]
    #[schema(value_type = Object)]
    pub own: InstanceOwn,
}

/// What only vimhost knows of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceOwn {
    /// Grows with each write. 0 before the first.
    #[serde(default)]
    pub revision: Revision,
    /// Package it was made from.
    pub package: VnfPkgId,
    /// Account its stack is on, while there is one.
    #[serde(default)]
    pub target: Option<TargetId>,
    /// The operation that runs or is FAILED_TEMP: no other may begin.
    #[serde(default)]
    pub operation: Option<VnfLcmOpOccId>,
    /// What the engine keeps of the stack beside SOL003's attributes (its parameters, template, names of members). Its form is the engine's.
    #[serde(default)]
    pub stack: Value,
}

impl VnfInstance {
    /// Attributes that a list leaves out unless it is asked for them (SOL003 5.4.2.3.2).
    pub const DEFAULT_EXCLUDED: [&'static str; 5] = [
        "vnfConfigurableProperties",
        "vimConnectionInfo",
        "instantiatedVnfInfo",
        "metadata",
        "extensions",
    ];

    /// Stack name of an instance.
    #[must_use]
    pub fn stack_name(&self) -> String {
        format!("vnf-{}", self.id)
    }
}
