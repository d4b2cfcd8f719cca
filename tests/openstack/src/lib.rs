//! What tests against a real OpenStack share: which one it is, its own client, what it holds, and accounts on it.
//!
//! Which OpenStack: the cloud `VIMHOST_TEST_CLOUD` of the file `VIMHOST_TEST_CLOUDS_YAML`, as `openstack`'s own client reads it; else
//! the lab that is up in the target directory; else a lab that is brought up for this process. `cargo xtask test` chooses the same
//! way and says NOT RUN where none can be had. The tests are ignored unless asked for, so that a run without an OpenStack shows them
//! as what they are.

#![forbid(unsafe_code)]

mod account;
mod client;
mod cloud;
mod inventory;

pub use account::Account;
pub use cloud::{Cloud, cloud};
pub use inventory::Inventory;
