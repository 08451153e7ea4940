//! A place on a topic, with a note: whoever begins there need not read what lies before.
//!
//! Kafka keeps it as the offset of a group that nobody joins. It is a help and never needed: where none is found, or
//! one that lies outside of the topic, the reader begins with the oldest record.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::warn;

use super::client::{Role, blocking, settings};
use super::error::KafkaError;
use super::link::Quiet;
use crate::config;

/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(5);

/// A place on a topic of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The offset to begin at.
    pub offset: i64,
    /// What is to be known of the records before it, at most some hundred bytes.
    pub note: String,
}

impl Bookmark {
    /// The bookmark that was left under `group`, if there is one inside the topic.
    pub async fn find(config: &config::Kafka, service: &str, group: &str, topic: &str) -> Option<Self> {
        let consumer = client(config, service, group);
        let name = topic.to_owned();
        let found = blocking("look for a bookmark", move || {
            let consumer = consumer?;
            let failed = |error| KafkaError::of(format!("look for a bookmark in {name}"), error);
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&name, 0);
            let answer = consumer.committed_offsets(asked, QUESTION).map_err(failed)?;
            let Some(found) = answer.find_partition(&name, 0) else { return Ok(None) };
            let Offset::Offset(offset) = found.offset() else { return Ok(None) };
            let note = found.metadata().to_owned();
            let (low, high) = consumer.fetch_watermarks(&name, 0, QUESTION).map_err(failed)?;
            Ok((low..high).contains(&offset).then_some(Self { offset, note }))
        });
        found.await.unwrap_or_else(|error| {
            warn!(topic, group, %error, "no bookmark was found; reading from the beginning");
            None
        })
    }

    /// Leaves it under `group`.
    ///
    /// # Errors
    /// Kafka is away or refuses.
    pub async fn leave(
        self,
        config: &config::Kafka,
        service: &str,
        group: &str,
        topic: &str,
    ) -> Result<(), KafkaError> {
        let consumer = client(config, service, group);
        let topic = topic.to_owned();
        blocking("leave a bookmark", move || {
            let failed = |error| KafkaError::of(format!("leave a bookmark in {topic}"), error);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Offset(self.offset)).map_err(failed)?;
            if let Some(mut place) = list.find_partition(&topic, 0) {
                place.set_metadata(&self.note);
            }
            consumer?.commit(&list, CommitMode::Sync).map_err(failed)
        })
        .await
    }
}

fn client(config: &config::Kafka, service: &str, group: &str) -> Result<BaseConsumer<Quiet>, KafkaError> {
    settings(config, service, Role::Reader(group)).create_with_context(Quiet).map_err(KafkaError::Settings)
}
