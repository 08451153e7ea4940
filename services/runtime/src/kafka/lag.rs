//! How far a member of a group is behind, without asking the broker every time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::debug;

use super::Positions;
use super::client::blocking;
use super::error::KafkaError;
use super::group::Group;
use super::pull::Pull;
use crate::context::lock;

/// How old an answer may be.
const AGE: Duration = Duration::from_secs(1);
/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(2);

/// The newest watermarks of a consumer's partitions.
#[derive(Debug, Default)]
pub(super) struct Lag {
    known: Mutex<Option<Watermarks>>,
}

#[derive(Debug, Clone)]
struct Watermarks {
    asked: Instant,
    highs: Positions,
    /// Where partitions of which nothing was read yet begin.
    starts: Positions,
}

impl Lag {
    /// Records of the partitions `ours` that were not handed out yet; `None` while it is not known.
    pub(super) async fn of(&self, pull: &Pull<Group>, ours: Vec<i32>) -> Option<i64> {
        let known = lock(&self.known).clone();
        let old = match known {
            Some(known) if known.asked.elapsed() < AGE && ours.iter().all(|p| known.highs.contains_key(p)) => {
                return Some(known.behind(&ours, pull.positions()));
            }
            old => old,
        };
        match ask(pull, ours.clone()).await {
            Ok(known) => {
                let behind = known.behind(&ours, pull.positions());
                *lock(&self.known) = Some(known);
                Some(behind)
            }
            Err(error) => {
                debug!(%error, "the lag is not known");
                let old = old.filter(|known| ours.iter().all(|p| known.highs.contains_key(p)));
                old.map(|known| known.behind(&ours, pull.positions()))
            }
        }
    }
}

impl Watermarks {
    fn behind(&self, ours: &[i32], positions: &Positions) -> i64 {
        ours.iter()
            .filter_map(|partition| {
                let next = positions.get(partition).or_else(|| self.starts.get(partition))?;
                Some((self.highs.get(partition)? - next).max(0))
            })
            .sum()
    }
}

async fn ask(pull: &Pull<Group>, ours: Vec<i32>) -> Result<Watermarks, KafkaError> {
    let (consumer, topic) = (Arc::clone(pull.consumer()), pull.topic().to_owned());
    let unread: Vec<i32> = ours.iter().copied().filter(|p| !pull.positions().contains_key(p)).collect();
    blocking("ask for the lag", move || {
        let failed = |error| KafkaError::of("ask for the lag", error);
        let mut known = Watermarks { asked: Instant::now(), highs: Positions::new(), starts: Positions::new() };
        for partition in ours {
            let (low, high) = consumer.fetch_watermarks(&topic, partition, QUESTION).map_err(failed)?;
            known.highs.insert(partition, high);
            known.starts.insert(partition, low);
        }
        if !unread.is_empty() {
            let mut list = TopicPartitionList::with_capacity(unread.len());
            for partition in unread {
                list.add_partition(&topic, partition);
            }
            let committed = consumer.committed_offsets(list, QUESTION).map_err(failed)?;
            for element in committed.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    known.starts.insert(element.partition(), offset);
                }
            }
        }
        Ok(known)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_yet_counts_from_where_it_begins() {
        let known =
            Watermarks { asked: Instant::now(), highs: [(0, 10), (1, 20)].into(), starts: [(0, 0), (1, 15)].into() };
        assert_eq!(known.behind(&[0, 1], &[(0, 8)].into()), 2 + 5);
        assert_eq!(known.behind(&[0, 1, 7], &[(0, 12), (1, 20)].into()), 0);
    }
}
