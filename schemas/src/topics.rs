//! The topics: their names, partitions and cleanup, and who writes and reads each.

use serde::{Deserialize, Serialize};

/// A topic of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Raw JSON events, keyed by user id. Written by applications, read by ingest.
    Events,
    /// Validated interactions (Protobuf), keyed by user id. Written by ingest, read by trainer and scorer.
    Interactions,
    /// The catalog (JSON), keyed by item id; an empty value delists. Written by applications.
    Items,
    /// Chunks and manifests of model versions, keyed `version/part`. Written by the trainer.
    Checkpoints,
    /// The operator's commands. Written by `thalweg`.
    Control,
    /// Refused events and catalog records: original bytes, the reason in headers. Written by ingest and trainer.
    DeadLetters,
    /// What was published, swapped, pinned, rolled back or erased, and by whom.
    Audit,
}

impl Topic {
    /// Every topic, in the order of the flow.
    pub const ALL: [Self; 7] = [
        Self::Events,
        Self::Interactions,
        Self::Items,
        Self::Checkpoints,
        Self::Control,
        Self::DeadLetters,
        Self::Audit,
    ];

    /// The name without the configurable prefix.
    #[must_use]
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Interactions => "interactions",
            Self::Items => "items",
            Self::Checkpoints => "checkpoints",
            Self::Control => "control",
            Self::DeadLetters => "dead-letters",
            Self::Audit => "audit",
        }
    }

    /// How many partitions the topic has when `events` has `partitions`.
    ///
    /// `checkpoints` has one: the order of versions is the order of the log.
    #[must_use]
    pub const fn partitions(self, partitions: i32) -> i32 {
        match self {
            Self::Events | Self::Interactions => partitions,
            _ => 1,
        }
    }

    /// Whether it may have more partitions than it was made with.
    #[must_use]
    pub const fn grows(self) -> bool {
        matches!(self, Self::Events | Self::Interactions)
    }

    /// Whether how long it is kept is the operator's to choose.
    #[must_use]
    pub const fn is_kept_for_a_time(self) -> bool {
        matches!(self, Self::Events | Self::Interactions | Self::DeadLetters)
    }

    /// Topic settings as Kafka spells them.
    #[must_use]
    pub const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Events => &[
                ("cleanup.policy", "delete"),
                ("retention.ms", "604800000"),
                // Freshness counts from the arrival in Kafka, and retention, too: an application may give its records
                // any time, and many give the event's.
                ("message.timestamp.type", "LogAppendTime"),
            ],
            Self::Interactions => &[
                ("cleanup.policy", "delete"),
                ("retention.ms", "604800000"), // a week: the longest outage that loses nothing
                // An interaction counts at the earlier of its own time and this one, which no writer's clock bends.
                ("message.timestamp.type", "LogAppendTime"),
            ],
            Self::DeadLetters => &[("cleanup.policy", "delete"), ("retention.ms", "604800000")],
            Self::Items => &[
                ("cleanup.policy", "compact"),
                // A delisting stays on the topic for as long as a model may know the item (`model.expire_after_s`, 90
                // days): after Kafka's default of a day, who starts anew would recommend it again.
                ("delete.retention.ms", "8640000000"),
            ],
            Self::Control => &[("cleanup.policy", "compact")],
            Self::Checkpoints => &[
                ("cleanup.policy", "compact,delete"),
                // Two weeks: the oldest snapshot that is kept to go back to is up to ten and a half days old.
                ("retention.ms", "1209600000"),
                ("max.message.bytes", "1048588"), // Kafka's default: a stock broker takes our messages
                ("min.compaction.lag.ms", "60000"),
                // Kafka compacts no active segment, and its own are 1 GB or a week: what was deleted would stay for
                // as long, and every start read it.
                ("segment.bytes", "67108864"),
                ("segment.ms", "600000"),
                ("min.cleanable.dirty.ratio", "0.1"),
                ("delete.retention.ms", "3600000"),
            ],
            Self::Audit => &[("cleanup.policy", "delete"), ("retention.ms", "-1")],
        }
    }
}

/// The topics' full names under one prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Names every topic with `prefix` in front; an empty prefix leaves the bare names.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The full name of `topic`.
    #[must_use]
    pub fn name(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.base_name())
    }

    /// The full name of the topic on which a challenger writes its versions, as a trainer does on `checkpoints`.
    #[must_use]
    pub fn challenger(&self, name: &str) -> String {
        format!("{}.{name}", self.name(Topic::Checkpoints))
    }

    /// The challenger that writes a topic; `None` for any other topic.
    #[must_use]
    pub fn challenger_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let name = topic.strip_prefix(&self.name(Topic::Checkpoints))?.strip_prefix('.')?;
        is_challenger(name).then_some(name)
    }

    /// The group, without members, whose offset says where on a log of versions the newest snapshot but one lies; the
    /// offset's metadata is the claim before it, as JSON.
    #[must_use]
    pub fn snapshot_group(log: &str) -> String {
        format!("{log}.snapshot")
    }
}

/// The longest name of a challenger.
const MAX_CHALLENGER: usize = 40;

/// Whether a challenger may have this name: it is part of a topic's.
#[must_use]
pub fn is_challenger(name: &str) -> bool {
    let spelled = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (1..=MAX_CHALLENGER).contains(&name.len()) && spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_before_every_name() {
        let topics = Topics::new("shop.");
        assert_eq!(topics.name(Topic::DeadLetters), "shop.dead-letters");
        assert_eq!(Topics::default().name(Topic::Events), "events");
    }

    #[test]
    fn a_challenger_has_a_topic_of_its_own_whose_name_says_so() {
        let topics = Topics::new("shop.");
        assert_eq!(topics.challenger("gru-2"), "shop.checkpoints.gru-2");
        assert_eq!(topics.challenger_of("shop.checkpoints.gru-2"), Some("gru-2"));
        for other in ["shop.checkpoints", "shop.checkpoints.", "checkpoints.gru", "shop.checkpoints.A", "shop.items.a"]
        {
            assert_eq!(topics.challenger_of(other), None, "{other}");
        }
        assert!(!is_challenger(&"a".repeat(41)) && !is_challenger("a.b") && !is_challenger(""));
    }
}
