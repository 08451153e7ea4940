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
#[derive(Debug)]
pub struct Tile {
    /// What it is of.
    pub name: &'static str,
    /// The number, spelled.
    pub figure: String,
    /// What puts it into proportion.
    pub note: String,
}

/// A plot with its legend.
#[derive(Debug)]
pub struct Figure {
    /// Above the plot.
    pub title: &'static str,
    /// What it shows, in a sentence.
    pub caption: &'static str,
    /// A key for each line.
    pub legend: Vec<Key>,
    /// The drawing; `None`: nothing was measured.
    pub svg: Option<String>,
}

/// A line's name in a legend.
#[derive(Debug)]
pub struct Key {
    /// The page's variable for its colour.
    pub variable: &'static str,
    /// What it is of.
    pub name: &'static str,
    /// Its last value.
    pub last: String,
}

/// Rows of figures.
#[derive(Debug)]
pub struct Table {
    /// Above the table.
    pub title: &'static str,
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// One cell for each column.
    pub rows: Vec<Vec<String>>,
    /// Shown instead of no rows.
    pub empty: &'static str,
}
