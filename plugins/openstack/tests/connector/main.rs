//! The connector against stubs of OpenStack's services, as the host calls it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod audit;
mod cloud;
mod connection;
mod elements;
mod network_lab;
mod networks;
mod observing;
mod operating;
mod servers;
mod settings;
mod stubs;
