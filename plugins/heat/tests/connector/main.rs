//! The connector against stubs of Keystone and Heat, as the host calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod connection;
mod creating;
mod deleting;
mod heat;

/// The same Keystone that the connector of OpenStack is tested with.
#[path = "../../../openstack/tests/connector/stubs/keystone.rs"]
mod keystone;
mod lab;
mod lost;
mod observing;
mod reading;
mod updating;
