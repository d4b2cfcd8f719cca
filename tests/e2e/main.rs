//! End to end: the real binary with the mock connector against the mock VIM, driven as its users drive it.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod access;
mod bad_input;
mod canary;
mod chaos;
mod command_line;
mod defects;
mod deployed;
mod doctor;
mod grants;
mod import_ng_ro;
mod kill;
mod lcm;
mod lcm_bytes;
mod log;
mod metrics;
mod misbehaviour;
mod mock_vim_command;
mod operations;
mod osm_accounts;
mod records;
mod release14;
mod sdn;
mod settings;
mod several_hosts;
mod slow_deletion;
mod templates;
mod traces;
mod vim_audit;
mod vnf_lcm;
