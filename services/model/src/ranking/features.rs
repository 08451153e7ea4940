//! What the ranker is told about a candidate, from every source of knowledge at once.

use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::learner::quality::{Rank, rank_of};
use crate::memory::catalog::Alike;
use crate::memory::covisitation::{self, AHEAD, BEHIND, LATELY, NEXT, Neighbours, WAYS, Ways};
use crate::memory::history::Seen;
use crate::memory::popularity::{HALF_LIVES, LEAST_LOG_SHARE, log_shares};
use crate::ranking::candidates::{Candidate, Origin, Query};
use crate::ranking::since::{Counts, Since};

/// Features of one candidate.
pub(crate) const FEATURES: usize = 43;

/// The share below which a pair says nothing; keeps the logarithm finite.
const LEAST_SHARE: f32 = 1e-4;

/// So many items that followed an earlier choice of the last item are looked at.
const FOLLOWING: usize = 8;

/// Each step back in a history counts so much less.
const PAIR_FADE: f32 = 0.75;

/// What pairs say about an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paired {
    /// Shares given by the last item.
    last: Ways,
    /// Shares given by the item before.
    before: Ways,
    /// Shares given by the last items, each step back fading.
    sum: Ways,
    /// How many of the last items name it.
    linked: f32,
}

impl Paired {
    /// What sorts the candidates of this source.
    fn strength(&self) -> f32 {
        self.sum[AHEAD] + 0.5 * self.sum[BEHIND] + 0.3 * self.sum[LATELY]
    }
}

/// What the user did with an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Own {
    /// What the newest interaction says that tells a dislike, or takes it back.
    dislikes: Option<bool>,
    /// When it was bought last.
    pub(crate) bought: Option<i64>,
    /// Interactions since the last choice of it; `None` when it was never chosen.
    back: Option<usize>,
    /// How often it was chosen.
    times: f32,
    /// The last choice of it.
    latest: Option<Seen>,
    /// How closely it followed when the last item was chosen before.
    followed: f32,
}

impl Own {
    /// Whether it was ever chosen.
    pub(crate) fn chosen(&self) -> bool {
        self.back.is_some()
    }

    /// Whether it was disliked, and neither liked nor bought nor taken back since.
    pub(crate) fn disliked(&self) -> bool {
        self.dislikes == Some(true)
    }
}

/// What is known for one query before any candidate is looked at.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// What the user chose since the version was made.
    pub(crate) since: Since,
    pairs: Plain<Paired>,
    sessions: Plain<f32>,
    alike: Plain<Alike>,
    best_session: f32,
    best_cosine: f32,
    /// What the user did with each item of the history.
    own: Plain<Own>,
    /// `[dim]`: the last item's vector; empty when there is none.
    last: Vec<f32>,
    context: [f32; 4],
}

impl Evidence {
    pub(crate) fn new(knowledge: &Knowledge, query: &Query<'_>, since: Since) -> Self {
        let last = query.history.iter().rfind(|seen| seen.kind.is_positive());
        let last = last.and_then(|seen| knowledge.items.slot(seen.key));
        let sessions = knowledge.sessions.neighbours(query.user, query.history, &knowledge.settings.session_bounds());
        Self {
            pairs: pairs(knowledge, &since, query.history),
            since,
            best_session: sessions.values().copied().fold(0.0, f32::max),
            sessions,
            alike: query.catalog.alike(query.history),
            best_cosine: query.retrieved.first().map_or(0.0, |(cosine, _)| *cosine),
            own: own(query.history),
            last: last.map_or_else(Vec::new, |slot| knowledge.items.vector(slot).into_owned()),
            context: context(query),
        }
    }

    /// The rank of `key` by pairs alone: the plain rival that every report names.
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

/// Looks through a history once, so that no candidate has to.
fn own(history: &[Seen]) -> Plain<Own> {
    let mut own: Plain<Own> = Plain::default();
    for (back, seen) in history.iter().rev().enumerate() {
        let known = own.entry(seen.key).or_default();
        known.dislikes = known.dislikes.or(seen.kind.dislikes()); // the newest decides
        if seen.kind == schemas::Kind::Purchase {
            known.bought.get_or_insert(seen.ts);
        }
        if seen.kind.is_positive() {
            known.back.get_or_insert(back);
            known.latest.get_or_insert(*seen);
            known.times += 1.0;
        }
    }
    // Who buys again often buys the same things after one another.
    let chosen: Vec<u64> = history.iter().filter(|seen| seen.kind.is_positive()).map(|seen| seen.key).collect();
    if let Some((last, before)) = chosen.split_last() {
        for (at, _) in before.iter().enumerate().filter(|(_, key)| *key == last) {
            for (key, distance) in before[at + 1..].iter().take(FOLLOWING).zip(1_u8..) {
                if let Some(own) = own.get_mut(key) {
                    own.followed = own.followed.max(f32::from(distance).recip());
                }
            }
        }
    }
    own
}

/// Sums the shares that a user's last items, newest first, give to their neighbours.
fn pairs(knowledge: &Knowledge, since: &Since, history: &[Seen]) -> Plain<Paired> {
    let asking = covisitation::asking(history, knowledge.settings.covisitation_window);
    let mut pairs: Plain<Paired> = Plain::default();
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
fn context(query: &Query<'_>) -> [f32; 4] {
    let length = query.history.len();
    let mut keys: Vec<u64> = query.history.iter().map(|seen| seen.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let tempo = match query.history {
        [.., before, last] => log_seconds(last.ts.saturating_sub(before.ts)),
        _ => 0.0,
    };
    [
        (1.0 + length as f32).ln() / 2.0,
        if length == 0 { 0.0 } else { 1.0 - keys.len() as f32 / length as f32 },
        tempo,
        f32::from(u8::from(query.vector.iter().any(|x| *x != 0.0))),
    ]
}

#[allow(clippy::cast_precision_loss)] // a logarithm needs no more
fn log_seconds(milliseconds: i64) -> f32 {
    (1.0 + milliseconds.max(0) as f32 / 1_000.0).ln() / 5.0
}

fn log_share(share: f32) -> f32 {
    // Most candidates have most of their shares at nothing, and a logarithm costs more than a comparison.
    if share > LEAST_SHARE { (share / LEAST_SHARE).ln() / 3.0 } else { 0.0 }
}

fn of_place(place: Option<u16>) -> f32 {
    place.map_or(0.0, |place| (1.0 + f32::from(place)).sqrt().recip())
}

/// The dot product of two vectors whose length is a multiple of 8. One sum would have to wait for each addition: eight keep
/// a vector register busy.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// The features of one candidate; every one lies roughly between -3 and 3.
#[allow(clippy::cast_precision_loss)] // counts
pub(crate) fn of(
    knowledge: &Knowledge,
    query: &Query<'_>,
    evidence: &Evidence,
    candidate: &Candidate,
) -> [f32; FEATURES] {
    let items = &knowledge.items;
    let vector = items.vector(candidate.slot);
    let cosine = dot(&vector, query.vector);
    let likeness = dot(&vector, &evidence.last);
    let Paired { last, before, sum, linked } = evidence.pairs.get(&candidate.key).copied().unwrap_or_default();
    let session = evidence.sessions.get(&candidate.key).copied().unwrap_or_default();
    let entry = items.entry(candidate.slot);
    let counts = evidence.since.counts(candidate.key).copied().or_else(|| entry.map(Counts::of));
    let shares =
        counts.map_or([LEAST_LOG_SHARE; HALF_LIVES], |counts| log_shares(&counts.counters, evidence.since.totals()));
    let expected = shares[HALF_LIVES - 1];
    let lift = |share: f32| if share > 0.0 { ((share.ln() - expected) / 4.0).clamp(-2.0, 3.0) } else { 0.0 };
    let place = |origin: Origin| of_place(candidate.places[origin as usize]);
    let own = evidence.own(candidate.key);
    let (back, latest) = (own.and_then(|own| own.back), own.and_then(|own| own.latest));
    let (times, followed) = own.map_or((0.0, 0.0), |own| (own.times, own.followed));
    let alike = evidence.alike.get(&candidate.key).copied().unwrap_or_default();
    // A version knows nothing of what happened after it: ages beyond it would be of a kind never trained on.
    let now = query.ts.min(knowledge.now);
    let by_user = |counts: &Counts| latest.is_some_and(|own| own.ts >= counts.last_ts);
    let bought = latest.is_some_and(|seen| matches!(seen.kind, schemas::Kind::Cart | schemas::Kind::Purchase));
    let flag = |yes: bool| f32::from(u8::from(yes));
    let [length, repetition, tempo, known] = evidence.context;
    [
        cosine * 5.0,
        place(Origin::Sequence),
        ((cosine - evidence.best_cosine) / knowledge.settings.temperature / 4.0).max(-3.0),
        likeness * 3.0,
        log_share(last[NEXT]),
        log_share(last[AHEAD]),
        log_share(last[BEHIND]),
        log_share(last[LATELY]),
        log_share(before[AHEAD]),
        log_share(before[BEHIND]),
        log_share(sum[NEXT]),
        log_share(sum[AHEAD]),
        log_share(sum[BEHIND]),
        log_share(sum[LATELY]),
        linked / knowledge.settings.covisitation_window as f32,
        lift(last[AHEAD] + last[BEHIND]),
        place(Origin::Covisitation),
        log_share(session),
        if evidence.best_session > 0.0 { session / evidence.best_session } else { 0.0 },
        place(Origin::Sessions),
        (shares[0] + 16.0) / 5.0,
        (shares[1] + 16.0) / 5.0,
        (shares[2] + 16.0) / 5.0,
        (shares[3] + 16.0) / 5.0,
        place(Origin::Popularity),
        counts.map_or(0.0, |counts| (1.0 + counts.sightings as f32).ln() / 4.0),
        flag(back.is_some()),
        back.map_or(0.0, |n| 1.0 / (1.0 + n as f32)),
        flag(back == Some(0)),
        times.ln_1p(),
        latest.map_or(0.0, |seen| log_seconds(query.ts.saturating_sub(seen.ts))),
        flag(bought),
        entry.map_or(0.0, |entry| log_seconds(now.saturating_sub(candidate.published.unwrap_or(entry.first_ts)))),
        counts.map_or(0.0, |counts| {
            log_seconds(if by_user(&counts) { query.ts } else { now }.saturating_sub(counts.last_ts))
        }),
        place(Origin::New),
        alike.last,
        alike.sum,
        place(Origin::Content),
        followed,
        length,
        repetition,
        tempo,
        known,
    ]
}
