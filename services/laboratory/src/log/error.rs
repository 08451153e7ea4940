//! Why a recorded log cannot be used.

use std::path::{Path, PathBuf};

use super::columns::Role;

/// Why a recorded log cannot be used; each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file is not there, or may not be read.
    #[error("cannot open the log {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading broke off: a truncated file, or a compression that is not built in.
    #[error("cannot read the log {} past row {rows}: {detail}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Rows read before.
        rows: u64,
        /// What went wrong.
        detail: String,
    },
    /// Nothing in it.
    #[error("the log {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is something else than a log, or a log of another shape.
    #[error("the log {} {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        why: String,
    },
    /// A column of `--columns` is not in the file.
    #[error("the log {} has no column {column} (for {role}); it has: {have}", path.display())]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The role it was named for.
        role: Role,
        /// The name that was not found.
        column: String,
        /// The columns that are there.
        have: String,
    },
    /// Every row was skipped.
    #[error("the log {} has no usable row among {rows}: {skipped}; {advice}", path.display())]
    NothingUsable {
        /// The file.
        path: PathBuf,
        /// Rows read.
        rows: u64,
        /// The reasons with their counts and an example of each.
        skipped: String,
        /// What to look at.
        advice: String,
    },
}

impl LogError {
    pub(super) fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }
}
