//! What Thalweg learns, and how it ranks: the only crate that names Burn.
//!
//! [`Learner`] is the trainer's side: it tests each interaction, trains on it and publishes versions. [`Model`] is the
//! scorer's side: an immutable version that turns histories into slates. Both stand on one [`Knowledge`], so training
//! and serving see the same features.
//!
//! A list is made in two stages, as in Covington, Adams and Sargin, *Deep Neural Networks for YouTube Recommendations*
//! (2016): several sources name candidates, and one ranker orders them. Each file documents its formula and the paper
//! that the formula comes from. The house has storeys; each knows those above it in this list, and no two files know
//! one another:
//!
//! | storey | what is in it |
//! |---|---|
//! | `memory` | what is counted: pairs, sessions, popularity, purchases, histories, the catalog |
//! | `table` | items in blocks that versions share, their rows, and the search among their vectors |
//! | `settings` | what an operator may choose |
//! | `network` | what has tensors: the encoder, its training, dense weights as arrays |
//! | `knowledge` | all of it as one value |
//! | `ranking` | sources, filters, features, the ranker, reasons |
//! | `version` | a version in service, frozen, and as a payload |
//! | `learner` | tests, trains, forgets, freezes |
//! | [`baselines`] | the baselines of an evaluation |
//!
//! Besides `network`, only the ranker and one baseline name Burn.
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
//!
//! **One user's repetitions count less** (`memory/influence.rs`) in popularity, pairs and both losses. A user faster
//! than people (`model.guard.rate`) is tested and remembered, and nothing else is learned from it.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

pub mod baselines;
mod comparison;
mod device;
mod error;
mod gate;
mod keymap;
mod knowledge;
mod learner;
mod memory;
mod network;
mod ranking;
mod settings;
mod table;
pub mod testing;
mod version;

pub use comparison::Comparison;
pub use error::Error;
pub use gate::{Alarm, Gate, Reference, Rules, Standing};
pub use knowledge::Knowledge;
pub use learner::quality::{Figures, Prequential, SlidingPopularity};
pub use learner::{Damage, Learner, Observed, Positioned, TESTED_SLATE, Tested};
pub use memory::catalog::Catalog;
pub use memory::history::{Histories, History, Seen, remember};
pub use memory::only_listed::OnlyListed;
pub use memory::repeats::Repeats;
pub use ranking::filters::Why;
pub use ranking::order::{Rank, rank_of};
pub use ranking::query::UserView;
pub use settings::{Architecture, DEFAULTS, Guard, Settings, Shape};
pub use table::rows::RowEncoding;
pub use version::integrity::{Doubt, Probe, Sample};
pub use version::payload::{Frozen, Payload, pack, unpack};
pub use version::served::{Contribution, Dropped, Explained, Model, Order, Scored, Tops};
