//! What Thalweg learns, and how it ranks: the only crate that names Burn.
//!
//! [`Learner`] is the trainer's side: it tests each interaction, trains on it and publishes versions. [`Model`] is the
//! scorer's side: an immutable version that turns histories into slates. Both stand on one [`Knowledge`], so training
//! and serving see the same features.
//!
//! A list is made in two stages, as in Covington, Adams and Sargin, *Deep Neural Networks for YouTube Recommendations*
//! (2016): several sources name candidates, and one ranker orders them. Each part documents its formula and the paper
//! that the formula comes from:
//!
//! | part | module |
//! |---|---|
//! | the learner's two passes over a micro-batch | `learner` |
//! | candidates of all sources; their features; the ranker | `candidates`, `features`, `ranker` |
//! | the network that reads a history; its loss and its optimisers | `encoder`, `trainable` |
//! | negatives of the loss; experience replay | `negatives`, `replay` |
//! | items in memory; the nearest vectors | `items`, `retrieval` |
//! | pairs of items; whole sessions; popularity | `covisitation`, `sessions`, `popularity` |
//! | likeness by the catalog's content; words of titles | `likeness`, `words` |
//! | repeats; new items; what a version does not know yet | `repeats`, `newest`, `since` |
//! | prequential quality; the baselines of an evaluation | `quality`, [`rivals`] |
//!
//! **What adapts to the stream by itself.** Popularity has four half-lives and pairs have two, and the ranker learns
//! online what each is worth. Adagrad adapts the step of each row. Experience replay follows what is still chosen.
//! Other half-lives change nothing that can be measured, and a global learning rate that follows its own gradient does
//! worse than a fixed one (benches/README.md). Rates, temperature and sizes are settings, for `thalweg tune` to try.
//!
//! **Kinds count differently** (`model.weights`): in popularity, in pairs, and in both losses. Only ratios matter.
//!
//! **An item is proven** by a second user or by the catalog, because anybody can invent an id. What one user alone
//! chose comes last among the popular and in the hot set, and is evicted first. Nothing is kept from learning.

mod block;
mod candidates;
mod catalog;
mod covisitation;
mod dense;
mod device;
mod encoder;
mod error;
mod features;
mod history;
mod items;
mod keymap;
mod knowledge;
mod learner;
mod likeness;
mod manifest;
mod negatives;
mod newest;
mod only_listed;
mod payload;
mod popularity;
mod quality;
mod ranker;
mod repeats;
mod replay;
mod retrieval;
pub mod rivals;
mod rows;
mod served;
mod sessions;
mod settings;
mod since;
mod trainable;
mod words;

pub use catalog::Catalog;
pub use encoder::Architecture;
pub use error::Error;
pub use history::{Histories, History, Seen, remember};
pub use knowledge::Knowledge;
pub use learner::{Learner, Observed, Positioned, TESTED_SLATE, Tested};
pub use only_listed::OnlyListed;
pub use payload::{Frozen, Payload, pack, unpack};
pub use quality::{Figures, Prequential, Rank, SlidingPopularity, rank_of};
pub use repeats::Repeats;
pub use rows::RowEncoding;
pub use served::{Model, Scored, Tops, UserView};
pub use settings::{DEFAULTS, Settings, Shape};
