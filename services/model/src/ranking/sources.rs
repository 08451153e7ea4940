//! The sources: each names items, best first, in trainer and scorer alike.
//!
//! They are the user's repeats, pairs, similar sessions, the nearest vectors, likeness by content, popularity at each
//! half-life, and the newest items. An item that several sources name is one candidate. It carries its place in the
//! list of each, and the source that names it highest stands in the slate.

use super::evidence::Evidence;
use super::newest::newest;
use super::origin::{ORIGINS, Origin, Places};
use super::query::Query;
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::memory::popularity::HALF_LIVES;

/// Everything that a source names, each item once, with its places.
pub(crate) fn offers(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence) -> Vec<(u64, Places)> {
    let most = knowledge.settings().candidates;
    let mut offers = Offers::of_about(most * 4);
    let newest_first = query.history.iter().rev().filter(|seen| seen.kind.is_positive());
    offers.take(Origin::Repeat, newest_first.map(|seen| seen.key));
    offers.take(Origin::Covisitation, evidence.best_pairs(most));
    offers.take(Origin::Sessions, evidence.best_of_sessions(most));
    offers.take(Origin::Sequence, query.retrieved.iter().map(|(_, key)| *key));
    offers.take(Origin::Content, evidence.most_alike(most / 2));
    for h in 0..HALF_LIVES {
        offers.take(Origin::Popularity, evidence.since.leaders(knowledge.popular(), h, most / 2));
    }
    let newest = newest(knowledge, query.catalog, query.ts).take(most / 4);
    offers.take(Origin::New, newest.map(|(_, key)| key));
    offers.list
}

/// Items in the order in which they were named first.
struct Offers {
    list: Vec<(u64, Places)>,
    /// Where in the list an item stands.
    at: Plain<u64, usize>,
}

impl Offers {
    fn of_about(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), at: Plain::default() }
    }

    /// Takes a list of a source, best first; of an item's places in several lists of one source the best counts.
    fn take(&mut self, origin: Origin, keys: impl IntoIterator<Item = u64>) {
        for (place, key) in keys.into_iter().enumerate() {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            let at = *self.at.entry(key).or_insert_with(|| {
                self.list.push((key, [None; ORIGINS]));
                self.list.len() - 1
            });
            let known = &mut self.list[at].1[origin as usize];
            *known = Some(known.map_or(place, |known| known.min(place)));
        }
    }
}
