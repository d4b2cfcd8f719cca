//! Points in time as people and other programs read them: RFC 3339 in UTC with milliseconds.
//!
//! As a module it serves `#[serde(with = "date_time")]`.

use serde::{Deserialize, Deserializer, Serializer};

use crate::Timestamp;

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (days, rest) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
    // Days since 0000-03-01 in eras of 400 years (146 097 days), so that the leap day is the last of a year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The point in time of a text of RFC 3339 with any offset; none when it is no such text.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (ms, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, zone) = fraction.split_at(digits);
            let padded: String = digits.chars().chain("000".chars()).take(3).collect();
            (
                if digits.is_empty() {
                    return None;
                } else {
                    padded.parse().ok()?
                },
                zone,
            )
        }
    };
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
            let digit = |byte: &u8| i64::from(byte - b'0');
            let minutes = (digit(a) * 10 + digit(b)) * 60 + digit(c) * 10 + digit(d);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    // Days since 0000-03-01 in eras of 400 years, as above.
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(Timestamp(
        ((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + ms,
    ))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// When the text is no date and time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom(format!("'{text}' is no date and time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_700_000_330_912, "2023-11-14T22:18:50.912Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp(ms)), text);
            assert_eq!(parse_rfc3339(text), Some(Timestamp(ms)));
        }
    }

    #[test]
    fn times_are_read_with_any_offset_and_nonsense_is_none() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t02:00:00.5+02:00", 500),
            ("1969-12-31 23:30:00.1239-00:30", 123),
        ] {
            assert_eq!(parse_rfc3339(text), Some(Timestamp(ms)), "{text}");
        }
        for text in [
            "",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+0200",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00\u{e9}",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
