//! OSM's accounts over databases in memory: one account at every step, and the loop around all of them.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod follow;
mod reconcile;
mod world;
