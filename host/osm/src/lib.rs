//! OSM's VIM, WIM and SDN accounts, from OSM's own database.
//!
//! OSM's NBI writes an account into `vim_accounts`, `wim_accounts` or `sdns` and waits until the entry it made in
//! `_admin.operations` is ended. NG-RO hears of it on the message bus. Here the database itself is followed, so no message is
//! needed and none can be lost: a change stream where the server has one, questions where it has not.
//!
//! ```text
//!  OSM's MongoDB ──hints──► follow ──one task an account──► reconcile ──► engine: adopt, check, remove
//!        ▲                                                     │
//!        └────────────── lock, answer (compare-and-set) ◄──────┘
//! ```
//!
//! * [`cipher`] decrypts, [`account`] reads a document, [`record`] knows what NBI asks and how it is answered: all pure.
//! * [`reconcile`] makes one account right; [`follow`] decides which, and when.
//! * [`ng_ro`] takes over what NG-RO left in it.
//! * [`Database`] is OSM's side as a trait and [`MongoDatabase`] the real one; [`Accounts`] is vimhost's side, and the engine.
//!
//! What always holds: a secret in clear is in memory only, sealed by vimhost's own keys before it is stored; OSM's documents are changed
//! in the fields that are the RO's to write, and in no other; an account with something on it is never removed.

#![forbid(unsafe_code)]

pub mod account;
pub mod cipher;
mod database;
pub mod follow;
mod host;
mod inspect;
mod mongo;
pub mod ng_ro;
pub mod reconcile;
pub mod record;

pub use database::{Database, DatabaseError, Hint, Listing, Watched};
pub use follow::{Follower, Pace};
pub use host::{Accounts, HostError, Removal};
pub use inspect::{Inspection, inspect};
pub use mongo::MongoDatabase;
pub use reconcile::Reconciler;
