//! Starts a real MongoDB server for tests: one node as a replica set, a standalone, or a set of three.
//!
//! What MongoDB does in a failover, on a torn connection or with a majority that is gone is the point of these tests, so there is
//! no stand-in. The server is a program of `cargo xtask mongod`; it is used by tests only and never packaged.
//!
//! Every server listens on 127.0.0.1 at a port that is kept for it, and has its files in a temporary folder. A small shell watches over
//! it and reads from a pipe that the test process holds: when the test ends, however it ends, the pipe closes, the shell kills the server
//! and removes the folder. So nothing is left over, also by servers in statics, which nobody drops.

#![forbid(unsafe_code)]

mod node;
mod program;
mod servers;

pub use servers::{Servers, one_node, shared, standalone, three_nodes};

/// Where a server is that tests use instead of starting their own replica set.
pub const URI: &str = "VIMHOST_TEST_MONGODB_URI";

/// What tests share a server of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A replica set of one node.
    ReplicaSet,
    /// A server without replication.
    Standalone,
}
