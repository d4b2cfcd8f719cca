//! Points in time at which hosts are killed, drawn, and counted when they hit work.
//!
//! A host that is killed while it has nothing to do proves nothing, so whether work is under way is asked right before each kill. Killing
//! is left to the test: each has its own way of starting a host again.

use std::time::Duration;

use crate::Random;

/// Draws the points, and counts those that hit.
#[derive(Debug)]
pub struct Kills {
    random: Random,
    counted: usize,
}

impl Kills {
    /// With a seed that is printed, as [`Random::seeded`] has it.
    #[must_use]
    pub fn seeded(what: &str) -> Self {
        Self {
            random: Random::seeded(what),
            counted: 0,
        }
    }

    /// For what else is left to chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// What a run is repeated with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.random.seed()
    }

    /// How many points hit work.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// Waits for a point within the span and asks then, and not before, whether work is under way. If it is, the host is to be killed
    /// now, and that is counted.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub async fn hits(
        &mut self,
        span: Duration,
        is_under_way: impl Future<Output = anyhow::Result<bool>>,
    ) -> anyhow::Result<bool> {
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        // Where a host dies is what is drawn here, not what is waited for.
        tokio::time::sleep(Duration::from_micros(self.random.below(span))).await;
        let hit = is_under_way.await?;
        self.counted += usize::from(hit);
        Ok(hit)
    }
}
