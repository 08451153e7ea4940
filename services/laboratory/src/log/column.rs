//! What only a whole column tells: whether its numbers are dates, which of day and month stands first, which of its
//! times are none; and what is odd enough about a log to be said.

use std::collections::BTreeMap;

use super::ids::Ids;
use super::nothing::SUSPECTS;
use super::skip::Skip;
use super::table::{Row, Table};
use super::time::{self, Form};
use crate::shown;

/// 1990 and 2100 in milliseconds since 1970: shops that write logs are no older, and no event is of after.
const YEARS: std::ops::Range<i64> = 631_152_000_000..4_102_444_800_000;
/// A time that so many events share on average tells little of their order.
const SHARED: usize = 10;
/// Fewer events tell nothing about a log.
const FEW: usize = 50;

/// Settles the times of all rows, and says what is odd.
pub(super) fn settle(table: &mut Table) {
    let forms = |form: Form| table.kept.iter().filter(|row| row.form == form).count();
    let (digits, numbers) = (forms(Form::Digits), forms(Form::Number));
    let (day, month, either) = (forms(Form::DayFirst), forms(Form::MonthFirst), forms(Form::Either));
    if digits > 0 && digits >= 9 * numbers {
        retime(table, |row| if row.form == Form::Digits { time::as_digits(row.ts) } else { None });
        table.remarks.push("times are read as dates written in digits, such as 20231114".to_owned());
    }
    if either > 0 && day > month {
        retime(table, |row| if row.form == Form::Either { time::swapped(row.ts) } else { None });
    }
    if either > 0 && (day == 0) == (month == 0) {
        let first = if day > month { "day" } else { "month" };
        let why = if day > 0 { "have one or the other first" } else { "may have the day first or the month" };
        table.remarks.push(format!(
            "warning: dates such as 10/11/2023 {why}; they are read with the {first} first: --time-format, such as \
             '%d/%m/%Y %H:%M', says it surely"
        ));
    }
    let strange = table.kept.iter().filter(|row| !YEARS.contains(&row.ts)).count();
    if strange > 0 && 2 * strange <= table.kept.len() {
        table.drop_rows(Skip::NoRealTime, |row| !YEARS.contains(&row.ts));
    }
    say(table);
}

/// Gives rows other times.
fn retime(table: &mut Table, then: impl Fn(&Row) -> Option<i64>) {
    let changed: BTreeMap<u32, i64> = table.kept.iter().filter_map(|row| Some((row.number, then(row)?))).collect();
    table.kept.iter_mut().for_each(|row| row.ts = changed.get(&row.number).copied().unwrap_or(row.ts));
    table.contents.retime(|place| changed.get(&place.number).copied().unwrap_or(place.ts));
}

fn say(table: &mut Table) {
    let rows = &table.kept;
    if rows.len() < FEW {
        return;
    }
    let mut remarks = Vec::new();
    let mut times: Vec<i64> = rows.iter().map(|row| row.ts).collect();
    times.sort_unstable();
    times.dedup();
    if times.len() * SHARED <= rows.len() {
        remarks.push(format!(
            "{} events share {} times: of those of the same time the order is that of the file; name a column for \
             time=… that tells more, if there is one",
            rows.len(),
            times.len()
        ));
    }
    let of = |ids: &Ids, key: fn(&Row) -> u32| {
        let mut counts = vec![0_usize; ids.len()];
        rows.iter().for_each(|row| counts[key(row) as usize] += 1);
        counts
    };
    let (users, items) = (of(&table.users, |row| row.user), of(&table.items, |row| row.item));
    for (what, ids, counts) in [("user", &table.users, &users), ("item", &table.items, &items)] {
        for word in SUSPECTS {
            let count = ids.find(word).map_or(0, |number| counts[number as usize]);
            if 100 * count >= rows.len() {
                remarks.push(suspect(count, rows.len(), what, word));
            }
        }
        let rounded: Vec<&str> = ids.iter().filter(|id| is_rounded(id)).collect();
        if let Some(first) = rounded.first() {
            remarks.push(format!(
                "warning: {} {what}s look like numbers that a spreadsheet has rounded, such as {}: several may have become \
                 one; write them as text",
                rounded.len(),
                shown::quoted(first)
            ));
        }
    }
    let most = users.iter().enumerate().max_by_key(|(_, count)| **count);
    if let Some((number, count)) = most.filter(|(_, count)| 5 * **count >= rows.len() && users.len() > 5) {
        let word = u32::try_from(number).map(|number| table.users.get(number)).unwrap_or_default();
        if !SUSPECTS.contains(&word) {
            remarks.push(suspect(*count, rows.len(), "user", word));
        }
    }
    table.remarks.append(&mut remarks);
}

fn suspect(count: usize, rows: usize, what: &str, word: &str) -> String {
    let quoted = shown::quoted(word);
    let bare = quoted.trim_matches('`');
    format!(
        "warning: {count} of {rows} events have the {what} {quoted}: if that is a word for none, give --null '{bare}'"
    )
}

/// `1.23457E+12`: digits are gone, for a spreadsheet has rounded them.
#[must_use]
pub fn is_rounded(id: &str) -> bool {
    let Some((mantissa, exponent)) = id.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number(mantissa) && is_number(exponent) && id.contains('.')
}
