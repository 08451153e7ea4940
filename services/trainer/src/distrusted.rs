//! Records that were not believed, for the audit: of a flood, one entry a minute for each topic and reason. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::VersionId;
use schemas::audit::Deed;
use schemas::signature::Distrust;

/// How often refusals of one kind are written to the audit.
const EVERY: Duration = Duration::from_secs(60);

/// What was refused since the last entry, by topic and reason: at most a handful.
#[derive(Debug, Default)]
pub(crate) struct Distrusted(BTreeMap<(&'static str, Distrust), Seen>);

#[derive(Debug, Default)]
struct Seen {
    records: u64,
    /// The last version that one of them named.
    version: Option<VersionId>,
    written: Option<Instant>,
}

impl Distrusted {
    /// Takes note of records of a topic that were refused.
    pub(crate) fn note(&mut self, topic: &'static str, why: Distrust, version: Option<VersionId>, records: u64) {
        let seen = self.0.entry((topic, why)).or_default();
        seen.records = seen.records.saturating_add(records);
        seen.version = version.or(seen.version);
    }

    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be written now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Deed> {
        let is_due = |seen: &Seen| seen.written.is_none_or(|at| now.duration_since(at) >= EVERY);
        let due = self.0.iter_mut().filter(|(_, seen)| seen.records > 0 && is_due(seen));
        due.map(|((topic, why), seen)| {
            seen.written = Some(now);
            Deed {
                actor: "trainer".to_owned(),
                action: "refuse".to_owned(),
                subject: (*topic).to_owned(),
                version: seen.version.take(),
                reason: format!("{}: {why}", why.as_str()),
                evidence: BTreeMap::from([("records".to_owned(), std::mem::take(&mut seen.records) as f64)]),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_one_entry_a_minute_of_each_topic_and_reason_says_how_many() {
        let (mut distrusted, start) = (Distrusted::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let version = VersionId { epoch: 2, sequence: 7 };
        assert!(distrusted.due(at(0)).is_empty());
        distrusted.note("checkpoints", Distrust::Forged, Some(version), 1);
        distrusted.note("control", Distrust::Forged, None, 3);
        let deeds = distrusted.due(at(0));
        let told: Vec<(&str, Option<VersionId>, f64)> =
            deeds.iter().map(|deed| (&*deed.subject, deed.version, deed.evidence["records"])).collect();
        assert_eq!(told, [("checkpoints", Some(version), 1.0), ("control", None, 3.0)]);
        assert!(deeds.iter().all(|deed| deed.reason.starts_with("forged: ")));
        (0..1_000).for_each(|_| distrusted.note("control", Distrust::Forged, None, 1));
        assert!(distrusted.due(at(59)).is_empty());
        assert_eq!(distrusted.due(at(60)).iter().map(|deed| deed.evidence["records"]).collect::<Vec<_>>(), [1_000.0]);
        assert!(distrusted.due(at(600)).is_empty(), "nothing came since");
    }
}
