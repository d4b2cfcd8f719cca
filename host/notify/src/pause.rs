//! When what failed is tried again, and when no more.

use std::time::Duration;

use vimhost_model::Timestamp;

use crate::NotifyOptions;

/// After the first failure.
const SHORTEST: Duration = Duration::from_millis(500);

/// What a subscriber that is down costs: a connection a minute. A stored time further ahead is of a clock that was wrong.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The pause after this many failures: doubled with each.
pub(crate) fn after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    SHORTEST.saturating_mul(doubled).min(LONGEST)
}

/// Tries after which a notification is given up whose age nobody knows.
const MOST_TRIES: u32 = 100;

/// A notification that has failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    /// When its event was, where it says so.
    pub(crate) event: Option<Timestamp>,
    /// Now.
    pub(crate) now: Timestamp,
    /// Its failed tries.
    pub(crate) tries: u32,
    /// How long nothing has reached its subscriber, by a clock that is never set.
    pub(crate) unreached: Duration,
}

impl Failed {
    /// Whether it is given up.
    ///
    /// Its age alone says nothing, because the clock of the wall may have been set forward since its event. So its subscriber was out of
    /// reach for as long, or it was tried as often as it can be in that time: the one is forgotten with the process, the other is not.
    pub(crate) fn is_given_up(&self, options: &NotifyOptions) -> bool {
        // An event that is still to come is of a clock that was wrong.
        let Some(event) = self.event.filter(|event| *event <= self.now) else {
            return self.tries >= MOST_TRIES;
        };
        let (pause, most) = (after(self.tries), options.give_up_after);
        let is_over = |time: Duration| time.saturating_add(pause) > most;
        is_over(self.now.since(event)) && (is_over(self.unreached) || fill(self.tries, most, options.send_limit))
    }
}

/// Whether so many tries, each of which takes as long as it may, and the pauses after them fill a time.
fn fill(tries: u32, time: Duration, limit: Duration) -> bool {
    let mut passed = Duration::ZERO;
    (1..=tries).any(|number| {
        passed = passed.saturating_add(limit).saturating_add(after(number));
        passed >= time
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const YEAR: Duration = Duration::from_secs(31_536_000);

    fn is_given_up(event: Timestamp, tries: u32, unreached: Duration) -> bool {
        let failed = Failed {
            event: Some(event),
            now: NOW,
            tries,
            unreached,
        };
        failed.is_given_up(&NotifyOptions::default())
    }

    /// So long before now.
    fn ago(time: Duration) -> Timestamp {
        Timestamp(NOW.0 - i64::try_from(time.as_millis()).unwrap())
    }

    #[test]
    fn a_notification_is_given_up_when_it_is_old_and_was_tried_for_so_long() {
        assert!(is_given_up(ago(HOUR), 60, HOUR));
        assert!(
            !is_given_up(ago(HOUR / 2), 60, HOUR),
            "its subscriber was away before it too"
        );
        // Behind one that was given up: the subscriber is known to be away.
        assert!(is_given_up(ago(HOUR), 1, HOUR));
        // The process was started anew every few minutes.
        assert!(is_given_up(ago(HOUR), 57, Duration::ZERO));
    }

    #[test]
    fn a_clock_that_was_set_forward_gives_up_nothing_that_was_not_tried() {
        assert!(!is_given_up(ago(YEAR), 1, Duration::ZERO));
        assert!(!is_given_up(ago(YEAR), 56, HOUR / 2));
        assert!(is_given_up(ago(YEAR), 57, HOUR / 2));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_notification_for_ever() {
        assert!(!is_given_up(NOW.plus(YEAR), MOST_TRIES - 1, YEAR));
        assert!(is_given_up(NOW.plus(YEAR), MOST_TRIES, Duration::ZERO));
    }

    #[test]
    fn an_hour_is_filled_by_some_fifty_tries_of_a_callback_that_hangs() {
        let limit = Duration::from_secs(10);
        assert!(!fill(56, HOUR, limit) && fill(57, HOUR, limit) && fill(u32::MAX, HOUR, limit));
        assert!(fill(1, Duration::from_millis(1), limit) && !fill(0, HOUR, limit));
    }

    #[test]
    fn pauses_grow_from_half_a_second_to_a_minute() {
        let pauses: Vec<u128> = (1..10).map(|failures| after(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(after(u32::MAX), LONGEST);
    }
}
