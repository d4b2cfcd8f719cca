//! Everything a connector needs: traits, HTTP, JSON, errors, logging and a test kit.
//!
//! A connector is a type that implements [`Connector`] and some of [`Infrastructure`], [`Operations`], [`Stacks`] and
//! [`Connectivity`]; [`export_connector!`] makes a component of it. The README beside this crate writes one in ten minutes.
//!
//! * [`http`] speaks to the VIM, [`session`] logs in once for all calls, [`cache`] keeps what is worth keeping.
//! * [`journal`] makes creating and deleting safe against crashes: `call.create_once(…)`, `call.delete_journalled(…)`.
//! * [`info!`] and its siblings write to the host's log. [`clock`] is the only clock.
//! * `testkit` is a host for unit tests. The same code runs there natively and in the sandbox.
//!
//! Nothing here waits or retries: a call that must wait answers `Pending` and is called again.

#[doc(hidden)]
pub mod bindings;

pub mod cache;
pub mod clock;
pub mod connectivity;
pub mod connector;
pub mod error;
mod export;
mod host;
pub mod http;
pub mod infrastructure;
pub mod journal;
pub mod log;
pub mod operations;
pub mod session;
pub mod stacks;
#[cfg(not(target_family = "wasm"))]
pub mod testkit;
pub mod tokens;
pub mod types;

pub use connectivity::Connectivity;
pub use connector::Connector;
pub use infrastructure::Infrastructure;
pub use operations::Operations;
pub use stacks::Stacks;

/// What most connectors use: `use vimhost_sdk::prelude::*;`
pub mod prelude {
    pub use crate::connectivity::{Connectivity, EditStep, Encapsulation, Endpoint, ServiceRequest, ServiceType};
    pub use crate::connector::{
        AnswerCredential, CheckReport, Connector, CredentialSlot, Descriptor, EgressWish, HeaderPlace, OriginScope,
        Place, ProposedOrigin, TokenPlace, UseOfCredential,
    };
    pub use crate::error::{Failure, Outcome};
    pub use crate::http::{Client, Method, Request, Response};
    pub use crate::infrastructure::{
        CloudConfig, DiskSource, Filter, FlavourData, FloatingIp, Found, GroupRequest, Infrastructure, InterfaceKind,
        InterfaceUse, IpProfile, IpVersion, NetworkKind, NetworkRequest, NewDisk, ProviderNetwork, ServerDisk,
        ServerInterface, ServerRequest, VolumeRequest,
    };
    pub use crate::journal::Removal;
    pub use crate::operations::{Console, OperateStep, Operated, Operations, PowerAction};
    pub use crate::session::{Login, Session};
    pub use crate::stacks::{
        ObservedStacks, StackAction, StackContent, StackObservation, StackProgress, StackRef, StackRequest,
        StackResource, Stacks, UpdateMode, UpdateStep,
    };
    pub use crate::types::{
        Account, Call, CreateStep, Created, DeleteStep, ElementKind, ElementStatus, Error, ErrorKind,
        InterfaceObservation, JournalEntry, JournalStatus, Observation, Observed, Owned, OwnedPage, Pending,
        ServerObservation, from_json, json,
    };
}
