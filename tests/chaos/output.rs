//! Writing to the terminal: the one place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)] // this is a command: its output is its purpose

use std::fmt::Display;

/// A line of the result.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

/// A line about the work.
pub(crate) fn note(text: impl Display) {
    eprintln!("{text}");
}
