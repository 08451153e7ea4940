//! Points in time as catalogs have them: ISO 8601 in its forms, RFC 2822, and numbers.

use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// The beginning of the year 1, milliseconds since 1970.
pub(super) const EARLIEST: i64 = -62_135_596_800_000;
/// The end of the year 9999.
pub(super) const LATEST: i64 = 253_402_300_799_999;

/// A date as text, in milliseconds since 1970; without a time it is midnight, without an offset UTC.
pub(super) fn of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(of_whole(whole));
    }
    let ymd = text.get(..10).filter(|date| date.bytes().filter(u8::is_ascii_digit).count() == 8);
    let dashed = ymd.map(|date| date.replace(['/', '.'], "-") + &text[10..]);
    let text = dashed.as_deref().unwrap_or(text);
    let stamp = text.parse::<jiff::Timestamp>().ok();
    let civil = || text.parse::<DateTime>().ok().or_else(|| month(text)).and_then(of_civil);
    let mail = || rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().as_millisecond());
    stamp.map(jiff::Timestamp::as_millisecond).or_else(civil).or_else(mail)
}

/// A date as a whole number. Milliseconds since 1970; seconds and `20261103`, which would be a day in the first months
/// of 1970, and `20261103080000`, which would be one in the year 2612, are told by what they look like.
pub(super) fn of_whole(whole: i64) -> i64 {
    if let Some(date) = digits(whole) {
        return date;
    }
    if (100_000_000..10_000_000_000).contains(&whole.unsigned_abs()) { whole.saturating_mul(1_000) } else { whole }
}

/// `20261103` and `20261103080000`.
fn digits(whole: i64) -> Option<i64> {
    let (date, time) = match whole {
        19_000_000..=21_999_999 => (whole, 0),
        19_000_000_000_000..=21_999_999_999_999 => (whole / 1_000_000, whole % 1_000_000),
        _ => return None,
    };
    let two = |number: i64, place: i64| i8::try_from(number / place % 100).ok();
    let year = i16::try_from(date / 10_000).ok()?;
    let date = Date::new(year, two(date, 100)?, two(date, 1)?).ok()?;
    of_civil(date.to_datetime(jiff::civil::Time::new(two(time, 10_000)?, two(time, 100)?, two(time, 1)?, 0).ok()?))
}

/// `2026-11`.
fn month(text: &str) -> Option<DateTime> {
    let (year, month) = text.split_once('-')?;
    Some(Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?.to_datetime(jiff::civil::Time::midnight()))
}

fn of_civil(at: DateTime) -> Option<i64> {
    Some(TimeZone::UTC.to_timestamp(at).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_every_form_that_is_clear() {
        let morning = 1_793_692_800_000; // 2026-11-03T08:00:00Z
        for text in [
            "2026-11-03T08:00:00Z",
            "2026-11-03T08:00:00.000Z",
            "2026-11-03T09:00:00+01:00",
            "2026-11-03T09:00:00+0100",
            "2026-11-03 08:00:00Z",
            "2026-11-03 08:00:00",
            "2026-11-03T08:00",
            " 2026-11-03T08:00 ",
            "2026/11/03 08:00",
            "Tue, 03 Nov 2026 08:00:00 GMT",
            "1793692800000",
            "1793692800",
            "20261103080000",
        ] {
            assert_eq!(of_text(text), Some(morning), "{text}");
        }
        for text in ["2026-11-03", "2026/11/03", "2026.11.03", "20261103"] {
            assert_eq!(of_text(text), Some(morning - 8 * 3_600_000), "{text}: midnight UTC");
        }
        assert_eq!(of_text("2026-11"), of_text("2026-11-01"));
        for text in ["", "soon", "03/11/2026", "2026-13-01", "2026-11-03T25:00", "now()", "ü026-11-03"] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_milliseconds_unless_it_looks_like_something_else() {
        assert_eq!(of_whole(1_793_692_800_000), 1_793_692_800_000);
        assert_eq!(of_whole(1_793_692_800), 1_793_692_800_000, "seconds");
        assert_eq!(of_whole(473_385_600_000), 473_385_600_000, "a book of 1985");
        assert_eq!([0, i64::MIN, i64::MAX].map(of_whole), [0, i64::MIN, i64::MAX]);
        assert_eq!(of_whole(20_269_999), 20_269_999, "no date");
    }
}
