//! The table of items: their counts and rows in blocks that versions share, and the search among their vectors.

pub(crate) mod block;
pub(crate) mod items;
pub(crate) mod retrieval;
pub(crate) mod rows;
