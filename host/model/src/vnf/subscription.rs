//! Subscriptions to notifications (SOL003 5.5.2.15).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Revision, SubscriptionId, Timestamp};

use super::{LcmOperation, OperationState};

/// Kinds of notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum NotificationType {
    /// An operation entered a state.
    VnfLcmOperationOccurrenceNotification,
    /// An instance was created.
    VnfIdentifierCreationNotification,
    /// An instance was deleted.
    VnfIdentifierDeletionNotification,
}

/// Operations a subscriber may name: all of the standard's, so that a filter which names one that is not served is no mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationType {
    /// `INSTANTIATE`
    Instantiate,
    /// `SCALE`
    Scale,
    /// `SCALE_TO_LEVEL`, not served.
    ScaleToLevel,
    /// `CHANGE_FLAVOUR`, not served.
    ChangeFlavour,
    /// `TERMINATE`
    Terminate,
    /// `HEAL`
    Heal,
    /// `OPERATE`, not served.
    Operate,
    /// `CHANGE_EXT_CONN`
    ChangeExtConn,
    /// `MODIFY_INFO`
    ModifyInfo,
    /// `CREATE_SNAPSHOT`, not served.
    CreateSnapshot,
    /// `REVERT_TO_SNAPSHOT`, not served.
    RevertToSnapshot,
    /// `CHANGE_VNFPKG`
    ChangeVnfpkg,
}

impl From<LcmOperation> for OperationType {
    fn from(operation: LcmOperation) -> Self {
        match operation {
            LcmOperation::Instantiate => Self::Instantiate,
            LcmOperation::Scale => Self::Scale,
            LcmOperation::Terminate => Self::Terminate,
            LcmOperation::Heal => Self::Heal,
            LcmOperation::ModifyInfo => Self::ModifyInfo,
            LcmOperation::ChangeExtConn => Self::ChangeExtConn,
            LcmOperation::ChangeVnfpkg => Self::ChangeVnfpkg,
        }
    }
}

/// Versions of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductVersions {
    /// `vnfSoftwareVersion`
    pub vnf_software_version: String,
    /// `vnfdVersion`, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_versions: Option<Vec<String>>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// `vnfProductName`
    pub vnf_product_name: String,
    /// Versions, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<ProductVersions>>,
}

/// Products of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderProducts {
    /// `vnfProvider`
    pub vnf_provider: String,
    /// Products, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_products: Option<Vec<Product>>,
}

/// Which instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFilter {
    /// VNFDs, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfd_ids: Option<Vec<String>>,
    /// Providers and products, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_products_from_providers: Option<Vec<ProviderProducts>>,
    /// Ids, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_ids: Option<Vec<String>>,
    /// Names, one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_names: Option<Vec<String>>,
}

/// What a subscriber wants to hear of: all that is present must match; in an array any element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleChangeFilter {
    /// Instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_instance_subscription_filter: Option<InstanceFilter>,
    /// Kinds of notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_types: Option<Vec<NotificationType>>,
    /// Operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_types: Option<Vec<OperationType>>,
    /// States.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_states: Option<Vec<OperationState>>,
}

/// How much a notification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verbosity {
    /// With what was changed.
    #[default]
    Full,
    /// Without.
    Short,
}

/// Which version of the interface a subscription was made by: its shapes and those of its notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// `/vnflcm/v1`
    V1,
    /// `/vnflcm/v2`
    V2,
}

/// A subscription as kept. Its credentials are sealed; the interface never shows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Id.
    pub id: SubscriptionId,
    /// Filter; none: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<LifecycleChangeFilter>,
    /// Where notifications go.
    pub callback_uri: String,
    /// How much they say.
    #[serde(default)]
    pub verbosity: Verbosity,
    /// Version it was made by.
    pub api_version: ApiVersion,
    /// How to authenticate, its secrets sealed. Its form is that of whoever delivers.
    #[serde(default)]
    pub authentication: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// 0 before the first write.
    #[serde(default)]
    pub revision: Revision,
}
