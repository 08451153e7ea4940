//! What is remembered by counting: pairs, sessions, popularity, what is bought again, users' histories, and the
//! catalog.

pub(crate) mod catalog;
pub(crate) mod covisitation;
pub(crate) mod history;
mod likeness;
pub(crate) mod only_listed;
pub(crate) mod popularity;
pub(crate) mod repeats;
pub(crate) mod sessions;
mod words;
