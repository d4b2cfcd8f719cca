//! What end-to-end tests share: the real binary as a child process, a mock VIM and a user of it, LCM's calls, an SSH
//! server.
//!
//! `cargo xtask test` builds the binary and the connectors first; a test that finds none says which command does.

#![forbid(unsafe_code)]

mod cluster;
pub mod figures;
mod held_port;
mod host;
mod kills;
mod lcm;
mod random;
mod sshd;
mod vim_user;
mod vnf_lcm;
mod vnf_package;

pub use cluster::Cluster;
pub use held_port::HeldPort;
pub use host::{Host, PASSWORD, Setup, binary, plugin_dir, series_sum, start_vim, wait_until};
pub use kills::Kills;
pub use lcm::{Lcm, Records};
pub use random::Random;
pub use sshd::Sshd;
pub use vim_user::VimUser;
pub use vnf_lcm::{Answer, VnfLcm, instantiate_request};
pub use vnf_package::SamplePackage;
