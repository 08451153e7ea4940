//! The log of versions: what trainer, scorer and `thalweg checkpoints` read it with.

mod assembler;

pub use assembler::{Assembler, MAX_PENDING, Outcome, Record, manifest_record, split};
