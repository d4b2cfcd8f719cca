//! OSM's accounts over databases in memory: one account at every step, and the loop around all of them.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod follow;
mod reconcile;
mod world;
