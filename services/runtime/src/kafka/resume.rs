//! Where a member of a group goes on: in partitions that have just become ours, and where its service says so.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::client::blocking;
use super::error::{KafkaError, is_lost_partition, is_missing, is_outage};
use super::group::Group;
use super::identity::{self, Answer};
use super::life::{self, Resume};
use super::pull::Pull;
use super::{Next, Positions};

/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(3);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Learns where new partitions begin, before their records are handed out: a commit of another life of the topic skips
/// nothing of this one, and what was deleted in between is counted. Where the group had committed; `None` once
/// draining.
pub(super) async fn settle(pull: &mut Pull<Group>, assigned: &[i32]) -> Result<Option<Positions>, KafkaError> {
    let asked = Instant::now();
    // What is not known must not look like what was never committed: whoever holds it against other marks would skip
    // records.
    let asking = patiently(pull, "ask where to continue", is_missing, |pull| {
        let (consumer, topic, partitions) = (Arc::clone(pull.consumer()), pull.topic().to_owned(), assigned.to_vec());
        move || starts(&consumer, &topic, &partitions)
    });
    let (answer, starts) = match asking.await {
        Err(KafkaError::Draining { .. }) => return Ok(None),
        Err(error @ KafkaError::Failed { .. }) => {
            warn!(topic = pull.topic(), %error, "nobody says where to continue: reading from where the group is");
            return Ok(Some(Positions::new()));
        }
        answer => answer?,
    };
    let mut committed = Positions::new();
    pull.heard(answer, asked);
    for Start { partition, resume: start, committed: was_committed } in starts {
        let topic = pull.topic();
        if start.missed > 0 {
            let (missed, next) = (start.missed, start.next);
            warn!(topic, partition, missed, %next, "records that were not read yet are gone; raise retention.ms");
            pull.miss(missed);
        }
        if start.reborn {
            let topic = pull.topic();
            warn!(
                topic,
                partition, "what was committed is of another log of that name: reading this one from its beginning"
            );
            pull.seek(partition, start.next, true);
        } else {
            pull.begin(partition, start.next);
            if let Some(offset) = was_committed {
                committed.insert(partition, offset);
            }
        }
    }
    Ok(Some(committed))
}

/// Where the group continues in a partition.
struct Start {
    partition: i32,
    resume: Resume,
    /// What it had committed, which may be gone.
    committed: Option<Next>,
}

/// Where the group continues in each of the partitions; blocks.
fn starts(
    consumer: &StreamConsumer<Group>,
    topic: &str,
    partitions: &[i32],
) -> Result<(Answer, Vec<Start>), KafkaError> {
    let failed = |error| KafkaError::of(format!("ask where to continue in {topic}"), error);
    let answer = match identity::first(consumer, topic)? {
        // It is being deleted: who reads hears of it when it is made again.
        Some(gone @ Answer { topic: None, .. }) => return Ok((gone, Vec::new())),
        told => told.unwrap_or_else(|| Answer { topic: None, lows: Vec::new() }),
    };
    let life = answer.topic.map_or(0, |topic| topic.life);
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(list, QUESTION).map_err(failed)?;
    let mut starts = Vec::with_capacity(partitions.len());
    for element in committed.elements() {
        let partition = element.partition();
        let (low, high) = consumer.fetch_watermarks(topic, partition, QUESTION).map_err(failed)?;
        let before = match element.offset() {
            Offset::Offset(offset) => Some((Next(offset), life::noted(element.metadata()))),
            _ => None,
        };
        let resume = life::resume(before, life, Next(low), Next(high));
        starts.push(Start { partition, resume, committed: before.map(|(offset, _)| offset) });
    }
    Ok((answer, starts))
}

/// Goes on at these offsets; where each partition really does. Those that are no longer ours are left out. What is
/// deleted or was never written is read from the oldest record on.
pub(super) async fn seek(pull: &mut Pull<Group>, to: &Positions) -> Result<Positions, KafkaError> {
    // A broker that has just come back may not know its partitions yet, and one of ours is not gone for good.
    let went = patiently(pull, "read from another offset", is_missing, |pull| {
        let assigned = pull.consumer().context().assigned();
        // A topic made again with fewer partitions: the group takes away those that are gone, but only who polls hears.
        let count = i32::try_from(pull.stream().partitions()).unwrap_or(i32::MAX);
        let is_ours = |partition: &i32| assigned.contains(partition) && *partition < count;
        let ours: Positions = to.iter().filter(|(p, _)| is_ours(p)).map(|(p, next)| (*p, *next)).collect();
        let (consumer, topic) = (Arc::clone(pull.consumer()), pull.topic().to_owned());
        move || {
            let really = |(partition, wanted)| {
                let failed = |error| KafkaError::of(format!("read {topic}/{partition} from {wanted}"), error);
                let (low, high) = consumer.fetch_watermarks(&topic, partition, QUESTION).map_err(failed)?;
                let there = Next(low)..=Next(high);
                Ok((partition, if there.contains(&wanted) { wanted } else { Next(low) }))
            };
            ours.into_iter().map(really).collect::<Result<Positions, KafkaError>>()
        }
    })
    .await?;
    for (partition, next) in &went {
        pull.seek(*partition, *next, false);
    }
    Ok(went)
}

/// Tries until it succeeds, the service drains, or waiting does not help; it helps in an outage, where a right is
/// missing while the service runs, and where `waits` says so.
async fn patiently<T: Send + 'static, F: FnOnce() -> Result<T, KafkaError> + Send + 'static>(
    pull: &Pull<Group>,
    what: &str,
    waits: fn(&ClientError) -> bool,
    attempt: impl Fn(&Pull<Group>) -> F,
) -> Result<T, KafkaError> {
    loop {
        match blocking(what, attempt(pull)).await {
            Err(KafkaError::Failed { source, .. })
                if is_outage(&source) || is_lost_partition(&source) || waits(&source) =>
            {
                debug!(what, error = %source, "trying again");
                if is_outage(&source) || waits(&source) {
                    pull.link().down(format!("cannot {what}: {source}"));
                }
            }
            Err(error) if error.is_refusal() && pull.link().ctx().has_started() => pull.denial().told(&error),
            outcome => {
                if outcome.is_ok() {
                    pull.link().up();
                    pull.denial().over();
                }
                return outcome;
            }
        }
        tokio::select! {
            () = pull.link().ctx().drained() => return Err(KafkaError::Draining { what: what.to_owned() }),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Notes with offsets in which life of the topic they count.
pub(super) fn noted(list: TopicPartitionList, life: u32) -> TopicPartitionList {
    if life != 0 {
        let places: Vec<(String, i32)> =
            list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        for (topic, partition) in places {
            if let Some(mut element) = list.find_partition(&topic, partition) {
                element.set_metadata(life::note(life));
            }
        }
    }
    list
}
