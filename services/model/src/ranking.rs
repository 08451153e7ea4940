//! Ranking in stages, for trainer and scorer alike: sources name items, filters leave some out, features tell what is
//! known of the rest, the ranker scores them, and `because` says what of the history argues for one.
//!
//! [`features`] and the [`ranker`] over them know no tables: they lie below [`crate::knowledge`], which holds the
//! ranker, and everything else here lies above it.

pub(crate) mod because;
pub(crate) mod evidence;
pub(crate) mod features;
pub(crate) mod filters;
mod look;
pub(crate) mod newest;
pub(crate) mod order;
pub(crate) mod origin;
mod own;
pub(crate) mod query;
pub(crate) mod ranker;
pub(crate) mod since;
mod sources;

use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;
use crate::memory::history::Seen;
use crate::memory::repeats::Repeats;
use crate::table::retrieval::retrieve;
use evidence::Evidence;
use features::FEATURES;
use filters::{Why, why_not};
use origin::{Origin, Places};
use query::{Candidate, Query, UserView};

/// Users who ask at once: their vectors, and what retrieval finds near to each.
#[derive(Debug)]
pub(crate) struct Batch {
    dim: usize,
    /// `[users, dim]` in row order
    vectors: Vec<f32>,
    retrieved: Vec<Vec<(f32, u64)>>,
}

impl Batch {
    /// Encodes users and searches for all of them together.
    pub(crate) fn new(knowledge: &Knowledge, users: &[UserView<'_>]) -> Self {
        let views: Vec<(&[Seen], i64)> = users.iter().map(|user| (user.history, user.ts)).collect();
        let vectors = knowledge.encode(&views);
        let retrieved = retrieve(knowledge.table(), &vectors, knowledge.settings().candidates);
        Self { dim: knowledge.table().dim(), vectors, retrieved }
    }

    /// What the `n`-th user asks.
    pub(crate) fn query<'a>(&'a self, n: usize, user: UserView<'a>, catalog: &'a Catalog) -> Query<'a> {
        let UserView { user, history, ts } = user;
        let vector = &self.vectors[n * self.dim..(n + 1) * self.dim];
        Query { user, history, vector, retrieved: &self.retrieved[n], catalog, ts }
    }
}

/// The candidates for one user; what must not be shown is never among them.
pub(crate) fn candidates(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence) -> Vec<Candidate> {
    let offered = sources::offers(knowledge, query, evidence);
    // Where the table is larger than the cache, each look into it waits for memory: waits of one kind at a time
    // overlap.
    let slots: Vec<Option<u32>> = offered.iter().map(|(key, _)| knowledge.table().slot(*key)).collect();
    let mut candidates = Vec::with_capacity(offered.len());
    for ((key, places), slot) in offered.into_iter().zip(slots) {
        let Some(slot) = slot else { continue };
        if why_not(knowledge, query, evidence, key).is_none() {
            candidates.push(candidate(knowledge, query, evidence, (key, slot, places)));
        }
    }
    describe(knowledge, query, evidence, &mut candidates);
    candidates
}

/// The same of a given list: what of it may be shown, as candidates, and why the rest may not, by key. The sources are
/// asked all the same, for the ranker knows candidates by what they say.
pub(crate) fn given(
    knowledge: &Knowledge,
    query: &Query<'_>,
    evidence: &Evidence,
    keys: &[u64],
) -> (Vec<Candidate>, Plain<u64, Why>) {
    let offered: Plain<u64, Places> = sources::offers(knowledge, query, evidence).into_iter().collect();
    let mut candidates = Vec::with_capacity(keys.len());
    let mut left_out = Plain::default();
    for key in keys {
        let places = offered.get(key).copied().unwrap_or_default();
        let slot = knowledge.table().slot(*key);
        match (slot, why_not(knowledge, query, evidence, *key)) {
            (Some(slot), None) => candidates.push(candidate(knowledge, query, evidence, (*key, slot, places))),
            (_, why) => {
                left_out.insert(*key, why.unwrap_or(Why::Unknown));
            }
        }
    }
    describe(knowledge, query, evidence, &mut candidates);
    (candidates, left_out)
}

/// A candidate before its features are known.
fn candidate(
    knowledge: &Knowledge,
    query: &Query<'_>,
    evidence: &Evidence,
    (key, slot, places): (u64, u32, Places),
) -> Candidate {
    let (published, origin) = (query.catalog.published(key), Origin::highest(&places));
    let mixed = knowledge.settings().repeats == Repeats::Mix;
    let seen = mixed && evidence.own(key).is_some_and(|own| own.chosen() && own.bought.is_none());
    Candidate { key, slot, published, origin, places, seen, features: [0.0; FEATURES] }
}

/// Looks all of them up and sets their features.
fn describe(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence, candidates: &mut [Candidate]) {
    knowledge.table().touch(candidates.iter().map(|candidate| candidate.slot));
    for candidate in candidates {
        candidate.features = features::of(&evidence.look(knowledge, query, candidate));
    }
}
