//! Ranking: who may be shown to a user, by which features, in which order.

pub(crate) mod candidates;
pub(crate) mod features;
pub(crate) mod newest;
pub(crate) mod ranker;
pub(crate) mod since;
