//! Topics: create them, compare them with what they should be, and check what a service relies on.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;

use super::client::{NEW_TOPIC, PAUSE, Role, blocking, settings, unreachable_or};
use super::consumer::offsets;
use super::contact::contact;
use super::error::KafkaError;
use super::link::Quiet;
use super::topic::describe;
use super::{Next, Positions};
use crate::config;
use crate::context::Context;
pub use spec::{Difference, TopicSpec};
use spec::{keeps_more, same};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a topic may take from its creation until it has a leader everywhere.
const CREATION: Duration = Duration::from_secs(5);

/// What [`apply`] or [`compare`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there and is now.
    Created,
    /// It is as it should be.
    Exists,
    /// It is there, and its settings are not told, for this reason.
    Untold(String),
    /// It is not there.
    Missing,
    /// It is there, but otherwise; nothing was changed.
    Differs(Vec<Difference>),
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

/// The names of all topics there are, in order.
///
/// # Errors
/// No broker answers.
pub async fn names(config: &config::Kafka) -> Result<Vec<String>, KafkaError> {
    Ok(cluster(config, &client(config)?).await?.topics.into_keys().collect())
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

/// The settings of a topic, by their names; empty where the brokers do not tell.
///
/// # Errors
/// librdkafka refuses a setting of ours.
pub async fn told_settings(config: &config::Kafka, topic: &str) -> Result<BTreeMap<String, String>, KafkaError> {
    let admin = client(config)?;
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
    let resource = described.ok().and_then(|mut resources| resources.pop()?.ok());
    let entries = resource.into_iter().flat_map(|resource| resource.entries);
    Ok(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
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

impl Ends {
    /// The same as plain numbers, for who knows nothing of Kafka.
    #[must_use]
    pub fn offsets(&self) -> BTreeMap<i32, i64> {
        self.ends.iter().map(|(partition, end)| (*partition, end.0)).collect()
    }
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
            Ok((partition, Next(watermarks.map_err(failed)?.1)))
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
    contact(ctx, ask).await
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
                let settings = compare_settings(admin, spec, there.brokers).await;
                differences.extend(settings.as_ref().cloned().unwrap_or_default());
                match settings {
                    _ if !differences.is_empty() => Outcome::Differs(differences),
                    Ok(_) => Outcome::Exists,
                    Err(why) => Outcome::Untold(why),
                }
            }
        };
        outcomes.push((spec.name.clone(), outcome));
    }
    outcomes
}

/// In which settings a topic differs; else why Kafka does not tell.
async fn compare_settings(admin: &Admin, spec: &TopicSpec, brokers: usize) -> Result<Vec<Difference>, String> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&spec.name)], &options).await;
    // Some clouds do not tell, and not everybody may ask.
    let described = described.map_err(|error| error.to_string())?.pop();
    let described = described.ok_or_else(|| "Kafka's answer is empty".to_owned())?;
    let resource = described.map_err(|code| code.to_string())?;
    let found = resource.entry_map();
    let differs = |(key, wanted): &(String, String)| {
        let found = found.get(key.as_str())?.value.clone()?;
        (!same(&found, wanted) && !keeps_more(key, &found, wanted)).then(|| Difference {
            what: key.clone(),
            wanted: wanted.clone(),
            found,
        })
    };
    Ok(spec.all_settings(brokers).iter().filter_map(differs).collect())
}
