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
    /// Every item that somebody did something with.
    items: BTreeSet<String>,
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
            self.items.insert(one.event.item_id.clone());
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
        let last = self.last_in_each(user);
        let wanted: Vec<String> =
            last.iter().map(|last| Slate::source_of(events, last.partition, last.offset)).collect();
        if !wanted.is_empty() && !wanted.contains(&slate.source) {
            let wanted = wanted.join(" or ");
            findings.wrong(format!("{user}'s list was made through {}, the last event is {wanted}", slate.source));
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

    /// Compares what a list shows that a version made which knows items: it holds some, each that somebody sent, and
    /// none twice. Of a user who chose nothing it may hold none.
    #[must_use]
    pub fn shows(&self, list: &str, user: Option<&str>, slate: &Slate) -> Findings {
        let mut findings = Findings::default();
        let mut distinct = BTreeSet::new();
        for entry in &slate.items {
            if !self.items.contains(&entry.id) {
                findings.wrong(format!("{list} shows `{}`, which nobody sent", entry.id.escape_debug()));
            }
            if !distinct.insert(&entry.id) {
                findings.wrong(format!("{list} shows {} twice", entry.id));
            }
        }
        let chose = |user| self.events_of(user).any(|event| Kind::from(event.kind).is_positive());
        if slate.items.is_empty() && user.is_none_or(chose) && self.chosen() >= ENOUGH {
            findings.wrong(format!("{list} is empty, made by {}", slate.model));
        }
        findings
    }

    /// The last event of a user in each partition: where partitions were added, nobody says which of them is applied
    /// last.
    fn last_in_each(&self, user: &str) -> Vec<&Sent> {
        let mut last: BTreeMap<i32, &Sent> = BTreeMap::new();
        for index in self.by_user.get(user).into_iter().flatten() {
            last.insert(self.sent[*index].partition, &self.sent[*index]);
        }
        last.into_values().collect()
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
mod tests;
