//! Candidates of every source: what the ranker orders, in trainer and scorer alike.

use burn::tensor::{Tensor, TensorData};

use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::learner::quality::Rank;
use crate::memory::catalog::Catalog;
use crate::memory::history::Seen;
use crate::memory::popularity::HALF_LIVES;
use crate::memory::repeats::{self, Repeats};
use crate::ranking::features::{self, Evidence, FEATURES, Own};
use crate::ranking::newest::newest;

/// Where a candidate comes from; the one that names it highest stands in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Repeat,
    Covisitation,
    Sessions,
    Sequence,
    Content,
    Popularity,
    New,
}

impl Origin {
    /// As it stands in a slate.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Covisitation => "covisitation",
            Self::Sessions => "sessions",
            Self::Sequence => "sequence",
            Self::Content => "content",
            Self::Popularity => "popularity",
            Self::New => "new",
        }
    }
}

/// How many origins there are.
pub(crate) const ORIGINS: usize = 7;

/// An item's place in the list of each origin, from 0.
pub(crate) type Places = [Option<u16>; ORIGINS];

/// An item that may enter a slate.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) key: u64,
    pub(crate) slot: u32,
    /// When it came, by the catalog.
    pub(crate) published: Option<i64>,
    pub(crate) origin: Origin,
    pub(crate) places: Places,
    /// The user has looked at it, or more, and never bought it: a list has little room for such.
    pub(crate) seen: bool,
    pub(crate) features: [f32; FEATURES],
}

/// Who asks, knowing what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    /// Key of the user; 0 when nobody in particular asks.
    pub(crate) user: u64,
    /// Oldest first.
    pub(crate) history: &'a [Seen],
    /// `[dim]`: zeros when nothing is known of the user.
    pub(crate) vector: &'a [f32],
    /// What [`crate::table::retrieval::retrieve`] found for the vector.
    pub(crate) retrieved: &'a [(f32, u64)],
    /// What the shop lists.
    pub(crate) catalog: &'a Catalog,
    /// Event time for which it is asked, milliseconds since 1970.
    pub(crate) ts: i64,
}

/// Gathers the candidates for one user; what must not be shown is never among them, in trainer and scorer alike.
pub(crate) fn gather(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence) -> Vec<Candidate> {
    let most = knowledge.settings.candidates;
    let mixed = knowledge.settings.repeats == Repeats::Mix;
    let unwanted =
        |key: u64| evidence.own(key).is_some_and(|own| own.disliked() || is_kept_away(knowledge, query, key, own));
    let mut found: Plain<usize> = Plain::default();
    let mut offered: Vec<(u64, Places)> = Vec::with_capacity(most * 4);
    let mut offer = |key: u64, origin: Origin, place: usize| {
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let at = *found.entry(key).or_insert_with(|| {
            offered.push((key, [None; ORIGINS]));
            offered.len() - 1
        });
        let known = &mut offered[at].1[origin as usize];
        *known = Some(known.map_or(place, |known| known.min(place)));
    };
    let positive = query.history.iter().rev().filter(|seen| seen.kind.is_positive());
    positive.enumerate().for_each(|(n, seen)| offer(seen.key, Origin::Repeat, n));
    evidence.best_pairs(most).into_iter().enumerate().for_each(|(n, key)| offer(key, Origin::Covisitation, n));
    evidence.best_of_sessions(most).into_iter().enumerate().for_each(|(n, key)| offer(key, Origin::Sessions, n));
    query.retrieved.iter().enumerate().for_each(|(n, (_, key))| offer(*key, Origin::Sequence, n));
    evidence.most_alike(most / 2).into_iter().enumerate().for_each(|(n, key)| offer(key, Origin::Content, n));
    for h in 0..HALF_LIVES {
        let leaders = evidence.since.leaders(&knowledge.popular, h, most / 2);
        leaders.into_iter().enumerate().for_each(|(n, key)| offer(key, Origin::Popularity, n));
    }
    let only_listed = knowledge.settings.only_listed;
    let newest = newest(knowledge, query.catalog, query.ts);
    newest.take(most / 4).enumerate().for_each(|(n, (_, key))| offer(key, Origin::New, n));

    // Where the table is larger than the cache, each look into it waits for memory: waits of one kind at a time overlap.
    let slots: Vec<Option<u32>> = offered.iter().map(|(key, _)| knowledge.items.slot(*key)).collect();
    let mut candidates = Vec::with_capacity(offered.len());
    for ((key, places), slot) in offered.into_iter().zip(slots) {
        let Some(slot) = slot.filter(|_| query.catalog.shows(key, only_listed) && !unwanted(key)) else { continue };
        let (published, origin) = (query.catalog.published(key), highest(&places));
        let seen = mixed && evidence.own(key).is_some_and(|own| own.chosen() && own.bought.is_none());
        candidates.push(Candidate { key, slot, published, origin, places, seen, features: [0.0; FEATURES] });
    }
    knowledge.items.touch(candidates.iter().map(|candidate| candidate.slot));
    for candidate in &mut candidates {
        candidate.features = features::of(knowledge, query, evidence, candidate);
    }
    candidates
}

/// Whether an item that the user chose before may not be shown again, or not yet.
fn is_kept_away(knowledge: &Knowledge, query: &Query<'_>, key: u64, own: &Own) -> bool {
    match (knowledge.settings.repeats, own.bought) {
        (Repeats::Never, _) => own.chosen(),
        (Repeats::Mix, Some(bought)) => {
            let hold = knowledge.repurchases.hold(query.catalog.category_keys(key));
            query.ts.saturating_sub(bought) < hold
        }
        _ => false,
    }
}

/// The origin that names an item highest; an item that the user chose before is always a repeat.
fn highest(places: &Places) -> Origin {
    let all = [
        Origin::Repeat,
        Origin::Covisitation,
        Origin::Sessions,
        Origin::Sequence,
        Origin::Content,
        Origin::Popularity,
        Origin::New,
    ];
    let place = |origin: &Origin| places[*origin as usize].unwrap_or(u16::MAX);
    let highest = all.into_iter().min_by_key(place).expect("there are origins");
    if places[Origin::Repeat as usize].is_some() { Origin::Repeat } else { highest }
}

/// A candidate of no item, to try the ranker with.
pub(crate) fn probe(feature: f32) -> Candidate {
    let places = Places::default();
    let features = [feature; FEATURES];
    Candidate { key: 0, slot: 0, published: None, origin: Origin::Popularity, places, seen: false, features }
}

/// Scores the candidates of a batch in one pass of the ranker.
pub(crate) fn score(knowledge: &Knowledge, lists: &[Vec<Candidate>]) -> Vec<Vec<f32>> {
    let count: usize = lists.iter().map(Vec::len).sum();
    if count == 0 {
        return vec![Vec::new(); lists.len()];
    }
    let mut flat = Vec::with_capacity(count * FEATURES);
    lists.iter().flatten().for_each(|candidate| flat.extend_from_slice(&candidate.features));
    let features = Tensor::<2>::from_data(TensorData::new(flat, [count, FEATURES]), &knowledge.device);
    let scores = knowledge.ranker.forward(features).into_data();
    let scores = scores.try_into_vec::<f32>().expect("scores are f32 on every device we open");
    let mut rest = scores.as_slice();
    lists
        .iter()
        .map(|list| {
            let (mine, others) = rest.split_at(list.len());
            rest = others;
            mine.to_vec()
        })
        .collect()
}

/// Positions of the best `k` candidates of a list, best first; equal scores by key, so that a replay repeats itself. What
/// has no finite score stands in no list.
pub(crate) fn best(list: &[Candidate], scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..list.len()).filter(|n| scores[*n].is_finite()).collect();
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(list[*a].key.cmp(&list[*b].key));
    if order.len() > k && k > 0 {
        order.select_nth_unstable_by(k - 1, better);
        order.truncate(k);
    }
    order.truncate(k);
    order.sort_unstable_by(better);
    order
}

/// Positions of the `k` candidates that make a list, best first: the best, but that what the user has seen takes no more
/// places than it may.
pub(crate) fn compose(list: &[Candidate], scores: &[f32], k: usize) -> Vec<usize> {
    let seen = list.iter().filter(|candidate| candidate.seen).count();
    let room = repeats::room(k, list.len() - seen);
    let mut taken = 0;
    let mut has_room = |n: &usize| {
        taken += usize::from(list[*n].seen);
        !list[*n].seen || taken <= room
    };
    let enough = k.saturating_add(seen.saturating_sub(room));
    best(list, scores, enough).into_iter().filter(|n| has_room(n)).take(k).collect()
}

/// The rank of what was chosen in the list of `k` that [`compose`] makes, from 0, or some rank beyond it; `None` where it is no
/// candidate. An equal score counts against it, and so does what is no number.
#[allow(clippy::neg_cmp_op_on_partial_ord)] // `>=` would put a label whose score is NaN first
pub(crate) fn rank(list: &[Candidate], scores: &[f32], key: u64, k: usize) -> Rank {
    let own = list.iter().position(|candidate| candidate.key == key)?;
    let seen = list.iter().filter(|candidate| candidate.seen).count();
    let others = list.len() - seen;
    let room = repeats::room(k, others);
    let (mut better_seen, mut better) = (0, 0);
    for (_, candidate) in list.iter().enumerate().filter(|(n, _)| *n != own && !(scores[*n] < scores[own])) {
        if candidate.seen { better_seen += 1 } else { better += 1 }
    }
    Some(match list[own].seen {
        true if better_seen >= room => k.max(others + better_seen),
        _ => better + better_seen.min(room),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: u64, seen: bool) -> Candidate {
        let (places, features) = ([None; ORIGINS], [0.0; FEATURES]);
        Candidate { key, slot: 0, published: None, origin: Origin::New, places, seen, features }
    }

    #[test]
    fn what_was_seen_has_a_bounded_share_of_a_list_and_every_rank_is_that_of_the_list() {
        // The ten best are seen ones, then come twenty others; the last is one more that was seen.
        let list: Vec<Candidate> = (0..31).map(|key| candidate(key, key < 10 || key == 30)).collect();
        let scores: Vec<f32> = (0..31).map(|n| -(n as f32)).collect();
        let composed = compose(&list, &scores, 20);
        assert_eq!(composed, [0, 1, 2, 3].into_iter().chain(10..26).collect::<Vec<_>>());
        for (n, candidate) in list.iter().enumerate() {
            let rank = rank(&list, &scores, candidate.key, 20).expect("is a candidate");
            assert_eq!(composed.iter().position(|at| *at == n), Some(rank).filter(|rank| *rank < 20), "{n}");
        }
        assert_eq!(rank(&list, &scores, 99, 20), None);
        // Where there is nothing else, what was seen fills the list.
        assert_eq!(compose(&list[..14], &scores[..14], 20), (0..14).collect::<Vec<_>>());
        // A tie counts against what was chosen.
        assert_eq!(rank(&list, &[0.0; 31], 15, 20), Some(23));
    }
}
