//! What is a time, and which.

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
        "2019-10-01 00:00:00 GMT",
        "2019/10/01 00:00",
        "2019-10-01 00",
        "2019-10-01T02:00:00+0200",
        "2019-10-01T02:00:00.000+02:00[Europe/Paris]",
        "2019-10-01 00:00:00,000",
        "20191001T000000Z",
        "1.10.2019 00:00",
        "01.10.19",
        "10/01/2019 12:00:00 AM",
        "Tue, 01 Oct 2019 00:00:00 +0000",
        "Tue, 1 Oct 2019 00:00:00 GMT",
        "Tue Oct  1 00:00:00 2019",
        "Tue Oct 01 00:00:00 UTC 2019",
        "01/Oct/2019:02:00:00 +0200",
        "1-Oct-2019",
        "01-OCT-19",
        "Oct 1, 2019 12:00 am",
        "1st October 2019",
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
        "22:13:20",
        "2019-10-01 00:00:00 EST",
        "13:00 PM 10/01/2019",
        "10/01/2019 13:00 PM",
        "Oct Oct 1 2019",
        "October 2019",
        "Smarch 1 2019",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn what_may_be_read_in_two_ways_says_so() {
    for (text, form, ms) in [
        ("20191001", Form::Digits, 20_191_001_000),
        ("201910010000", Form::Digits, 201_910_010_000),
        ("20191001000000", Form::Digits, 20_191_001_000_000),
        ("2019100100", Form::Digits, 2_019_100_100_000),
        ("20191301", Form::Number, 20_191_301_000),
        ("1700000000", Form::Number, 1_700_000_000_000),
        ("20191001000000500", Form::Sure, OCTOBER + 500),
        ("10/01/2019", Form::Either, OCTOBER),
        ("31/10/2019", Form::DayFirst, OCTOBER + 30 * 86_400_000),
        ("10/31/2019", Form::MonthFirst, OCTOBER + 30 * 86_400_000),
    ] {
        assert_eq!(read(text), Some((ms, form)), "{text}");
        if form == Form::Digits {
            assert_eq!(as_digits(ms), Some(OCTOBER), "{text}");
        }
    }
    assert_eq!(swapped(parse("01/10/2019 08:26").expect("is one")), parse("10/01/2019 08:26"));
    assert!(is_of_day("22:13:20") && !is_of_day("2019-10-01") && !is_of_day("22"));
}

#[test]
fn days_agree_with_jiff_over_two_centuries() {
    for day in (-25_000..50_000).step_by(37) {
        let ms = day * 86_400_000;
        let text = jiff::Timestamp::from_millisecond(ms).expect("in range").to_string();
        assert_eq!(parse(&text), Some(ms), "{text}");
    }
}
