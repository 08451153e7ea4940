//! Pages with plots: an evaluation's, and what others are made of.

pub(crate) mod evaluation;
pub mod parts;
pub mod plot;
pub mod spell;
