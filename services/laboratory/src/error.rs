//! What can go wrong in the laboratory, in words that say what to change.

/// Errors of evaluation, tuning and recorded logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The learner's settings are wrong: every problem.
    #[error("{}", .0.join("\n"))]
    Settings(Vec<String>),
    /// A recorded log is not readable.
    #[error("{0}")]
    Log(#[from] crate::log::LogError),
    /// The report could not be drawn.
    #[error("{0}")]
    Report(#[from] crate::report::parts::ReportError),
    /// The model refuses.
    #[error("{0}")]
    Model(#[from] model::Error),
    /// A file cannot be read or written.
    #[error("{path}: {source}; check that it is there, and that you may use it")]
    File {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// JSON cannot be written or read.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Anything that the message alone explains.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Names the file that an operation failed on.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, source }
    }
}
