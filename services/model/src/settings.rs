//! What an operator may choose about the learner. The embedded default is the trainer's `config.toml`.

use serde::{Deserialize, Serialize};

use crate::covisitation::Memory;
use crate::encoder::Architecture;
use crate::items::BLOCK;
use crate::popularity::HALF_LIVES;
use crate::rows::RowEncoding;
use crate::sessions::Bounds;
use schemas::Kind;

/// How much a choice counts, by its kind: in popularity, in pairs, and as an example. A dislike is never counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// A view.
    pub view: f32,
    /// Into the cart.
    pub cart: f32,
    /// A like.
    pub like: f32,
    /// A purchase.
    pub purchase: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { view: 1.0, cart: 2.0, like: 2.0, purchase: 3.0 }
    }
}

impl Weights {
    /// The weight of a choice of this kind.
    pub(crate) fn of(&self, kind: Kind) -> f32 {
        match kind {
            Kind::Cart => self.cart,
            Kind::Like => self.like,
            Kind::Purchase => self.purchase,
            _ => self.view,
        }
    }
}

/// The learner's settings; they travel in every payload, so a scorer needs none of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where tensors live: `flex` (pure Rust, CPU), `libtorch`, `libtorch-cuda:0`.
    pub device: String,
    /// Seeds initial weights and negative sampling; the same seed and order give the same model.
    pub seed: u64,
    /// Length of an item's vector.
    pub dim: usize,
    /// What reads a user's history.
    pub encoder: Architecture,
    /// Attention heads of `attention` and `hstu`; divides `dim`.
    pub heads: usize,
    /// How many of a user's last items the encoder sees.
    pub history: usize,
    /// How many of a user's last interactions are remembered: what was chosen before may be chosen again.
    pub remembered: usize,
    /// How versions carry the rows of items and of their content.
    pub row_encoding: RowEncoding,
    /// Negatives of the sampled softmax, shared by a micro-batch.
    pub negatives: usize,
    /// Most examples of the buffer that the encoder is trained on again with each new one.
    pub replay: f64,
    /// Examples that the buffer holds, the last ones.
    pub replay_examples: usize,
    /// Cosine scores are divided by it before the softmax.
    pub temperature: f32,
    /// How much each kind of choice counts.
    pub weights: Weights,
    /// Whether slates leave out what the user bought, as far back as the user's interactions are remembered.
    pub exclude_purchased: bool,
    /// Row-wise Adagrad's step for item vectors.
    pub row_learning_rate: f32,
    /// Adam's step for the encoder.
    pub dense_learning_rate: f64,
    /// Adam's step for the ranker.
    pub ranker_learning_rate: f64,
    /// Half-lives of the popularity counters in seconds, shortest first.
    pub popularity_half_lives_s: [f64; HALF_LIVES],
    /// Half-life of a pair's weight in seconds.
    pub covisitation_half_life_s: f64,
    /// The same for what belongs together lately.
    pub covisitation_short_half_life_s: f64,
    /// Neighbours kept for each item.
    pub covisitation_neighbours: usize,
    /// A new interaction pairs with this many items before it.
    pub covisitation_window: usize,
    /// Sessions remembered whole.
    pub sessions: usize,
    /// Sessions of an item that a user's session is compared with, the newest.
    pub sessions_per_item: usize,
    /// The nearest of them, whose items are candidates.
    pub session_neighbours: usize,
    /// A pause of so many seconds ends a session.
    pub session_gap_s: u64,
    /// Candidates that each source may name.
    pub candidates: usize,
    /// Items that retrieval by vector searches and negatives are drawn from: those met last.
    pub retrieval_items: usize,
    /// Items known at once; beyond it those not seen for longest go.
    pub max_items: usize,
    /// Sightings before an item's own vector is trained.
    pub admit_after: u32,
    /// Items not seen for so many seconds of event time go.
    pub expire_after_s: u64,
    /// Users whose history the trainer holds; beyond it those not seen for longest go.
    pub max_users: usize,
    /// Tested interactions that the quality figures look back on.
    pub quality_window: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: "flex".into(),
            seed: 7,
            dim: 64,
            encoder: Architecture::default(),
            heads: 2,
            history: 16,
            remembered: 128,
            row_encoding: RowEncoding::default(),
            negatives: 512,
            replay: 1.0,
            replay_examples: 50_000,
            temperature: 0.12,
            weights: Weights::default(),
            exclude_purchased: false,
            row_learning_rate: 0.2,
            dense_learning_rate: 1e-3,
            ranker_learning_rate: 1e-2,
            popularity_half_lives_s: [300.0, 3_600.0, 12.0 * 3_600.0, 14.0 * 86_400.0],
            covisitation_half_life_s: 30.0 * 86_400.0,
            covisitation_short_half_life_s: 12.0 * 3_600.0,
            covisitation_neighbours: 80,
            covisitation_window: 8,
            sessions: 200_000,
            sessions_per_item: 64,
            session_neighbours: 100,
            session_gap_s: 12 * 3_600,
            candidates: 40,
            retrieval_items: 32_768,
            max_items: 2_000_000,
            admit_after: 1,
            expire_after_s: 90 * 86_400,
            max_users: 200_000,
            quality_window: 20_000,
        }
    }
}

/// What the network's weights fit; a version of one shape cannot go on in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    encoder: Architecture,
    dim: usize,
    heads: usize,
    history: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { encoder, dim, heads, history } = self;
        write!(f, "model.encoder = \"{encoder}\", model.dim = {dim}, model.heads = {heads}, model.history = {history}")
    }
}

impl Settings {
    pub(crate) fn shape(&self) -> Shape {
        Shape { encoder: self.encoder, dim: self.dim, heads: self.heads, history: self.history }
    }

    #[allow(clippy::cast_possible_truncation)] // a half-life needs no f64
    pub(crate) fn pair_memory(&self) -> Memory {
        Memory {
            half_life_ms: (self.covisitation_half_life_s * 1_000.0) as f32,
            short_half_life_ms: (self.covisitation_short_half_life_s * 1_000.0) as f32,
            neighbours: self.covisitation_neighbours,
        }
    }

    pub(crate) fn session_bounds(&self) -> Bounds {
        Bounds {
            sessions: self.sessions,
            per_item: self.sessions_per_item,
            neighbours: self.session_neighbours,
            gap_ms: i64::try_from(self.session_gap_s).unwrap_or(i64::MAX / 1_000) * 1_000,
        }
    }

    /// Everything that is wrong, one line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(self.dim >= 8 && self.dim.is_multiple_of(8), "model.dim: must be a multiple of 8, at least 8");
        check(self.heads > 0 && self.dim.is_multiple_of(self.heads.max(1)), "model.heads: must divide model.dim");
        check((1..=256).contains(&self.history), "model.history: must lie between 1 and 256");
        check(
            (self.history..=1_024).contains(&self.remembered),
            "model.remembered: must lie between model.history and 1024",
        );
        check(self.negatives >= 16, "model.negatives: must be at least 16");
        check((0.0..=16.0).contains(&self.replay), "model.replay: must lie between 0 and 16");
        check(self.replay_examples <= 10_000_000, "model.replay_examples: must be at most 10000000");
        check(self.temperature > 0.0, "model.temperature: must be above 0");
        let Weights { view, cart, like, purchase } = self.weights;
        check(
            [view, cart, like, purchase].iter().all(|weight| (1e-3..=1e3).contains(weight)),
            "model.weights: each must lie between 0.001 and 1000",
        );
        check(
            self.popularity_half_lives_s.is_sorted() && self.popularity_half_lives_s[0] > 0.0,
            "model.popularity_half_lives_s: must rise and be above 0",
        );
        check(self.covisitation_half_life_s > 0.0, "model.covisitation_half_life_s: must be above 0");
        check(self.covisitation_short_half_life_s > 0.0, "model.covisitation_short_half_life_s: must be above 0");
        check((1..=10_000_000).contains(&self.sessions), "model.sessions: must lie between 1 and 10000000");
        check(self.sessions_per_item >= 1, "model.sessions_per_item: must be at least 1");
        check(self.session_neighbours >= 1, "model.session_neighbours: must be at least 1");
        check(self.session_gap_s >= 1, "model.session_gap_s: must be at least 1");
        check(self.covisitation_neighbours >= 8, "model.covisitation_neighbours: must be at least 8");
        check(self.covisitation_window >= 1, "model.covisitation_window: must be at least 1");
        check(self.candidates >= 20, "model.candidates: must be at least 20");
        check(
            self.retrieval_items > 0 && self.retrieval_items.is_multiple_of(BLOCK),
            "model.retrieval_items: must be a multiple of 64, at least 64",
        );
        check(self.max_items >= 1_000, "model.max_items: must be at least 1000");
        check(self.max_users >= 1_000, "model.max_users: must be at least 1000");
        check(self.quality_window >= 100, "model.quality_window: must be at least 100");
        if let Err(problem) = crate::device::open(&self.device) {
            problems.push(format!("model.device: {problem}"));
        }
        problems
    }
}
