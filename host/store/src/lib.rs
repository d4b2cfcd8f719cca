//! What vimhost keeps, as intentions.
//!
//! The engine never says "write this document"; it says [`Store::commit_action`], [`Store::save_resource`],
//! [`Store::claim_account`]. Behind each intention stands one rule of durability, so an implementation can be a single file
//! or a replicated database and the engine cannot tell. [`contract`] holds the rules as tests; every implementation runs them.
//!
//! What holds for every implementation:
//!
//! * **An answered write is on disk** and survives kill -9 and power loss.
//! * **A write is made to the revision it was decided on**, or answers [`Error::Conflict`] and changes nothing.
//! * **An action is committed as a whole or not at all**: nobody ever sees some of its tasks.
//! * **Records belong to other programs**: single fields are set in them, items are addressed by id, what a client removed
//!   is not brought back.
//! * **No answer grows with what others have stored**: every query is served by an index and every listing is paged.

#![forbid(unsafe_code)]

mod access;
mod account;
mod commit;
pub mod contract;
mod error;
mod fate;
mod left_out;
mod package_use;
pub mod paging;
pub mod seal;
mod sharing;
mod store;
mod subscriptions;
mod takeover;
mod vnf_lcm;
mod vnf_packages;

pub use access::{Access, AuditFilter};
pub use account::{SealedText, StoredAccount};
pub use commit::{ActionCommit, Committed, PlanBase, ResourceUpdate, TextDigest};
pub use error::Error;
pub use fate::Fate;
pub use left_out::LeftOut;
pub use package_use::vnfds_on_their_way;
pub use sharing::{is_shared, made_under};
pub use store::{Change, Claim, FIRST_REVISION, JournalWrite, KeyPair, Lease, ObservedElement, Page, Store};
pub use subscriptions::{Delivery, PendingEvent, SubscriptionPage, Subscriptions, Unreadable, no_hold_is_beyond};
pub use takeover::{Takeover, Takeovers};
pub use vnf_lcm::{InstanceWrite, ListQuery, Listed, Split, VnfLcm, split};
pub use vnf_packages::VnfPackages;
