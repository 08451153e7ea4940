//! The log of versions: what trainer, scorer and `thalweg checkpoints` read it with.

mod assembler;
pub mod error;
mod records;
mod slot;
mod worker;

pub use assembler::{Assembler, MAX_PENDING, Outcome};
pub use error::Error;
pub use records::{Record, manifest_record, split};
pub use slot::{Live, Slot};
pub use worker::Worker;
