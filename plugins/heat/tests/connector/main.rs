//! The connector against stubs of Keystone and Heat, as the host calls it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
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
