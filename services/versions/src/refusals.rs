//! What was refused, for the audit: of a flood, one entry a minute for each topic and reason. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::VersionId;
use schemas::audit::{Deed, REFUSED, fitting};

/// How often refusals of one kind are written to the audit.
const EVERY: Duration = Duration::from_secs(60);
/// The longest reason, in bytes: an entry has room for it.
const MOST_TEXT: usize = 500;

/// What was refused since the last entry, by topic and kind of reason: at most a handful.
#[derive(Debug)]
pub struct Refusals {
    actor: &'static str,
    seen: BTreeMap<(&'static str, &'static str), Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    records: u64,
    /// Why the last of them was, in full, and which version it named.
    reason: String,
    version: Option<VersionId>,
    /// When the last one came, and when an entry was written last.
    last: Option<Instant>,
    written: Option<Instant>,
}

impl Refusals {
    /// Of nothing yet, by who refuses.
    #[must_use]
    pub fn new(actor: &'static str) -> Self {
        Self { actor, seen: BTreeMap::new() }
    }

    /// Takes note of records of a topic, or versions on it, that were refused: why in a word, and in full.
    pub fn note(
        &mut self,
        topic: &'static str,
        (why, reason): (&'static str, &str),
        version: Option<VersionId>,
        records: u64,
        now: Instant,
    ) {
        let seen = self.seen.entry((topic, why)).or_default();
        seen.records = seen.records.saturating_add(records);
        seen.version = version.or(seen.version);
        seen.last = Some(now);
        seen.reason = fitting(reason, MOST_TEXT);
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// What is to be written now.
    pub fn due(&mut self, now: Instant) -> Vec<Deed> {
        let is_due = |seen: &Seen| seen.written.is_none_or(|at| now.duration_since(at) >= EVERY);
        let due = self.seen.iter_mut().filter(|(_, seen)| seen.records > 0 && is_due(seen));
        due.map(|((topic, why), seen)| {
            seen.written = Some(now);
            Deed {
                actor: self.actor.to_owned(),
                action: REFUSED.to_owned(),
                subject: (*topic).to_owned(),
                version: seen.version.take(),
                reason: format!("{why}: {}", seen.reason),
                evidence: BTreeMap::from([("records".to_owned(), std::mem::take(&mut seen.records) as f64)]),
            }
        })
        .collect()
    }

    /// Leaves to others what they must have written by now.
    pub fn leave(&mut self, now: Instant) {
        self.seen.retain(|_, seen| seen.last.is_some_and(|at| now.duration_since(at) < EVERY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_one_entry_a_minute_of_each_topic_and_reason_says_how_many() {
        let (mut refusals, start) = (Refusals::new("trainer"), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let version = VersionId { epoch: 2, sequence: 7 };
        let forged = ("forged", "its signature is another's");
        assert!(refusals.due(at(0)).is_empty());
        refusals.note("checkpoints", forged, Some(version), 1, at(0));
        refusals.note("control", forged, None, 3, at(0));
        let deeds = refusals.due(at(0));
        let told: Vec<(&str, Option<VersionId>, f64)> =
            deeds.iter().map(|deed| (&*deed.subject, deed.version, deed.evidence["records"])).collect();
        assert_eq!(told, [("checkpoints", Some(version), 1.0), ("control", None, 3.0)]);
        assert!(deeds.iter().all(|deed| deed.reason == "forged: its signature is another's"));
        assert!(deeds.iter().all(|deed| deed.actor == "trainer" && deed.action == "refuse"));
        (0..1_000).for_each(|_| refusals.note("control", forged, None, 1, at(1)));
        assert!(refusals.due(at(59)).is_empty());
        assert_eq!(refusals.due(at(60)).iter().map(|deed| deed.evidence["records"]).collect::<Vec<_>>(), [1_000.0]);
        assert!(refusals.due(at(600)).is_empty(), "nothing came since");
    }

    #[test]
    fn who_does_not_lead_leaves_what_it_refused_to_who_does_and_takes_it_over_within_a_minute() {
        let (mut refusals, start) = (Refusals::new("scorer"), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        refusals.note("checkpoints", ("torn", "chunk 2 is missing"), None, 1, at(0));
        refusals.leave(at(59));
        assert!(!refusals.is_empty(), "who led may have ended before it wrote");
        refusals.leave(at(60));
        assert!(refusals.is_empty() && refusals.due(at(60)).is_empty());
    }

    #[test]
    fn a_reason_that_a_stranger_chose_fits_into_an_entry() {
        let (mut refusals, now) = (Refusals::new("scorer"), Instant::now());
        refusals.note("control", ("control", &format!("\u{1b}[2J{}", "\u{fc}".repeat(9_000))), None, 1, now);
        let deed = refusals.due(now).remove(0);
        assert!(deed.reason.len() < 600 && !deed.reason.chars().any(char::is_control), "{}", deed.reason);
    }
}
