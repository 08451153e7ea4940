//! The oracle: knows every event that was sent by its id, and compares what lies downstream with it, content by
//! content.
//!
//! Sums prove little: one lost and one doubled event cancel out. So each event is looked for by its id on
//! `interactions`, each item's counter is compared with the events about it, each profile with its user's events one by
//! one, and each slate names the event that its user did last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemas::{Event, Interaction, Kind, Slate, StoredProfile};

use crate::sent::Sent;

/// Interactions that a scorer remembers of each user, by default (`scorer.history`).
const HISTORY: usize = 128;

/// A shop of so many items has some to show to everybody.
const ENOUGH: usize = 20;

/// Findings that are named; the rest is counted.
const NAMED: usize = 5;

/// What is not as it must be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Events that were not applied.
    pub lost: BTreeSet<String>,
    /// Events that would be applied more than once.
    pub doubled: BTreeSet<String>,
    /// Everything else: another content, another order, something that nobody sent.
    pub wrong: BTreeSet<String>,
}

impl Findings {
    /// Whether there is nothing to complain of.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    /// Adds those of another look.
    pub fn extend(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.doubled.extend(other.doubled);
        self.wrong.extend(other.wrong);
    }

    fn wrong(&mut self, what: String) {
        self.wrong.insert(what);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, found) in [("lost", &self.lost), ("doubled", &self.doubled), ("wrong", &self.wrong)] {
            let named: Vec<&str> = found.iter().take(NAMED).map(String::as_str).collect();
            let dots = if found.len() > NAMED { ", …" } else { "" };
            write!(
                f,
                "{what} {}{}{}{dots}; ",
                found.len(),
                if named.is_empty() { "" } else { ": " },
                named.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Every event that was sent, in the order of sending.
#[derive(Debug, Default, Clone)]
pub struct Oracle {
    sent: Vec<Sent>,
    by_id: BTreeMap<String, usize>,
    by_user: BTreeMap<String, Vec<usize>>,
}

impl Oracle {
    /// Takes note of events that Kafka has acknowledged.
    ///
    /// # Panics
    /// When an event has no id, or one that another event had.
    pub fn note(&mut self, sent: &[Sent]) {
        for one in sent {
            let id = one.event.event_id.clone().expect("the oracle knows events by their ids");
            let before = self.by_id.insert(id, self.sent.len());
            assert!(before.is_none(), "{:?} was sent twice", one.event.event_id);
            self.by_user.entry(one.event.user_id.clone()).or_default().push(self.sent.len());
            self.sent.push(one.clone());
        }
    }

    /// Knows of these events.
    #[must_use]
    pub fn of(sent: &[Sent]) -> Self {
        let mut oracle = Self::default();
        oracle.note(sent);
        oracle
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Who did something.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.by_user.keys().map(String::as_str)
    }

    /// The event that a user did last.
    #[must_use]
    pub fn last_of(&self, user: &str) -> Option<&Sent> {
        self.by_user.get(user)?.last().map(|index| &self.sent[*index])
    }

    /// Compares the topic `interactions`, read from its first record, each with the partition it lies in.
    #[must_use]
    pub fn interactions(&self, records: &[(i32, Interaction)]) -> Findings {
        let mut findings = Findings::default();
        let mut applied = vec![false; self.sent.len()];
        let mut newest: BTreeMap<(i32, &str), usize> = BTreeMap::new();
        for (partition, interaction) in applied_once(records) {
            let Some(&index) = self.by_id.get(&interaction.event_id) else {
                findings.wrong(format!("an interaction `{}` that nobody sent", interaction.event_id));
                continue;
            };
            let sent = &self.sent[index];
            if std::mem::replace(&mut applied[index], true) {
                findings.doubled.insert(interaction.event_id.clone());
            }
            if !says(interaction, &sent.event) {
                findings.wrong(format!("interaction `{}` says something else than its event", interaction.event_id));
            }
            let before = newest.insert((partition, &sent.event.user_id), index);
            if before.is_some_and(|before| before > index) {
                findings.wrong(format!("interaction `{}` stands behind a later one", interaction.event_id));
            }
        }
        for (id, &index) in &self.by_id {
            if !applied[index] {
                findings.lost.insert(id.clone());
            }
        }
        findings
    }

    /// Compares a version's counters: how often each item was chosen.
    #[must_use]
    pub fn sightings(&self, counted: &BTreeMap<String, u32>) -> Findings {
        let mut findings = Findings::default();
        let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
        for sent in self.sent.iter().filter(|sent| Kind::from(sent.event.kind).is_positive()) {
            *wanted.entry(&sent.event.item_id).or_default() += 1;
        }
        let items: BTreeSet<&str> = wanted.keys().copied().chain(counted.keys().map(String::as_str)).collect();
        for item in items {
            let wanted = wanted.get(item).copied().unwrap_or(0);
            let found = counted.get(item).copied().unwrap_or(0);
            if wanted != found {
                findings.wrong(format!("the version counts {found} of {item}, {wanted} were sent"));
            }
        }
        findings
    }

    /// Compares a user's profile: every kind's count, and what is remembered, one by one.
    #[must_use]
    pub fn profile(&self, user: &str, stored: &StoredProfile) -> Findings {
        let mut findings = Findings::default();
        let mut events: Vec<&Event> = self.events_of(user).collect();
        events.sort_by_key(|event| event.ts); // stable: of one time, as they were sent
        let mut counts = BTreeMap::<usize, u64>::new();
        for event in &events {
            *counts.entry(Kind::from(event.kind) as usize).or_default() += 1;
        }
        for (kind, found) in stored.profile.counts.iter().enumerate() {
            let wanted = counts.remove(&kind).unwrap_or(0);
            if wanted != *found {
                findings.wrong(format!("{user} has {found} events of kind {kind}, {wanted} were sent"));
            }
        }
        if let Some((kind, wanted)) = counts.first_key_value() {
            findings.wrong(format!("{user} has no events of kind {kind}, {wanted} were sent"));
        }
        // Not their times: one that is ahead of its arrival counts as of then.
        let remembered: Vec<(&str, i32)> =
            stored.profile.recent.iter().map(|seen| (seen.item_id.as_str(), seen.kind)).collect();
        events.retain(|event| Kind::from(event.kind) != Kind::Impression);
        let wanted: Vec<(&str, i32)> = events[events.len().saturating_sub(HISTORY)..]
            .iter()
            .map(|event| (event.item_id.as_str(), Kind::from(event.kind) as i32))
            .collect();
        if remembered != wanted {
            let same = remembered.iter().zip(&wanted).take_while(|(found, wanted)| found == wanted).count();
            findings.wrong(format!(
                "{user} remembers {} interactions, {} were sent; they differ from number {same} on",
                remembered.len(),
                wanted.len()
            ));
        }
        findings
    }

    /// Compares a user's list: it was made through the user's last event, names each item once, and holds some where a
    /// version made it and there are items enough. `events` is the topic's full name.
    #[must_use]
    pub fn slate(&self, user: &str, slate: &Slate, events: &str) -> Findings {
        let mut findings = Findings::default();
        if let Some(last) = self.last_of(user) {
            let wanted = Slate::source_of(events, last.partition, last.offset);
            if slate.source != wanted {
                findings.wrong(format!("{user}'s list was made through {}, the last event is {wanted}", slate.source));
            }
        }
        let distinct: BTreeSet<&str> = slate.items.iter().map(|entry| entry.id.as_str()).collect();
        if distinct.len() != slate.items.len() {
            findings.wrong(format!("{user}'s list names an item twice"));
        }
        // Of few items all may be the user's own, and out of the list for now.
        if slate.items.is_empty() && slate.model != Slate::NO_MODEL && self.chosen() >= ENOUGH {
            findings.wrong(format!("{user}'s list is empty, though {} made it and there are items", slate.model));
        }
        findings
    }

    /// How many items were chosen.
    fn chosen(&self) -> usize {
        let chosen = self.sent.iter().filter(|sent| Kind::from(sent.event.kind).is_positive());
        chosen.map(|sent| &sent.event.item_id).collect::<BTreeSet<_>>().len()
    }

    fn events_of(&self, user: &str) -> impl Iterator<Item = &Event> {
        self.by_user.get(user).into_iter().flatten().map(|index| &self.sent[*index].event)
    }
}

/// What a consumer applies that drops everything not beyond the source position applied last (I2).
fn applied_once(records: &[(i32, Interaction)]) -> impl Iterator<Item = (i32, &Interaction)> {
    let mut last: BTreeMap<i32, (u64, i64)> = BTreeMap::new();
    records.iter().filter_map(move |(partition, interaction)| {
        let source = interaction.source.as_ref()?;
        if source.partition != *partition {
            return Some((*partition, interaction)); // shown as wrong by whoever sent it: no event lies there
        }
        let place = (source.incarnation, source.offset);
        let last = last.entry(*partition).or_insert((0, -1));
        (place > *last).then(|| {
            *last = place;
            (*partition, interaction)
        })
    })
}

fn says(interaction: &Interaction, event: &Event) -> bool {
    interaction.user_id == event.user_id
        && interaction.item_id == event.item_id
        && interaction.kind() == Kind::from(event.kind)
        && interaction.ts == event.ts.0
}

#[cfg(test)]
mod tests {
    use schemas::{EventType, Source, proto};

    use super::*;
    use crate::traffic::click;

    fn sent(number: i64) -> Sent {
        let event = click("u1", &format!("i{number}"), EventType::View, 1_000 + number, format!("e{number}"));
        Sent { event, partition: 0, offset: number }
    }

    fn interaction(number: i64) -> (i32, Interaction) {
        let Sent { event, partition, offset } = sent(number);
        let source = Source { partition, offset, ..Source::default() };
        let interaction = Interaction {
            user_id: event.user_id,
            item_id: event.item_id,
            kind: Kind::View.into(),
            ts: event.ts.0,
            event_id: event.event_id.unwrap_or_default(),
            source: Some(source),
            ..Interaction::default()
        };
        (partition, interaction)
    }

    fn all(numbers: &[i64]) -> Vec<(i32, Interaction)> {
        numbers.iter().map(|number| interaction(*number)).collect()
    }

    #[test]
    fn one_lost_and_one_doubled_do_not_cancel_out() {
        let oracle = Oracle::of(&[sent(0), sent(1), sent(2)]);
        assert!(oracle.interactions(&all(&[0, 1, 2])).is_clean());
        assert!(oracle.interactions(&all(&[0, 1, 1, 0, 2])).is_clean(), "a repetition is dropped by its source");
        let mut doubled = all(&[0, 2]);
        doubled.push(interaction(2));
        let source = doubled[2].1.source.as_mut().expect("it has a source");
        source.offset = 3; // the same event, as if it were another one
        let findings = oracle.interactions(&doubled);
        assert_eq!(findings.lost, BTreeSet::from(["e1".to_owned()]));
        assert_eq!(findings.doubled, BTreeSet::from(["e2".to_owned()]));
    }

    #[test]
    fn another_content_and_what_nobody_sent_are_wrong() {
        let oracle = Oracle::of(&[sent(0), sent(1)]);
        let mut records = all(&[0, 1, 7]);
        records[1].1.item_id = "other".to_owned();
        assert_eq!(oracle.interactions(&records).wrong.len(), 2);
    }

    #[test]
    fn a_profile_with_the_right_sum_and_the_wrong_content_is_wrong() {
        let oracle = Oracle::of(&[sent(0), sent(1)]);
        let seen =
            |number: i64| proto::Seen { item_id: format!("i{number}"), kind: Kind::View.into(), ts: 1_000 + number };
        let mut stored = StoredProfile::default();
        stored.profile.counts = vec![0, 0, 2];
        stored.profile.recent = vec![seen(0), seen(1)];
        assert!(oracle.profile("u1", &stored).is_clean());
        stored.profile.recent = vec![seen(0), seen(0)];
        assert_eq!(oracle.profile("u1", &stored).wrong.len(), 1);
        stored.profile.counts = vec![0, 0, 1];
        assert_eq!(oracle.profile("u1", &stored).wrong.len(), 2);
    }

    #[test]
    fn a_version_that_counts_one_item_for_another_is_wrong() {
        let oracle = Oracle::of(&[sent(0), sent(1)]);
        let counted = |items: &[(&str, u32)]| items.iter().map(|(item, n)| ((*item).to_owned(), *n)).collect();
        assert!(oracle.sightings(&counted(&[("i0", 1), ("i1", 1)])).is_clean());
        assert_eq!(oracle.sightings(&counted(&[("i0", 2)])).wrong.len(), 2);
    }

    #[test]
    fn an_empty_list_by_a_version_and_an_item_that_is_there_twice_are_wrong() {
        let all: Vec<Sent> = (0..30).map(sent).collect();
        let oracle = Oracle::of(&all);
        let entry = |id: &str| schemas::Entry { id: id.to_owned(), score: 1.0, from: String::new(), because: vec![] };
        let slate = |model: &str, ids: &[&str]| Slate {
            v: Slate::V,
            model: model.to_owned(),
            source: Slate::source_of("events", 0, 29),
            event_ts: 0,
            made_at: 0,
            items: ids.iter().map(|id| entry(id)).collect(),
        };
        let wrong = |oracle: &Oracle, slate: &Slate| oracle.slate("u1", slate, "events").wrong.len();
        assert_eq!(wrong(&oracle, &slate("000001-00000001", &["i1", "i2"])), 0);
        assert_eq!(wrong(&oracle, &slate("000001-00000001", &[])), 1);
        assert_eq!(wrong(&oracle, &slate(Slate::NO_MODEL, &[])), 0, "nothing was learned yet");
        assert_eq!(wrong(&oracle, &slate(Slate::NO_MODEL, &["i1", "i1"])), 1);
        let few = Oracle::of(&[sent(29)]);
        assert_eq!(wrong(&few, &slate("000001-00000001", &[])), 0, "it is the user's own");
    }
}
