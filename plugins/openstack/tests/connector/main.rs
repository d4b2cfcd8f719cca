//! The connector against stubs of OpenStack's services, as the host calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
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
