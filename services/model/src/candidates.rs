//! Candidates of every source: what the ranker orders, in trainer and scorer alike.

use burn::tensor::{Tensor, TensorData};

use crate::catalog::Catalog;
use crate::features::{self, Evidence, FEATURES};
use crate::history::Seen;
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::popularity::HALF_LIVES;

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
    pub(crate) origin: Origin,
    pub(crate) places: Places,
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
    /// What [`crate::retrieval::retrieve`] found for the vector.
    pub(crate) retrieved: &'a [(f32, u64)],
    /// What the shop lists.
    pub(crate) catalog: &'a Catalog,
    /// Event time for which it is asked, milliseconds since 1970.
    pub(crate) ts: i64,
}

/// Gathers the candidates for one user; what is delisted is never among them.
pub(crate) fn gather(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence) -> Vec<Candidate> {
    let most = knowledge.settings.candidates;
    let without_purchased = knowledge.settings.exclude_purchased;
    let unwanted = |key: u64| evidence.own(key).is_some_and(|own| own.disliked() || (without_purchased && own.bought));
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
    let newest = knowledge.newest.iter().rev().take(most / 4);
    newest.enumerate().for_each(|(n, (_, key))| offer(*key, Origin::New, n));

    // Where the table is larger than the cache, each look into it waits for memory: waits of one kind at a time overlap.
    let slots: Vec<Option<u32>> = offered.iter().map(|(key, _)| knowledge.items.slot(*key)).collect();
    let mut candidates = Vec::with_capacity(offered.len());
    for ((key, places), slot) in offered.into_iter().zip(slots) {
        let Some(slot) = slot.filter(|_| !query.catalog.is_delisted(key) && !unwanted(key)) else { continue };
        candidates.push(Candidate { key, slot, origin: highest(&places), places, features: [0.0; FEATURES] });
    }
    knowledge.items.touch(candidates.iter().map(|candidate| candidate.slot));
    for candidate in &mut candidates {
        candidate.features = features::of(knowledge, query, evidence, candidate);
    }
    candidates
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
    Candidate { key: 0, slot: 0, origin: Origin::Popularity, places, features: [feature; FEATURES] }
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
