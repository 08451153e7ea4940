//! What an operator may choose about the learner. `settings.toml` documents every key and holds the defaults.

mod architecture;
mod rules;

use std::sync::LazyLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::memory::covisitation::Memory;
use crate::memory::influence::Windows;
use crate::memory::only_listed::OnlyListed;
use crate::memory::popularity::HALF_LIVES;
use crate::memory::repeats::Repeats;
use crate::memory::sessions::Bounds;
use crate::table::rows::RowEncoding;
use schemas::Kind;

pub use architecture::Architecture;
pub(crate) use rules::{MAX_NEIGHBOURS, MAX_SESSIONS};

/// How much a choice counts, by its kind: in popularity, in pairs, and as an example. A dislike is never counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
        PARSED.weights
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

/// What one user can do to what everybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Whether choices count less as their user repeats them.
    pub repeats: bool,
    /// Interactions of one user in a minute of event time, beyond which nothing is learned from them; 0: no bound.
    pub rate: u32,
}

impl Default for Guard {
    fn default() -> Self {
        PARSED.guard
    }
}

impl Guard {
    /// Whether it is as the defaults have it. A version leaves it out then, so that releases of before read it.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The learner's settings; they travel in every payload, so a scorer needs none of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How far the vector of an item or feature moves, as a share of its length, before a delta carries it.
    pub delta_tolerance: f32,
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
    /// What one user can do to what everybody sees.
    #[serde(default, skip_serializing_if = "Guard::is_default")]
    pub guard: Guard,
    /// What lists show again of what their user chose before.
    pub repeats: Repeats,
    /// Of versions of before, which must be read; `repeats` has taken its place.
    #[doc(hidden)]
    #[serde(skip_serializing)]
    pub exclude_purchased: Option<bool>,
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
    /// Whether lists show only what the catalog lists.
    pub only_listed: OnlyListed,
    /// Users whose history the trainer holds; beyond it those not seen for longest go.
    pub max_users: usize,
    /// Tested interactions that the quality figures look back on.
    pub quality_window: usize,
}

/// The embedded `settings.toml`: the section `[model]`, comments and all. The trainer's configuration ends with it.
pub const DEFAULTS: &str = include_str!("../settings.toml");

static PARSED: LazyLock<Settings> = LazyLock::new(|| {
    let embedded: Embedded = toml::from_str(DEFAULTS).expect("the embedded settings are whole: every test reads them");
    embedded.model
});

#[derive(Deserialize)]
struct Embedded {
    model: Settings,
}

impl Default for Settings {
    fn default() -> Self {
        PARSED.clone()
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
    /// Reads the settings inside a version: what one of before does not say is as the defaults have it.
    pub(crate) fn of_version<'de, D: Deserializer<'de>>(version: D) -> Result<Self, D::Error> {
        let said = Value::deserialize(version)?;
        let defaults = serde_json::to_value(&*PARSED).map_err(D::Error::custom)?;
        serde_json::from_value(complete(said, defaults)).map_err(D::Error::custom)
    }

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

    /// Within how long a repeated choice counts less; `None` where each counts in full.
    pub(crate) fn influence_windows(&self) -> Option<Windows> {
        self.guard.repeats.then(|| Windows {
            popularity_ms: self.popularity_half_lives_s.map(|s| s * 1_000.0),
            lately_ms: self.covisitation_short_half_life_s * 1_000.0,
        })
    }

    pub(crate) fn session_bounds(&self) -> Bounds {
        Bounds {
            sessions: self.sessions,
            per_item: self.sessions_per_item,
            neighbours: self.session_neighbours,
            gap_ms: i64::try_from(self.session_gap_s).unwrap_or(i64::MAX / 1_000) * 1_000,
        }
    }
}

/// Adds what tables lack; all else stays as it was said.
fn complete(said: Value, defaults: Value) -> Value {
    match (said, defaults) {
        (Value::Object(mut said), Value::Object(defaults)) => {
            for (key, default) in defaults {
                let value = match said.remove(&key) {
                    Some(value) => complete(value, default),
                    None => default,
                };
                said.insert(key, value);
            }
            Value::Object(said)
        }
        (said, _) => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_has_gone_says_what_took_its_place() {
        let of = |text: &str| version(text).expect("is read").problems();
        assert!(of(r#"{"exclude_purchased":false}"#).is_empty(), "versions of before say so");
        assert!(of(r#"{"exclude_purchased":true}"#)[0].contains("model.repeats"));
    }

    #[test]
    fn a_version_says_of_the_guard_only_what_releases_of_before_would_not_do_anyway() {
        let text = serde_json::to_string(&Settings::default()).expect("serialises");
        assert!(!text.contains("guard"), "releases of before refuse what they do not know: {text}");
        assert_eq!(version(&text).expect("is read").guard, Guard::default());
        let off = Settings { guard: Guard { repeats: false, rate: 0 }, ..Settings::default() };
        assert_eq!(version(&serde_json::to_string(&off).expect("serialises")).expect("is read"), off);
    }

    /// The settings inside a version.
    fn version(text: &str) -> Result<Settings, serde_json::Error> {
        Settings::of_version(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn what_a_version_of_before_does_not_say_is_as_the_defaults_have_it() {
        let weights = Weights { view: 5.0, ..Weights::default() };
        let expected = Settings { dim: 32, weights, ..Settings::default() };
        assert_eq!(version(r#"{"dim":32,"weights":{"view":5.0}}"#).expect("is read"), expected);
        for unknown in [r#"{"dims":32}"#, r#"{"weights":{"seen":1.0}}"#, r#"{"guard":{"rates":1}}"#] {
            let error = version(unknown).expect_err("is refused").to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
        for wrong in ["[]", "7", r#"{"dim":"wide"}"#, r#"{"weights":7}"#] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
        let whole = Settings { seed: 9, temperature: 0.1, ..Settings::default() };
        assert_eq!(version(&serde_json::to_string(&whole).expect("serialises")).expect("is read"), whole);
    }
}
