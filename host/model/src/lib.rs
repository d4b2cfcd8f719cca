//! Ids, records, states and secrets of vimhost.
//!
//! Everything here is plain data with its rules: no input, no output, no clock. The store keeps these types, the engine
//! decides over them, the API shows views of them. Names follow OSM's NG-RO where it has a word (`nsr`, `vdur`, `vim_info`),
//! ETSI NFV otherwise.

#![forbid(unsafe_code)]

mod access;
mod account;
mod action;
mod address;
pub mod date_time;
mod hex;
mod id;
mod item;
mod journal;
mod record;
mod resource;
mod schema;
mod secret;
mod target;
mod task;
mod time;
mod vim_state;
pub mod vnf;

pub use access::{AccessToken, AuditEntry, Role, TokenState, UnknownRole};
pub use account::{AccountSource, AccountState, AddressRange, Grants, Origin, OriginError, VimAccount};
pub use action::{ActionHeader, ActionKind, ActionStatus};
pub use address::{is_never_dialled, plain_form};
pub use hex::hex;
pub use id::{
    AccountId, ActionId, AuditId, HostId, Id, IdError, ItemId, Kind, NsrId, RecordId, ResourceId, SubscriptionId,
    TaskId, TokenId, VimId, VnfInstanceId, VnfLcmOpOccId, VnfPkgId, VnfdId, VnfrId,
};
pub use item::Item;
pub use journal::{JournalEntry, JournalStatus};
pub use record::{Collection, FieldPath, ItemList, ItemRef, Record, RecordChange, Segment};
pub use resource::{Holder, Resource, Revision};
pub use secret::Secret;
pub use target::{TargetError, TargetId, TargetKind};
pub use task::{Dependency, IllegalMove, Task, TaskAction, TaskStatus, Until};
pub use time::Timestamp;
pub use vim_state::{InterfaceInfo, VimState, VimStatus};
