//! Topics: create them, compare them with what they should be, and check what a service relies on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tracing::debug;

use super::Positions;
use super::client::{NEW_TOPIC, PAUSE, Role, blocking, settings, unreachable_or};
use super::consumer::offsets;
use super::error::KafkaError;
use super::link::Quiet;
use super::topic::describe;
use crate::config;
use crate::context::Context;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a topic may take from its creation until it has a leader everywhere.
const CREATION: Duration = Duration::from_secs(5);
/// As many copies of a record survive the loss of two brokers, one of them for maintenance; more cost more than they help.
const COPIES: usize = 3;

/// How many copies must have a record before its write counts.
const IN_SYNC: &str = "min.insync.replicas";

/// What a topic should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its full name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// Whether more partitions are as good: they were added since.
    pub may_grow: bool,
    /// Copies of each record; `None`: as many as there are brokers, up to three.
    pub copies: Option<u16>,
    /// Settings as Kafka spells them.
    pub settings: Vec<(String, String)>,
}

/// What [`apply`] or [`compare`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there and is now.
    Created,
    /// It is as it should be.
    Exists,
    /// It is not there.
    Missing,
    /// It is there, but otherwise; nothing was changed.
    Differs(Vec<Difference>),
}

/// One way in which a topic is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `partitions`, or the name of a setting.
    pub what: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: String,
}

/// Creates the topics that are missing and compares those that are there. Nothing is altered or deleted.
///
/// # Errors
/// No broker answers, or it refuses to create a topic.
pub async fn apply(config: &config::Kafka, specs: &[TopicSpec]) -> Result<Vec<(String, Outcome)>, KafkaError> {
    let admin = client(config)?;
    let there = cluster(config, &admin).await?;
    let missing: Vec<&TopicSpec> = specs.iter().filter(|spec| !there.topics.contains_key(&spec.name)).collect();
    create(&admin, &missing, there.brokers).await?;
    // Whoever is started next finds them: a cluster acknowledges a creation before every broker knows of it.
    listed(config, &admin, missing.iter().map(|spec| spec.name.as_str()), CREATION).await?;
    let mut outcomes = compare_with(&admin, &there, specs).await;
    for (_, outcome) in &mut outcomes {
        if *outcome == Outcome::Missing {
            *outcome = Outcome::Created;
        }
    }
    Ok(outcomes)
}

/// Gives topics `partitions` partitions, in the order in which they are named; how many each had. One that has as many
/// already stays as it is.
///
/// # Errors
/// No broker answers, a topic is missing or has more than that, or a broker refuses.
pub async fn grow(config: &config::Kafka, names: &[&str], partitions: usize) -> Result<Vec<usize>, KafkaError> {
    let admin = client(config)?;
    let there = cluster(config, &admin).await?;
    let had = |name: &&str| there.partitions(name);
    let had: Vec<usize> = names.iter().map(had).collect::<Result<_, _>>()?;
    if let Some((name, more)) = names.iter().zip(&had).find(|(_, had)| **had > partitions) {
        return Err(KafkaError::MorePartitions { topic: (*name).to_owned(), found: *more, wanted: partitions });
    }
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    for (name, _) in names.iter().zip(&had).filter(|(_, had)| **had < partitions) {
        let what = || format!("add partitions to topic {name}");
        let results = admin.create_partitions([&NewPartitions::new(name, partitions)], &options).await;
        for result in results.map_err(|error| KafkaError::of(what(), error))? {
            result.map_err(|(_, code)| KafkaError::of(what(), ClientError::Global(code)))?;
        }
    }
    Ok(had)
}

/// Deletes topics, with everything that is on them, and waits until no broker knows of them.
///
/// # Errors
/// No broker answers, or it refuses.
pub async fn delete(config: &config::Kafka, names: &[&str]) -> Result<(), KafkaError> {
    let admin = client(config)?;
    let failed = |error| KafkaError::of("delete topics", error);
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    for result in admin.delete_topics(names, &options).await.map_err(failed)? {
        result.map_err(|(_, code)| failed(ClientError::Global(code)))?;
    }
    while cluster(config, &admin).await?.topics.keys().any(|name| names.contains(&name.as_str())) {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Deletes the records of a topic before these offsets, by partition, as its retention would.
///
/// # Errors
/// No broker answers, or it refuses, as for a topic that is only compacted.
pub async fn delete_records(config: &config::Kafka, topic: &str, before: &Positions) -> Result<(), KafkaError> {
    let admin = client(config)?;
    let failed = |error| KafkaError::of(format!("delete records of topic {topic}"), error);
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    let deleted = admin.delete_records(&offsets(topic, before.iter())?, &options).await.map_err(failed)?;
    deleted.elements().iter().try_for_each(TopicPartitionListElem::error).map_err(failed)
}

/// Compares topics with what they should be.
///
/// # Errors
/// No broker answers.
pub async fn compare(config: &config::Kafka, specs: &[TopicSpec]) -> Result<Vec<(String, Outcome)>, KafkaError> {
    let admin = client(config)?;
    let there = cluster(config, &admin).await?;
    Ok(compare_with(&admin, &there, specs).await)
}

/// Checks that topics are there and that each has as many partitions as the one before it or more, as a topic has whose
/// partitions are written one by one from that one's; how many the last has.
///
/// # Errors
/// No broker answers, a topic is missing, or one has fewer.
pub async fn check_partitions(config: &config::Kafka, names: &[&str]) -> Result<usize, KafkaError> {
    let there = listed(config, &client(config)?, names.iter().copied(), NEW_TOPIC).await?;
    let counts: Vec<usize> = names.iter().map(|name| there.partitions(name)).collect::<Result<_, _>>()?;
    for ((from, to), count) in names.iter().zip(names.iter().skip(1)).zip(counts.windows(2)) {
        if count[1] < count[0] {
            return Err(KafkaError::FewerPartitions {
                from: (*from).to_owned(),
                from_partitions: count[0],
                to: (*to).to_owned(),
                to_partitions: count[1],
            });
        }
    }
    Ok(counts.last().copied().unwrap_or(0))
}

/// Where a topic ends, in one of its lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// Which life: another number after the topic was deleted and made again; 0 where the broker does not say.
    pub life: u32,
    /// For each partition the offset of the next record to be written.
    pub ends: Positions,
}

/// Asks where a topic ends.
///
/// # Errors
/// No broker answers, or the topic is missing.
pub async fn ends(config: &config::Kafka, topic: &str) -> Result<Ends, KafkaError> {
    let (admin, name, brokers) = (client(config)?, topic.to_owned(), config.brokers.clone());
    blocking("ask where a topic ends", move || {
        let failed = |error| unreachable_or(KafkaError::of(format!("ask where topic {name} ends"), error), &brokers);
        let described = describe(admin.inner(), &name, REQUEST)?;
        let described = described.ok_or_else(|| KafkaError::MissingTopic { topic: name.clone() })?;
        let end = |partition| {
            let watermarks = admin.inner().fetch_watermarks(&name, partition, REQUEST);
            Ok((partition, watermarks.map_err(failed)?.1))
        };
        Ok(Ends { life: described.life, ends: (0..described.partitions).map(end).collect::<Result<_, KafkaError>>()? })
    })
    .await
}

/// As [`ends`], but waits while Kafka is away, and says nothing of a topic that is not there now.
///
/// # Errors
/// What waiting does not mend; anything else only once the service is draining.
pub async fn ends_patiently(config: &config::Kafka, topic: &str, ctx: &Context) -> Result<Ends, KafkaError> {
    let ask = async || match ends(config, topic).await {
        Err(KafkaError::MissingTopic { .. }) => Ok(Ends::default()),
        ends => ends,
    };
    ctx.retry("kafka", ask).await
}

type Admin = Arc<AdminClient<Quiet>>;

fn client(config: &config::Kafka) -> Result<Admin, KafkaError> {
    let settings = settings(config, "thalweg", Role::Admin);
    settings.create_with_context(Quiet).map(Arc::new).map_err(KafkaError::Settings)
}

/// What the brokers say of the cluster.
#[derive(Debug, Default)]
struct Cluster {
    /// Brokers that are there now.
    brokers: usize,
    /// By topic its partitions, and the copies of the one with fewest.
    topics: BTreeMap<String, (usize, usize)>,
}

impl Cluster {
    fn partitions(&self, topic: &str) -> Result<usize, KafkaError> {
        let missing = || KafkaError::MissingTopic { topic: topic.to_owned() };
        self.topics.get(topic).map(|(partitions, _)| *partitions).ok_or_else(missing)
    }
}

async fn cluster(config: &config::Kafka, admin: &Admin) -> Result<Cluster, KafkaError> {
    let (admin, brokers) = (Arc::clone(admin), config.brokers.clone());
    blocking("list the topics", move || {
        // All topics: asking for one by name could create it.
        let metadata = admin
            .inner()
            .fetch_metadata(None, REQUEST)
            .map_err(|error| unreachable_or(KafkaError::of("list the topics", error), &brokers))?;
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let topics = there.map(|topic| {
            let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
            (topic.name().to_owned(), (topic.partitions().len(), copies.unwrap_or(0)))
        });
        Ok(Cluster { brokers: metadata.brokers().len(), topics: topics.collect() })
    })
    .await
}

/// Every topic; asks again until all of `names` are among them, for `patience` at most.
async fn listed(
    config: &config::Kafka,
    admin: &Admin,
    names: impl Iterator<Item = &str> + Clone,
    patience: Duration,
) -> Result<Cluster, KafkaError> {
    let began = Instant::now();
    loop {
        let there = cluster(config, admin).await?;
        if names.clone().all(|name| there.topics.contains_key(name)) || began.elapsed() >= patience {
            return Ok(there);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn create(admin: &Admin, specs: &[&TopicSpec], brokers: usize) -> Result<(), KafkaError> {
    if specs.is_empty() {
        return Ok(());
    }
    let settings: Vec<_> = specs.iter().map(|spec| spec.all_settings(brokers)).collect();
    let mut topics = Vec::with_capacity(specs.len());
    for (spec, settings) in specs.iter().zip(&settings) {
        let copies = spec.copies(brokers);
        if copies > brokers {
            return Err(KafkaError::TooFewBrokers { topic: spec.name.clone(), copies, brokers });
        }
        let replication = TopicReplication::Fixed(i32::try_from(copies).unwrap_or(i32::MAX));
        let topic = NewTopic::new(&spec.name, spec.partitions, replication);
        topics.push(settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value)));
    }
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    let results =
        admin.create_topics(&topics, &options).await.map_err(|error| KafkaError::of("create topics", error))?;
    for result in results {
        match result {
            // Somebody else was faster: as good as ours.
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(KafkaError::of(format!("create topic {topic}"), ClientError::Global(code)));
            }
        }
    }
    Ok(())
}

async fn compare_with(admin: &Admin, there: &Cluster, specs: &[TopicSpec]) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::with_capacity(specs.len());
    for spec in specs {
        let outcome = match there.topics.get(&spec.name) {
            None => Outcome::Missing,
            Some(&(partitions, copies)) => {
                let mut differences = spec.differences(there.brokers, partitions, copies);
                differences.extend(compare_settings(admin, spec, there.brokers).await);
                if differences.is_empty() { Outcome::Exists } else { Outcome::Differs(differences) }
            }
        };
        outcomes.push((spec.name.clone(), outcome));
    }
    outcomes
}

impl TopicSpec {
    fn copies(&self, brokers: usize) -> usize {
        self.copies.map_or_else(|| brokers.clamp(1, COPIES), usize::from)
    }

    /// Its own, and those that keep what was acknowledged: a write counts when all copies but one have it, so that one
    /// broker may be away, and a copy that lags behind never leads.
    fn all_settings(&self, brokers: usize) -> Vec<(String, String)> {
        let in_sync = self.copies(brokers).saturating_sub(1).max(1);
        let safe = [(IN_SYNC, in_sync.to_string()), ("unclean.leader.election.enable", "false".to_owned())];
        let safe = safe.into_iter().map(|(key, value)| (key.to_owned(), value));
        self.settings.iter().cloned().chain(safe).collect()
    }

    fn differences(&self, brokers: usize, partitions: usize, copies: usize) -> Vec<Difference> {
        let difference = |what: &str, wanted: usize, found: usize| Difference {
            what: what.to_owned(),
            wanted: wanted.to_string(),
            found: found.to_string(),
        };
        let mut differences = Vec::new();
        let wanted = usize::try_from(self.partitions).unwrap_or(0);
        if partitions < wanted || (partitions > wanted && !self.may_grow) {
            differences.push(difference("partitions", wanted, partitions));
        }
        // More copies than asked for are the operator's to pay.
        if copies < self.copies(brokers) {
            differences.push(difference("replication factor", self.copies(brokers), copies));
        }
        differences
    }
}

async fn compare_settings(admin: &Admin, spec: &TopicSpec, brokers: usize) -> Vec<Difference> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&spec.name)], &options).await;
    let resource = match described.map(|mut resources| resources.pop()) {
        Ok(Some(Ok(resource))) => resource,
        other => {
            // The embedded broker and some clouds do not tell.
            debug!(topic = spec.name, answer = ?other.err(), "the settings of the topic are not known");
            return Vec::new();
        }
    };
    let found = resource.entry_map();
    let differs = |(key, wanted): &(String, String)| {
        let found = found.get(key.as_str())?.value.clone()?;
        (!same(&found, wanted) && !keeps_more(key, &found, wanted)).then(|| Difference {
            what: key.clone(),
            wanted: wanted.clone(),
            found,
        })
    };
    spec.all_settings(brokers).iter().filter_map(differs).collect()
}

/// To keep records for longer (-1 is for ever), or in more copies before a write counts, is the operator's to choose.
fn keeps_more(key: &str, found: &str, wanted: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (found.parse::<i64>(), wanted.parse::<i64>()) else { return false };
    match key {
        "retention.ms" | "delete.retention.ms" => wanted >= 0 && (found == -1 || found >= wanted),
        IN_SYNC => found >= wanted,
        _ => false,
    }
}

/// Lists such as `compact,delete` have no order.
fn same(left: &str, right: &str) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        words.sort();
        words
    };
    sorted(left) == sorted(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_no_order() {
        assert!(same("compact,delete", "delete, compact"));
        assert!(!same("compact", "delete"));
    }

    #[test]
    fn a_longer_retention_is_a_setting_and_a_shorter_one_a_difference() {
        for found in ["604800000", "1209600000", "-1"] {
            assert!(keeps_more("retention.ms", found, "604800000"), "{found}");
        }
        assert!(!keeps_more("retention.ms", "3600000", "604800000"));
        assert!(!keeps_more("max.message.bytes", "2000000", "1048588"));
    }

    fn spec(copies: Option<u16>) -> TopicSpec {
        let settings = vec![("retention.ms".to_owned(), "1".to_owned())];
        TopicSpec { name: "events".into(), partitions: 4, may_grow: true, copies, settings }
    }

    #[test]
    fn a_topic_has_as_many_copies_as_there_are_brokers_up_to_three_and_one_broker_may_be_away() {
        for (brokers, asked, copies, in_sync) in [
            (1, None, 1, "1"),
            (2, None, 2, "1"),
            (3, None, 3, "2"),
            (9, None, 3, "2"),
            (9, Some(5), 5, "4"),
            (3, Some(1), 1, "1"),
        ] {
            let spec = spec(asked);
            assert_eq!(spec.copies(brokers), copies);
            let settings = spec.all_settings(brokers);
            let of = |key: &str| settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
            assert_eq!(
                (of(IN_SYNC), of("unclean.leader.election.enable"), of("retention.ms")),
                (Some(in_sync), Some("false"), Some("1"))
            );
        }
    }

    #[test]
    fn replication_factor_and_min_isr_are_checked_and_more_is_as_good() {
        let told = |partitions, copies| {
            let all = spec(None).differences(3, partitions, copies);
            all.into_iter().map(|d| format!("{} {} {}", d.what, d.found, d.wanted)).collect::<Vec<_>>()
        };
        assert_eq!(told(4, 3), [""; 0]);
        assert_eq!(told(6, 5), [""; 0]);
        assert_eq!(told(3, 1), ["partitions 3 4", "replication factor 1 3"]);
        assert!(keeps_more(IN_SYNC, "2", "1") && !keeps_more(IN_SYNC, "1", "2"));
        assert!(!keeps_more("unclean.leader.election.enable", "true", "false"));
    }
}
