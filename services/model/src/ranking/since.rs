//! What the user who asks has chosen since the version was made, counted as the learner counts it.
//!
//! In training the learner knows every choice before the one it predicts. A choice shows in the pairs, counts and times
//! of its item, and the ranker learns what these traces are worth; it finds repeats by them. A version that is older
//! than the choice lacks them: a scorer's by a second or so, a frozen one by days. So that both look the same, the
//! user's newer choices are added when the user asks, for this one answer. Learning costs nothing more.
//!
//! What the encoder makes of an item, and whether it is among the items that are searched, stay as they are in the
//! version.

use std::sync::Arc;

use schemas::UserKey;

use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::memory::covisitation::{self, Neighbours};
use crate::memory::history::Seen;
use crate::memory::influence::Influence;
use crate::memory::popularity::{Counters, Popular, log2_add};
use crate::memory::sessions::Session;
use crate::table::block::Counts;

/// Neighbours, counts and totals where the user's newer choices change them.
#[derive(Debug)]
pub(crate) struct Since {
    neighbours: Plain<u64, Neighbours>,
    counts: Plain<u64, Counts>,
    totals: Counters,
}

impl Since {
    /// Of somebody of whom everything is known.
    pub(crate) fn nothing(knowledge: &Knowledge) -> Self {
        Self { neighbours: Plain::default(), counts: Plain::default(), totals: knowledge.popular().totals }
    }

    /// Adds what is newer in a history than what the version knows of the user.
    pub(crate) fn new(knowledge: &Knowledge, user: UserKey, history: &[Seen]) -> Self {
        let mut since = Self::nothing(knowledge);
        let Some(first) = first_unknown(knowledge, user, history) else { return since };
        let settings = knowledge.settings();
        let memory = settings.pair_memory();
        let asking = covisitation::asking(history, settings.covisitation_window);
        // A version's time stands still. What came later counts as if its last choice came at the end of that time, not
        // after a silence.
        let newest = history.iter().map(|seen| seen.ts).max().unwrap_or(knowledge.now());
        let late = newest.saturating_sub(knowledge.now()).max(0);
        let windows = settings.influence_windows();
        for (n, choice) in history.iter().enumerate().skip(first).filter(|(_, seen)| seen.kind.is_positive()) {
            let (ts, weight) = (choice.ts.saturating_sub(late), settings.weights.of(choice.kind));
            let influence = windows.map_or(Influence::WHOLE, |windows| Influence::of(&history[..n], choice, &windows));
            since.count(knowledge, user, choice, ts, (weight, &influence));
            // What is newer than the version is known to the learner, though not to the version.
            let earlier = history[..n].iter().enumerate().rev();
            let before =
                earlier.filter(|(at, seen)| seen.kind.is_positive() && (*at >= first || knowledge.knows(seen)));
            let before = before.map(|(_, seen)| seen);
            let weight = weight * influence.pairs;
            for (earlier, there, back) in covisitation::pairs_of(choice, weight, before, settings.covisitation_window) {
                for (from, to, weights) in [(earlier, choice.key, there), (choice.key, earlier, back)] {
                    if asking.contains(&from) {
                        let known = knowledge.covisitation().get(from);
                        let copy = || known.map_or_else(|| Neighbours::new(ts), |known| Neighbours::clone(known));
                        since.neighbours.entry(from).or_insert_with(copy).add(to, weights, ts, &memory);
                    }
                }
            }
        }
        since
    }

    fn count(
        &mut self,
        knowledge: &Knowledge,
        user: UserKey,
        choice: &Seen,
        ts: i64,
        (weight, influence): (f32, &Influence),
    ) {
        let exponents = knowledge.clock().exponents_of(ts, influence.popularity.map(|share| weight * share));
        let add = |counters: &mut Counters| {
            counters
                .iter_mut()
                .zip(&exponents)
                .for_each(|(counter, exponent)| *counter = log2_add(*counter, *exponent));
        };
        add(&mut self.totals);
        if let Some(entry) = knowledge.table().get(choice.key) {
            let counts = self.counts.entry(choice.key).or_insert_with(|| Counts::of(entry));
            add(&mut counts.counters);
            counts.firsts = counts.firsts.saturating_add(u32::from(influence.first));
            counts.proven |= entry.chosen_by != user;
            counts.last_ts = counts.last_ts.max(choice.ts);
        }
    }

    /// An item's neighbours.
    pub(crate) fn neighbours<'a>(&'a self, knowledge: &'a Knowledge, key: u64) -> Option<&'a Neighbours> {
        self.neighbours.get(&key).or_else(|| knowledge.covisitation().get(key).map(Arc::as_ref))
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
        let others = popular.leaders(h).filter(|(.., key)| !self.counts.contains_key(key)).take(k);
        let mut leaders: Vec<(bool, f64, u64)> = others.collect();
        if !self.counts.is_empty() {
            leaders.extend(self.counts.iter().map(|(key, counts)| (counts.proven, counts.counters[h], *key)));
            leaders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(b.2.cmp(&a.2)));
            leaders.truncate(k);
        }
        leaders.into_iter().map(|(.., key)| key).collect()
    }
}

/// Where in a history begins what the version does not know of: histories are in the order of event time, and what is
/// newer than all that the version knows of the user is unknown. A choice that came late is missed where no other
/// unknown one is before it, and one that repeats an item within one time.
fn first_unknown(knowledge: &Knowledge, user: UserKey, history: &[Seen]) -> Option<usize> {
    let sessions = knowledge.sessions();
    let session = sessions.number_of(user).and_then(|number| sessions.get(number));
    let known_until = match session {
        Some(session) => session.last_ts,
        None if user == UserKey::NOBODY => knowledge.now(),
        None => sessions.forgotten_until(&knowledge.settings().session_bounds()),
    };
    // Clocks are coarse: a basket has one time, of which the version may know a part.
    let in_session = |seen: &Seen| session.is_none_or(|session: &Arc<Session>| session.holds(seen.key));
    let unknown = |seen: &Seen| seen.ts > known_until || (seen.ts == known_until && !in_session(seen));
    history.iter().position(|seen| seen.kind.is_positive() && unknown(seen))
}
