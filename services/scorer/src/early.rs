//! Popularity of what this instance has read, for the time before the first version. Pure.
//!
//! Everything that is learned comes with a version, so a scorer keeps no counters of its own; but a shop whose trainer
//! has not published yet, or is not there yet, is better served with what its visitors choose than with nothing.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use model::{Catalog, Model};
use schemas::{Entry, key_of};

/// Items counted at most. At the bound every count is halved and what has none left goes: a flood of invented items
/// drives out itself, not what people choose.
const ITEMS: usize = 10_000;

/// Choices by item since the start.
#[derive(Debug, Default)]
pub(crate) struct Early {
    counts: HashMap<Arc<str>, u32>,
    /// Event time of the newest choice, milliseconds since 1970.
    pub(crate) event_ts: i64,
}

impl Early {
    /// Counts a choice.
    pub(crate) fn count(&mut self, item_id: &str, ts: i64) {
        self.event_ts = self.event_ts.max(ts);
        if let Some(count) = self.counts.get_mut(item_id) {
            *count = count.saturating_add(1);
            return;
        }
        if self.counts.len() >= ITEMS {
            self.counts.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        if self.counts.len() < ITEMS {
            self.counts.insert(item_id.into(), 1);
        }
    }

    /// The `k` items chosen most, best first; the score is an item's share of all choices.
    pub(crate) fn top(&self, model: &Model, catalog: &Catalog, k: usize) -> Vec<Entry> {
        let mut items: Vec<(&Arc<str>, u32)> = self.counts.iter().map(|(id, count)| (id, *count)).collect();
        items.retain(|(id, _)| model.shows(catalog, key_of(id)));
        items.sort_unstable_by_key(|(id, count)| (Reverse(*count), *id));
        let total: u64 = self.counts.values().map(|count| u64::from(*count)).sum();
        #[allow(clippy::cast_precision_loss)] // a share
        let entry = |(id, count): (&Arc<str>, u32)| Entry {
            id: id.to_string(),
            score: count as f32 / total as f32,
            from: "popularity".to_owned(),
            because: Vec::new(),
        };
        items.into_iter().take(k).map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_most_stands_first_and_nothing_delisted_stands_there() {
        let mut early = Early::default();
        for (n, id) in ["a", "b", "b", "c", "c", "c", "d"].into_iter().enumerate() {
            early.count(id, n as i64);
        }
        let mut catalog = Catalog::default();
        catalog.apply("b", None);
        let model = Model::empty("flex").expect("opens");
        let top = early.top(&model, &catalog, 2);
        assert_eq!(top.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["c", "a"], "equal counts: by id");
        assert!((top[0].score - 3.0 / 7.0).abs() < 1e-6);
        assert_eq!(early.event_ts, 6);
    }

    #[test]
    fn items_counted_before_a_first_version_do_not_grow_beyond_their_bound() {
        let mut early = Early::default();
        let model = Model::empty("flex").expect("opens");
        (0..ITEMS).for_each(|n| early.count(&n.to_string(), 0));
        assert_eq!(early.top(&model, &Catalog::default(), usize::MAX).len(), ITEMS);
        (0..3 * ITEMS).for_each(|n| early.count(&n.to_string(), 0));
        assert!(early.top(&model, &Catalog::default(), usize::MAX).len() <= ITEMS);
    }

    #[test]
    fn invented_items_before_the_first_version_keep_nothing_out_that_people_choose() {
        let mut early = Early::default();
        let flood = |early: &mut Early, from: usize| {
            (0..2 * ITEMS).for_each(|n| early.count(&format!("invented{}", from + n / 2), 0));
        };
        flood(&mut early, 0);
        (0..60).for_each(|n| early.count(&format!("real{}", n % 3), 0));
        flood(&mut early, ITEMS);
        let model = Model::empty("flex").expect("opens");
        let top = early.top(&model, &Catalog::default(), 3).into_iter();
        let top: std::collections::BTreeSet<String> = top.map(|entry| entry.id).collect();
        assert_eq!(top, ["real0", "real1", "real2"].map(str::to_owned).into());
    }
}
