//! The topics: what they are called, how many partitions they have, what is set for them. Their records are in the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;
use uuid::Uuid;

/// More partitions of one topic are a slip: each costs memory at every client as well.
const MOST_PARTITIONS: i32 = 10_000;

/// Kafka's limit on a topic's name, which is a folder's there.
const LONGEST_NAME: usize = 249;

/// All topics, by name.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: Mutex<BTreeMap<String, Topic>>,
}

/// A topic.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) found: Found,
    /// What was set for it; kept and told, and without effect.
    pub(crate) settings: BTreeMap<String, String>,
}

/// A topic that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Another one when the topic is deleted and made again.
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
}

impl Found {
    pub(crate) fn has(self, partition: i32) -> bool {
        (0..self.partitions).contains(&partition)
    }
}

impl Topics {
    /// Creates a topic, or only says whether that would do.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        settings: BTreeMap<String, String>,
        only_check: bool,
    ) -> Result<Found, ResponseError> {
        let mut topics = self.lock();
        if !is_name(name) {
            return Err(ResponseError::InvalidTopicException);
        }
        if topics.contains_key(name) {
            return Err(ResponseError::TopicAlreadyExists);
        }
        if !(1..=MOST_PARTITIONS).contains(&partitions) {
            return Err(ResponseError::InvalidPartitions);
        }
        let found = Found { id: Uuid::new_v4(), partitions };
        if !only_check {
            topics.insert(name.to_owned(), Topic { found, settings });
        }
        Ok(found)
    }

    /// Gives a topic `partitions` partitions, or only says whether that would do.
    pub(crate) fn grow(&self, name: &str, partitions: i32, only_check: bool) -> Result<(), ResponseError> {
        let mut topics = self.lock();
        let topic = topics.get_mut(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        if partitions <= topic.found.partitions || partitions > MOST_PARTITIONS {
            return Err(ResponseError::InvalidPartitions);
        }
        if !only_check {
            topic.found.partitions = partitions;
        }
        Ok(())
    }

    /// Deletes a topic.
    pub(crate) fn delete(&self, name: &str) -> Result<Found, ResponseError> {
        self.lock().remove(name).map(|topic| topic.found).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// Changes what is set for a topic, if `change` agrees.
    pub(crate) fn set(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), ResponseError>,
        only_check: bool,
    ) -> Result<(), ResponseError> {
        let mut topics = self.lock();
        let topic = topics.get_mut(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let mut changed = topic.settings.clone();
        change(&mut changed)?;
        if !only_check {
            topic.settings = changed;
        }
        Ok(())
    }

    /// A topic and its settings.
    pub(crate) fn get(&self, name: &str) -> Option<Topic> {
        self.lock().get(name).cloned()
    }

    /// A topic by its name.
    pub(crate) fn named(&self, name: &str) -> Option<Found> {
        self.lock().get(name).map(|topic| topic.found)
    }

    /// A topic's name by its id. There are few.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<(String, Found)> {
        let topics = self.lock();
        let found = topics.iter().find(|(_, topic)| topic.found.id == id);
        found.map(|(name, topic)| (name.clone(), topic.found))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(String, Found)> {
        self.lock().iter().map(|(name, topic)| (name.clone(), topic.found)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(topics: &Topics, name: &str, partitions: i32) -> Result<Found, ResponseError> {
        topics.create(name, partitions, BTreeMap::new(), false)
    }

    #[test]
    fn a_topic_made_again_has_another_id() {
        let topics = Topics::default();
        let first = create(&topics, "events", 4).expect("is created");
        assert_eq!(create(&topics, "events", 4), Err(ResponseError::TopicAlreadyExists));
        assert_eq!(topics.delete("events"), Ok(first));
        assert_eq!(topics.delete("events"), Err(ResponseError::UnknownTopicOrPartition));
        let second = create(&topics, "events", 4).expect("is created again");
        assert_ne!(first.id, second.id);
        assert_eq!((topics.name_of(first.id), topics.named("events")), (None, Some(second)));
    }

    #[test]
    fn a_topic_keeps_its_id_when_partitions_are_added_and_never_loses_one() {
        let topics = Topics::default();
        let found = create(&topics, "events", 4).expect("is created");
        assert_eq!(topics.grow("events", 6, true), Ok(()));
        assert_eq!(topics.named("events"), Some(found), "that was a question");
        assert_eq!(topics.grow("events", 6, false), Ok(()));
        assert_eq!(topics.named("events"), Some(Found { partitions: 6, ..found }));
        for wrong in [6, 5, 0, -1, MOST_PARTITIONS + 1] {
            assert_eq!(topics.grow("events", wrong, false), Err(ResponseError::InvalidPartitions), "{wrong}");
        }
        assert_eq!(topics.grow("slates", 6, false), Err(ResponseError::UnknownTopicOrPartition));
    }

    #[test]
    fn names_and_numbers_that_kafka_refuses_are_refused() {
        let topics = Topics::default();
        for name in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
            assert_eq!(create(&topics, name, 1), Err(ResponseError::InvalidTopicException), "{name}");
        }
        for partitions in [0, -2, MOST_PARTITIONS + 1] {
            assert_eq!(create(&topics, "events", partitions), Err(ResponseError::InvalidPartitions), "{partitions}");
        }
        create(&topics, &"x".repeat(249), 1).expect("is long enough");
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let topics = Topics::default();
        create(&topics, "events", 1).expect("is created");
        let half = |settings: &mut BTreeMap<String, String>| {
            settings.insert("retention.ms".into(), "1".into());
            Err(ResponseError::InvalidConfig)
        };
        assert_eq!(topics.set("events", half, false), Err(ResponseError::InvalidConfig));
        assert!(topics.get("events").expect("is there").settings.is_empty());
    }
}
