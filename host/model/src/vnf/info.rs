//! What an instance consists of (SOL003 5.5.3.2 and following), by the VIM's physical ids.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An element in a VIM (SOL003 4.4.1.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceHandle {
    /// Key in `vimConnectionInfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<String>,
    /// Who manages the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<String>,
    /// Id in the VIM.
    pub resource_id: String,
    /// `OS::Nova::Server`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_level_resource_type: Option<String>,
}

/// Whether the VNF runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VnfOperationalState {
    /// It does.
    Started,
    /// It does not.
    Stopped,
}

/// The level of one scaling aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleInfo {
    /// The aspect.
    pub aspect_id: String,
    /// VNFD of the aspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// The level, from 0.
    pub scale_level: u32,
}

/// Addresses of a connection point, `layerProtocol` IP_OVER_ETHERNET; the protocol's own object is passed on as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtCpProtocolInfo {
    /// `IP_OVER_ETHERNET`
    pub layer_protocol: String,
    /// Addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ip_over_ethernet: Option<Map<String, Value>>,
}

/// A connection point of a VNFC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfcCpInfo {
    /// `<cpd>-<server id>`
    pub id: String,
    /// CPD.
    pub cpd_id: String,
    /// External connection point it is seen as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_ext_cp_id: Option<String>,
    /// Addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cp_protocol_info: Option<Vec<ExtCpProtocolInfo>>,
    /// Port of an internal virtual link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_link_port_id: Option<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfcResourceInfo {
    /// The server's id.
    pub id: String,
    /// VDU of the VNFD.
    pub vdu_id: String,
    /// VNFD of the VDU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// The server.
    pub compute_resource: ResourceHandle,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// Volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_resource_ids: Option<Vec<String>>,
    /// Reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
    /// Connection points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_cp_info: Option<Vec<VnfcCpInfo>>,
    /// `creation_time`, `stack_id` (name/id of the nested stack), `parent_stack_id`, `parent_resource_name` or `vdu_idx`, `flavor`, `image-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A VNFC as SOL002 has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfcInfo {
    /// `<VDU>-<server id>`
    pub id: String,
    /// VDU.
    pub vdu_id: String,
    /// `vnfcResourceInfo.id`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_resource_info_id: Option<String>,
    /// State.
    pub vnfc_state: VnfOperationalState,
    /// Configurable properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vnfc_configurable_properties: Option<Map<String, Value>>,
}

/// A port of an internal virtual link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfLinkPortInfo {
    /// Id.
    pub id: String,
    /// The port.
    pub resource_handle: ResourceHandle,
    /// Connection point on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cp_instance_id: Option<String>,
    /// `VNFC_CP` or `EXT_CP`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cp_instance_type: Option<String>,
}

/// An internal virtual link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfVirtualLinkResourceInfo {
    /// The network's id.
    pub id: String,
    /// VLD.
    pub vnf_virtual_link_desc_id: String,
    /// VNFD of the VLD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// The network.
    pub network_resource: ResourceHandle,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// Reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
    /// Ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_link_ports: Option<Vec<VnfLinkPortInfo>>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualStorageResourceInfo {
    /// The volume's id.
    pub id: String,
    /// Storage of the VNFD.
    pub virtual_storage_desc_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// The volume.
    pub storage_resource: ResourceHandle,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// Reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
    /// Metadata, as for a VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A port towards an external network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtLinkPortInfo {
    /// Id.
    pub id: String,
    /// The port.
    pub resource_handle: ResourceHandle,
    /// External connection point on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cp_instance_id: Option<String>,
}

/// An external network the VNF is joined to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtVirtualLinkInfo {
    /// Id the client gave.
    pub id: String,
    /// The network.
    pub resource_handle: ResourceHandle,
    /// Ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_link_ports: Option<Vec<ExtLinkPortInfo>>,
    /// What is configured now.
    pub current_vnf_ext_cp_data: Vec<super::VnfExtCpData>,
}

/// An internal network the client provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtManagedVirtualLinkInfo {
    /// Id the client gave.
    pub id: String,
    /// VLD.
    pub vnf_virtual_link_desc_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// The network.
    pub network_resource: ResourceHandle,
    /// Ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_link_ports: Option<Vec<VnfLinkPortInfo>>,
    /// Link over several sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_managed_multisite_virtual_link_id: Option<String>,
}

/// An external connection point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpInfo {
    /// `cp-<port id>`
    pub id: String,
    /// CPD.
    pub cpd_id: String,
    /// Configuration of the CP.
    pub cp_config_id: String,
    /// VNFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<String>,
    /// Addresses.
    pub cp_protocol_info: Vec<ExtCpProtocolInfo>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_link_port_id: Option<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// VNFC connection point behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associated_vnfc_cp_id: Option<String>,
    /// Virtual link behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associated_vnf_virtual_link_id: Option<String>,
}

/// What an instance consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstantiatedVnfInfo {
    /// Flavour.
    pub flavour_id: String,
    /// Whether it runs.
    pub vnf_state: VnfOperationalState,
    /// Levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_status: Option<Vec<ScaleInfo>>,
    /// Highest levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_scale_levels: Option<Vec<ScaleInfo>>,
    /// External connection points; absent after a terminate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_cp_info: Option<Vec<VnfExtCpInfo>>,
    /// External networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_virtual_link_info: Option<Vec<ExtVirtualLinkInfo>>,
    /// Internal networks that the client provides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_managed_virtual_link_info: Option<Vec<ExtManagedVirtualLinkInfo>>,
    /// Language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localization_language: Option<String>,
    /// VMs, newest first: scale in removes from the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_resource_info: Option<Vec<VnfcResourceInfo>>,
    /// Internal networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_virtual_link_resource_info: Option<Vec<VnfVirtualLinkResourceInfo>>,
    /// Volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_storage_resource_info: Option<Vec<VirtualStorageResourceInfo>>,
    /// VNFCs (SOL002).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_info: Option<Vec<VnfcInfo>>,
    /// `stack_id`, `nfv`, `tenant` as Tacker shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}
