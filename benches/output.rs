//! Writing to the terminal: the one place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)] // this is a command: its output is its purpose

use std::fmt::Display;

/// A line of the result.
pub fn line(text: impl Display) {
    println!("{text}");
}

/// A line about the work, kept apart from its result.
pub fn note(text: impl Display) {
    eprintln!("{text}");
}

/// A number as people read it: three digits that count, thousands apart.
#[must_use]
pub(crate) fn spell(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut spelled = String::new();
    for (n, digit) in whole.chars().enumerate() {
        let left = whole.len() - n;
        if n > 0 && left.is_multiple_of(3) && !spelled.ends_with('-') {
            spelled.push(' ');
        }
        spelled.push(digit);
    }
    rest.map_or(spelled.clone(), |rest| format!("{spelled}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_digits_that_count_and_its_thousands_apart() {
        let spelled: Vec<String> = [1_234_567.8, 123.4, 12.34, 1.234, 0.1234, 0.0].map(spell).into();
        assert_eq!(spelled, ["1 234 568", "123", "12.3", "1.23", "0.123", "0"]);
    }
}
