//! One file per command.

pub(crate) mod audit;
pub(crate) mod checkpoints;
pub(crate) mod dead_letters;
pub(crate) mod erase;
pub(crate) mod evaluate;
pub(crate) mod guard;
pub(crate) mod items;
pub(crate) mod keys;
pub(crate) mod recs;
pub(crate) mod release;
pub(crate) mod replay;
mod said;
pub(crate) mod topics;
