//! Reads the times that recorded logs carry; all are taken for UTC unless they say otherwise.
//!
//! | form | example |
//! |---|---|
//! | number, below 10¹¹ | seconds since 1970, may have a fraction: `1506826800.026` |
//! | number, below 10¹⁴ | milliseconds: `1506826800026` |
//! | number, below 10¹⁷ | microseconds; above, nanoseconds |
//! | number that is a date | `20191001`, `2019100100`, `201910010000`, `20191001000000`, where the whole column is so |
//! | year first | `2019-10-01`, `2019/10/01 00`, `2019-10-01 00:00:00,5 GMT`, `2019-10-01T00:00:00.5+0200[Europe/Paris]` |
//! | year last | `12/01/2010 8:26 PM`, `1.12.2010`, `12-1-10`; the column tells whether day or month stands first |
//! | month by name | `Tue, 01 Oct 2019 00:00:00 +0000`, `1-Oct-2019`, `Oct 1, 2019 12:00 AM`, `01/Oct/2019:00:00:00 +0000` |

/// How sure the reading of one time is; the column it stands in decides the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There is no other reading.
    Sure,
    /// A number since 1970.
    Number,
    /// A number since 1970, or a date written in digits.
    Digits,
    /// The day stands first: the other number is no day of a month.
    DayFirst,
    /// The month stands first.
    MonthFirst,
    /// Read with the month first; the day may be it.
    Either,
}

/// Milliseconds since 1970, or `None` when `text` is in none of the known forms.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    read(text).map(|(ms, _)| ms)
}

/// The same, and how sure it is.
pub(super) fn read(text: &str) -> Option<(i64, Form)> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() > 64 {
        return None; // no time is so long
    }
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        let number: i64 = text.parse().ok()?;
        if bytes.len() == 17
            && let Some(ms) = digits(number / 1_000)
        {
            return Some((ms + number % 1_000, Form::Sure)); // with milliseconds; as microseconds of the year 2600
        }
        let form = if digits(number).is_some() { Form::Digits } else { Form::Number };
        return Some((by_magnitude(number)?, form));
    }
    if bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count() < 2
        && let Some(ms) = text.parse::<f64>().ok().and_then(from_float)
    {
        return Some((ms, Form::Number));
    }
    let sure = |ms| (ms, Form::Sure);
    in_numbers(text)
        .or_else(|| by_name(text).map(sure))
        .or_else(|| Some(sure(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())))
}

/// Whether `text` is a time of the day, and says nothing of the date.
pub(super) fn is_of_day(text: &str) -> bool {
    text.contains(':') && clock(text.trim()).is_some()
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

/// A date that is written as one number: `YYYYMMDD[hh[mm[ss]]]`, of 1990 to 2099.
pub(super) fn digits(number: i64) -> Option<i64> {
    let clock = match number {
        19_900_101..=20_991_231 => 1,
        1_990_010_100..=2_099_123_123 => 100,
        199_001_010_000..=209_912_312_359 => 10_000,
        19_900_101_000_000..=20_991_231_235_959 => 1_000_000,
        _ => return None,
    };
    let (date, mut of_day) = (number / clock, number % clock);
    of_day *= 1_000_000 / clock;
    let (hour, minute, second) = (of_day / 10_000, of_day / 100 % 100, of_day % 100);
    let days = days(date / 10_000, date / 100 % 100, date % 100)?;
    (hour < 24 && minute < 60 && second < 60)
        .then_some(days * 86_400_000 + (hour * 3_600 + minute * 60 + second) * 1_000)
}

/// The number that [`by_magnitude`] has made `ms` of, if its digits are a date; that date.
pub(super) fn as_digits(ms: i64) -> Option<i64> {
    if ms % 1_000 == 0
        && let Some(date) = digits(ms / 1_000)
    {
        return Some(date);
    }
    digits(ms)
}

/// The same moment with day and month the other way round.
pub(super) fn swapped(ms: i64) -> Option<i64> {
    let date = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let days = days(i64::from(date.year()), i64::from(date.day()), i64::from(date.month()))?;
    Some(days * 86_400_000 + ms.rem_euclid(86_400_000))
}

/// A date in numbers, and perhaps the time of the day.
fn in_numbers(text: &str) -> Option<(i64, Form)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '/' | '.')).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let mut parts = date.split(['-', '/', '.']);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't', '_']).unwrap_or(rest).trim();
    let clock = if rest.is_empty() { 0 } else { clock(rest)? };
    if first.len() == 4 {
        return Some((days(number(first)?, number(second)?, number(third)?)? * 86_400_000 + clock, Form::Sure));
    }
    let year = match third.len() {
        2 => 2_000 + number(third)?,
        4 => number(third)?,
        _ => return None,
    };
    let (first, second) = (number(first)?, number(second)?);
    let form = match (first, second) {
        _ if date.contains('.') || first == second => Form::Sure, // with dots the day stands first everywhere
        (13.., _) => Form::DayFirst,
        (_, 13..) => Form::MonthFirst,
        _ => Form::Either,
    };
    let day_first = date.contains('.') || form == Form::DayFirst;
    let (month, day) = if day_first { (second, first) } else { (first, second) };
    Some((days(year, month, day)? * 86_400_000 + clock, form))
}

/// A date with the month by its name, in any order, and perhaps the time of the day.
fn by_name(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let lower = text.to_ascii_lowercase();
    let is_short_for =
        |word: &str, name: &&str| word.len() >= 3 && name.starts_with(word) || word == "sept" && *name == "september";
    let (mut year, mut month, mut day) = (None, None, None);
    let mut of_day = String::new();
    // A date of one piece comes apart, and what Apache puts behind it, too: `14/Nov/2023:22:13:20`.
    let mut pieces: Vec<String> = Vec::new();
    for piece in lower.split([' ', ',']).filter(|piece| !piece.is_empty()) {
        let has_name = piece.bytes().any(|byte| byte.is_ascii_alphabetic());
        match piece.find(['/', '-']).filter(|at| *at > 0 && has_name && !piece.starts_with("utc")) {
            None => pieces.push(piece.to_owned()),
            Some(_) => {
                let (date, clock) = piece.split_once(':').unwrap_or((piece, ""));
                pieces.extend(date.split(['/', '-']).map(str::to_owned));
                pieces.extend((!clock.is_empty()).then(|| clock.to_owned()));
            }
        }
    }
    for piece in &pieces {
        let word = piece.trim_end_matches('.');
        if let Some(at) = MONTHS.iter().position(|name| is_short_for(word, name)) {
            month = month.xor(Some(i64::try_from(at).ok()? + 1));
        } else if DAYS.iter().any(|name| is_short_for(word, name)) {
            // the date says it
        } else if of_day.is_empty() && !piece.contains(':') && piece.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = piece.trim_end_matches(|c: char| c.is_ascii_alphabetic()); // 1st, 2nd
            match (digits.len(), day) {
                (4, _) => year = year.xor(Some(number(digits)?)),
                (1 | 2, None) => day = Some(number(digits)?),
                (2, Some(_)) => year = year.xor(Some(2_000 + number(digits)?)),
                _ => return None,
            }
        } else if !of_day.is_empty() && piece.len() == 4 && number(piece).is_some() {
            year = year.xor(number(piece)); // Tue Nov 14 22:13:20 2023
        } else {
            of_day += if of_day.is_empty() { "" } else { " " };
            of_day += piece;
        }
    }
    let clock = if of_day.is_empty() { 0 } else { clock(&of_day)? };
    Some(days(year?, month?, day?)? * 86_400_000 + clock)
}

/// `H[:MM[:SS[.fraction]]][ AM][ zone]` as milliseconds of the day, less what the zone is ahead.
fn clock(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.split_once('[').map_or(text, |(before, _)| before); // [Europe/Paris] behind the offset
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.' | ',')).unwrap_or(text.len());
    let (time, rest) = text.split_at(end);
    let mut rest = rest.trim().to_ascii_lowercase();
    let mut parts = time.split(':');
    let hour = number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), number)?;
    let (second, fraction) = parts.next().map_or(("0", ""), |s| s.split_once(['.', ',']).unwrap_or((s, "")));
    let second = number(second)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut hour = hour;
    for (word, afternoon) in [("am", 0), ("a.m.", 0), ("pm", 12), ("p.m.", 12)] {
        if let Some(behind) = rest.strip_prefix(word) {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + afternoon;
            rest = behind.trim().to_owned();
            break;
        }
    }
    let millis = if fraction.is_empty() {
        0
    } else {
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = &fraction[..fraction.len().min(3)];
        number(digits)? * [100, 10, 1][digits.len() - 1]
    };
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + millis - offset(&rest)?)
}

/// How far a zone is ahead of UTC, in milliseconds: `z`, `utc`, `gmt`, `+02:00`, `+0200`, `+02`.
fn offset(zone: &str) -> Option<i64> {
    let zone = ["utc", "gmt", "ut", "z"].into_iter().find_map(|name| zone.strip_prefix(name)).unwrap_or(zone).trim();
    if zone.is_empty() {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 4) => digits.split_at_checked(2)?,
        (None, 1 | 2) => (digits, "0"),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
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
mod tests;
