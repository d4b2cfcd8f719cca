//! The host's own interfaces for guests: log, journal, cache.

pub(crate) mod cache;
pub(crate) mod journal;
pub(crate) mod log;

use crate::bindings::host;
use crate::context::Ctx;

// Types only.
impl host::vim_types::Host for Ctx {}
