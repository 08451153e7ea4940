//! What an evaluation compares the product with: other ways to recommend, each learning from the same stream.
//!
//! A baseline is asked for a list before it is told what was chosen: [`Baseline::rank`] never sees the answer, so the
//! only way to it is a history that already holds it. All are bounded in memory and depend on nothing but stream and
//! seed.

mod best;
mod covisitation;
mod frozen;
mod gru;
mod isgd;
mod itemknn;
mod popularity;
mod rows;
mod sessions;
mod vmisknn;
mod vsknn;

use schemas::UserKey;

use crate::error::Error;
use crate::memory::history::Seen;

pub use best::Ranked;
pub use covisitation::Covisitation;
pub use frozen::FrozenCopy;
pub use gru::Gru;
pub use isgd::Isgd;
pub use itemknn::ItemKnn;
pub use popularity::Popularity;
pub use vmisknn::VmisKnn;
pub use vsknn::Vsknn;

/// How many items a baseline names. One more than the 20 that count: a tie across the border shows, and counts against.
pub const NAMED: usize = 21;

/// Items that a baseline remembers; at the bound the one not met for longest goes.
const ITEMS: usize = 200_000;
/// Users or sessions that a baseline remembers; at the bound the one not met for longest goes.
const USERS: usize = 200_000;

/// A list that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Key of the user or session.
    pub user: UserKey,
    /// What the user did before, oldest first.
    pub history: &'a [Seen],
    /// Event time of the user's interaction before, milliseconds since 1970: when the list is made.
    pub ts: i64,
}

/// What a user then chose.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// Key of the user or session.
    pub user: UserKey,
    /// What the user did before, oldest first.
    pub history: &'a [Seen],
    /// What was chosen.
    pub key: u64,
    /// When, milliseconds since 1970.
    pub ts: i64,
}

/// One way to recommend that learns as it goes.
pub trait Baseline: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Whether a micro-batch is ranked as a whole and then learned as a whole, as a network needs it; otherwise
    /// one choice after the other.
    fn in_batches(&self) -> bool {
        false
    }

    /// For each ask the best [`NAMED`] items, best first.
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked>;

    /// Takes in what was chosen, in order.
    fn learn(&mut self, choices: &[Choice<'_>]);
}

/// The baselines that can be named, the cheap ones first.
pub const NAMES: [&str; 7] = ["popularity", "covisitation", "itemknn", "vsknn", "vmisknn", "isgd", "gru"];

/// Makes the baseline of that name; `None` when there is none.
///
/// # Errors
/// When the device does not open.
pub fn baseline(name: &str, device: &str, seed: u64) -> Result<Option<Box<dyn Baseline>>, Error> {
    Ok(Some(match name {
        "popularity" => Box::new(Popularity::default()),
        "covisitation" => Box::new(Covisitation::default()),
        "itemknn" => Box::new(ItemKnn::default()),
        "vsknn" => Box::new(Vsknn::default()),
        "vmisknn" => Box::new(VmisKnn::default()),
        "isgd" => Box::new(Isgd::new(seed)),
        "gru" => Box::new(Gru::new(device, seed)?),
        _ => return Ok(None),
    }))
}

/// The last items that were chosen, newest first.
fn chosen(history: &[Seen]) -> impl Iterator<Item = u64> + '_ {
    history.iter().rev().filter(|seen| seen.kind.is_positive()).map(|seen| seen.key)
}

/// A bounded map whose oldest entry makes room; its order depends on use alone.
type Recent<K, V> = lru::LruCache<K, V>;

fn recent<K: std::hash::Hash + Eq, V>(bound: usize) -> Recent<K, V> {
    lru::LruCache::new(std::num::NonZeroUsize::new(bound).unwrap_or(std::num::NonZeroUsize::MIN))
}

#[cfg(test)]
mod tests;
