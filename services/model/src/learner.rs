//! The learner: tests every interaction, trains on it, and hands out versions.
//!
//! A micro-batch goes through in two passes. In the first pass, in order, each positive interaction is predicted from
//! what was known before it, then counted and paired. In the second pass encoder and ranker take one step each on the
//! batch. Nothing is trained on before it is tested: this is prequential evaluation (Dawid, *Statistical Theory: The
//! Prequential Approach*, 1984).
//!
//! An interaction is predicted, and the encoder trained, with the time of the user's interaction before it: that is
//! when the list it is tested against was made. The time of the choice itself would tell the model a gap that no list
//! can know.
//!
//! Under load shedding the trainer asks for training on a share of the examples. Everything is still tested, counted,
//! paired and remembered. The same batches and shares always give the same model.

mod changed;
mod damage;
mod example;
mod expiry;
mod forgetting;
mod freeze;
mod guarded;
mod listing;
mod negatives;
pub(crate) mod quality;
mod replay;
mod testing;
mod training;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::checkpoint::{Quality, TIMES, Through};
use schemas::{Interaction, Kind, Position, Secret, Source, key_of};

use crate::error::Error;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;
use crate::memory::history::{Histories, Seen, as_of};
use crate::memory::influence::Influence;
use crate::network::dense::Arrays;
use crate::network::trainable::Trainable;
use crate::settings::Settings;
use crate::version::served::Model;
use changed::Changed;
use example::Example;
use guarded::Guarded;
use negatives::{Pool, Recent};
use quality::{Prequential, SlidingPopularity};
use replay::Replay;

pub use damage::Damage;
pub use example::{Observed, Positioned, TESTED_SLATE, Tested};
pub(crate) use training::Unique;

/// The window of the popularity that every report compares with, in interactions.
const POPULARITY_WINDOW: usize = 5_000;
/// Arrival times that a manifest carries at most.
const MAX_ARRIVALS: usize = 256;

/// The one place that learns.
#[derive(Debug)]
pub struct Learner {
    knowledge: Knowledge,
    trainable: Trainable,
    catalog: Catalog,
    histories: Histories,
    guarded: Guarded,
    through: BTreeMap<i32, Through>,
    /// The life of `interactions` that micro-batches come from.
    log: u32,
    quality: Prequential,
    popularity: SlidingPopularity,
    recent: Recent,
    pool: Pool,
    replay: Replay,
    steps: u64,
    started: bool,
    /// Makes users' keys.
    secret: Secret,
    training_share: f64,
    /// What the learner is held against, and of how many tests it takes one.
    anchor: Option<(Model, u64)>,
    /// Tests since there is one.
    tests: u64,
    changed: Changed,
    /// The dense weights as the versions have them.
    published: (Arrays, Arrays),
}

impl Learner {
    /// Starts knowing nothing.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let device = crate::device::open(&settings.device).map_err(Error::Device)?;
        let knowledge = Knowledge::new(Arc::new(settings), device, 0);
        let trainable = trainable(&knowledge)?;
        Ok(Self::with(knowledge, trainable, BTreeMap::new(), 0, false))
    }

    /// Continues exactly where a version stood, with its rows as they were encoded. The settings are the version's own;
    /// only the bounds, learning rates and encoding of `settings` take effect.
    ///
    /// # Errors
    /// When the optimisers' states do not load, `settings` asks for another shape of the network, or `model` is one to
    /// serve from only.
    pub fn restore(settings: Settings, model: &Model) -> Result<Self, Error> {
        let Some(manifest) = model.manifest() else { return Self::new(settings) };
        let mut knowledge = model.whole()?.clone();
        let shape = knowledge.settings().shape();
        if shape != settings.shape() {
            return Err(Error::Shape(shape));
        }
        knowledge.set_half_lives(settings.popularity_half_lives_s);
        knowledge.set_settings(Arc::new(settings));
        let trainable = trainable(&knowledge)?.with_optimizers(model.optimizers().clone())?;
        let started = knowledge.interactions() > 0;
        Ok(Self::with(knowledge, trainable, manifest.through.clone(), model.steps(), started))
    }

    fn with(
        knowledge: Knowledge,
        trainable: Trainable,
        through: BTreeMap<i32, Through>,
        steps: u64,
        started: bool,
    ) -> Self {
        let settings = knowledge.settings();
        let network = trainable.for_inference();
        let mut learner = Self {
            catalog: Catalog::default(),
            histories: Histories::new(settings.max_users, settings.remembered),
            guarded: Guarded::default(),
            quality: Prequential::new(settings.quality_window),
            popularity: SlidingPopularity::new(POPULARITY_WINDOW),
            recent: Recent::default(),
            pool: Pool::default(),
            replay: Replay::new(settings.replay_examples),
            through,
            log: 0,
            steps,
            started,
            secret: Secret::default(),
            training_share: 1.0,
            anchor: None,
            tests: 0,
            changed: Changed::default(),
            published: trainable.arrays(),
            knowledge,
            trainable,
        };
        learner.knowledge.set_network(network);
        learner
    }

    /// Where the model stands, by partition of `interactions`.
    #[must_use]
    pub fn through(&self) -> &BTreeMap<i32, Through> {
        &self.through
    }

    /// Interactions ever applied.
    #[must_use]
    pub fn interactions(&self) -> u64 {
        self.knowledge.interactions()
    }

    /// Items, users and pairs known.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.knowledge.items(), self.histories.len(), self.knowledge.pairs())
    }

    /// Prequential quality.
    #[must_use]
    pub fn quality(&self) -> &Prequential {
        &self.quality
    }

    /// Prequential quality over the sliding window, by method.
    #[must_use]
    pub fn recent_quality(&self) -> BTreeMap<String, Quality> {
        self.quality.recent()
    }

    /// What is known now.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Rebuilds histories from an interaction that the model was trained on already.
    pub fn remember(&mut self, interaction: &Interaction) {
        let nowhere = (0, Position::START); // it is not tested
        let Some(mut example) = self.note(interaction, nowhere, interaction.effective_ts()) else { return };
        self.popularity.record(example.key);
        if example.influence.first {
            self.recent.remember(example.key);
        }
        example.chosen_then = self.recent.count(example.key);
        if !example.influence.is_none() {
            self.replay.push(example.past(self.knowledge.settings().history));
        }
    }

    /// Puts an interaction into its user's history. Gives the example that it makes, with the history before it.
    fn note(&mut self, interaction: &Interaction, place: (i32, Position), ts: i64) -> Option<Example> {
        let (kind, user) = (interaction.kind(), interaction.user_id.as_str());
        if kind == Kind::Impression {
            return None;
        }
        let settings = self.knowledge.settings();
        let seen = Seen { key: key_of(&interaction.item_id), kind, ts };
        let example = kind.is_positive().then(|| {
            let whole = self.histories.of(user);
            // One that comes late is tested, and then trained on, in its place: against what had happened by then.
            let history = as_of(whole, ts).to_vec();
            let windows = settings.influence_windows();
            Example {
                asked_at: history.last().map_or(ts, |seen| seen.ts),
                user_id: user.to_owned(),
                user: self.secret.key(user),
                history,
                key: seen.key,
                kind,
                ts,
                item_id: interaction.item_id.clone(),
                place,
                weight: settings.weights.of(kind),
                influence: windows.map_or(Influence::WHOLE, |windows| Influence::of(whole, &seen, &windows)),
                chosen_then: 0, // until it is counted
            }
        });
        let (pace, rate) = (self.histories.push(user, seen), settings.guard.rate);
        let mut example = example?;
        if rate > 0 && pace > rate {
            example.influence = Influence::NONE;
            self.guarded.note(example.user, ts);
        }
        Some(example)
    }

    /// The users from whom nothing was learned lately, for they were faster than `model.guard.rate`; `None` where that
    /// bounds nobody.
    #[must_use]
    pub fn guarded(&self) -> Option<schemas::checkpoint::Guarded> {
        let bounded = self.knowledge.settings().guard.rate > 0;
        bounded.then(|| self.guarded.lately(self.knowledge.now()))
    }

    /// From now on micro-batches come from this life of `interactions`; 0 if it is not known.
    pub fn follow(&mut self, log: u32) {
        self.log = log;
    }

    /// Takes note of places on `interactions` that hold none, so that no version seems to lack what there is nothing to
    /// learn of.
    pub fn pass_over(&mut self, places: &[(i32, i64)]) {
        for (partition, offset) in places {
            let through = self.through.entry(*partition).or_insert(Through::NOTHING);
            let (next, known) = (offset.saturating_add(1), through.log != 0 && self.log != 0);
            let begins_anew = known && through.log != self.log;
            if begins_anew || next > through.next {
                (through.next, through.log) = (next, self.log);
            }
        }
    }

    /// From now on trains encoder and ranker on this share of the examples, drawn by chance, to keep up under overload.
    /// Every interaction is still tested, counted, paired and remembered.
    pub fn train_on(&mut self, share: f64) {
        self.training_share = share.clamp(0.0, 1.0);
    }

    /// From now on holds the learner against a version that does not change: every so many tests one is ranked by it,
    /// too. The learner copies each block of items that the version shares before it writes to it.
    pub fn set_anchor(&mut self, model: Model, every: u64) {
        self.anchor = Some((model, every.max(1)));
    }

    /// Tests and then trains on a micro-batch, in order.
    pub fn observe(&mut self, batch: &[Positioned]) -> Observed {
        self.observe_with(batch, |_| {})
    }

    /// The same, and shows each test to `witness`, in order.
    pub fn observe_with(&mut self, batch: &[Positioned], witness: impl FnMut(Tested<'_>)) -> Observed {
        let mut observed = Observed::default();
        let mut examples = self.admit(batch, &mut observed);
        if examples.is_empty() {
            return observed;
        }
        let ranked = self.test(&mut examples, witness);
        let chosen = self.choose(&examples);
        observed.trained = chosen.iter().filter(|chosen| **chosen).count();
        observed.guarded = examples.iter().filter(|example| example.influence.is_none()).count();
        observed.left_out = examples.len() - observed.trained - observed.guarded;
        if observed.trained > 0 {
            self.train_ranker(&examples, &ranked, &chosen);
        }
        let length = self.knowledge.settings().history;
        let new = examples.iter().zip(&chosen).filter(|(_, chosen)| **chosen);
        observed.loss = self.train_encoder(new.map(|(example, _)| example.past(length)).collect());
        self.step_done();
        observed
    }

    /// Which of a batch's examples are trained on.
    fn choose(&self, examples: &[Example]) -> Vec<bool> {
        let mut rng = self.rng(2);
        let mut chance = || self.training_share >= 1.0 || rng.random_bool(self.training_share);
        examples.iter().map(|example| chance() && !example.influence.is_none()).collect()
    }

    /// A generator of its own for each step and purpose, so that a restored learner draws what the other would have.
    fn rng(&self, purpose: u64) -> ChaCha8Rng {
        let step = self.steps.wrapping_mul(4).wrapping_add(purpose);
        ChaCha8Rng::seed_from_u64(self.knowledge.settings().seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn step_done(&mut self) {
        self.steps += 1;
        self.knowledge.set_network(self.trainable.for_inference());
        self.expire_some();
    }

    /// Drops what was applied before, appends to histories and gives the examples, each with the history before it.
    fn admit(&mut self, batch: &[Positioned], observed: &mut Observed) -> Vec<Example> {
        let mut examples = Vec::with_capacity(batch.len());
        for Positioned { partition, offset, interaction } in batch {
            let through = self.through.entry(*partition).or_insert(Through::NOTHING);
            // Not the larger of the two: a topic that was deleted and made again begins at 0.
            (through.next, through.log) = (offset.saturating_add(1), self.log);
            let place = interaction.source.as_ref().map_or(Position::START, Source::position);
            if place <= through.position() {
                observed.dropped += 1; // I2
                continue;
            }
            (through.source, through.incarnation) = (place.offset, place.incarnation);
            observed.applied += 1;
            // No clock that is fast makes a choice weigh more, or moves the model's own.
            let ts = within(interaction.effective_ts());
            if !self.started {
                self.started = true;
                self.knowledge.set_origin(ts);
            }
            self.knowledge.advance(ts);
            self.arrived(within(interaction.arrived_at));
            examples.extend(self.note(interaction, (*partition, place), ts));
        }
        examples
    }

    fn arrived(&mut self, at: i64) {
        // 20 ms apart is fine enough to tell freshness; the bound keeps a manifest small after an outage.
        let bucket = at.saturating_sub(at.rem_euclid(20));
        let arrivals = &mut self.changed.arrivals;
        *arrivals.entry(bucket).or_default() += 1;
        if arrivals.len() > MAX_ARRIVALS
            && let Some((_, count)) = arrivals.pop_last()
            && let Some(mut last) = arrivals.last_entry()
        {
            *last.get_mut() += count; // counted as older than it is: freshness is never flattered
        }
    }
}

/// What can be trained on from here.
fn trainable(knowledge: &Knowledge) -> Result<Trainable, Error> {
    let network = (knowledge.encoder(), knowledge.ranker());
    Trainable::new(knowledge.settings(), knowledge.device(), network)
}

/// The nearest time that a version may hold: with another it would be refused by everyone.
fn within(ms: i64) -> i64 {
    ms.clamp(*TIMES.start(), *TIMES.end())
}

#[cfg(test)]
mod tests;
