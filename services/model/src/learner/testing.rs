//! Testing: every choice is predicted from what was known before it, and then counted.

use schemas::{Kind, Position};

use super::Learner;
use super::example::{Example, TESTED_SLATE, Tested};
use crate::memory::history::Seen;
use crate::ranking::evidence::Evidence;
use crate::ranking::order::Rank;
use crate::ranking::query::{Candidate, UserView};
use crate::ranking::since::Since;
use crate::ranking::{self, Batch, order};
use crate::table::items::Entry;
use crate::version::frozen::Choice;

/// What was known of a choice before it was counted.
struct Before {
    /// Its ranks by the simple baselines.
    popularity: Rank,
    pairs: Rank,
    /// When the item was first met or listed, and how often it was chosen.
    item: Option<(i64, u32)>,
}

impl Learner {
    /// Predicts each example from what was known before it, then counts and pairs it.
    pub(super) fn test(
        &mut self,
        examples: &mut [Example],
        mut witness: impl FnMut(Tested<'_>),
    ) -> Vec<(Vec<Candidate>, Vec<f32>)> {
        let views: Vec<UserView<'_>> = examples.iter().map(Example::view).collect();
        let batch = Batch::new(&self.knowledge, &views);
        let mut lists = Vec::with_capacity(examples.len());
        let mut before = Vec::with_capacity(examples.len());
        for (n, example) in examples.iter_mut().enumerate() {
            let query = batch.query(n, example.view(), &self.catalog);
            let evidence = Evidence::new(&self.knowledge, &query, Since::nothing(&self.knowledge));
            before.push(Before {
                popularity: self.popularity.rank(example.key),
                pairs: evidence.pair_rank(example.key),
                item: self.knowledge.table().get(example.key).map(|entry| (entry.first_ts, entry.sightings)),
            });
            lists.push(ranking::candidates(&self.knowledge, &query, &evidence));
            self.sight(example);
            example.chosen_then = self.recent.count(example.key);
        }
        let scores = self.knowledge.score(&lists);
        let anchor = self.by_anchor(examples);
        for (n, example) in examples.iter().enumerate() {
            let (list, scores, before, anchor) = (&lists[n], &scores[n], &before[n], anchor[n]);
            let (covisitation, popularity) = (before.pairs, before.popularity);
            let rank = order::rank(list, scores, example.key, TESTED_SLATE);
            let repeat = example.history.iter().any(|seen| seen.key == example.key && seen.kind.is_positive());
            self.quality.record(rank, popularity, covisitation, repeat);
            let best = order::compose(list, scores, TESTED_SLATE);
            let slate: Vec<_> = best.iter().map(|n| (list[*n].key, list[*n].source())).collect();
            let Example { user_id, history, key, kind, ts, asked_at, .. } = example;
            let (key, kind, ts, asked_at, item) = (*key, *kind, *ts, *asked_at, before.item);
            let slate = &slate;
            witness(Tested {
                user_id,
                history,
                key,
                kind,
                ts,
                asked_at,
                item,
                slate,
                rank,
                anchor,
                covisitation,
                popularity,
            });
        }
        lists.into_iter().zip(scores).collect()
    }

    /// The ranks by the anchor, of those examples that it takes.
    fn by_anchor(&mut self, examples: &[Example]) -> Vec<Option<Rank>> {
        let mut ranks = vec![None; examples.len()];
        let Some((model, every)) = &self.anchor else { return ranks };
        // Whether a test is taken does not depend on what comes of it.
        let counted = (self.tests..).zip(0..examples.len());
        let counted = counted.filter(|(test, _)| test % every == 0).map(|(_, n)| n);
        // What the version has learned is no test of it: one of another trainer's may be ahead of us.
        let through = model.manifest().map(|manifest| &manifest.through);
        let knows = |(partition, place): (i32, Position)| {
            through.is_some_and(|through| through.get(&partition).is_some_and(|through| place <= through.position()))
        };
        let sample: Vec<usize> = counted.filter(|n| !knows(examples[*n].place)).collect();
        self.tests = self.tests.wrapping_add(examples.len() as u64);
        let views: Vec<UserView<'_>> = sample.iter().map(|n| examples[*n].view()).collect();
        if views.is_empty() {
            return ranks;
        }
        for (n, (list, scores)) in sample.iter().zip(model.rank(&views, &self.catalog)) {
            ranks[*n] = Some(order::rank(&list, &scores, examples[*n].key, TESTED_SLATE));
        }
        ranks
    }

    /// Counts a choice and pairs it with what came before.
    pub(super) fn sight(&mut self, example: &Example) {
        let key = example.key;
        let slot = match self.knowledge.table().slot(key) {
            Some(slot) => slot,
            None => {
                let entry = Entry::new(key, example.item_id.as_str().into(), example.ts);
                self.insert(Entry { chosen_by: example.user, ..entry })
            }
        };
        let (weight, influence) = (example.weight, &example.influence);
        let displaced = self.knowledge.count(slot, example.user, example.ts, (weight, influence));
        self.changed.items.extend(displaced.into_iter().chain([key]));
        self.knowledge.note_arrival(key);
        self.popularity.record(key);
        if influence.is_none() {
            return; // that it was chosen is counted, and nothing follows from it
        }
        let choice = Seen { key, kind: example.kind, ts: example.ts };
        let pairs = self.knowledge.pair(&example.history, &choice, weight * influence.pairs);
        self.knowledge.note_session(example.user, key, example.ts);
        if !self.changed.is_much() {
            self.changed.choices.push(Choice { user: example.user, key, ts: example.ts, pairs });
        }
        if example.kind == Kind::Purchase {
            self.bought(example);
        }
        if influence.first {
            self.recent.remember(key);
        }
    }

    /// Counts a purchase for how soon such things are bought again; one of the same visit is of the same basket.
    fn bought(&mut self, example: &Example) {
        let pause_ms = self.knowledge.settings().session_bounds().gap_ms;
        let before = example.history.iter().rfind(|seen| seen.key == example.key && seen.kind == Kind::Purchase);
        let gap = before.map(|seen| example.ts.saturating_sub(seen.ts));
        if gap.is_none_or(|gap| gap > pause_ms) {
            let categories: Vec<u64> = self.catalog.category_keys(example.key).collect();
            self.changed.repurchases.extend(self.knowledge.note_purchase(&categories, gap));
        }
    }
}
