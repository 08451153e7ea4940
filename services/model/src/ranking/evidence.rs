//! What is known for one query, before any candidate is looked at.

use super::look::{Asker, Look, Paired, log_seconds};
use super::order::{Rank, rank_of};
use super::own::{Own, own};
use super::query::{Candidate, Query};
use super::since::Since;
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Alike;
use crate::memory::covisitation::{self, AHEAD, BEHIND, Neighbours, WAYS};
use crate::memory::history::Seen;
use crate::memory::popularity::{HALF_LIVES, LEAST_LOG_SHARE, log_shares};
use crate::table::block::Counts;

/// Each step back in a history counts so much less.
const PAIR_FADE: f32 = 0.75;

/// What is known for one query before any candidate is looked at.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// What the user chose since the version was made.
    pub(crate) since: Since,
    pairs: Plain<u64, Paired>,
    sessions: Plain<u64, f32>,
    alike: Plain<u64, Alike>,
    best_session: f32,
    best_cosine: f32,
    /// What the user did with each item of the history.
    own: Plain<u64, Own>,
    /// `[dim]`: the last item's vector; empty when there is none.
    last: Vec<f32>,
    asker: Asker,
}

impl Evidence {
    pub(crate) fn new(knowledge: &Knowledge, query: &Query<'_>, since: Since) -> Self {
        let last = query.history.iter().rfind(|seen| seen.kind.is_positive());
        let last = last.and_then(|seen| knowledge.table().slot(seen.key));
        let sessions =
            knowledge.sessions().neighbours(query.user, query.history, &knowledge.settings().session_bounds());
        Self {
            pairs: pairs(knowledge, &since, query.history),
            since,
            best_session: sessions.values().copied().fold(0.0, f32::max),
            sessions,
            alike: query.catalog.alike(query.history),
            best_cosine: query.retrieved.first().map_or(0.0, |(cosine, _)| *cosine),
            own: own(query.history),
            last: last.map_or_else(Vec::new, |slot| knowledge.table().vector(slot).into_owned()),
            asker: asker(query),
        }
    }

    /// The rank of `key` by pairs alone: the plain baseline that every report names.
    pub(crate) fn pair_rank(&self, key: u64) -> Rank {
        rank_of(key, self.pairs.iter().map(|(key, paired)| (*key, paired.sum[AHEAD] + paired.sum[BEHIND])))
    }

    /// What the user did with an item, if anything.
    pub(crate) fn own(&self, key: u64) -> Option<&Own> {
        self.own.get(&key)
    }

    /// Keys that pairs name, best first.
    pub(crate) fn best_pairs(&self, k: usize) -> Vec<u64> {
        best(self.pairs.iter().map(|(key, paired)| (paired.strength(), *key)).collect(), k)
    }

    /// Keys that the catalog says are like the last items, best first.
    pub(crate) fn most_alike(&self, k: usize) -> Vec<u64> {
        best(self.alike.iter().map(|(key, alike)| (alike.sum, *key)).collect(), k)
    }

    /// Keys that similar sessions held, best first.
    pub(crate) fn best_of_sessions(&self, k: usize) -> Vec<u64> {
        best(self.sessions.iter().map(|(key, share)| (*share, *key)).collect(), k)
    }

    /// Looks a candidate up for its features.
    pub(crate) fn look<'a>(&self, knowledge: &Knowledge, query: &Query<'_>, candidate: &'a Candidate) -> Look<'a> {
        let items = knowledge.table();
        let vector = items.vector(candidate.slot);
        let entry = items.entry(candidate.slot);
        let counts = self.since.counts(candidate.key).copied().or_else(|| entry.map(Counts::of));
        let totals = self.since.totals();
        let log_shares = counts.map_or([LEAST_LOG_SHARE; HALF_LIVES], |counts| log_shares(&counts.counters, totals));
        let own = self.own(candidate.key).copied().unwrap_or_default();
        Look {
            cosine: dot(&vector, query.vector),
            best_cosine: self.best_cosine,
            temperature: knowledge.settings().temperature,
            likeness: dot(&vector, &self.last),
            paired: self.pairs.get(&candidate.key).copied().unwrap_or_default(),
            window: knowledge.settings().covisitation_window,
            session: self.sessions.get(&candidate.key).copied().unwrap_or_default(),
            best_session: self.best_session,
            counts,
            log_shares,
            places: &candidate.places,
            back: own.back,
            latest: own.latest,
            times: own.times,
            followed: own.followed,
            alike: self.alike.get(&candidate.key).copied().unwrap_or_default(),
            came: entry.map(|entry| candidate.published.unwrap_or(entry.first_ts)),
            asked_at: query.ts,
            now: query.ts.min(knowledge.now()),
            asker: self.asker,
        }
    }
}

/// The keys with the highest scores, best first; equal scores by key, so that a replay repeats itself.
fn best(mut scored: Vec<(f32, u64)>, k: usize) -> Vec<u64> {
    let order = |a: &(f32, u64), b: &(f32, u64)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if scored.len() > k {
        scored.select_nth_unstable_by(k, order);
        scored.truncate(k);
    }
    scored.sort_unstable_by(order);
    scored.into_iter().map(|(_, key)| key).collect()
}

/// Sums the shares that a user's last items, newest first, give to their neighbours.
fn pairs(knowledge: &Knowledge, since: &Since, history: &[Seen]) -> Plain<u64, Paired> {
    let asking = covisitation::asking(history, knowledge.settings().covisitation_window);
    let mut pairs: Plain<u64, Paired> = Plain::default();
    let mut fade = 1.0;
    for (distance, from) in asking.iter().enumerate() {
        for (key, shares) in since.neighbours(knowledge, *from).into_iter().flat_map(Neighbours::shares) {
            let paired = pairs.entry(key).or_default();
            match distance {
                0 => paired.last = shares,
                1 => paired.before = shares,
                _ => {}
            }
            (0..WAYS).for_each(|way| paired.sum[way] += fade * shares[way]);
            paired.linked += 1.0;
        }
        fade *= PAIR_FADE;
    }
    pairs
}

/// What is the same for all candidates of a query.
#[allow(clippy::cast_precision_loss)] // counts
fn asker(query: &Query<'_>) -> Asker {
    let length = query.history.len();
    let mut keys: Vec<u64> = query.history.iter().map(|seen| seen.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let tempo = match query.history {
        [.., before, last] => log_seconds(last.ts.saturating_sub(before.ts)),
        _ => 0.0,
    };
    Asker {
        length: (1.0 + length as f32).ln() / 2.0,
        repetition: if length == 0 { 0.0 } else { 1.0 - keys.len() as f32 / length as f32 },
        tempo,
        known: f32::from(u8::from(query.vector.iter().any(|x| *x != 0.0))),
    }
}

/// The dot product of two vectors whose length is a multiple of 8. One sum would have to wait for each addition: eight
/// keep a vector register busy.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
