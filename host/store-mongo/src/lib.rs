//! The Store on MongoDB: several hosts on one replica set, beside OSM's own records.
//!
//! It needs no transaction over several documents, so a standalone keeps the same promises as a replica set, by the same code. What
//! MongoDB gives is one atomic change of one document with a condition, and that is enough:
//!
//! ```text
//!              one compare-and-set decides            the rest is carried out, by whoever comes first
//!            ┌──────────────────────────────┐        ┌────────────────────────────────────────────────┐
//! save       │ resource: rev, fence → doc,  │ ─────► │ records: fields, mark {life: rev}              │
//!            │ journal, todo {changes}      │        │ (todo goes with the next write, reader, sweep) │
//!            └──────────────────────────────┘        └────────────────────────────────────────────────┘
//! commit     ┌──────────────────────────────┐        ┌────────────────────────────────────────────────┐
//!  prepared: │ decision: rev R → R + 1,     │ ─────► │ resources appear, records: fields and mark,    │
//!  resources,│ commit, todo                 │        │ header appears, todo goes                      │
//!  header    └──────────────────────────────┘        └────────────────────────────────────────────────┘
//! forgetting, records written together: a decision with todo, then the steps, then todo goes
//! ```
//!
//! | document | decides |
//! | --- | --- |
//! | a resource (`vimhost_resources`) | a save with its record changes and the end of journal entries; every journal write |
//! | a service's decision (`vimhost_decisions`) | a commit, with all it touches; that the service is forgotten |
//! | a reservation (`vimhost_shares`), with the decision it names | which of several commits makes what services share |
//! | a batch's decision (same) | several records written together |
//! | a lease (`vimhost_leases`) | who drives an account |
//! | a VNF instance (`vimhost_vnf_instances`) | itself and its last operation occurrence, with their events |
//! | an account, a key pair, one record | itself |
//!
//! **What a reader sees in between.** Before the decision: nothing, because what is prepared has none of the fields a query asks
//! for. After it: a reader through this crate carries out what is decided and not done before it answers, so it sees all. Only a program
//! that reads a record by itself may find it a moment before its fields are set. A resource shows its journal, its revision and its
//! fields from one document, so never two states of it.
//!
//! **What a crash leaves.** Before the decision: a prepared header, resources without content, reservations of resources and of what
//! services share. Nobody sees them; whoever needs what is reserved refuses the commit (`commit`), and a sweep takes the rest after some
//! minutes. After the decision: `todo`, which the next reader or writer of that document, the next host that opens the database, or the
//! sweep of a running one carries out. A test cuts each write off before and after each of its commands and looks.
//!
//! **Why nothing is made twice or out of order.** A resource that appears is matched by the commit that prepared it, which it then no
//! longer names. A record keeps the number of the last change of each origin and takes only later ones; the number is the revision of
//! the deciding document, so the order is the order of decisions, and a host that was asleep with a change in hand comes too late.
//! Nobody gets to know a revision before the changes of that revision are made, so whoever writes at a revision may drop the `todo`
//! of it.
//!
//! **Unknown outcomes.** On a replica set the driver repeats a lost write under the number of the first one, and the server does it
//! once. Where that does not help: a save carries a digest of itself, so the same save again is answered as the first; an account
//! the id of its write; a record its content; a journal write finds its entry; a claim its host. A commit whose decision was lost is
//! refused, by a compare-and-set on the same document, which tells whether it was made and settles it if not.
//!
//! **A claim** is checked by the number that every resource of the account carries; a new owner raises it before the claim is
//! granted (`leases`). So a save is one command, and no write of a former owner gets through, however late.
//!
//! **Durability.** Writes are acknowledged by a majority, or by a standalone, from its journal on disk; reads see what cannot
//! be rolled back. A server that cannot be reached, is no primary, or takes too long is [`vimhost_store::Error::Unavailable`].
//!
//! **OSM's collections** `nsrs`, `vnfrs` and `vnfds` hold OSM's documents. Single fields are set in them, items by their id; one field is
//! added, `vimhost`, the numbers just told (`records`). Revisions of records are in a collection of ours. All our collections begin
//! with `vimhost_`.
//!
//! **Queries** are all in `shapes`, each served by an index; a test asks the server for every plan.
//!
//! **Servers.** MongoDB 6.0 or newer; tested with 6.0.5, on one node, on three, and standalone. A standalone serves one host, which
//! shows signs of life in `vimhost_meta`; another one is refused while it does, and whoever is let in ends all leases. Its hints are its
//! own; on a replica set a change stream brings those of other hosts.

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod bson;
mod commit;
mod db;
mod decisions;
mod fault;
mod fields;
mod forget;
mod fuse;
mod hints;
mod indexes;
mod inspect;
mod journal;
mod lanes;
mod leases;
mod open;
mod outbox;
mod pipeline;
mod records;
mod resources;
mod shapes;
mod shares;
mod stats;
mod store;
mod subscriptions;
mod takeovers;
mod verdict;
mod vnf_lcm;
mod vnf_lists;
mod vnf_packages;
mod vnf_settle;

use vimhost_store::paging;

#[doc(hidden)]
pub use fuse::Fuse;
pub use inspect::{Inspection, inspect};
pub use open::{Hold, OpenError, Options, Predecessor, Topology};
pub use stats::Stats;
pub use store::MongoStore;
