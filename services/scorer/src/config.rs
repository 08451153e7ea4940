//! The scorer's configuration: `config.toml` documents every key.

use std::time::Duration;

use model::RowEncoding;
use runtime::Validate;
use runtime::config::{Frame, Kafka, Privacy, Redis};
use schemas::slate::Encoding;
use serde::Deserialize;

use crate::profile::MOST_BYTES;

/// Everything the scorer can be told.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Admin port, logs, grace.
    pub frame: Frame,
    /// Where Kafka is.
    pub kafka: Kafka,
    /// Where Redis is.
    pub redis: Redis,
    /// How users are named.
    pub privacy: Privacy,
    /// The service itself.
    pub scorer: Scorer,
}

/// The section `[scorer]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Scorer {
    /// Consumer group on `interactions`.
    pub group: String,
    /// Most interactions in a micro-batch.
    pub max_batch: usize,
    /// How long to wait for more after the first interaction of a batch.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How often offsets are committed.
    #[serde(with = "humantime_serde")]
    pub commit_every: Duration,
    /// Ready when this many messages behind or fewer.
    pub ready_lag: i64,
    /// How long it may be behind the end of its topic before it is not ready any more.
    #[serde(with = "humantime_serde")]
    pub max_behind: Duration,
    /// How old the live version may be while interactions wait for a newer one.
    #[serde(with = "humantime_serde")]
    pub max_model_age: Duration,
    /// Where the model's tensors live.
    pub device: String,
    /// How items' vectors are held in memory.
    pub table: RowEncoding,
    /// Items in a slate and in every list.
    pub slate_items: usize,
    /// How slates are written.
    pub encoding: Encoding,
    /// Interactions remembered of each user.
    pub history: usize,
    /// Users held in memory.
    pub users: usize,
    /// Most bytes of a user's slate and profile together.
    pub max_user_bytes: usize,
    /// Slates made anew without an interaction, a second.
    pub renew_per_second: u32,
    /// Keys in Redis looked at in a second for slates that show what is delisted.
    pub sweep_per_second: u32,
    /// How long `recs:{user}` lives.
    #[serde(with = "humantime_serde")]
    pub recs_ttl: Duration,
    /// How long `user:{user}` lives.
    #[serde(with = "humantime_serde")]
    pub user_ttl: Duration,
    /// How long both live for a user of whom one event is known.
    #[serde(with = "humantime_serde")]
    pub first_ttl: Duration,
    /// How long `hot`, `new` and `model` live.
    #[serde(with = "humantime_serde")]
    pub list_ttl: Duration,
    /// How long `similar:{item}` lives.
    #[serde(with = "humantime_serde")]
    pub similar_ttl: Duration,
    /// How often the lists follow the live version.
    #[serde(with = "humantime_serde")]
    pub lists_every: Duration,
    /// Processor time for `similar` in each `lists_every`.
    #[serde(with = "humantime_serde")]
    pub similar_budget: Duration,
    /// Categories that have `hot` and `new` lists of their own.
    pub category_lists: usize,
    /// Items whose `similar` list is kept.
    pub similar_items: usize,
}

impl AsRef<Frame> for Config {
    fn as_ref(&self) -> &Frame {
        &self.frame
    }
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        let s = &self.scorer;
        let minute = Duration::from_secs(60);
        let rules = [
            (s.group.is_empty(), "scorer.group: give the consumer group a name"),
            (!(1..=10_000).contains(&s.max_batch), "scorer.max_batch: between 1 and 10000"),
            (s.linger > Duration::from_secs(10), "scorer.linger: at most 10s; it is added to the freshness"),
            (s.commit_every > minute, "scorer.commit_every: at most 60s"),
            (s.ready_lag < 0, "scorer.ready_lag: 0 or more"),
            (!(1..=1_000).contains(&s.slate_items), "scorer.slate_items: between 1 and 1000"),
            (
                !(1..=256).contains(&s.history),
                "scorer.history: between 1 and 256, equal to the trainer's model.remembered",
            ),
            (s.users < s.max_batch, "scorer.users: at least scorer.max_batch"),
            (s.users > 100_000_000, "scorer.users: at most 100000000; each takes a kilobyte and more"),
            // An empty slate and a history of one interaction with the longest ids take about 1 kB.
            (!(2_048..=MOST_BYTES).contains(&s.max_user_bytes), "scorer.max_user_bytes: between 2048 and 262144"),
            (s.renew_per_second == 0, "scorer.renew_per_second: at least 1, or delisted items stay in slates"),
            (s.sweep_per_second == 0, "scorer.sweep_per_second: at least 1, or delisted items stay in slates"),
            (s.recs_ttl < minute, "scorer.recs_ttl: at least 60s"),
            (s.user_ttl < s.recs_ttl, "scorer.user_ttl: at least scorer.recs_ttl, or a slate outlives what made it"),
            (s.first_ttl < minute, "scorer.first_ttl: at least 60s"),
            (s.list_ttl < 8 * s.lists_every, "scorer.list_ttl: at least eight times scorer.lists_every"),
            (s.similar_ttl < minute, "scorer.similar_ttl: at least 60s"),
            (s.lists_every < Duration::from_millis(50), "scorer.lists_every: at least 50ms"),
            (s.similar_budget.is_zero(), "scorer.similar_budget: above 0, or similar:{item} is never written"),
            (s.similar_budget > s.lists_every, "scorer.similar_budget: at most scorer.lists_every"),
            (
                s.category_lists > 100_000,
                "scorer.category_lists: at most 100000; each is two keys, written with every version",
            ),
            (s.similar_items == 0, "scorer.similar_items: at least 1"),
        ];
        let broken = rules.into_iter().filter(|(broken, _)| *broken).map(|(_, advice)| advice.to_owned());
        let device = model::Model::empty(&s.device).err().map(|error| format!("scorer.device: {error}"));
        let own = broken.chain(device).chain(versions::signing::problems(&self.kafka)).collect();
        [self.frame.problems(), self.kafka.problems(), self.privacy.problems(), self.redis.problems(), own].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(overrides: &[(&str, String)]) -> Result<Config, String> {
        runtime::config::load(crate::DEFAULTS, None, overrides, false).map_err(|error| error.to_string())
    }

    #[test]
    fn the_embedded_defaults_are_a_valid_configuration() {
        let config = load(&[]).expect("loads");
        assert_eq!((config.scorer.slate_items, config.scorer.encoding), (20, Encoding::Json));
        assert_eq!(config.scorer.history, model::Settings::default().remembered, "training and serving see the same");
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let problems = load(&[("scorer.max_batch", "0".into()), ("scorer.device", "abacus".into())]);
        let problems = problems.expect_err("is refused");
        assert!(problems.contains("scorer.max_batch: between"), "{problems}");
        assert!(problems.contains("scorer.device: "), "{problems}");
    }

    #[test]
    fn vectors_are_held_exactly_unless_told_otherwise() {
        assert_eq!(load(&[]).expect("loads").scorer.table, RowEncoding::F32);
        let config = load(&[("scorer.table", "int8".into())]).expect("loads");
        assert_eq!(config.scorer.table, RowEncoding::Int8);
        assert!(load(&[("scorer.table", "int4".into())]).is_err());
    }

    #[test]
    fn the_packed_encoding_is_chosen_by_its_name() {
        let config = load(&[("scorer.encoding", "packed".into())]).expect("loads");
        assert_eq!(config.scorer.encoding, Encoding::Packed);
        assert!(load(&[("scorer.encoding", "xml".into())]).is_err());
    }
}
