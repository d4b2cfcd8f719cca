//! One line a minute per key: the first fully, then how many were left out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// Keys remembered. What is forgotten may be told a little early.
const REMEMBERED: usize = 10_000;

/// Which lines were written when.
#[derive(Debug)]
pub(crate) struct Quiet<K>(Mutex<HashMap<K, (Instant, u64)>>);

impl<K> Default for Quiet<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Quiet<K> {
    /// Whether a line may be written now; then with how many were left out before it.
    pub(crate) fn pass(&self, key: K, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, suppressed)) = lines.get_mut(&key) {
            if now.duration_since(*at) < EVERY {
                *suppressed += 1;
                return None;
            }
            *at = now;
            return Some(std::mem::take(suppressed));
        }
        if lines.len() >= REMEMBERED {
            lines.clear();
        }
        lines.insert(key, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_a_minute_with_the_number_of_those_left_out() {
        let (quiet, now) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.pass("a", now), Some(0));
        assert_eq!(quiet.pass("a", now), None);
        assert_eq!(quiet.pass("b", now), Some(0));
        assert_eq!(quiet.pass("a", now + EVERY / 2), None);
        assert_eq!(quiet.pass("a", now + EVERY), Some(2));
        assert_eq!(quiet.pass("a", now + EVERY * 2), Some(0));
    }
}
