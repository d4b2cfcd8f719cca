//! VNF packages (SOL005 9.5.2.5, as Tacker serves them under `/vnfpkgm/v1`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Revision, Timestamp, VnfPkgId};

use super::{ProblemDetails, SoftwareImage, Vnfd};

/// How far a package came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageOnboardingState {
    /// Nothing uploaded.
    Created,
    /// Being uploaded.
    Uploading,
    /// Being read.
    Processing,
    /// Usable.
    Onboarded,
    /// Refused; another upload may follow.
    Error,
}

/// Whether instances may be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageOperationalState {
    /// Yes.
    Enabled,
    /// No.
    Disabled,
}

/// Whether instances were made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageUsageState {
    /// Yes.
    InUse,
    /// No.
    NotInUse,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageFile {
    /// Path in the archive.
    pub path: String,
    /// Its digest: algorithm and hexadecimal hash.
    pub algorithm: String,
    /// Hexadecimal.
    pub hash: String,
    /// Bytes, unpacked.
    pub size: u64,
}

/// A VNF package. What is only vimhost's is not serialised by the interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPackage {
    /// Id.
    pub id: VnfPkgId,
    /// Onboarding.
    pub onboarding_state: PackageOnboardingState,
    /// Operation.
    pub operational_state: PackageOperationalState,
    /// Given by the client.
    #[serde(default)]
    pub user_defined_data: Map<String, Value>,
    /// What an upload was refused for.
    #[serde(default)]
    pub onboarding_failure: Option<ProblemDetails>,
    /// What it describes, once onboarded.
    #[serde(default)]
    pub vnfd: Option<Vnfd>,
    /// SHA-256 of the archive, hexadecimal, once onboarded.
    #[serde(default)]
    pub checksum: Option<String>,
    /// Bytes of the archive.
    #[serde(default)]
    pub size: u64,
    /// Files other than VNFD and images.
    #[serde(default)]
    pub additional_artifacts: Vec<PackageFile>,
    /// Images.
    #[serde(default)]
    pub software_images: Vec<SoftwareImage>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with each write. 0 before the first.
    #[serde(default)]
    pub revision: Revision,
}

impl VnfPackage {
    /// Instances may be made of it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.onboarding_state == PackageOnboardingState::Onboarded
            && self.operational_state == PackageOperationalState::Enabled
            && self.vnfd.is_some()
    }
}
