//! The log of versions, and what serves from it.
//!
//! A [`Log`] is opened where a reader begins; a [`Walk`] goes through its records and says what each led to. The
//! trainer goes on from the newest [`Version`], the scorer's [`Follower`] makes versions live in a [`Slot`], and
//! `thalweg checkpoints` lists them. [`Control`] follows what operator and gate want served and who is to be forgotten,
//! and [`fetch()`] reads a version again that is not the newest. Deltas that a later snapshot may make needless are
//! [`Held`] meanwhile.
//!
//! What else a list is made from is here as well, for no other library sees contract, frame and model at once: what may
//! be shown ([`catalog`]) and who asks ([`profile`]).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

mod assembler;
pub mod catalog;
mod continuity;
mod control;
mod decision;
mod erasure;
pub mod error;
mod fetch;
mod follower;
mod held;
mod log;
pub mod profile;
mod records;
mod refusals;
pub mod signing;
mod slot;
#[cfg(test)]
mod testing;
mod told;
mod walk;
mod worker;

pub use assembler::{Assembler, MAX_PENDING, Outcome};
pub use continuity::{Continuity, Follows};
pub use control::Control;
pub use decision::{decide, deed_of, deed_of_promotion, note, promote, say, say_promotion};
pub use erasure::{erase, receipts};
pub use error::Error;
pub use fetch::fetch;
pub use follower::{Follower, Names, REFUSALS};
pub use held::Held;
pub use log::Log;
pub use records::{Record, claim_record, cut, manifest_record, split};
pub use refusals::Refusals;
pub use slot::{Decided, Kept, Live, Slot};
pub use walk::{Step, Version, Walk, believed};
pub use worker::Worker;
