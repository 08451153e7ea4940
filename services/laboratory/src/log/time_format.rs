//! The form of a log's times, where it is none of those that are known: `--time-format`.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::strtime;

/// Directives as `strptime` has them: `%d.%m.%Y %H:%M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat(String);

impl TimeFormat {
    /// Milliseconds since 1970; without an offset in the text, of UTC.
    pub(super) fn read(&self, text: &str) -> Option<i64> {
        let time = strtime::parse(&self.0, text.trim()).ok()?;
        if let Ok(moment) = time.to_timestamp() {
            return Some(moment.as_millisecond());
        }
        let date = time.to_datetime().or_else(|_| time.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
        Some(jiff::tz::Offset::UTC.to_timestamp(date).ok()?.as_millisecond())
    }
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it as strptime does, such as '%d.%m.%Y %H:%M' or '%Y%m%d%H%M%S'";
        let format = Self(text.to_owned());
        let moment = jiff::Timestamp::from_second(1_700_000_000).map_err(|error| error.to_string())?;
        let moment = moment.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        let written = strtime::format(text, &moment).map_err(|error| format!("{error}; {example}"))?;
        match format.read(&written) {
            Some(_) => Ok(format),
            None => Err(format!("it says no date, or cannot be read back; {example}")),
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_is_given_is_read_and_one_without_a_date_is_refused() {
        for (format, text) in [
            ("%d.%m.%Y %H:%M", "14.11.2023 22:13"),
            ("%d/%m/%y %H:%M", "14/11/23 22:13"),
            ("%Y%m%d%H%M", "202311142213"),
            ("%Y-%m-%d %H:%M %z", "2023-11-15 00:13 +0200"),
            ("%b %d %Y %I:%M %p", "Nov 14 2023 10:13 PM"),
            ("%s", "1699999980"),
        ] {
            let format: TimeFormat = format.parse().expect("is one");
            assert_eq!(format.read(text), Some(1_699_999_980_000), "{format}");
            assert_eq!(format.read("yesterday"), None);
        }
        assert_eq!("%d.%m.%Y".parse::<TimeFormat>().expect("is one").read("14.11.2023"), Some(1_699_920_000_000));
        for format in ["", "%H:%M", "%!", "yyyy-mm-dd"] {
            assert!(format.parse::<TimeFormat>().expect_err(format).contains("such as"), "{format}");
        }
    }
}
