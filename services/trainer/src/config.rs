//! The trainer's configuration: `config.toml` documents every key, and the model's `settings.toml` those of `[model]`.

use std::time::Duration;

use runtime::Validate;
use runtime::config::{Frame, Kafka, Privacy, Secret};
use schemas::topics::is_challenger;
use schemas::{Topic, Topics};
use serde::Deserialize;
use versions::signing;

use crate::challenger;
use crate::gate;
use crate::retention::{Age, Retention};

/// Everything the trainer can be told.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Admin port, logs, grace.
    pub frame: Frame,
    /// Where Kafka is.
    pub kafka: Kafka,
    /// How users are named.
    pub privacy: Privacy,
    /// The service itself.
    pub trainer: Trainer,
    /// What is learned and how.
    pub model: model::Settings,
}

/// The section `[trainer]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Trainer {
    /// The file of the key that signs what is written, or the key itself; empty: it is not signed.
    pub sign_key: Secret,
    /// Group under which offsets are committed for tools that show lag.
    pub group: String,
    /// Whether it leads, or learns beside the one that does.
    pub role: Role,
    /// The name of a challenger.
    pub name: String,
    /// How a challenger is compared with what is served, and who promotes it.
    pub challenger: challenger::Settings,
    /// What a trainer does whose place is another's.
    pub when_superseded: WhenSuperseded,
    /// Most interactions in a micro-batch.
    pub max_batch: usize,
    /// Under overload, the least share of the examples that encoder and ranker are trained on.
    pub train_at_least: f64,
    /// How long to wait for more after the first interaction of a micro-batch.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How often a version is published while something changes.
    #[serde(with = "humantime_serde")]
    pub publish_every: Duration,
    /// How often a version is a snapshot.
    #[serde(with = "humantime_serde")]
    pub snapshot_every: Duration,
    /// A snapshot comes earlier when the deltas behind the last one are so many times its size.
    pub snapshot_after_deltas: f64,
    /// Snapshots that stay on the topic, with their deltas.
    pub keep_snapshots: usize,
    /// Older snapshots that stay.
    pub retention: Retention,
    /// The quality gate.
    pub gate: gate::Settings,
    /// What becomes of interactions that only versions knew which were rolled back.
    pub on_rollback: OnRollback,
    /// Begin with nothing where no version can be gone on from.
    pub anew: bool,
    /// Interactions per partition read again at the start to rebuild histories.
    pub history_window: u64,
    /// Ready when this many messages behind or fewer.
    pub ready_lag: i64,
    /// How long it may be behind the end of its topic before it is not ready any more.
    #[serde(with = "humantime_serde")]
    pub max_behind: Duration,
    /// How long what was learned may wait to be published.
    #[serde(with = "humantime_serde")]
    pub max_model_age: Duration,
}

/// What a trainer is to the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It writes `checkpoints`, which scorers serve.
    Trainer,
    /// It writes a log of its own, which nobody serves.
    Challenger,
}

/// What a trainer does when another claims the log, or leads already when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenSuperseded {
    /// It claims at its start, whoever leads, and ends when another claims.
    End,
    /// It waits until no other is there.
    StandBy,
}

impl Trainer {
    /// The group that it attends while it leads.
    pub(crate) fn group(&self) -> String {
        match self.role {
            Role::Trainer => self.group.clone(),
            Role::Challenger => format!("{}.{}", self.group, self.name),
        }
    }
}

impl Config {
    /// Full name of the log of versions that it writes.
    pub(crate) fn log(&self) -> String {
        let topics = Topics::new(&self.kafka.topic_prefix);
        match self.trainer.role {
            Role::Trainer => topics.name(Topic::Checkpoints),
            Role::Challenger => topics.challenger(&self.trainer.name),
        }
    }
}

/// What becomes of interactions between the version gone back to and the one gone back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRollback {
    /// They are tested, counted and remembered; encoder and ranker are not trained on them.
    Skip,
    /// They are learned as if they were new.
    Relearn,
}

impl AsRef<Frame> for Config {
    fn as_ref(&self) -> &Frame {
        &self.frame
    }
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        let trainer = &self.trainer;
        let seconds = Duration::from_secs;
        let rules = [
            (trainer.group.is_empty(), "trainer.group: give the group a name"),
            (
                !is_challenger(&trainer.name) && (trainer.role == Role::Challenger || !trainer.name.is_empty()),
                "trainer.name: give the challenger a name of up to 40 of a-z, 0-9 and -",
            ),
            (trainer.max_batch == 0, "trainer.max_batch: at least 1"),
            (!(0.01..=1.0).contains(&trainer.train_at_least), "trainer.train_at_least: between 0.01 and 1"),
            // A step on 256 takes tens of milliseconds; all else waits for it.
            (trainer.max_batch > 8_192, "trainer.max_batch: at most 8192"),
            (trainer.linger > seconds(10), "trainer.linger: at most 10s; it is added to the freshness"),
            (trainer.publish_every.is_zero(), "trainer.publish_every: above 0, for example \"1s\""),
            (trainer.publish_every > seconds(3_600), "trainer.publish_every: at most 1h"),
            (trainer.snapshot_every < trainer.publish_every, "trainer.snapshot_every: at least trainer.publish_every"),
            // Versions stay on the topic for a week; a snapshot must come well before its end.
            (trainer.snapshot_every > seconds(86_400), "trainer.snapshot_every: at most 1day"),
            (trainer.snapshot_after_deltas.max(0.0) < 1.0, "trainer.snapshot_after_deltas: at least 1.0"),
            (trainer.keep_snapshots == 0, "trainer.keep_snapshots: at least 1"),
            (
                !trainer.retention.ages.iter().all(|Age(age)| (seconds(60)..=seconds(7 * 86_400)).contains(age)),
                "trainer.retention.ages: each between 1m and 7days",
            ),
            (!(0.0..=0.5).contains(&trainer.gate.tolerance), "trainer.gate.tolerance: between 0 and 0.5"),
            (
                !(1e3..=1e100).contains(&trainer.gate.threshold),
                "trainer.gate.threshold: at least 1000; 1e9 is a false alarm in no fewer tests than that",
            ),
            (trainer.gate.sample == 0, "trainer.gate.sample: at least 1, which tests the anchor each time"),
            (trainer.gate.good_after_tests < 100, "trainer.gate.good_after_tests: at least 100"),
            (trainer.ready_lag < 0, "trainer.ready_lag: 0 or more"),
            (
                !trainer.max_model_age.is_zero() && trainer.max_model_age < 2 * trainer.publish_every,
                "trainer.max_model_age: at least twice trainer.publish_every, or \"0s\"",
            ),
        ];
        let rules = rules.into_iter().chain(trainer.challenger.problems());
        let broken = rules.filter(|(broken, _)| *broken).map(|(_, advice)| advice.to_owned());
        let keys = signing::signing_key("trainer.sign_key", &trainer.sign_key.0, &self.kafka).err();
        let keys = signing::problems(&self.kafka).into_iter().chain(keys).collect();
        let own = [keys, broken.collect(), self.model.problems()].concat();
        [self.frame.problems(), self.kafka.problems(), self.privacy.problems(), own].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(overrides: &[(&str, String)]) -> Result<Config, String> {
        runtime::config::load(crate::DEFAULTS, None, overrides, false).map_err(|error| error.to_string())
    }

    #[test]
    fn the_embedded_defaults_are_those_of_the_model() {
        let config = load(&[]).expect("loads");
        assert_eq!(config.model, model::Settings::default());
    }

    #[test]
    fn every_setting_of_the_model_is_in_the_embedded_defaults() {
        let settings = serde_json::to_value(model::Settings::default()).expect("serialises");
        for key in settings.as_object().expect("is a table").keys() {
            let (line, section) = (format!("{key} ="), format!("[model.{key}]"));
            let there = crate::DEFAULTS.lines().any(|text| text.starts_with(&line) || text == section);
            assert!(there, "{key} is missing");
        }
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let overrides =
            [("trainer.max_batch", "0".into()), ("trainer.snapshot_every", "10ms".into()), ("model.dim", "7".into())];
        let problems = load(&overrides).expect_err("is refused");
        for key in ["trainer.max_batch", "trainer.snapshot_every", "model.dim"] {
            assert!(problems.contains(key), "{problems}");
        }
    }
}
