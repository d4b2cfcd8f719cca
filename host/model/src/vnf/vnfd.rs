//! What a VNFD (SOL001, TOSCA YAML) says, as far as its life cycle needs it. Parsed once, when a package is uploaded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::VnfdId;

/// How many instances a scaling step of one VDU is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Instances of each step, the first step first; the last one counts for all that follow.
    pub steps: Vec<u32>,
}

/// A scaling aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingAspect {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Highest level; 0 is the lowest.
    pub max_scale_level: u32,
    /// By VDU, what a step of the aspect adds.
    #[serde(default)]
    pub deltas: BTreeMap<String, Delta>,
}

/// An instantiation level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct InstantiationLevel {
    /// Level by aspect.
    #[serde(default)]
    pub scale_levels: BTreeMap<String, u32>,
    /// Instances by VDU, where the VNFD says them.
    #[serde(default)]
    pub instances: BTreeMap<String, u32>,
}

/// How many instances of a VDU there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VduProfile {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SoftwareImage {
    /// VDU or storage it belongs to.
    pub id: String,
    /// Name in the VIM.
    pub name: String,
    /// Version.
    #[serde(default)]
    pub version: String,
    /// Path in the archive, if it is there.
    #[serde(default)]
    pub path: Option<String>,
    /// Digest: algorithm.
    #[serde(default)]
    pub checksum_algorithm: Option<String>,
    /// Digest: hash.
    #[serde(default)]
    pub checksum: Option<String>,
    /// `qcow2`
    #[serde(default)]
    pub disk_format: Option<String>,
    /// `bare`
    #[serde(default)]
    pub container_format: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub min_disk: Option<u64>,
    /// Bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// A VDU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VnfdVdu {
    /// Name.
    pub name: String,
    /// How many.
    pub profile: VduProfile,
    /// How many at the lowest level.
    pub initial: u32,
    /// Flavour by name (`requested_additional_capabilities.properties`), where the VNFD names one.
    #[serde(default)]
    pub compute_flavour: Option<String>,
    /// Image it boots from; none: from a storage.
    #[serde(default)]
    pub image: Option<SoftwareImage>,
    /// Storages.
    #[serde(default)]
    pub storages: Vec<String>,
    /// User data and what else is said.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// A storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct VnfdStorage {
    /// Image it is made from.
    #[serde(default)]
    pub image: Option<SoftwareImage>,
    /// Bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Volume type.
    #[serde(default)]
    pub volume_type: Option<String>,
}

/// A connection point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfdCp {
    /// VDU it is bound to; none: of the VNF itself.
    #[serde(default)]
    pub vdu: Option<String>,
    /// Position on the VDU.
    #[serde(default)]
    pub order: u32,
    /// Internal virtual link; none: external only.
    #[serde(default)]
    pub virtual_link: Option<String>,
    /// Seen from outside (substitution mapping, or bound to no link).
    #[serde(default)]
    pub external: bool,
}

/// An internal virtual link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct VnfdVirtualLink {
    /// Properties as the VNFD has them.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// Base template of a flavour, with its nested files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatTemplate {
    /// Path in the archive.
    pub path: String,
    /// YAML.
    pub template: String,
    /// Nested files by the name under which templates refer to them (the file's own name).
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A deployment flavour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentFlavour {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Levels by id.
    #[serde(default)]
    pub instantiation_levels: BTreeMap<String, InstantiationLevel>,
    /// Level that counts when a client names none.
    #[serde(default)]
    pub default_level: Option<String>,
    /// Aspects by id.
    #[serde(default)]
    pub aspects: BTreeMap<String, ScalingAspect>,
    /// VDUs by id.
    #[serde(default)]
    pub vdus: BTreeMap<String, VnfdVdu>,
    /// Storages by id.
    #[serde(default)]
    pub storages: BTreeMap<String, VnfdStorage>,
    /// Connection points by id.
    #[serde(default)]
    pub cps: BTreeMap<String, VnfdCp>,
    /// Virtual links by id.
    #[serde(default)]
    pub virtual_links: BTreeMap<String, VnfdVirtualLink>,
    /// Scripts by operation and end (`instantiate_start`): named by the VNFD's interfaces. vimhost runs none and refuses them.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// `BaseHOT/<flavour>/*.yaml`; none: the flavour cannot be made by a stack.
    #[serde(default)]
    pub base_hot: Option<HeatTemplate>,
}

/// A VNFD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vnfd {
    /// `descriptor_id`
    pub id: VnfdId,
    /// Provider.
    pub provider: String,
    /// Product name.
    pub product_name: String,
    /// Software version.
    pub software_version: String,
    /// `descriptor_version`
    pub version: String,
    /// VNFM the VNFD is for.
    #[serde(default)]
    pub vnfm_info: Vec<String>,
    /// Flavours by id.
    pub flavours: BTreeMap<String, DeploymentFlavour>,
    /// Defaults of `vnfConfigurableProperties`, `extensions`, `metadata` of new instances.
    #[serde(default)]
    pub configurable_properties: Map<String, Value>,
    /// As above.
    #[serde(default)]
    pub extensions: Map<String, Value>,
    /// As above.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// User scripts of the package by path: what `lcm-operation-user-data` may name. Recognised stock scripts only.
    #[serde(default)]
    pub user_data_scripts: BTreeMap<String, UserDataScript>,
}

/// A user data script that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserDataScript {
    /// Tacker's `DefaultUserData`: groups with `desired_capacity`.
    Default,
    /// Tacker's `StandardUserData`: a resource for each VM.
    Standard,
    /// Any other: refused when it is named.
    Unknown,
}
