//! Reads the times that recorded logs carry; all are taken for UTC unless they say otherwise.
//!
//! | form | example |
//! |---|---|
//! | number, below 10¹¹ | seconds since 1970, may have a fraction: `1506826800.026` |
//! | number, below 10¹⁴ | milliseconds: `1506826800026` |
//! | number, below 10¹⁷ | microseconds; above, nanoseconds |
//! | year first | `2019-10-01`, `2019-10-01 00:00:00`, `… UTC`, `2019-10-01T00:00:00.5Z`, RFC 3339 with an offset |
//! | month first | `12/01/2010 8:26`, `12/1/10 08:26:00`; a two-digit year is 20xx |

/// Milliseconds since 1970, or `None` when `text` is in none of the known forms.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) {
        return text.parse::<i64>().ok().and_then(by_magnitude);
    }
    if bytes.contains(&b'/') {
        return month_first(text);
    }
    if bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-' {
        return year_first(text).or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()));
    }
    text.parse::<f64>().ok().and_then(from_float)
}

/// A number of unknown unit: no log of interest is from before 1973 or after 5138, so the size tells the unit.
pub(super) fn by_magnitude(number: i64) -> Option<i64> {
    match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(1_000),
        100_000_000_000..100_000_000_000_000 => Some(number),
        100_000_000_000_000..100_000_000_000_000_000 => Some(number.div_euclid(1_000)),
        _ => Some(number.div_euclid(1_000_000)),
    }
}

/// As [`by_magnitude`]; a fraction counts when the unit is seconds.
pub(super) fn from_float(number: f64) -> Option<i64> {
    if !number.is_finite() || number.abs() >= 9e18 {
        None
    } else if number.abs() < 1e11 {
        Some((number * 1e3).round() as i64)
    } else {
        by_magnitude(number.round() as i64)
    }
}

/// `YYYY-MM-DD[( |T)HH:MM[:SS[.fraction]]][ UTC|Z]`.
fn year_first(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(['Z', 'z'])).unwrap_or(text);
    let (date, clock) = text.split_at_checked(10)?;
    let days = days(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
    let clock = match clock.strip_prefix([' ', 'T', 't']) {
        Some(clock) => milliseconds(clock)?,
        None if clock.is_empty() => 0,
        None => return None,
    };
    Some(days * 86_400_000 + clock)
}

/// `M/D/YY[YY][ H:MM[:SS]]`.
fn month_first(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once(' ').unwrap_or((text, "0:00"));
    let mut parts = date.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let century = match year.len() {
        2 => 2_000,
        4 => 0,
        _ => return None,
    };
    let days = days(century + number(year)?, number(month)?, number(day)?)?;
    Some(days * 86_400_000 + milliseconds(clock.trim())?)
}

/// `H:MM[:SS[.fraction]]` as milliseconds of the day.
fn milliseconds(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let (second, fraction) = match parts.next() {
        Some(second) => second.split_once('.').unwrap_or((second, "")),
        None => ("0", ""),
    };
    let second = number(second)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut millis = 0;
    if !fraction.is_empty() {
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = &fraction[..fraction.len().min(3)];
        millis = number(digits)? * [100, 10, 1][digits.len() - 1];
    }
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + millis)
}

/// One to nine decimal digits and nothing else.
fn number(digits: &str) -> Option<i64> {
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.bytes().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

/// Days since 1970 of a date that exists (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTOBER: i64 = 1_569_888_000_000; // 2019-10-01T00:00:00Z

    #[test]
    fn every_documented_form_is_read() {
        for text in [
            "1569888000",
            "1569888000.0",
            "1569888000000",
            "1569888000000000",
            "1569888000000000000",
            "2019-10-01",
            "2019-10-01 00:00:00",
            "2019-10-01 00:00:00 UTC",
            "2019-10-01T00:00:00Z",
            "2019-10-01T02:00:00+02:00",
            "10/01/2019 00:00",
            "10/1/19 0:00",
            "10/1/2019 00:00:00",
        ] {
            assert_eq!(parse(text), Some(OCTOBER), "{text}");
        }
        assert_eq!(parse("1506826800.026"), Some(1_506_826_800_026));
        assert_eq!(parse("2010-12-01 08:26:00.5"), Some(1_291_191_960_500));
        assert_eq!(parse("2010-12-01 08:26:00.123456"), Some(1_291_191_960_123));
        assert_eq!(parse("12/1/10 8:26"), Some(1_291_191_960_000));
        assert_eq!(parse("2020-02-29"), Some(1_582_934_400_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2019-13-01",
            "2019-02-29",
            "2019-10-01 25:00:00",
            "13/40/2019 00:00",
            "1/2",
            "NaN",
            "inf",
            "1/2/3/4",
            "2019-10-01x",
            "2019-10-01 00:00:00.5x",
            "2019-10-01 0é:00",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_agree_with_jiff_over_two_centuries() {
        for day in (-25_000..50_000).step_by(37) {
            let ms = day * 86_400_000;
            let text = jiff::Timestamp::from_millisecond(ms).expect("in range").to_string();
            assert_eq!(parse(&text), Some(ms), "{text}");
        }
    }
}
