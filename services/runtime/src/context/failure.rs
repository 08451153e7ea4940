//! Why a task of the service is gone, and errors in one line.

use std::error::Error;
use std::sync::Arc;

/// Why a task of the service is no longer there.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum TaskError {
    /// It returned although nobody asked the service to drain.
    #[error("task {task} ended although the service was not draining")]
    Ended { task: &'static str },
    /// It returned an error.
    #[error("task {task} failed")]
    Failed { task: &'static str, source: Arc<dyn Error + Send + Sync> },
    /// It panicked.
    #[error("task {task} panicked: {message}")]
    Panicked { task: &'static str, message: String },
}

/// An error and all its causes in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}
