//! Changes of records that were not made, told to the operator.
//!
//! A record is another program's: that one may have removed it, or its database may refuse what we write. The change is left out then, so
//! that nothing that comes after it is stopped. As each result of each element would be told again, a record is told of once, and once a
//! minute after that for as long as it lasts, with the number of those in between.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing more is told of a record.
const QUIET: Duration = Duration::from_secs(60);

/// Records that are remembered, some hundred bytes each. With more all are forgotten, and told of again.
const REMEMBERED: usize = 10_000;

/// Which records were told of, and when.
#[derive(Debug, Default)]
pub struct LeftOut(Mutex<HashMap<(&'static str, String), Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Left out and not told since then.
    since: u64,
}

impl LeftOut {
    /// There is no such record. Whoever removed it does not miss the results, so nothing is wrong.
    pub fn missing(&self, collection: &'static str, record: &str) {
        if let Some(suppressed) = self.turn(collection, record, Instant::now()) {
            tracing::warn!(
                collection,
                record,
                suppressed,
                "a change to a record that is gone is left out"
            );
        }
    }

    /// The record is there and cannot take it: whoever reads it is not told what became of an element.
    pub fn refused(&self, collection: &'static str, record: &str, reason: &str) {
        if let Some(suppressed) = self.turn(collection, record, Instant::now()) {
            tracing::error!(
                collection,
                record,
                reason,
                suppressed,
                "a change to a record is refused and left out"
            );
        }
    }

    /// How many were left out in silence, when it is time to tell of the record.
    fn turn(&self, collection: &'static str, record: &str, now: Instant) -> Option<u64> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = records.get_mut(&(collection, record.to_owned())) {
            if now.saturating_duration_since(told.at) < QUIET {
                told.since = told.since.saturating_add(1);
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.since));
        }
        if records.len() >= REMEMBERED {
            records.clear();
        }
        records.insert((collection, record.to_owned()), Told { at: now, since: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_of_once_a_minute_with_what_came_in_between() {
        let (left_out, start) = (LeftOut::default(), Instant::now());
        let turn = |record: &str, seconds: u64| left_out.turn("vnfrs", record, start + Duration::from_secs(seconds));
        assert_eq!(turn("a", 0), Some(0));
        assert_eq!([turn("a", 1), turn("a", 59)], [None, None]);
        assert_eq!(turn("b", 59), Some(0), "another record is another matter");
        assert_eq!(left_out.turn("nsrs", "a", start), Some(0));
        assert_eq!(turn("a", 61), Some(2));
        assert_eq!([turn("a", 62), turn("a", 122)], [None, Some(1)]);
    }
}
