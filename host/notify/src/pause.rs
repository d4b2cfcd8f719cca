//! When what failed is tried again.

use std::time::Duration;

/// After the first failure.
const SHORTEST: Duration = Duration::from_millis(500);

/// What a subscriber that is down costs: a connection a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after this many failures: doubled with each.
pub(crate) fn after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    SHORTEST.saturating_mul(doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_half_a_second_to_a_minute() {
        let pauses: Vec<u128> = (1..10).map(|failures| after(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(after(u32::MAX), LONGEST);
    }
}
