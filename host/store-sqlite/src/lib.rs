//! The embedded Store on SQLite: one file, group commit, durable against power loss.
//!
//! ```text
//! callers ──(documents as text)──► bounded queue ──► writer thread: one transaction, a savepoint each ──► one fsync ──► answers
//!    └────────────────────────────► reader threads: a snapshot each ──► answers
//! ```
//!
//! **Why one writer.** SQLite has one write lock per file; callers that queue in front of it share one fsync instead of each
//! paying its own. The writer takes whatever was queued while its last commit ran, so the batch grows with the load and a lone
//! caller waits for nobody.
//!
//! What always holds:
//!
//! * A caller is answered after the commit that holds its write, and that commit is synced (WAL with `synchronous=FULL`).
//! * An operation that fails is undone alone; the others of its batch are committed.
//! * A read begins after it was asked for, so it sees every write that was answered before.
//! * JSON is written and parsed on the callers' and readers' side as far as possible; the writer binds and steps.
//! * Every statement is in `sql.rs` and is served by an index; a test asks SQLite for the plan of each.
//! * One process uses the file: a lock file beside it names the holder.
//!
//! It does not encrypt: secrets arrive sealed ([`vimhost_store::seal`]).

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod actions;
mod connection;
mod fault;
mod forget;
mod inspect;
mod journal;
mod leases;
mod lock;
mod open;
mod reader;
mod records;
mod resources;
mod schema;
mod sql;
mod stats;
mod store;
mod subscriptions;
mod takeovers;
mod vnf_lcm;
mod vnf_packages;
mod writer;

pub use inspect::{Inspection, inspect};
pub use open::{OpenError, Options};
pub use stats::Stats;
pub use store::SqliteStore;
