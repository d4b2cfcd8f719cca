//! How many calls of an account may begin in a second.
//!
//! Turns are handed out in the order in which they are asked for. Libraries that limit rates answer whether it is time yet and have who
//! was refused ask again, so that where many wait nobody knows who comes next.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::lock;

/// Hands out turns: as many at once as in a second, after that one at each interval.
pub(super) struct Pace {
    interval: Duration,
    /// When the next turn would be, had all turns been one interval apart.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        // The wait comes first in the select of whoever stops, so a turn that was drawn in vain is lost; it costs one interval.
        let at = self.draw(Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// When the turn of a caller is. One that has not called for a second has a second's turns in hand.
    fn draw(&self, now: Instant) -> Instant {
        let mut next = lock(&self.next);
        let saved = Duration::from_secs(1).saturating_sub(self.interval);
        let earliest = now.checked_sub(saved).unwrap_or(now);
        let turn = (*next).max(earliest);
        *next = turn + self.interval;
        turn.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_turns_come_at_once_and_then_one_at_each_interval() {
        let pace = Pace::new(NonZeroU32::new(4).unwrap());
        let now = Instant::now() + Duration::from_secs(5);
        let turns: Vec<u128> = (0..7).map(|_| (pace.draw(now) - now).as_millis()).collect();
        assert_eq!(turns, [0, 0, 0, 0, 250, 500, 750]);
    }

    #[test]
    fn turns_that_were_not_used_are_kept_for_a_second_only() {
        let pace = Pace::new(NonZeroU32::new(2).unwrap());
        let later = Instant::now() + Duration::from_secs(3600);
        let turns: Vec<u128> = (0..4).map(|_| (pace.draw(later) - later).as_millis()).collect();
        assert_eq!(turns, [0, 0, 500, 1000]);
    }
}
