//! The parts of a page: tiles, figures with their legends, tables.

/// Why a page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A plot could not be drawn: a figure that is no number, most likely.
    #[error("{0}")]
    Plot(String),
    /// The template could not be filled.
    #[error("cannot fill the report's template: {0}")]
    Template(#[from] askama::Error),
}

/// A number worth a glance.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) figure: String,
    pub(super) note: String,
}

pub(super) struct Figure {
    pub(super) title: &'static str,
    pub(super) caption: &'static str,
    pub(super) legend: Vec<Key>,
    /// `None`: nothing was measured.
    pub(super) svg: Option<String>,
}

pub(super) struct Key {
    pub(super) variable: &'static str,
    pub(super) name: &'static str,
    pub(super) last: String,
}

pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    /// Shown instead of no rows.
    pub(super) empty: &'static str,
}
