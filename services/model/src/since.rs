//! What the user who asks chose since the version was made, counted as the learner counts it.
//!
//! A choice shows in the pairs, counts and times of what was chosen, and the ranker learns what that is worth. A version
//! that is older than the choice shows nothing: a scorer's by a second or so, a frozen one by days. So that both look the
//! same, the user's newer choices are added when the user asks. The learner itself knows of every choice before.

use std::sync::Arc;

use crate::covisitation::{self, Neighbours};
use crate::history::Seen;
use crate::items::Entry;
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::popularity::{Counters, NEVER, Popular, log2_add};

/// What is counted of one item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) counters: Counters,
    pub(crate) sightings: u32,
    /// Event time of the newest choice, milliseconds since 1970.
    pub(crate) last_ts: i64,
}

impl Counts {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { counters: entry.counters, sightings: entry.sightings, last_ts: entry.last_ts }
    }
}

/// Neighbours, counts and totals where the user's newer choices change them.
#[derive(Debug)]
pub(crate) struct Since {
    neighbours: Plain<Neighbours>,
    counts: Plain<Counts>,
    totals: Counters,
}

impl Since {
    /// Adds what is newer in a history than what the version knows of the user; neighbours only of the keys in `asking`.
    pub(crate) fn new(knowledge: &Knowledge, user: u64, history: &[Seen], asking: &[u64]) -> Self {
        let mut since =
            Self { neighbours: Plain::default(), counts: Plain::default(), totals: knowledge.popular.totals };
        let session = knowledge.sessions.number_of(user).and_then(|number| knowledge.sessions.get(number));
        let known_until = session.map_or(knowledge.now, |session| session.last_ts);
        if history.iter().all(|seen| seen.ts <= known_until) {
            return since;
        }
        let settings = &knowledge.settings;
        let memory = settings.pair_memory();
        let choices: Vec<Seen> = history.iter().filter(|seen| knowledge.knows(seen)).copied().collect();
        for (n, choice) in choices.iter().enumerate().filter(|(_, choice)| choice.ts > known_until) {
            let weight = settings.weights.of(choice.kind);
            // A version's time stands still: what came later counts as if it came at the end of it, not after a long silence.
            let ts = choice.ts.min(knowledge.now);
            since.count(knowledge, choice, ts, weight);
            let before = choices[..n].iter().rev();
            for (earlier, there, back) in covisitation::pairs_of(choice, weight, before, settings.covisitation_window) {
                for (from, to, weights) in [(earlier, choice.key, there), (choice.key, earlier, back)] {
                    if asking.contains(&from) {
                        let known = || knowledge.covisitation.get(from).map(|known| Neighbours::clone(known));
                        let neighbours = since.neighbours.entry(from);
                        let neighbours = neighbours.or_insert_with(|| known().unwrap_or_else(|| Neighbours::new(ts)));
                        neighbours.add(to, weights, ts, &memory);
                    }
                }
            }
        }
        since
    }

    fn count(&mut self, knowledge: &Knowledge, choice: &Seen, ts: i64, weight: f32) {
        let Some(entry) = knowledge.items.get(choice.key) else { return };
        let counts = self.counts.entry(choice.key).or_insert_with(|| Counts::of(entry));
        let exponents = knowledge.clock.exponents_of(ts, weight);
        for counters in [&mut counts.counters, &mut self.totals] {
            counters.iter_mut().zip(&exponents).for_each(|(counter, t)| *counter = log2_add(*counter, *t));
        }
        counts.sightings = counts.sightings.saturating_add(1);
        counts.last_ts = counts.last_ts.max(choice.ts);
    }

    /// An item's neighbours.
    pub(crate) fn neighbours<'a>(&'a self, knowledge: &'a Knowledge, key: u64) -> Option<&'a Neighbours> {
        self.neighbours.get(&key).or_else(|| knowledge.covisitation.get(key).map(Arc::as_ref))
    }

    /// An item's counts, when the user chose it since.
    pub(crate) fn counts(&self, key: u64) -> Option<&Counts> {
        self.counts.get(&key)
    }

    /// The totals that counters are shares of.
    pub(crate) fn totals(&self) -> &Counters {
        &self.totals
    }

    /// The `k` keys with the highest counters of the `h`-th half-life, best first.
    pub(crate) fn leaders(&self, popular: &Popular, h: usize, k: usize) -> Vec<u64> {
        let others = popular.leaders(h).filter(|(_, key)| !self.counts.contains_key(key)).take(k);
        let mut leaders: Vec<(f64, u64)> = others.collect();
        if !self.counts.is_empty() {
            let own = self.counts.iter().map(|(key, counts)| (counts.counters[h], *key));
            leaders.extend(own.filter(|(counter, _)| *counter > NEVER));
            leaders.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
            leaders.truncate(k);
        }
        leaders.into_iter().map(|(_, key)| key).collect()
    }
}
