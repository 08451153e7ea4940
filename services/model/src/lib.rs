//! What Thalweg learns, and how it ranks: the only crate that names Burn.
//!
//! [`Learner`] is the trainer's side: it tests each interaction, trains on it and publishes versions.
//! [`Model`] is the scorer's side: an immutable version that turns histories into slates. Both stand
//! on one [`Knowledge`], so training and serving see the same features.
//!
//! The house has storeys; each knows those above it in this list, and no two files know one another:
//!
//! | storey | what is in it |
//! |---|---|
//! | `memory` | what is counted: pairs, sessions, popularity, purchases, histories, the catalog |
//! | `table` | items in blocks that versions share, their rows, and the search among their vectors |
//! | `settings` | what an operator may choose |
//! | `network` | what has tensors: the encoder, its training, dense weights as arrays; with `ranking::ranker` the only files that name Burn, but for a rival |
//! | `knowledge` | all of it as one value |
//! | `ranking` | sources, filters, features, the ranker, reasons |
//! | `version` | a version in service, frozen, and as a payload |
//! | `learner` | tests, trains, forgets, freezes |
//! | `rivals` | what evaluations compare with |

pub mod checkpoint;
mod device;
mod error;
mod keymap;
mod knowledge;
mod learner;
mod memory;
mod network;
mod ranking;
pub mod rivals;
mod settings;
mod table;
mod version;

pub use error::Error;
pub use knowledge::Knowledge;
pub use learner::quality::{Figures, Prequential, SlidingPopularity};
pub use learner::{Learner, Observed, Positioned, TESTED_SLATE, Tested};
pub use memory::catalog::Catalog;
pub use memory::history::{Histories, History, Seen, remember};
pub use memory::only_listed::OnlyListed;
pub use memory::repeats::Repeats;
pub use ranking::filters::Why;
pub use ranking::order::{Rank, rank_of};
pub use ranking::query::UserView;
pub use settings::{Architecture, DEFAULTS, Settings, Shape};
pub use table::rows::RowEncoding;
use version::payload;
pub use version::payload::{Frozen, Payload, pack, unpack};
pub use version::served::{Contribution, Dropped, Explained, Model, Order, Scored, Tops};
