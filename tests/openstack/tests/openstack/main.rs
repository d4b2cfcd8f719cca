//! End to end against a real OpenStack: the real binary with the connector for OpenStack, driven with LCM's calls.
//!
//! Every test is ignored unless asked for (`cargo test --test openstack -- --ignored`): it needs an OpenStack, and fails with NOT RUN and
//! the reason where it finds none. Those of the modules `lab_only`, `heat_lab_only`, `refused` and `elements` need one that fails on
//! request, and whose accounts and networks are theirs to change; `--skip lab_only --skip refused --skip elements` leaves all four out
//! on a cloud that is somebody's.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod accounts;
mod direct;
mod elements;
mod heat;
mod heat_changes;
mod heat_lab_only;
mod heat_requests;
mod kill;
mod lab_only;
mod lifecycle;
mod refused;
mod requests;
mod service;
mod tacker;
