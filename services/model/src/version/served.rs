//! A version in service: immutable, cheap to clone, and what slates are made from (I5).

use std::cmp::Reverse;
use std::sync::Arc;

use schemas::checkpoint::{Manifest, PayloadKind, VersionId};
use schemas::{Entry as SlateEntry, key_of};

use crate::checkpoint::split;
use crate::error::Error;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;
use crate::memory::covisitation::{AHEAD, BEHIND};
use crate::memory::history::Seen;
use crate::memory::popularity::{HALF_LIVES, log_shares};
use crate::network::dense;
use crate::network::encoder::Encoder;
use crate::network::trainable::OptimizerStates;
use crate::ranking::candidates::{self, Candidate, Origin, Query};
use crate::ranking::features::Evidence;
use crate::ranking::newest::newest;
use crate::ranking::ranker::Ranker;
use crate::ranking::since::Since;
use crate::table::retrieval::retrieve;
use crate::table::rows::RowEncoding;
use crate::version::frozen::{Carried, Frozen};
use crate::version::payload::{Payload, unpack, whole};

/// A user as the scorer knows them.
#[derive(Debug, Clone, Copy)]
pub struct UserView<'a> {
    /// Key of the user's id; 0 when nobody in particular asks.
    pub user: u64,
    /// Oldest first; empty for an unknown user.
    pub history: &'a [Seen],
    /// Event time for which the slate is made, milliseconds since 1970.
    pub ts: i64,
}

/// A candidate as it was ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Key of the item's id.
    pub key: u64,
    /// The higher, the better.
    pub score: f32,
    /// The source that names it highest, as it would stand in a slate.
    pub source: &'static str,
}

/// Lists of one kind, overall (under `None`) and by category, and how many categories have none for want of room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tops {
    /// The list for everybody first.
    pub lists: Vec<(Option<Arc<str>>, Vec<SlateEntry>)>,
    /// Categories beyond the bound, the smaller ones.
    pub left_out: usize,
}

/// One version of the model, or none yet.
#[derive(Debug, Clone)]
pub struct Model {
    knowledge: Knowledge,
    manifest: Option<Arc<Manifest>>,
    optimizers: Arc<OptimizerStates>,
    steps: u64,
}

impl Model {
    /// Before the first version: knows nothing.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn empty(device: &str) -> Result<Self, Error> {
        let device = crate::device::open(device).map_err(Error::Device)?;
        Ok(Self {
            knowledge: Knowledge::new(Arc::default(), device, 0),
            manifest: None,
            optimizers: Arc::default(),
            steps: 0,
        })
    }

    /// The same, to serve from only: it holds the items' vectors in `table`, and not what a learner goes on from.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn serving(device: &str, table: RowEncoding) -> Result<Self, Error> {
        let Self { knowledge, .. } = Self::empty(device)?;
        Ok(Self::of(&knowledge.serving(table)))
    }

    /// What a learner knows now, as a version without a name; later learning does not change it.
    #[must_use]
    pub fn of(knowledge: &Knowledge) -> Self {
        Self { knowledge: knowledge.clone(), manifest: None, optimizers: Arc::default(), steps: 0 }
    }

    /// The manifest of the version; `None` before the first.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// The version's name.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        self.manifest.as_ref().map(|manifest| manifest.version)
    }

    /// Whether it knows the item with this key.
    #[must_use]
    pub fn knows(&self, key: u64) -> bool {
        self.knowledge.items.slot(key).is_some()
    }

    /// Whether a list may show the item with this key.
    #[must_use]
    pub fn shows(&self, catalog: &Catalog, key: u64) -> bool {
        catalog.shows(key, self.knowledge.settings.only_listed)
    }

    /// How many of the items known lists must not show.
    #[must_use]
    pub fn hidden(&self, catalog: &Catalog) -> usize {
        self.knowledge.items.keys().filter(|key| !self.shows(catalog, *key)).count()
    }

    /// Everything learned.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// The version, whole, as a safetensors file.
    ///
    /// # Errors
    /// When it is one to serve from only, and as [`Frozen::encode`].
    pub fn export(&self) -> Result<Vec<u8>, Error> {
        self.frozen()?.encode()
    }

    /// The version as a scorer holds it in `table`, by way of its payload.
    ///
    /// # Errors
    /// As [`Self::export`].
    pub fn published(&self, table: RowEncoding) -> Result<Self, Error> {
        let frozen = self.frozen()?;
        let payload = frozen.encode()?;
        let (_, manifest) = split(VersionId::default(), None, &frozen, &payload, 0);
        Self::of(&self.knowledge.clone().serving(table)).apply(&manifest, &payload)
    }

    /// Everything learned, to go on from.
    pub(crate) fn whole(&self) -> Result<&Knowledge, Error> {
        if self.knowledge.items.table().is_some() { Err(Error::ServesOnly) } else { Ok(&self.knowledge) }
    }

    fn frozen(&self) -> Result<Frozen, Error> {
        let knowledge = self.whole()?.clone();
        let encoder = whole("encoder", dense::export(&knowledge.encoder), &mut Default::default());
        let ranker = whole("ranker", dense::export(&knowledge.ranker), &mut Default::default());
        Ok(Frozen {
            kind: PayloadKind::Snapshot,
            dense: [encoder, ranker].concat(),
            optimizers: Some((*self.optimizers).clone()),
            steps: self.steps,
            through: self.manifest().map(|manifest| manifest.through.clone()).unwrap_or_default(),
            recent_quality: Default::default(),
            overall_quality: Default::default(),
            changed: Carried::default(),
            items: None,
            rows: None,
            slots: knowledge.items.slots(),
            knowledge,
        })
    }

    pub(crate) fn optimizers(&self) -> &OptimizerStates {
        &self.optimizers
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The version that `manifest` and its payload, packed or not, make of this one. This one stays as it is.
    ///
    /// # Errors
    /// When the payload is not readable, or is a delta on another version than this.
    pub fn apply(&self, manifest: &Manifest, payload: &[u8]) -> Result<Self, Error> {
        if manifest.kind == PayloadKind::Delta && manifest.parent != self.version() {
            let name = |version: Option<VersionId>| version.map_or("none".into(), |v| v.to_string());
            return Err(Error::Parent {
                version: manifest.version.to_string(),
                parent: name(manifest.parent),
                live: name(self.version()),
            });
        }
        let payload = unpack(payload)?;
        let payload = Payload::open(&payload)?;
        payload.check(Some(manifest))?;
        let metadata = payload.metadata.clone();
        let settings = Arc::new(metadata.settings);
        if manifest.kind == PayloadKind::Delta && settings.shape() != self.knowledge.settings.shape() {
            return Err(Error::tensor("metadata", "asks for a network of another shape"));
        }
        // The network first: it is no larger than the payload's own arrays, or refused before any of it is made.
        let (encoder, ranker) = payload.dense(&self.knowledge)?;
        let plain = &self.knowledge.device;
        let network =
            (dense::import(Encoder::new(&settings, plain), encoder)?, dense::import(Ranker::new(plain), ranker)?);
        let mut knowledge = match manifest.kind {
            PayloadKind::Snapshot => self.knowledge.blank(Arc::clone(&settings), metadata.origin, network),
            PayloadKind::Delta => {
                let mut knowledge = self.knowledge.clone();
                (knowledge.encoder, knowledge.ranker) = network;
                knowledge
            }
        };
        knowledge.set_settings(Arc::clone(&settings));
        knowledge.clock.origin = metadata.origin;
        payload.merge_into(&mut knowledge)?;
        knowledge.now = metadata.now;
        knowledge.interactions = metadata.interactions;
        probe(&knowledge)?;
        Ok(Self {
            knowledge,
            manifest: Some(Arc::new(manifest.clone())),
            optimizers: payload.optimizers()?.map_or_else(|| Arc::clone(&self.optimizers), Arc::new),
            steps: metadata.steps,
        })
    }

    /// Ranks for a batch of users: the best `k` for each, best first.
    #[must_use]
    pub fn slates(&self, users: &[UserView<'_>], catalog: &Catalog, k: usize) -> Vec<Vec<SlateEntry>> {
        let ranked = users.iter().zip(self.rank(users, catalog));
        ranked.map(|(user, (list, scores))| self.best(user.history, catalog, &list, &scores, k)).collect()
    }

    /// Every candidate of each user, in no order, however often the user has seen it: for evaluation, where ranks are told from
    /// scores.
    #[must_use]
    pub fn scored(&self, users: &[UserView<'_>], catalog: &Catalog) -> Vec<Vec<Scored>> {
        let scored = |(candidate, score): (&Candidate, f32)| {
            let source = candidate.origin.as_str();
            Scored { key: candidate.key, score, source }
        };
        let ranked = self.rank(users, catalog).into_iter();
        ranked.map(|(list, scores)| list.iter().zip(scores).map(scored).collect()).collect()
    }

    /// The best `k` of each user as a list would show them, best first, by key and score.
    #[must_use]
    pub fn listed(&self, users: &[UserView<'_>], catalog: &Catalog, k: usize) -> Vec<Vec<(u64, f32)>> {
        let listed = |(list, scores): (Vec<Candidate>, Vec<f32>)| {
            candidates::compose(&list, &scores, k).into_iter().map(|n| (list[n].key, scores[n])).collect()
        };
        self.rank(users, catalog).into_iter().map(listed).collect()
    }

    /// The candidates of each user with their scores.
    fn rank(&self, users: &[UserView<'_>], catalog: &Catalog) -> Vec<(Vec<Candidate>, Vec<f32>)> {
        let knowledge = &self.knowledge;
        let dim = knowledge.items.dim();
        let views: Vec<(&[Seen], i64)> = users.iter().map(|user| (user.history, user.ts)).collect();
        let vectors = knowledge.encode(&views);
        let retrieved = retrieve(&knowledge.items, &vectors, knowledge.settings.candidates);
        let lists: Vec<Vec<Candidate>> = users
            .iter()
            .zip(vectors.chunks_exact(dim))
            .zip(&retrieved)
            .map(|((view, vector), retrieved)| {
                let UserView { user, history, ts } = *view;
                let query = Query { user, history, vector, retrieved, catalog, ts };
                candidates::gather(
                    knowledge,
                    &query,
                    &Evidence::new(knowledge, &query, Since::new(knowledge, user, history)),
                )
            })
            .collect();
        let scores = candidates::score(knowledge, &lists);
        lists.into_iter().zip(scores).collect()
    }

    fn best(
        &self,
        history: &[Seen],
        catalog: &Catalog,
        list: &[Candidate],
        scores: &[f32],
        k: usize,
    ) -> Vec<SlateEntry> {
        let entry = |n: usize| {
            let candidate = &list[n];
            Some(SlateEntry {
                id: self.knowledge.items.entry(candidate.slot)?.id.to_string(),
                score: scores[n],
                from: candidate.origin.as_str().to_owned(),
                because: self.because(history, catalog, candidate),
            })
        };
        candidates::compose(list, scores, k).into_iter().filter_map(entry).collect()
    }

    /// The items of the history that argue most for a candidate, at most two.
    fn because(&self, history: &[Seen], catalog: &Catalog, candidate: &Candidate) -> Vec<String> {
        let knowledge = &self.knowledge;
        let mut reasons: Vec<(f32, u64)> = Vec::new();
        let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive());
        for seen in newest_first.take(knowledge.settings.covisitation_window) {
            let strength = match candidate.origin {
                Origin::Covisitation => knowledge
                    .covisitation
                    .get(seen.key)
                    .and_then(|n| n.shares().find(|(key, _)| *key == candidate.key))
                    .map(|(_, shares)| shares[AHEAD] + shares[BEHIND]),
                Origin::Sequence => knowledge.items.slot(seen.key).map(|slot| {
                    let (a, b) = (knowledge.items.vector(slot), knowledge.items.vector(candidate.slot));
                    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
                }),
                Origin::Content => Some(catalog.shared(seen.key, candidate.key)),
                Origin::Sessions => Some(1.0), // the user's last items found the sessions
                Origin::Repeat | Origin::Popularity | Origin::New => None,
            };
            if let Some(strength) = strength.filter(|s| *s > 0.0)
                && reasons.iter().all(|(_, key)| *key != seen.key)
            {
                reasons.push((strength, seen.key));
            }
        }
        reasons.sort_by(|a, b| b.0.total_cmp(&a.0));
        reasons.truncate(2);
        reasons.into_iter().filter_map(|(_, key)| knowledge.items.get(key).map(|entry| entry.id.to_string())).collect()
    }

    /// What goes with an item, best first; empty for an unknown item.
    #[must_use]
    pub fn similar(&self, item_ids: &[&str], catalog: &Catalog, k: usize) -> Vec<Vec<SlateEntry>> {
        let knowledge = &self.knowledge;
        let dim = knowledge.items.dim();
        let keys: Vec<u64> = item_ids.iter().map(|id| key_of(id)).collect();
        let queries: Vec<f32> = keys
            .iter()
            .flat_map(|key| match knowledge.items.slot(*key) {
                Some(slot) => knowledge.items.vector(slot).to_vec(),
                None => vec![0.0; dim],
            })
            .collect();
        let retrieved = retrieve(&knowledge.items, &queries, k + 1);
        keys.iter().zip(retrieved).map(|(key, near)| self.similar_to(*key, &near, catalog, k)).collect()
    }

    fn similar_to(&self, key: u64, near: &[(f32, u64)], catalog: &Catalog, k: usize) -> Vec<SlateEntry> {
        let knowledge = &self.knowledge;
        // A pair seen together outweighs likeness of vectors, which fills the list up.
        let mut scores: Vec<(f32, u64, Origin)> = knowledge
            .covisitation
            .get(key)
            .into_iter()
            .flat_map(|neighbours| neighbours.shares())
            .map(|(other, shares)| (1.0 + shares[AHEAD] + shares[BEHIND], other, Origin::Covisitation))
            .collect();
        for (cosine, other) in near {
            if scores.iter().all(|(_, known, _)| known != other) {
                scores.push((*cosine, *other, Origin::Sequence));
            }
        }
        scores.retain(|(_, other, _)| *other != key && self.shows(catalog, *other));
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let entry = |(score, other, origin): &(f32, u64, Origin)| self.entry(*other, *score, *origin);
        scores.iter().filter_map(entry).take(k).collect()
    }

    fn entry(&self, key: u64, score: f32, origin: Origin) -> Option<SlateEntry> {
        let id = self.knowledge.items.get(key)?.id.to_string();
        Some(SlateEntry { id, score, from: origin.as_str().to_owned(), because: Vec::new() })
    }

    /// What is popular now, overall and by category, the `categories` largest: the list under `None` is what an unknown
    /// user gets.
    #[must_use]
    pub fn hot(&self, catalog: &Catalog, k: usize, categories: usize, ts: i64) -> Tops {
        let stranger = UserView { user: 0, history: &[], ts };
        let overall = self.slates(&[stranger], catalog, k).pop().unwrap_or_default();
        let leaders = (0..HALF_LIVES).flat_map(|h| self.knowledge.popular.leaders(h)).map(|(.., key)| key);
        let score = |key: u64| {
            let entry = self.knowledge.items.get(key)?;
            let shares = log_shares(&entry.counters, &self.knowledge.popular.totals);
            Some(shares[HALF_LIVES / 2].exp())
        };
        let leaders = leaders.filter_map(|key| Some((score(key)?, key)));
        let mut tops = self.by_category(leaders, catalog, k, categories, Origin::Popularity);
        tops.lists.insert(0, (None, overall));
        tops
    }

    /// What came last by `now`, milliseconds since 1970, overall and by category, the `categories` largest.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a score for people
    pub fn new_items(&self, catalog: &Catalog, k: usize, categories: usize, now: i64) -> Tops {
        let scored = |(at, key): (i64, u64)| {
            let age_days = now.saturating_sub(at).max(0) as f32 / 86_400_000.0;
            (1.0 / (1.0 + age_days), key)
        };
        let newest: Vec<(f32, u64)> = newest(&self.knowledge, catalog, now).map(scored).collect();
        let overall = newest.iter().filter_map(|(score, key)| self.entry(*key, *score, Origin::New)).take(k).collect();
        let mut tops = self.by_category(newest.into_iter(), catalog, k, categories, Origin::New);
        tops.lists.insert(0, (None, overall));
        tops
    }

    /// Sorts scored items into their categories; equal scores stay in their order.
    fn by_category(
        &self,
        scored: impl Iterator<Item = (f32, u64)>,
        catalog: &Catalog,
        k: usize,
        most: usize,
        origin: Origin,
    ) -> Tops {
        let mut seen = crate::keymap::KeySet::default();
        let mut lists: std::collections::BTreeMap<Arc<str>, Vec<(f32, u64)>> = Default::default();
        for (score, key) in scored.filter(|(_, key)| self.shows(catalog, *key)) {
            if seen.insert(key) {
                for category in catalog.categories(key) {
                    lists.entry(Arc::clone(category)).or_default().push((score, key));
                }
            }
        }
        let left_out = lists.len().saturating_sub(most);
        let mut lists: Vec<_> = lists.into_iter().collect();
        if left_out > 0 {
            lists.sort_by_cached_key(|(category, _)| (Reverse(catalog.items_of(category)), Arc::clone(category)));
            lists.truncate(most);
        }
        let lists = lists.into_iter().map(|(category, mut list)| {
            list.sort_by(|a, b| b.0.total_cmp(&a.0));
            let entry = |(score, key): &(f32, u64)| self.entry(*key, *score, origin);
            (Some(category), list.iter().filter_map(entry).take(k).collect())
        });
        Tops { lists: lists.collect(), left_out }
    }
}

/// Tries the network before it is served: weights that are finite, each by itself, may still make scores that are not.
fn probe(knowledge: &Knowledge) -> Result<(), Error> {
    let newest = knowledge.newest.iter().rev().take(knowledge.settings.history);
    let history: Vec<Seen> =
        newest.map(|(_, key)| Seen { key: *key, kind: schemas::Kind::View, ts: knowledge.now }).collect();
    let user = knowledge.encode(&[(&history, knowledge.now)]);
    let extremes = [0.0, 16.0, -16.0].map(candidates::probe);
    let scores = candidates::score(knowledge, &[extremes.to_vec()]);
    if user.iter().chain(scores.iter().flatten()).all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Error::tensor("encoder", "or the ranker's gives scores that are not finite"))
}
