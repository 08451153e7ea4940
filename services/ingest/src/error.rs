//! Why ingest ends, and what to do about it.

use runtime::Outage;
use runtime::kafka::KafkaError;

/// Ends the service. Bad events are no errors: they are dead letters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka refused something that waiting does not cure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// `events` has fewer records than were ingested from it.
    #[error(
        "`{interactions}` holds what came from offset {written} of partition {partition} of `{events}`, which ends at \
         {end}: the topic was deleted and made again, or lost records. Its new events would be taken for old ones. \
         Recreate `{interactions}` as well, or choose another kafka.topic_prefix"
    )]
    Recreated {
        /// Name of the topic `events`.
        events: String,
        /// Name of the topic `interactions`.
        interactions: String,
        /// The partition.
        partition: i32,
        /// Highest source offset in `interactions`.
        written: i64,
        /// Next offset of `events`.
        end: i64,
    },
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_outage(),
            _ => false,
        }
    }
}
