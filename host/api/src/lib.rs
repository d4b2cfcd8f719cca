//! The northbound interfaces: the only crate that names axum.
//!
//! A dialect is a router on a listener of its own; each takes the same [`Engine`](vimhost_engine::Engine):
//!
//! * [`ng_ro`] — `/ro/…`, what OSM's LCM speaks: YAML and JSON, no credentials, a list of source ranges.
//! * [`admin`] — `/v1/…`, accounts, records, network services and actions: JSON out, JSON or YAML in, bearer tokens, problem
//!   details, server-sent events.
//! * [`vnf_lcm`] — `/vnflcm/v2/…` and `/vnfpkgm/v1/…`, SOL003 as Tacker serves it: JSON, Keystone's tokens or none on loopback.
//!
//! What all share: every request is one task with one span, one time limit and one line in the log, and every refusal is a
//! `Failure` until the last step, where the dialect gives it its form. A handler extracts, calls the engine
//! and turns the answer into a view; views are not store types.
//!
//! [`serve()`] runs a router on a listener, with limits against slow clients, until it is told to stop.

#![forbid(unsafe_code)]

pub mod admin;
mod body;
mod exchange;
mod failure;
mod mask;
mod method;
pub mod ng_ro;
mod path;
mod received;
mod serve;
mod source;
pub mod vnf_lcm;
mod vnf_packages;
mod wording;
mod yaml;

pub use exchange::RequestLimits;
pub use serve::{ServeOptions, serve};
pub use source::SourceRanges;
