//! `thalweg topics`: creates what is missing, compares what is there.

use std::process::ExitCode;

use clap::Subcommand;
use laboratory::output;
use runtime::kafka::KafkaError;
use runtime::kafka::admin::{self, Difference, Outcome, TopicSpec};
use schemas::topics::is_challenger;
use schemas::{Topic, Topics};
use serde_json::json;

use crate::config::{Config, Settings};
use crate::error::Error;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Creates missing topics; changes no existing one.
    #[command(after_help = "Example: thalweg topics apply --partitions 8")]
    Apply(Args),
    /// Adds partitions to `interactions` and `events`, in the order that loses nothing.
    #[command(after_help = "Example: thalweg topics partitions 8\n\n\
        Some users' events then go to another partition.")]
    Partitions(Growth),
    /// Compares the topics with what they should be; exits with code 1 if one differs.
    #[command(after_help = "Example: thalweg topics check --partitions 8 --json")]
    Check(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Partitions of `events` and `interactions`: the largest number of ingest or scorer instances that share the work.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Replicas of each record, each on a broker of its own [default: topics.replication_factor, which is as many as
    /// there are brokers, up to 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replication_factor: Option<u16>,
    /// The topic of a challenger of this name, too; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = challenger)]
    challenger: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn challenger(name: &str) -> Result<String, String> {
    let wrong = || "a challenger's name has up to 40 of a-z, 0-9 and -".to_owned();
    is_challenger(name).then(|| name.to_owned()).ok_or_else(wrong)
}

#[derive(clap::Args, Debug)]
pub(crate) struct Growth {
    /// The number of partitions that both topics will have.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Every topic of the contract as Kafka should have it; `settings` are the operator's.
pub(crate) fn specs(prefix: &str, partitions: i32, settings: Option<&Settings>) -> Vec<TopicSpec> {
    let topics = Topics::new(prefix);
    let spec = |topic: Topic| TopicSpec {
        name: topics.name(topic),
        partitions: topic.partitions(partitions),
        may_grow: topic.grows(),
        copies: settings.map(|settings| settings.replication_factor).filter(|copies| *copies > 0),
        settings: topic
            .settings()
            .iter()
            .map(|(key, value)| ((*key).into(), value_of(topic, key, value, settings)))
            .collect(),
    };
    Topic::ALL.into_iter().map(spec).collect()
}

fn value_of(topic: Topic, key: &str, value: &str, settings: Option<&Settings>) -> String {
    match settings {
        Some(settings) if key == "retention.ms" && topic.is_kept_for_a_time() => {
            settings.retention.as_millis().to_string()
        }
        _ => value.to_owned(),
    }
}

impl Args {
    fn specs(&self, config: &Config) -> Vec<TopicSpec> {
        let mut settings = config.topics.clone();
        settings.replication_factor = self.replication_factor.unwrap_or(settings.replication_factor);
        let (prefix, copies) = (&config.kafka.topic_prefix, settings.replication_factor);
        let mut specs = specs(prefix, self.partitions, Some(&settings));
        let (topics, copies) = (Topics::new(prefix), Some(copies).filter(|copies| *copies > 0));
        specs.extend(self.challenger.iter().map(|name| trainer::challenger::topic(&topics, name, copies)));
        specs
    }
}

pub(crate) async fn run(what: What, config: &Config) -> Result<ExitCode, Error> {
    let (mut outcomes, json) = match &what {
        What::Apply(args) => (admin::apply(&config.kafka, &args.specs(config)).await?, args.json),
        What::Partitions(growth) => return grow(growth, config).await,
        What::Check(args) => (admin::compare(&config.kafka, &args.specs(config)).await?, args.json),
    };
    compare_twins(&mut outcomes, config).await?;
    let word = |outcome: &Outcome| match outcome {
        Outcome::Created => "created".to_owned(),
        Outcome::Exists => "as it should be".to_owned(),
        Outcome::Missing => "missing".to_owned(),
        Outcome::Untold(why) => format!("there; its settings are unknown: {why}"),
        Outcome::Differs(differences) => differences
            .iter()
            .map(|d| format!("{} is {}, should be {}", d.what, d.found, d.wanted))
            .collect::<Vec<_>>()
            .join("; "),
    };
    if json {
        let all: Vec<_> =
            outcomes.iter().map(|(name, outcome)| json!({"topic": name, "state": word(outcome)})).collect();
        output::json(&all)?;
    } else {
        let rows: Vec<_> = outcomes.iter().map(|(name, outcome)| vec![name.clone(), word(outcome)]).collect();
        output::table(&rows);
    }
    if outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Differs(_))) {
        output::note(
            "nothing that was there is altered: name the partitions there are by --partitions, add some by \
             `thalweg topics partitions N`, say what is wanted in [topics] of the command's configuration, or alter the \
             topic's settings and copies where your Kafka is administered",
        );
    }
    let of_one =
        |name: &&str| Topic::ALL.into_iter().any(|topic| config.topic(topic) == **name && topic.partitions(2) == 1);
    let too_many =
        |outcome: &Outcome| matches!(outcome, Outcome::Differs(all) if all.iter().any(|d| d.what == "partitions"));
    let wide = outcomes.iter().filter(|(_, outcome)| too_many(outcome)).map(|(name, _)| name.as_str());
    let wide: Vec<&str> = wide.filter(of_one).collect();
    if !wide.is_empty() {
        output::note(format!(
            "{}: must have one partition, and Kafka takes none away. Stop the services, delete the topic, and create it \
             by `thalweg topics apply`: what it holds is lost, so keep it first (`thalweg checkpoints export`, an export of \
             your items), and decide and erase again",
            wide.join(", ")
        ));
    }
    if outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Untold(_))) {
        output::note("to see the settings, give this command's user the right DESCRIBE_CONFIGS on the topics");
    }
    let bad = |outcome: &Outcome| matches!(outcome, Outcome::Missing | Outcome::Differs(_));
    let good = !outcomes.iter().any(|(_, outcome)| bad(outcome));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Partition p of `events` is written to partition p of `interactions`, which must be there.
async fn compare_twins(outcomes: &mut [(String, Outcome)], config: &Config) -> Result<(), Error> {
    let twins = [Topic::Events, Topic::Interactions].map(|topic| config.topic(topic));
    match admin::check_partitions(&config.kafka, &twins.each_ref().map(String::as_str)).await {
        Err(KafkaError::FewerPartitions { from_partitions, to, to_partitions, .. }) => {
            let difference = Difference {
                what: "partitions beside those of events".to_owned(),
                wanted: from_partitions.to_string(),
                found: to_partitions.to_string(),
            };
            for (_, outcome) in outcomes.iter_mut().filter(|(name, _)| *name == to) {
                match outcome {
                    Outcome::Differs(differences) => differences.push(difference.clone()),
                    other => *other = Outcome::Differs(vec![difference.clone()]),
                }
            }
            Ok(())
        }
        Ok(_) | Err(KafkaError::MissingTopic { .. }) => Ok(()), // what is missing is told already
        Err(error) => Err(error.into()),
    }
}

/// `interactions` first: where `events` has a partition that its twin lacks, ingest has nowhere to write.
async fn grow(growth: &Growth, config: &Config) -> Result<ExitCode, Error> {
    let topics = Topics::new(&config.kafka.topic_prefix);
    let names = [Topic::Interactions, Topic::Events].map(|topic| topics.name(topic));
    let partitions = usize::from(growth.partitions);
    let had = admin::grow(&config.kafka, &names.each_ref().map(String::as_str), partitions).await?;
    if growth.json {
        let told = |(name, had)| json!({"topic": name, "had": had, "partitions": partitions});
        output::json(&names.iter().zip(had).map(told).collect::<Vec<_>>())?;
    } else {
        let told = |(name, had): (&String, usize)| {
            let what = if had == partitions { format!("has {had} already") } else { format!("{had} → {partitions}") };
            vec![name.clone(), what]
        };
        output::table(&names.iter().zip(had).map(told).collect::<Vec<_>>());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn setting(specs: &[TopicSpec], topic: &str, key: &str) -> Option<String> {
        let spec = specs.iter().find(|spec| spec.name == topic)?;
        spec.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_longer_retention_is_a_setting_and_the_default_is_the_contracts() {
        let config = Config::load(None, &[]).expect("the defaults are good");
        assert_eq!(specs("", 4, Some(&config.topics)), specs("", 4, None));
        let month = Settings { replication_factor: 3, retention: Duration::from_secs(30 * 86_400) };
        let given = specs("", 4, Some(&month));
        for topic in ["events", "interactions", "dead-letters"] {
            assert_eq!(setting(&given, topic, "retention.ms").as_deref(), Some("2592000000"), "{topic}");
        }
        for topic in ["checkpoints", "audit", "items"] {
            assert_eq!(setting(&given, topic, "retention.ms"), setting(&specs("", 4, None), topic, "retention.ms"));
        }
        assert!(given.iter().all(|spec| spec.copies == Some(3)));
    }

    #[test]
    fn the_broker_says_when_events_and_interactions_arrived() {
        for topic in ["events", "interactions"] {
            let given = specs("", 4, None);
            assert_eq!(setting(&given, topic, "message.timestamp.type").as_deref(), Some("LogAppendTime"));
        }
    }
}
