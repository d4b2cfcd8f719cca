//! What end-to-end tests share: the real binary as a child process, a mock VIM, LCM's calls, an SSH server.
//!
//! `cargo xtask test` builds the binary and the connectors first; a test that finds none says which command does.

#![forbid(unsafe_code)]

mod cluster;
mod host;
mod lcm;
mod random;
mod sshd;
mod vnf_lcm;
mod vnf_package;

pub use cluster::Cluster;
pub use host::{Host, PASSWORD, Setup, binary, plugin_dir, start_vim, wait_until};
pub use lcm::{Lcm, Records};
pub use random::Random;
pub use sshd::Sshd;
pub use vnf_lcm::{Answer, VnfLcm, instantiate_request};
pub use vnf_package::SamplePackage;
