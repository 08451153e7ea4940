//! Why the scorer ends, and what to do about it.

use runtime::Outage;
use runtime::kafka::KafkaError;
use runtime::redis::RedisError;

/// Ends the service. A version that is refused or a Redis that is away are no errors: the live version keeps serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka refused something that waiting does not cure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Redis was away at the start, or still is while the service drains.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The device did not open.
    #[error("scorer.device does not open: {0}")]
    Device(model::Error),
    /// A thread of ours is gone; the context has the reason.
    #[error("thread {0} is gone")]
    Stopped(&'static str),
}

impl Error {
    /// Whether a server was away when the service had to end.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Redis(_) | Self::Kafka(KafkaError::Draining { .. }))
    }
}

impl From<versions::Error> for Error {
    fn from(error: versions::Error) -> Self {
        match error {
            versions::Error::Kafka(error) => Self::Kafka(error),
            versions::Error::Stopped(thread) => Self::Stopped(thread),
        }
    }
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_outage(),
            Self::Redis(error) => error.is_outage(),
            _ => false,
        }
    }
}
