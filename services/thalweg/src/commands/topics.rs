//! `thalweg topics`: creates what is missing, compares what is there.

use std::process::ExitCode;

use clap::Subcommand;
use runtime::kafka::admin::{self, Outcome, TopicSpec};
use schemas::{Topic, Topics};
use serde_json::json;

use crate::config::Config;
use crate::error::Error;
use crate::output;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Creates the topics that are missing; alters nothing.
    #[command(after_help = "Example: thalweg topics apply --partitions 8")]
    Apply(Args),
    /// Gives `interactions` and `events` more partitions, in the order that loses nothing.
    #[command(after_help = "Example: thalweg topics partitions 8\n\n\
        Some users' events then go to another partition.")]
    Partitions(Growth),
    /// Compares the topics with what they should be; exit code 1 when one differs.
    #[command(after_help = "Example: thalweg topics check --partitions 8 --json")]
    Check(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Partitions of `events` and `interactions`: at most so many ingests and scorers share the work.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Growth {
    /// How many partitions both topics shall have.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Every topic of the contract as Kafka should have it.
pub(crate) fn specs(prefix: &str, partitions: i32) -> Vec<TopicSpec> {
    let topics = Topics::new(prefix);
    let spec = |topic: Topic| TopicSpec {
        name: topics.name(topic),
        partitions: topic.partitions(partitions),
        may_grow: topic.grows(),
        settings: topic.settings().iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    };
    Topic::ALL.into_iter().map(spec).collect()
}

pub(crate) async fn run(what: What, config: &Config) -> Result<ExitCode, Error> {
    let prefix = &config.kafka.topic_prefix;
    let (outcomes, json) = match &what {
        What::Apply(args) => (admin::apply(&config.kafka, &specs(prefix, args.partitions)).await?, args.json),
        What::Partitions(growth) => return grow(growth, config).await,
        What::Check(args) => (admin::compare(&config.kafka, &specs(prefix, args.partitions)).await?, args.json),
    };
    let word = |outcome: &Outcome| match outcome {
        Outcome::Created => "created".to_owned(),
        Outcome::Exists => "as it should be".to_owned(),
        Outcome::Missing => "missing".to_owned(),
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
             `thalweg topics partitions N`, or alter a setting with Kafka's own kafka-configs.sh",
        );
    }
    let good = outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Created | Outcome::Exists));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
