//! What can go wrong in a command, in words that say what to change.

use runtime::kafka::KafkaError;
use runtime::redis::RedisError;

/// Errors of the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A setting is wrong.
    #[error("{0}")]
    Config(#[from] runtime::config::ConfigError),
    /// Kafka refuses or is away.
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    /// Redis refuses or is away.
    #[error("{0}")]
    Redis(#[from] runtime::redis::RedisError),
    /// The laboratory refuses, but for settings, which are a [`Error::Config`].
    #[error(transparent)]
    Laboratory(laboratory::Error),
    /// The report could not be drawn.
    #[error("{0}")]
    Report(#[from] laboratory::report::parts::ReportError),
    /// The model refuses.
    #[error("{0}")]
    Model(#[from] model::Error),
    /// The embedded broker did not start.
    #[error("{0}")]
    Broker(#[from] broker::Error),
    /// JSON cannot be written or read.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A value in Redis is no slate.
    #[error("{0}")]
    Slate(#[from] schemas::slate::SlateError),
    /// Anything that the message alone explains.
    #[error("{0}")]
    Other(String),
}

impl From<laboratory::Error> for Error {
    fn from(error: laboratory::Error) -> Self {
        match error {
            laboratory::Error::Settings(problems) => Self::Config(runtime::config::ConfigError(problems)),
            other => Self::Laboratory(other),
        }
    }
}

impl Error {
    /// Names the file that an operation failed on.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let named = laboratory::Error::file(path);
        move |source| named(source).into()
    }

    /// One line, with how this command is told where the brokers are: every service names the setting alone.
    pub(crate) fn told(&self) -> String {
        let line = runtime::chain(self);
        match self {
            Self::Kafka(KafkaError::Unreachable { .. }) => format!("{line}, by --brokers or KAFKA_BROKERS"),
            Self::Redis(RedisError::Unreachable { .. }) => format!("{line}; --redis or REDIS_URL sets it"),
            _ => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_broker_is_told_the_option_that_names_one() {
        let error = Error::from(KafkaError::Unreachable { brokers: "127.0.0.1:9092".to_owned() });
        let expected = "no Kafka broker answers at 127.0.0.1:9092; start one or set kafka.brokers, by --brokers or \
                        KAFKA_BROKERS";
        assert_eq!(error.told(), expected);
    }

    #[test]
    fn wrong_settings_of_the_learner_are_a_wrong_configuration_and_all_else_reads_as_it_was_said() {
        let problems = || vec!["model.dim: must be even".to_owned(), "model.heads: must divide it".to_owned()];
        let error = Error::from(laboratory::Error::Settings(problems()));
        assert!(matches!(&error, Error::Config(wrong) if wrong.0 == problems()), "{error:?}");
        assert_eq!(laboratory::Error::Settings(problems()).to_string(), error.to_string());
        let missing = Error::file(std::path::Path::new("nope.csv"))(std::io::ErrorKind::NotFound.into());
        assert_eq!(missing.told(), "nope.csv: entity not found; check that it is there, and that you may use it");
    }
}
