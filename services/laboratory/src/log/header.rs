//! Finds the header of a delimited log, and what separates its columns.

use std::path::Path;

use super::columns::{Columns, ROLES, Role};
use super::dialect::{Delimiter, Fields, Quotes, Split};
use super::rows::Width;
use super::{LogError, Options, time};
use crate::shown;

/// Lines above the header that are looked at: a comment, `sep=;`, the name of a report.
pub(super) const LINES: usize = 16;

/// What the first lines say.
#[derive(Debug)]
pub(super) struct Header {
    /// Lines up to and with the header; none when there is no header.
    pub(super) lines: usize,
    pub(super) width: Width,
    pub(super) at: [Option<usize>; ROLES],
}

/// Looks at the first lines of the file at `path`.
pub(super) fn find(path: &Path, lines: &[&[u8]], options: &Options) -> Result<Header, LogError> {
    let refuse = |why: String| Err(LogError::refused(path, why));
    let candidates = candidates(lines, options.delimiter.as_ref());
    let first = lines.iter().position(|line| !line.trim_ascii().is_empty()).unwrap_or(0);
    if options.no_header {
        return numbered(path, lines, first, &candidates, options);
    }
    let mut twice = None;
    let found = seek(lines, &candidates, |names| match resolve(&options.columns, names) {
        Ok(at) => Some(at),
        Err(Unresolved::Twice(why)) => {
            twice.get_or_insert(why);
            None
        }
        Err(Unresolved::Missing) => None,
    });
    if let Some(Found { above, used, names, delimiter, resolved: at }) = found {
        let role = |role: Role| at[role as usize].map(|at| names[at].as_str());
        if is_row(role(Role::Time), &[role(Role::User), role(Role::Item)]) {
            return refuse(without(lines[above], &delimiter));
        }
        return Ok(Header { lines: above + used, width: Width::of(&names, delimiter), at });
    }
    if let Some(why) = twice {
        return refuse(why);
    }
    // No line has them all: the first is shown, split as it splits most.
    let Some((names, delimiter)) = widest(&lines[first..], &candidates) else {
        return refuse(UNREADABLE.to_owned());
    };
    if names.iter().any(|name| is_number(name) || is_time(name)) {
        return refuse(without(lines[first], &delimiter));
    }
    let missing = |role: &Role| options.columns.get(*role).is_some_and(|name| !names.iter().any(|have| have == name));
    let role = Role::ALL.into_iter().find(missing).unwrap_or(Role::User);
    Err(LogError::UnknownColumn {
        path: path.to_owned(),
        role,
        column: shown::quoted(options.columns.get(role).unwrap_or_default()),
        have: shown::some(names.iter().map(String::as_str)),
    })
}

/// Why not even one name of a header can be told.
const UNREADABLE: &str = "has no header that can be read: close its quotation marks, and keep it below 1 MiB";

/// What may separate the columns of a file that begins with `lines`: what was given, or what Excel's line says, or any
/// that is known.
fn candidates(lines: &[&[u8]], given: Option<&Delimiter>) -> Vec<Delimiter> {
    match given.cloned().or_else(|| lines.iter().find_map(|line| separator(line))) {
        Some(delimiter) => vec![delimiter],
        None => Delimiter::known().collect(),
    }
}

/// A header that was found.
struct Found<T> {
    /// Lines above it, and lines that it takes.
    above: usize,
    used: usize,
    names: Vec<String>,
    delimiter: Delimiter,
    resolved: T,
}

/// The first line whose names are those that are looked for, split as it splits most.
fn seek<T>(
    lines: &[&[u8]],
    candidates: &[Delimiter],
    mut resolve: impl FnMut(&[String]) -> Option<T>,
) -> Option<Found<T>> {
    (0..lines.len()).find_map(|above| {
        let found = candidates.iter().rev().filter_map(|delimiter| {
            let (used, names) = names(&lines[above..], delimiter)?;
            let resolved = resolve(&names)?;
            Some(Found { above, used, names, delimiter: delimiter.clone(), resolved })
        });
        // Blanks only where nothing else will do: a name may hold some.
        found.max_by_key(|found| (found.delimiter != Delimiter::Blank, found.names.len()))
    })
}

/// The fields of the first line, split as it splits most.
fn widest(lines: &[&[u8]], candidates: &[Delimiter]) -> Option<(Vec<String>, Delimiter)> {
    let split = candidates.iter().filter_map(|d| names(lines, d).map(|(_, names)| (names, d.clone())));
    split.rev().max_by_key(|(names, d)| (names.len(), *d != Delimiter::Blank))
}

/// A header with all its columns.
pub(super) struct Named {
    /// Lines up to and with the header; those above the first row when there is none.
    pub(super) lines: usize,
    pub(super) names: Vec<String>,
    pub(super) width: Width,
}

/// Why there is no header.
pub(super) enum Headless {
    /// These would be the names.
    Names(Vec<String>),
    /// In words.
    Unreadable(&'static str),
}

/// The header of a file that is no log: the first line that `is_header` takes for it. Without one, columns are named by
/// number.
pub(super) fn of_sheet(
    lines: &[&[u8]],
    given: Option<&Delimiter>,
    no_header: bool,
    is_header: impl Fn(&[String]) -> bool,
) -> Result<Named, Headless> {
    let candidates = candidates(lines, given);
    let first = lines.iter().position(|line| !line.trim_ascii().is_empty()).unwrap_or(0);
    if !no_header && let Some(found) = seek(lines, &candidates, |names| is_header(names).then_some(())) {
        let width = Width::of(&found.names, found.delimiter);
        return Ok(Named { lines: found.above + found.used, names: found.names, width });
    }
    match widest(lines.get(first..).unwrap_or_default(), &candidates) {
        Some((names, delimiter)) if no_header => {
            let numbers = (1..=names.len()).map(|number| number.to_string()).collect();
            let width = Width { delimiter, columns: names.len(), named: names.len() };
            Ok(Named { lines: first, names: numbers, width })
        }
        Some((names, _)) => Err(Headless::Names(names)),
        None => Err(Headless::Unreadable(UNREADABLE)),
    }
}

/// Columns by number.
fn numbered(
    path: &Path,
    lines: &[&[u8]],
    first: usize,
    candidates: &[Delimiter],
    options: &Options,
) -> Result<Header, LogError> {
    let (names, delimiter) = widest(&lines[first..], candidates).unwrap_or((Vec::new(), Delimiter::Blank));
    let columns = names.len();
    let mut at = [None; ROLES];
    for role in Role::ALL {
        let Some(name) = options.columns.get(role) else { continue };
        match name.parse::<usize>().ok().filter(|n| (1..=columns).contains(n)) {
            Some(number) => at[role as usize] = Some(number - 1),
            None => {
                return Err(LogError::refused(
                    path,
                    format!(
                        "is read with --no-header, so {role}={} must be the number of a column, from 1 to {columns}; they \
                         are separated by {delimiter} (--delimiter sets something else)",
                        shown::quoted(name)
                    ),
                ));
            }
        }
    }
    Ok(Header { lines: first, width: Width { delimiter, columns, named: columns }, at })
}

/// The names of a header, and the lines that it takes.
fn names(lines: &[&[u8]], delimiter: &Delimiter) -> Option<(usize, Vec<String>)> {
    let mut fields = Fields::default();
    let mut header = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            header.push(b'\n');
        }
        header.extend_from_slice(if n == 0 { line.strip_prefix(b"#Fields:").unwrap_or(line) } else { line });
        if fields.split(&header, delimiter, Quotes::Doubled) != Split::Open {
            let text = |n| String::from_utf8_lossy(&fields.get(n, &header).unwrap_or_default()).trim().to_owned();
            return Some((n + 1, (0..fields.len()).map(text).collect()));
        }
    }
    None
}

enum Unresolved {
    Missing,
    /// A name that was asked for is there twice; in words.
    Twice(String),
}

/// Where the columns are. A header may stand behind a `#`, or `#Fields:`.
fn resolve(columns: &Columns, names: &[String]) -> Result<[Option<usize>; ROLES], Unresolved> {
    let bare = |n: usize, name: &str| -> String {
        if n == 0 { name.strip_prefix('#').unwrap_or(name).trim().to_owned() } else { name.to_owned() }
    };
    let is = |n: usize, have: &String, name: &str| have == name || n == 0 && bare(n, have) == name;
    let mut at = [None; ROLES];
    for role in Role::ALL {
        let Some(name) = columns.get(role) else { continue };
        let mut found = names.iter().enumerate().filter(|(n, have)| is(*n, have, name)).map(|(n, _)| n);
        at[role as usize] = Some(found.next().ok_or(Unresolved::Missing)?);
        if let Some(second) = found.next() {
            let (first, second) = (at[role as usize].unwrap_or(0) + 1, second + 1);
            let name = shown::quoted(name);
            return Err(Unresolved::Twice(format!(
                "has two columns of the name {name}, the {first}. and the {second}.: rename one of them in the header"
            )));
        }
    }
    Ok(at)
}

/// What the line `sep=;`, which Excel writes and reads, says.
fn separator(line: &[u8]) -> Option<Delimiter> {
    let text = std::str::from_utf8(line).ok()?.trim_matches(['"', ' ']);
    let (key, value) = text.split_at_checked(4)?;
    key.eq_ignore_ascii_case("sep=").then(|| value.parse().ok()).flatten()
}

/// Whether these names are rather a row's: a moment, or numbers that do not count columns.
fn is_row(time: Option<&str>, ids: &[Option<&str>]) -> bool {
    let counts = |name: &&str| name.parse::<usize>().is_ok_and(|number| number < 1_000);
    let ids: Vec<&str> = ids.iter().flatten().copied().collect();
    time.is_some_and(is_time) || ids.iter().all(|name| is_number(name)) && !ids.iter().all(counts)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A date, or a number as large as one.
fn is_time(name: &str) -> bool {
    name.bytes().filter(u8::is_ascii_digit).count() >= 6 && time::parse(name).is_some_and(|ms| ms > 1_000_000_000)
}

fn without(line: &[u8], delimiter: &Delimiter) -> String {
    format!(
        "seems to have no header, for its first line is {}, separated by {delimiter}: give --no-header and the columns by \
         number, such as --columns user=1,item=2,time=3 (--delimiter sets another separator)",
        shown::quoted_bytes(line)
    )
}
