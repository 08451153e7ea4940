//! What Thalweg learns, and how it ranks: the only crate that names Burn.
//!
//! [`Learner`] is the trainer's side: it tests each interaction, trains on it and publishes versions.
//! [`Model`] is the scorer's side: an immutable version that turns histories into slates. Both stand
//! on one [`Knowledge`], so training and serving see the same features.

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
