//! The Rust face of the connector contract (`wit/`): what the engine asks of a connector and what it gets back.
//!
//! The engine knows connectors only through [`Connector`] and [`Connectors`]; the runtime implements both over WebAssembly
//! components. Requests and answers are typed once here, so the engine never sees a generated binding and the runtime never
//! sees a task.
//!
//! Beside them stands [`KeyInjector`], which reaches VMs from the host itself.

#![forbid(unsafe_code)]

mod call;
mod connector;
mod descriptor;
mod error;
mod key_injector;
mod observation;
mod request;
mod stack;

pub use call::{
    Call, DeleteStep, Journal, JournalError, Pending, Step, is_of_any_operation, is_of_operation, operation_token,
};
pub use connector::{
    Capabilities, CheckReport, Connector, Connectors, InstallError, LoadError, PluginInfo, PluginState, ProposedOrigin,
};
pub use descriptor::{
    AnswerCredential, CredentialSlot, CredentialUse, Descriptor, EgressWish, OriginScope, Place, TokenPlace,
};
pub use error::{Error, ErrorKind, Outcome};
pub use key_injector::{InjectionError, KeyInjection, KeyInjector};
pub use observation::{
    ElementKind, ElementStatus, InterfaceObservation, Observation, Observed, Owned, OwnedPage, ServerObservation,
};
pub use request::{
    CloudConfig, CloudFile, CloudUser, Console, CreateRequest, Created, DeleteRequest, DiskSource, Encapsulation,
    Endpoint, Filter, FindRequest, FlavourData, FloatingIp, Found, GroupRequest, InterfaceKind, InterfaceUse,
    IpProfile, NetworkKind, NetworkRequest, OperateRequest, Operated, PortSecurityDisableStrategy, PowerAction,
    ProviderNetwork, ServerDisk, ServerInterface, ServerRequest, ServiceRequest, ServiceType, VolumeRequest,
};
pub use stack::{
    ObservedStacks, StackAction, StackContent, StackObservation, StackProgress, StackRef, StackRequest, StackResource,
    UpdateMode,
};
