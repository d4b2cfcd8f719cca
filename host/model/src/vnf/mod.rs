//! VNF instances, their operations, packages and subscriptions, in the words of ETSI NFV-SOL003 (v3.3.1, clause 5).
//!
//! What a client sees is kept under the standard's own attribute names, so that a filter or a selector names the same thing everywhere. What
//! only vimhost knows (revision, account, progress) stands beside it and is never shown.

mod event;
mod info;
mod instance;
mod op_occ;
mod package;
mod problem;
mod request;
mod subscription;
mod vnfd;

pub use event::{EventKind, LcmEvent};
pub use info::{
    ExtCpProtocolInfo, ExtLinkPortInfo, ExtManagedVirtualLinkInfo, ExtVirtualLinkInfo, InstantiatedVnfInfo,
    ResourceHandle, ScaleInfo, VirtualStorageResourceInfo, VnfExtCpInfo, VnfLinkPortInfo, VnfOperationalState,
    VnfVirtualLinkResourceInfo, VnfcCpInfo, VnfcInfo, VnfcResourceInfo,
};
pub use instance::{InstanceOwn, InstantiationState, VimConnectionInfo, VnfInstance};
pub use op_occ::{
    AffectedExtLinkPort, AffectedVirtualLink, AffectedVirtualStorage, AffectedVnfc, ChangeType, IllegalStateMove,
    LcmOperation, OpOccOwn, OperationState, ResourceChanges, VnfLcmOpOcc,
};
pub use package::{PackageFile, PackageOnboardingState, PackageOperationalState, PackageUsageState, VnfPackage};
pub use problem::ProblemDetails;
pub use request::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, CreateVnfRequest, ExtLinkPortData,
    ExtManagedVirtualLinkData, ExtVirtualLinkData, HealVnfRequest, InstantiateVnfRequest, ScaleType, ScaleVnfRequest,
    TerminateVnfRequest, TerminationType, VnfExtCpConfig, VnfExtCpData, VnfInfoModificationRequest, VnfLinkPortData,
    VnfcInfoModification,
};
pub use subscription::{
    ApiVersion, InstanceFilter, LifecycleChangeFilter, NotificationType, OperationType, Product, ProductVersions,
    ProviderProducts, Subscription, Verbosity,
};
pub use vnfd::{
    Delta, DeploymentFlavour, HeatTemplate, InstantiationLevel, ScalingAspect, SoftwareImage, UserDataScript,
    VduProfile, Vnfd, VnfdCp, VnfdStorage, VnfdVdu, VnfdVirtualLink,
};
