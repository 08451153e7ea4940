//! Topics: create them, compare them with what they should be, and check what a service relies on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use tracing::debug;

use super::client::{NEW_TOPIC, PAUSE, Role, blocking, settings, unreachable_or};
use super::error::KafkaError;
use super::link::Quiet;
use crate::config;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a topic may take from its creation until it has a leader everywhere.
const CREATION: Duration = Duration::from_secs(5);
/// Kafka's word for "as the broker's default.replication.factor says".
const DEFAULT_REPLICATION: i32 = -1;

/// What a topic should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its full name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// Whether more partitions are as good: they were added since.
    pub may_grow: bool,
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
    let there = topics(config, &admin).await?;
    let missing: Vec<&TopicSpec> = specs.iter().filter(|spec| !there.contains_key(&spec.name)).collect();
    create(&admin, &missing).await?;
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
    let there = topics(config, &admin).await?;
    let had =
        |name: &&str| there.get(*name).copied().ok_or_else(|| KafkaError::MissingTopic { topic: (*name).to_owned() });
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

/// Compares topics with what they should be.
///
/// # Errors
/// No broker answers.
pub async fn compare(config: &config::Kafka, specs: &[TopicSpec]) -> Result<Vec<(String, Outcome)>, KafkaError> {
    let admin = client(config)?;
    let there = topics(config, &admin).await?;
    Ok(compare_with(&admin, &there, specs).await)
}

/// Checks that topics are there and have the same number of partitions, and tells it.
///
/// # Errors
/// No broker answers, a topic is missing, or the numbers differ.
pub async fn check_equal_partitions(config: &config::Kafka, names: &[&str]) -> Result<usize, KafkaError> {
    let there = listed(config, &client(config)?, names.iter().copied(), NEW_TOPIC).await?;
    let count =
        |name: &str| there.get(name).copied().ok_or_else(|| KafkaError::MissingTopic { topic: name.to_owned() });
    let first = names.first().map_or(Ok(0), |name| count(name))?;
    for name in names {
        let partitions = count(name)?;
        if partitions != first {
            return Err(KafkaError::UnequalPartitions {
                left: names[0].to_owned(),
                left_partitions: first,
                right: (*name).to_owned(),
                right_partitions: partitions,
            });
        }
    }
    Ok(first)
}

type Admin = Arc<AdminClient<Quiet>>;

fn client(config: &config::Kafka) -> Result<Admin, KafkaError> {
    let settings = settings(config, "thalweg", Role::Admin);
    settings.create_with_context(Quiet).map(Arc::new).map_err(KafkaError::Settings)
}

async fn topics(config: &config::Kafka, admin: &Admin) -> Result<BTreeMap<String, usize>, KafkaError> {
    let (admin, brokers) = (Arc::clone(admin), config.brokers.clone());
    blocking("list the topics", move || {
        // All topics: asking for one by name could create it.
        let metadata = admin
            .inner()
            .fetch_metadata(None, REQUEST)
            .map_err(|error| unreachable_or(KafkaError::of("list the topics", error), &brokers))?;
        let counts = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(counts.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    })
    .await
}

/// Every topic; asks again until all of `names` are among them, for `patience` at most.
async fn listed(
    config: &config::Kafka,
    admin: &Admin,
    names: impl Iterator<Item = &str> + Clone,
    patience: Duration,
) -> Result<BTreeMap<String, usize>, KafkaError> {
    let began = Instant::now();
    loop {
        let there = topics(config, admin).await?;
        if names.clone().all(|name| there.contains_key(name)) || began.elapsed() >= patience {
            return Ok(there);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn create(admin: &Admin, specs: &[&TopicSpec]) -> Result<(), KafkaError> {
    if specs.is_empty() {
        return Ok(());
    }
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .map(|spec| {
            let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(DEFAULT_REPLICATION));
            spec.settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
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

async fn compare_with(admin: &Admin, there: &BTreeMap<String, usize>, specs: &[TopicSpec]) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::with_capacity(specs.len());
    for spec in specs {
        let outcome = match there.get(&spec.name) {
            None => Outcome::Missing,
            Some(found) => {
                let mut differences = Vec::new();
                let wanted = usize::try_from(spec.partitions).unwrap_or(0);
                if *found < wanted || (*found > wanted && !spec.may_grow) {
                    differences.push(Difference {
                        what: "partitions".into(),
                        wanted: spec.partitions.to_string(),
                        found: found.to_string(),
                    });
                }
                differences.extend(compare_settings(admin, spec).await);
                if differences.is_empty() { Outcome::Exists } else { Outcome::Differs(differences) }
            }
        };
        outcomes.push((spec.name.clone(), outcome));
    }
    outcomes
}

async fn compare_settings(admin: &Admin, spec: &TopicSpec) -> Vec<Difference> {
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
        (!same(&found, wanted) && !keeps_longer(key, &found, wanted)).then(|| Difference {
            what: key.clone(),
            wanted: wanted.clone(),
            found,
        })
    };
    spec.settings.iter().filter_map(differs).collect()
}

/// A retention that keeps records for longer is the operator's to choose; -1 is for ever.
fn keeps_longer(key: &str, found: &str, wanted: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (found.parse::<i64>(), wanted.parse::<i64>()) else { return false };
    matches!(key, "retention.ms" | "delete.retention.ms") && wanted >= 0 && (found == -1 || found >= wanted)
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
            assert!(keeps_longer("retention.ms", found, "604800000"), "{found}");
        }
        assert!(!keeps_longer("retention.ms", "3600000", "604800000"));
        assert!(!keeps_longer("max.message.bytes", "2000000", "1048588"));
    }
}
