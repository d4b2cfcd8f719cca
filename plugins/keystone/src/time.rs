//! Times as OpenStack writes them, `2026-11-22T16:15:45.000000Z`: always UTC, with or without fractions.

/// Seconds since 1970, fractions dropped. `None` for what is no such time.
///
/// An offset other than UTC's is not understood: no OpenStack service writes one.
#[must_use]
pub fn epoch_seconds(text: &str) -> Option<u64> {
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))
        .unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let [hour, minute, second] = numbers(clock, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Days since 1970 in the Gregorian calendar, counted from 1 March of the year 0 so that leap days come last.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    const FROM_YEAR_0: u64 = 719_468;
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - FROM_YEAR_0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_openstack_are_understood() {
        assert_eq!(epoch_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(epoch_seconds("2001-09-09T01:46:40.000000Z"), Some(1_000_000_000));
        assert_eq!(epoch_seconds("2024-02-29T12:00:00+00:00"), Some(1_709_208_000));
        assert_eq!(epoch_seconds("2024-03-01T00:00:00"), Some(1_709_251_200));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "tomorrow",
            "2024-13-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T25:00:00Z",
            "1-2-3T4:5:6:7",
        ] {
            assert_eq!(epoch_seconds(text), None, "{text}");
        }
    }
}
