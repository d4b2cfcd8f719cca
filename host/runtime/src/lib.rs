//! Runs connectors: the only crate that names wasmtime.
//!
//! A connector is a WebAssembly component that nobody trusts. It gets an instance for one call, bounded in memory, time and
//! everything it can ask for; it reaches the network only through HTTP requests that its descriptor asks for *and* its account
//! grants; it never sees a credential; and what it answers is read like any other input from outside. Whatever it does, the call
//! fails and the host goes on.
//!
//! | module | what |
//! | --- | --- |
//! | `limits`, `meter`, `metrics` | every limit in one table; time and memory of a call; what is counted |
//! | `engine`, `core` | the engine, its ticker, the guests' threads |
//! | `image` | compiled code on disk, authenticated; the only `unsafe` |
//! | `load`, `link`, `plugin`, `registry` | from a file to a plugin that serves, and its states |
//! | `call`, `context`, `sink` | one call, and what it leaves behind when it fails |
//! | `imports` | log, journal and cache, as guests see them |
//! | `egress` | the way out: policy, dialling, TLS, credentials |
//! | `account` | what outlives a call |
//! | `convert`, `lend`, `connector` | the contract's records, and the engine's `Connector` |

#![deny(unsafe_code)]

mod account;
mod bindings;
mod call;
mod config;
mod connector;
mod context;
mod convert;
mod core;
mod egress;
mod engine;
mod error;
mod image;
mod imports;
mod lend;
mod limits;
mod link;
mod load;
mod meter;
mod metrics;
mod plugin;
mod quarantine;
mod random;
mod registry;
mod runtime;
mod sink;
mod text;

pub use config::{Allocation, HostKey, RuntimeConfig};
pub use error::Error;
pub use limits::{Limit, Limits, Value};
pub use quarantine::Quarantine;
pub use runtime::Runtime;
pub use vimhost_dial::{Resolve, SystemResolver};

/// The line of the contract that is served.
const CONTRACT: &str = "0.1";
