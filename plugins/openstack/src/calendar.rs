//! The VIM's own clock: HTTP's dates read, and times written as OpenStack takes them in queries.
//!
//! What changed since a moment is asked for by the time of the clock that stamps the changes, so that a clock of the host that
//! is wrong hides nothing.

/// Seconds since 1970 of an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 5.6.7). `None` for what is no such date.
pub(crate) fn of_http(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = date.split_whitespace().skip(1);
    let (day, month, year, time, zone) = (
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
    );
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    if zone != "GMT" {
        return None;
    }
    vimhost_keystone::time::epoch_seconds(&format!("{year}-{month:02}-{day}T{time}Z"))
}

/// A time as OpenStack takes it in queries: `2001-09-09T01:46:40Z`.
pub(crate) fn written(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of the year 0, so that leap days come last; 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let (month, turn) = if shifted_month < 10 {
        (shifted_month + 3, 0)
    } else {
        (shifted_month - 9, 1)
    };
    let year = era * 400 + year_of_era + turn;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_understood() {
        assert_eq!(of_http("Sun, 09 Sep 2001 01:46:40 GMT"), Some(1_000_000_000));
        assert_eq!(of_http("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"] {
            assert_eq!(of_http(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seconds in [
            0,
            951_782_399,
            951_782_400,
            1_000_000_000,
            1_709_208_000,
            1_709_251_199,
            4_102_444_800,
        ] {
            assert_eq!(
                vimhost_keystone::time::epoch_seconds(&written(seconds)),
                Some(seconds),
                "{}",
                written(seconds)
            );
        }
        assert_eq!(written(1_000_000_000), "2001-09-09T01:46:40Z");
    }
}
