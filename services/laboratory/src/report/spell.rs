//! Numbers as people read them: thousands in groups, units beside, no more digits than mean something.

/// `12345` as `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share of 0 to 1 in per cent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Milliseconds, or seconds when there are many.
pub fn millis(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..1_000.0 => format!("{ms:.0} ms"),
        ..10_000.0 => format!("{:.2} s", ms / 1_000.0),
        _ => format!("{:.1} s", ms / 1_000.0),
    }
}

/// Bytes in the largest unit that leaves a figure of at least one.
pub fn bytes(bytes: f64) -> String {
    match bytes {
        ..1_000.0 => format!("{bytes:.0} B"),
        ..1_000_000.0 => format!("{:.1} kB", bytes / 1e3),
        ..1_000_000_000.0 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// A length of time in minutes and seconds.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    if whole < 120 { format!("{whole} s") } else { format!("{} min {} s", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((millis(3.21), millis(80.4), millis(1_234.0)), ("3.2 ms".into(), "80 ms".into(), "1.23 s".into()));
        assert_eq!((bytes(12.0), bytes(3_400.0)), ("12 B".into(), "3.4 kB".into()));
        assert_eq!((percent(0.4123), seconds(150.0)), ("41.2 %".into(), "2 min 30 s".into()));
    }
}
