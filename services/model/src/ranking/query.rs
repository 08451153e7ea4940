//! Who asks, and what may be shown: the types that the stages hand to one another.

use schemas::UserKey;

use super::features::FEATURES;
use super::origin::{Origin, Places};
use crate::memory::catalog::Catalog;
use crate::memory::history::Seen;

/// A user as the scorer knows them.
#[derive(Debug, Clone, Copy)]
pub struct UserView<'a> {
    /// Key of the user's id; 0 when nobody in particular asks.
    pub user: UserKey,
    /// Oldest first; empty for an unknown user.
    pub history: &'a [Seen],
    /// Event time for which the slate is made, milliseconds since 1970.
    pub ts: i64,
}

/// Who asks, knowing what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    /// Key of the user; 0 when nobody in particular asks.
    pub(crate) user: UserKey,
    /// Oldest first.
    pub(crate) history: &'a [Seen],
    /// `[dim]`: zeros when nothing is known of the user.
    pub(crate) vector: &'a [f32],
    /// What [`crate::table::retrieval::retrieve`] found for the vector.
    pub(crate) retrieved: &'a [(f32, u64)],
    /// What the shop lists.
    pub(crate) catalog: &'a Catalog,
    /// Event time for which it is asked, milliseconds since 1970.
    pub(crate) ts: i64,
}

/// An item that may enter a slate.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) key: u64,
    pub(crate) slot: u32,
    /// When it came, by the catalog.
    pub(crate) published: Option<i64>,
    /// `None` where no source names it, and it was given to be put in order.
    pub(crate) origin: Option<Origin>,
    pub(crate) places: Places,
    /// The user has looked at it, or more, and never bought it: a list has little room for such.
    pub(crate) seen: bool,
    pub(crate) features: [f32; FEATURES],
}

impl Candidate {
    /// What names it highest, as it stands in a slate.
    pub(crate) fn source(&self) -> &'static str {
        self.origin.map_or("given", Origin::as_str)
    }
}
