//! Takeover of a running OSM: what NG-RO left in OSM's database, as resources and actions of vimhost.
//!
//! ```text
//!  ro_tasks, nsrs, vnfrs ──read──► document ──► element (task, state, created_items) ──► link ──► plan ──► report
//!                                                                                              │
//!                                              one commit an action, a note a service ◄── carry_out
//! ```
//!
//! Everything up to the plan is pure; [`Takeover`] reads, and writes by the store's own intentions. Nothing of NG-RO's is changed.
//!
//! What always holds:
//! * An element that NG-RO found is never ours to delete; one that it made is, by the last service that holds it.
//! * Nothing is made twice: a creation of which nobody knows whether it has happened is an obstacle, until somebody has looked.
//! * A run may end at any point and be made again: ids of resources follow from NG-RO's, an action is committed once, and a service
//!   that is taken over is noted for good.
//! * While there is an obstacle nothing is written.

mod carry_out;
mod created_items;
mod document;
mod element;
mod link;
mod plan;
mod records;
mod report;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub use carry_out::{HOST, Takeover, TakeoverError};
pub use document::RawDocument;
pub use plan::{Choices, Known, Left, Plan, Service, plan};
pub use report::{Elements, Obstacle, Report, ServiceReport, State};
