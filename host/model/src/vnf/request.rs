//! What clients ask for (SOL003 5.5.2). Unknown attributes are accepted everywhere, and kept where an occurrence shows what was asked
//! (`operationParams`), but for those of connections: nobody knows which of them are secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::VnfdId;

use super::{ExtCpProtocolInfo, ResourceHandle, VimConnectionInfo};

/// `POST /vnf_instances`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfRequest {
    /// VNFD.
    pub vnfd_id: VnfdId,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub vnf_instance_name: Option<String>,
    /// At most 1024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub vnf_instance_description: Option<String>,
    /// Merged over the VNFD's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// Configuration of an external connection point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpConfig {
    /// Parent port of a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub parent_cp_config_id: Option<String>,
    /// A port that exists, of `extLinkPorts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub link_port_id: Option<String>,
    /// Addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cp_protocol_data: Option<Vec<ExtCpProtocolInfo>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// External connection points of one CPD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpData {
    /// CPD.
    #[schema(min_length = 1, max_length = 255)]
    pub cpd_id: String,
    /// Configurations by id; null in a change removes one.
    #[schema(value_type = BTreeMap<String, VnfExtCpConfig>)]
    pub cp_config: BTreeMap<String, Option<VnfExtCpConfig>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// An external network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtVirtualLinkData {
    /// Id the client gives.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// Key of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<String>,
    /// Who manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<String>,
    /// The network's id in the VIM.
    #[schema(min_length = 1, max_length = 255)]
    pub resource_id: String,
    /// Connection points on it.
    #[schema(min_items = 1)]
    pub ext_cps: Vec<VnfExtCpData>,
    /// Ports that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_link_ports: Option<Vec<ExtLinkPortData>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// A port that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtLinkPortData {
    /// Id the client gives.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// The port.
    pub resource_handle: ResourceHandle,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// A port of an internal network that the client provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfLinkPortData {
    /// Id the client gives.
    #[schema(min_length = 1, max_length = 255)]
    pub vnf_link_port_id: String,
    /// The port.
    pub resource_handle: ResourceHandle,
}

/// An internal network that the client provides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtManagedVirtualLinkData {
    /// Id the client gives.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// VLD of the VNFD.
    #[schema(min_length = 1, max_length = 255)]
    pub vnf_virtual_link_desc_id: String,
    /// Key of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<String>,
    /// Who manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<String>,
    /// The network's id in the VIM.
    #[schema(min_length = 1, max_length = 255)]
    pub resource_id: String,
    /// Ports that exist. One name for all of them, as the standard has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_link_port: Option<Vec<VnfLinkPortData>>,
    /// Link over several sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_managed_multisite_virtual_link_id: Option<String>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// `POST …/instantiate`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstantiateVnfRequest {
    /// Flavour of the VNFD.
    #[schema(min_length = 1, max_length = 255)]
    pub flavour_id: String,
    /// Level to begin at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub instantiation_level_id: Option<String>,
    /// External networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_virtual_links: Option<Vec<ExtVirtualLinkData>>,
    /// Internal networks that the client provides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_managed_virtual_links: Option<Vec<ExtManagedVirtualLinkData>>,
    /// Connections by key, secrets included: whoever keeps a request takes them out first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_info: Option<BTreeMap<String, VimConnectionInfo>>,
    /// Language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localization_language: Option<String>,
    /// `nfv`, `lcm-operation-user-data`, `lcm-operation-user-data-class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// Extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Map<String, Value>>,
    /// Configurable properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vnf_configurable_properties: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// How a VNF ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TerminationType {
    /// At once.
    Forceful,
    /// After a while in which it is out of service.
    Graceful,
}

/// `POST …/terminate`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminateVnfRequest {
    /// How.
    pub termination_type: TerminationType,
    /// Seconds, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub graceful_termination_timeout: Option<u32>,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// Direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScaleType {
    /// More.
    ScaleOut,
    /// Fewer.
    ScaleIn,
}

fn one() -> u32 {
    1
}

/// `POST …/scale`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleVnfRequest {
    /// Direction.
    #[serde(rename = "type")]
    pub scale_type: ScaleType,
    /// Aspect of the VNFD.
    #[schema(min_length = 1, max_length = 255)]
    pub aspect_id: String,
    /// At least 1.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    pub number_of_steps: u32,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// `POST …/heal`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealVnfRequest {
    /// Why; at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub cause: Option<String>,
    /// `vnfcInfo.id` of what is to be healed (SOL002).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub vnfc_instance_id: Option<Vec<String>>,
    /// `all`: storages too; without `vnfcInstanceId` the whole stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// `POST …/change_ext_conn`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeExtVnfConnectivityRequest {
    /// External networks that change.
    #[schema(min_items = 1)]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_info: Option<BTreeMap<String, VimConnectionInfo>>,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// `POST …/change_vnfpkg`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCurrentVnfPkgRequest {
    /// VNFD of the package to go to.
    pub vnfd_id: VnfdId,
    /// External networks that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_virtual_links: Option<Vec<ExtVirtualLinkData>>,
    /// Internal networks that the client provides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_managed_virtual_links: Option<Vec<ExtManagedVirtualLinkData>>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_info: Option<BTreeMap<String, VimConnectionInfo>>,
    /// `upgrade_type` "RollingUpdate" and `vdu_params` are mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub additional_params: Option<Map<String, Value>>,
    /// Extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Map<String, Value>>,
    /// Configurable properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vnf_configurable_properties: Option<Map<String, Value>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

/// Configurable properties of one VNFC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfcInfoModification {
    /// `vnfcInfo.id`
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// Merged over what is there.
    #[schema(value_type = Object)]
    pub vnfc_configurable_properties: Map<String, Value>,
}

/// `PATCH /vnf_instances/{id}` (RFC 7396): an attribute that is null is removed. As JSON objects, since null and absent differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfInfoModificationRequest {
    /// Name; `Some(None)`: removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 255)]
    pub vnf_instance_name: Option<Option<String>>,
    /// Description; `Some(None)`: removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 1024)]
    pub vnf_instance_description: Option<Option<String>>,
    /// Another VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<VnfdId>,
    /// Merge patch; `Some(None)`: removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub vnf_configurable_properties: Option<Option<Map<String, Value>>>,
    /// Merge patch; `Some(None)`: removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Option<Map<String, Value>>>,
    /// Merge patch; `Some(None)`: removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Option<Map<String, Value>>>,
    /// Merge patch by key; secrets included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vim_connection_info: Option<Map<String, Value>>,
    /// Configurable properties of VNFCs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_info_modifications: Option<Vec<VnfcInfoModification>>,
    /// What else was written, kept as it came.
    #[serde(flatten)]
    #[schema(ignore, value_type = Object)]
    pub other: Map<String, Value>,
}

fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As requests are kept in operations, and links with an instance.
    #[test]
    fn what_was_written_is_kept_with_what_nobody_knows() {
        let port = json!({"id": "p", "resourceHandle": {"resourceId": "port"}, "more": 1});
        let config = json!({"linkPortId": "p", "createExtLinkPort": false});
        let point = json!({"cpdId": "c", "cpConfig": {"one": config, "two": null}, "more": {"a": null}});
        let link = json!({"id": "l", "resourceId": "n", "extCps": [point], "extLinkPorts": [port], "more": [1.5]});
        let managed = json!({"id": "m", "vnfVirtualLinkDescId": "v", "resourceId": "n", "more": true,
            "vnfLinkPort": [{"vnfLinkPortId": "q", "resourceHandle": {"resourceId": "port"}}]});
        let written = json!({"flavourId": "f", "extVirtualLinks": [link], "extManagedVirtualLinks": [managed],
            "localizationLanguage": "de", "more": "text"});
        let request: InstantiateVnfRequest = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(Value::Object(request.other.clone()), json!({"more": "text"}));
        assert_eq!(serde_json::to_value(&request).unwrap(), written);
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<InstantiateVnfRequest>(&text).unwrap(), request);

        let patch = json!({"vnfInstanceName": null, "more": null});
        let request: VnfInfoModificationRequest = serde_json::from_value(patch.clone()).unwrap();
        assert_eq!(request.vnf_instance_name, Some(None));
        assert_eq!(serde_json::to_value(&request).unwrap(), patch);
    }
}
