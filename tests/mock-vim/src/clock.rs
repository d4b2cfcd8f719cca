//! Time as data: milliseconds since 1970.
//!
//! Wall time and not a monotonic clock, because due times and token lifetimes must mean the same after a restart on the
//! same state file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The present. A clock before 1970 reads as 1970.
    pub(crate) fn now() -> Self {
        Self(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }

    pub(crate) fn plus_millis(self, delay: u64) -> Self {
        Self(self.0.saturating_add(delay))
    }

    pub(crate) fn plus(self, delay: Duration) -> Self {
        self.plus_millis(millis(delay))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
