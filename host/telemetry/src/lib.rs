//! What the host tells about itself, as far as the crates that have something to tell need to know: [`metric`], the one table of
//! all metrics, and [`trace`], the trace that a request belongs to.
//!
//! Only facades are named here. Who collects, exports and sends is decided by the binary; without it, or before it has decided,
//! counting and tracing do nothing and cost nothing to speak of.

#![forbid(unsafe_code)]

pub mod metric;
pub mod trace;
