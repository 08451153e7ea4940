//! Where the command finds Kafka and Redis.

use runtime::Validate;
use runtime::config::{Kafka, Redis};
use schemas::{Keys, Topic, Topics};
use serde::Deserialize;

/// The embedded `config.toml`.
pub(crate) const DEFAULTS: &str = include_str!("../config.toml");

/// Everything the command can be told by file or environment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) kafka: Kafka,
    pub(crate) redis: Redis,
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        [self.kafka.problems(), self.redis.problems()].concat()
    }
}

impl Config {
    /// Defaults, file, environment, then what was given on the command line.
    pub(crate) fn load(
        file: Option<&std::path::Path>,
        given: &[(&str, String)],
    ) -> Result<Self, runtime::config::ConfigError> {
        runtime::config::load(DEFAULTS, file, given, true)
    }

    pub(crate) fn topic(&self, topic: Topic) -> String {
        Topics::new(&self.kafka.topic_prefix).name(topic)
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.redis.key_prefix)
    }
}
