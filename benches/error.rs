//! What can go wrong in a benchmark: mostly that a server or a program is not there.

use std::path::{Path, PathBuf};

/// Errors of the benchmarks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka is away or refuses.
    #[error(transparent)]
    Kafka(#[from] runtime::kafka::KafkaError),
    /// Redis is away or refuses.
    #[error(transparent)]
    Redis(#[from] runtime::redis::RedisError),
    /// The embedded broker does not start.
    #[error(transparent)]
    Broker(#[from] broker::Error),
    /// A service's configuration does not load.
    #[error("{0}")]
    Config(#[from] runtime::config::ConfigError),
    /// A service that is measured ended.
    #[error("a service ended: {0}")]
    Service(#[from] runtime::TaskError),
    /// The model refuses something.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// JSON is not as it should be.
    #[error("JSON is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Names the file that an operation failed on.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
