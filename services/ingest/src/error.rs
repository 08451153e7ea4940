//! Why ingest ends, and what to do about it.

use runtime::Outage;
use runtime::kafka::KafkaError;

/// Ends the service. Bad events are no errors: they are dead letters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka refused something that waiting does not cure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        let Self::Kafka(error) = self;
        error.is_outage()
    }
}
