//! What is remembered by counting: pairs, sessions, popularity, what is bought again, users' histories, how much a
//! repeated choice still counts, and the catalog.

pub(crate) mod catalog;
pub(crate) mod covisitation;
pub(crate) mod history;
pub(crate) mod influence;
mod likeness;
pub(crate) mod only_listed;
pub(crate) mod popularity;
pub(crate) mod repeats;
pub(crate) mod sessions;
mod words;
