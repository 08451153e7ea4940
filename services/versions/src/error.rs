//! Why following the log or the catalog ends.

use runtime::Outage;
use runtime::kafka::KafkaError;

/// Ends the service. A version or record that is refused is no error: what is live keeps serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka refused something that waiting does not cure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A thread of ours is gone; the context has the reason.
    #[error("thread {0} is gone")]
    Stopped(&'static str),
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_outage(),
            Self::Stopped(_) => false,
        }
    }
}
