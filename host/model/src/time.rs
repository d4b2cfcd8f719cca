//! Points in time as data. The model has no clock: whoever calls passes the time in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How long it is from `now` until this time, which ends a pause; zero when it has come.
    ///
    /// Nobody pauses for longer than `longest`. A time that is further ahead was written by a clock that was ahead of the one that is read
    /// now, and has come too: what is stored would otherwise wait for as long as the clock was set back.
    #[must_use]
    pub fn left(self, now: Self, longest: Duration) -> Duration {
        let ahead = self.since(now);
        if ahead > longest { Duration::ZERO } else { ahead }
    }

    /// Seconds with fraction, the form of OSM's records.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this millennium fit a double exactly"
    )]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_with_its_time_and_one_that_nobody_can_have_meant_at_once() {
        let (longest, now) = (Duration::from_secs(600), Timestamp(1_700_000_000_000));
        let year = Duration::from_secs(31_536_000);
        let until = now.plus(longest);
        assert_eq!(until.left(now, longest), longest);
        assert_eq!(
            until.left(now.plus(Duration::from_secs(1)), longest),
            longest - Duration::from_secs(1)
        );
        assert_eq!(until.left(until, longest), Duration::ZERO);
        // The clock was set forward, or back.
        assert_eq!(until.left(now.plus(year), longest), Duration::ZERO);
        assert_eq!(now.plus(year).left(now, longest), Duration::ZERO);
        assert_eq!(Timestamp(i64::MAX).left(Timestamp(i64::MIN), longest), Duration::ZERO);
    }
}
