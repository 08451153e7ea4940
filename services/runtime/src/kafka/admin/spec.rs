//! What a topic should be, and in which ways one that is there is not. Pure.
#![warn(clippy::disallowed_methods)]

/// As many copies of a record survive the loss of two brokers, one of them for maintenance; more cost more than they
/// help.
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

impl TopicSpec {
    pub(super) fn copies(&self, brokers: usize) -> usize {
        self.copies.map_or_else(|| brokers.clamp(1, COPIES), usize::from)
    }

    /// Its own, and those that keep what was acknowledged: a write counts when all copies but one have it, so that one
    /// broker may be away, and a copy that lags behind never leads.
    pub(super) fn all_settings(&self, brokers: usize) -> Vec<(String, String)> {
        let in_sync = self.copies(brokers).saturating_sub(1).max(1);
        let safe = [(IN_SYNC, in_sync.to_string()), ("unclean.leader.election.enable", "false".to_owned())];
        let safe = safe.into_iter().map(|(key, value)| (key.to_owned(), value));
        self.settings.iter().cloned().chain(safe).collect()
    }

    pub(super) fn differences(&self, brokers: usize, partitions: usize, copies: usize) -> Vec<Difference> {
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

/// To keep records for longer (-1 is for ever), or in more copies before a write counts, is the operator's to choose.
pub(super) fn keeps_more(key: &str, found: &str, wanted: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (found.parse::<i64>(), wanted.parse::<i64>()) else { return false };
    match key {
        "retention.ms" | "delete.retention.ms" => wanted >= 0 && (found == -1 || found >= wanted),
        IN_SYNC => found >= wanted,
        _ => false,
    }
}

/// Lists such as `compact,delete` have no order.
pub(super) fn same(left: &str, right: &str) -> bool {
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
