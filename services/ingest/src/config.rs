//! Ingest's configuration: `config.toml` documents every key.

use std::time::Duration;

use runtime::Validate;
use runtime::config::{Frame, Kafka, Privacy};
use serde::Deserialize;

/// Everything ingest can be told.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Admin port, logs, grace.
    pub frame: Frame,
    /// Where Kafka is.
    pub kafka: Kafka,
    /// How users are named.
    pub privacy: Privacy,
    /// The service itself.
    pub ingest: Ingest,
}

/// The section `[ingest]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Ingest {
    /// Consumer group on `events`.
    pub group: String,
    /// Most events in a batch.
    pub batch: usize,
    /// How long to wait for more after the first event of a batch.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How often offsets are committed.
    #[serde(with = "humantime_serde")]
    pub commit_every: Duration,
    /// Longest message, bytes.
    pub max_message_bytes: usize,
    /// Most items in an impression.
    pub max_items: usize,
    /// How far ahead of the clock a `ts` may be.
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    /// Words that stand for no user and no item.
    pub nobody: Vec<String>,
    /// Event ids remembered per partition.
    pub window: usize,
    /// Ready when this many messages behind or fewer.
    pub ready_lag: i64,
    /// How long it may be behind the end of its topic before it is not ready any more.
    #[serde(with = "humantime_serde")]
    pub max_behind: Duration,
}

impl Ingest {
    /// What the validator needs to know.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            max_message_bytes: self.max_message_bytes,
            max_items: self.max_items,
            max_future: self.max_future,
            nobody: self.nobody.clone(),
        }
    }
}

/// The limits an event is judged by.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest message, bytes.
    pub max_message_bytes: usize,
    /// Most items in an impression.
    pub max_items: usize,
    /// How far ahead of the clock a `ts` may be.
    pub max_future: Duration,
    /// Words that stand for no user and no item.
    pub nobody: Vec<String>,
}

impl Limits {
    /// Whether an id is a word for nothing. Case and blanks around it do not count.
    #[must_use]
    pub fn is_nobody(&self, id: &str) -> bool {
        self.nobody.iter().any(|word| word.eq_ignore_ascii_case(id.trim()))
    }

    /// `max_future` in milliseconds.
    #[must_use]
    pub fn max_future_ms(&self) -> i64 {
        i64::try_from(self.max_future.as_millis()).unwrap_or(i64::MAX)
    }
}

impl AsRef<Frame> for Config {
    fn as_ref(&self) -> &Frame {
        &self.frame
    }
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        let ingest = &self.ingest;
        let rules = [
            (ingest.group.is_empty(), "ingest.group: give the consumer group a name"),
            (ingest.batch == 0, "ingest.batch: at least 1"),
            // 2 ms of judging per 2,000 events: more would hold up the other tasks of the thread.
            (ingest.batch > 50_000, "ingest.batch: at most 50000"),
            (ingest.linger > Duration::from_secs(10), "ingest.linger: at most 10s; it is added to the freshness"),
            (ingest.commit_every > Duration::from_secs(60), "ingest.commit_every: at most 60s"),
            (ingest.max_message_bytes == 0, "ingest.max_message_bytes: at least 1"),
            (
                ingest.nobody.iter().any(|word| word.trim().is_empty() || word.trim() != word),
                "ingest.nobody: words without blanks around them; an empty id is refused anyway",
            ),
            (ingest.nobody.len() > 100, "ingest.nobody: at most 100 words; each id is compared with all"),
            (ingest.window > 10_000_000, "ingest.window: at most 10000000, which is 720 MB per partition"),
            (ingest.ready_lag < 0, "ingest.ready_lag: 0 or more"),
        ];
        let broken = rules.into_iter().filter(|(broken, _)| *broken).map(|(_, advice)| advice.to_owned());
        [self.frame.problems(), self.kafka.problems(), self.privacy.problems(), broken.collect()].concat()
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
        assert_eq!(config.ingest.max_message_bytes, 64 * 1024);
        assert_eq!(config.ingest.limits().max_future_ms(), 3_600_000);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let problems =
            load(&[("ingest.batch", "0".into()), ("ingest.ready_lag", "-1".into())]).expect_err("is refused");
        assert!(problems.contains("ingest.batch: at least 1"), "{problems}");
        assert!(problems.contains("ingest.ready_lag: 0 or more"), "{problems}");
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let problems = load(&[("ingest.batchs", "10".into())]).expect_err("is refused");
        assert!(problems.contains("ingest.batchs"), "{problems}");
    }
}
