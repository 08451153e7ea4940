//! Where the command finds Kafka and Redis.

use std::sync::Arc;
use std::time::Duration;

use laboratory::TrainerConfig;
use runtime::config::{ConfigError, Kafka, Privacy, Redis};
use runtime::kafka::Producer;
use runtime::{Context, Validate};
use schemas::signature::SigningKey;
use schemas::{Keys, Secret, Topic, Topics};
use serde::Deserialize;
use versions::signing;

use crate::error::Error;

/// The embedded `config.toml`.
pub(crate) const DEFAULTS: &str = include_str!("../config.toml");

/// The trainer's, for what learns without one.
pub(crate) const TRAINER: TrainerConfig = TrainerConfig {
    defaults: trainer::DEFAULTS,
    load: |file, overrides, env| {
        let config: Result<trainer::Config, _> = runtime::config::load(trainer::DEFAULTS, file, overrides, env);
        config.map(|config| config.model).map_err(|ConfigError(problems)| problems)
    },
};

/// A service that is replaced or restored reads the minutes before it again.
const LEAST_RETENTION: Duration = Duration::from_secs(3_600);

/// Everything the command can be told by file or environment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) kafka: Kafka,
    pub(crate) redis: Redis,
    pub(crate) privacy: Privacy,
    pub(crate) topics: Settings,
    pub(crate) operator: Operator,
}

/// Section `[operator]`: who decides.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Operator {
    /// The file of the key that signs decisions, or the key itself; empty: they are not signed.
    pub(crate) sign_key: runtime::config::Secret,
}

/// Section `[topics]`: what new topics are given.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Settings {
    /// Copies of each record; 0: as many as there are brokers, up to three.
    pub(crate) replication_factor: u16,
    /// How long what flows is kept.
    #[serde(with = "humantime_serde")]
    pub(crate) retention: Duration,
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        let mut problems = [self.kafka.problems(), self.redis.problems(), self.privacy.problems()].concat();
        problems.extend(signing::problems(&self.kafka));
        if self.topics.retention < LEAST_RETENTION {
            problems.push("topics.retention: at least 1h; what nobody read within it is gone".to_owned());
        }
        problems
    }
}

impl Config {
    /// Defaults, file, environment, then what was given on the command line.
    pub(crate) fn load(file: Option<&std::path::Path>, given: &[(&str, String)]) -> Result<Self, ConfigError> {
        runtime::config::load(DEFAULTS, file, given, true)
    }

    /// The key that signs decisions; `None` where there is none and nobody asks for one.
    pub(crate) fn signer(&self) -> Result<Option<SigningKey>, Error> {
        signing::signing_key("operator.sign_key (--sign-key)", &self.operator.sign_key.0, &self.kafka)
            .map_err(Error::Other)
    }

    /// A producer of decisions, which signs them.
    pub(crate) fn producer(&self, ctx: &Context) -> Result<Producer, Error> {
        let stamp = self.signer()?.map(|signer| signing::stamp(Arc::new(signer), &self.kafka));
        Ok(Producer::connect(&self.kafka, ctx)?.stamped(stamp))
    }

    pub(crate) fn topic(&self, topic: Topic) -> String {
        Topics::new(&self.kafka.topic_prefix).name(topic)
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret::new(&self.privacy.secret)
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.redis.key_prefix)
    }
}

#[cfg(test)]
mod tests;
