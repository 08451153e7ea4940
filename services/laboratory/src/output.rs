//! Writing to the terminal: the one place that prints.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Error;
use crate::shown;

/// Why what is printed does not arrive any more.
static BROKEN: OnceLock<io::Error> = OnceLock::new();

/// A line for people. What steers a terminal is spelled out: much of what is printed comes from elsewhere. Once one
/// does not arrive the later ones are dropped, and the command goes on to its own end and exit code: a demo must stop
/// its servers, and a floor that is missed stays missed.
pub fn line(text: impl Display) {
    write(&mut io::stdout(), &BROKEN, shown::lines(&text.to_string()));
}

fn write(to: &mut impl Write, broken: &OnceLock<io::Error>, text: impl Display) {
    if broken.get().is_none()
        && let Err(error) = writeln!(to, "{text}")
    {
        let _ = broken.set(error); // the first one is told
    }
}

/// Whether there is still somewhere to print to; work that does nothing but print may end when there is not.
pub fn arrives() -> bool {
    BROKEN.get().is_none()
}

/// What is wrong with the output, if anything is: a reader who goes has read enough (`thalweg … | head`).
pub fn failure() -> Option<&'static io::Error> {
    BROKEN.get().filter(|error| is_failure(error))
}

fn is_failure(error: &io::Error) -> bool {
    error.kind() != ErrorKind::BrokenPipe
}

/// A line about the work, kept apart from its result.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", shown::lines(&text.to_string())); // there is nobody left who could be told that nobody listens
}

/// One JSON document.
pub fn json(value: &impl serde::Serialize) -> Result<(), Error> {
    write(&mut io::stdout(), &BROKEN, shown::json(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// One JSON document on a line.
pub fn json_line(value: &serde_json::Value) {
    write(&mut io::stdout(), &BROKEN, shown::json(&value.to_string()));
}

/// Whether somebody watches.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// A bar for work of known length; silent where nobody watches, and during the first moment.
pub fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = styled_bar(length, "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    bar.set_message(what.to_owned());
    bar
}

/// The same below a line of figures that changes.
pub fn live_bar(length: u64) -> ProgressBar {
    styled_bar(length, "{msg}\n{wide_bar} {human_pos}/{human_len} {eta}")
}

fn styled_bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A line that is written over, for work of unknown length.
pub fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Columns, aligned; the first row is the heading. A cell is on one line, whatever is in it.
pub fn table(rows: &[Vec<String>]) {
    let plain = |row: &Vec<String>| row.iter().map(|cell| shown::plain(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(plain).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(cells.join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader takes `lines` and goes, by an error of this kind.
    struct Pipe {
        lines: usize,
        attempts: usize,
        end: ErrorKind,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.attempts += 1;
            if self.lines == 0 {
                return Err(self.end.into());
            }
            self.lines -= bytes.iter().filter(|byte| **byte == b'\n').count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_goes_is_no_failure_and_a_full_disk_is_one() {
        for (end, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let (mut pipe, broken) = (Pipe { lines: 2, attempts: 0, end }, OnceLock::new());
            (0..2).for_each(|n| write(&mut pipe, &broken, n));
            assert!(broken.get().is_none(), "both lines were taken");
            write(&mut pipe, &broken, 2);
            assert_eq!(broken.get().map(is_failure), Some(fails));
            let attempts = pipe.attempts;
            (3..9).for_each(|n| write(&mut pipe, &broken, n));
            assert_eq!(pipe.attempts, attempts, "nothing is written any more");
        }
    }
}
