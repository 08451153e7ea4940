//! Memory of pairs: which items were chosen after, and with, which, decayed; it learns from one click.
//!
//! Weights are kept as logarithms like [`crate::popularity`]'s counters, so nothing has to be decayed.

use std::sync::Arc;

use crate::keymap::KeyMap;
use crate::popularity::log2_add;

/// One neighbour of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neighbour {
    pub(crate) key: u64,
    /// log2 of the decayed weight, in time from the origin.
    pub(crate) weight: f32,
}

/// An item's neighbours, bounded, and the log2 weight of all that it was ever paired with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbours {
    pub(crate) total: f32,
    pub(crate) list: Vec<Neighbour>,
}

/// Neighbours by item key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Covisitation {
    map: KeyMap<Arc<Neighbours>>,
}

impl Covisitation {
    /// Adds `weight` (log2, time included) to the pair `from → to`; at `bound` neighbours the weakest gives way.
    #[allow(clippy::cast_possible_truncation)] // f32 holds the logarithm to 1e-4 over centuries of half-lives
    pub(crate) fn add(&mut self, from: u64, to: u64, weight: f64, bound: usize) {
        let neighbours = self
            .map
            .entry(from)
            .or_insert_with(|| Arc::new(Neighbours { total: f32::NEG_INFINITY, list: Vec::with_capacity(4) }));
        let neighbours = Arc::make_mut(neighbours);
        let add = |old: f32| log2_add(f64::from(old), weight) as f32;
        neighbours.total = add(neighbours.total);
        if let Some(known) = neighbours.list.iter_mut().find(|n| n.key == to) {
            known.weight = add(known.weight);
            return;
        }
        let new = Neighbour { key: to, weight: weight as f32 };
        if neighbours.list.len() < bound {
            neighbours.list.push(new);
        } else if let Some(weakest) = neighbours.list.iter_mut().min_by(|a, b| a.weight.total_cmp(&b.weight)) {
            *weakest = new;
        }
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Arc<Neighbours>> {
        self.map.get(&key)
    }

    pub(crate) fn set(&mut self, key: u64, neighbours: Neighbours) {
        self.map.insert(key, Arc::new(neighbours));
    }

    pub(crate) fn remove(&mut self, key: u64) {
        self.map.remove(&key);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Neighbours>)> {
        self.map.iter().map(|(key, neighbours)| (*key, neighbours))
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

impl Neighbours {
    /// Each neighbour's share of everything the item was paired with, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (u64, f32)> + '_ {
        self.list.iter().map(|n| (n.key, (n.weight - self.total).exp2()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_and_follow_the_weights() {
        let mut pairs = Covisitation::default();
        pairs.add(1, 2, 0.0, 8);
        pairs.add(1, 2, 0.0, 8);
        pairs.add(1, 3, 0.0, 8);
        let shares: Vec<_> = pairs.get(1).expect("known").shares().collect();
        assert_eq!(shares[0].0, 2);
        assert!((shares[0].1 - 2.0 / 3.0).abs() < 1e-5);
        assert!((shares[1].1 - 1.0 / 3.0).abs() < 1e-5);
    }

    #[test]
    fn at_the_bound_the_weakest_neighbour_gives_way() {
        let mut pairs = Covisitation::default();
        pairs.add(1, 2, 5.0, 2);
        pairs.add(1, 3, 1.0, 2);
        pairs.add(1, 4, 2.0, 2);
        let keys: Vec<_> = pairs.get(1).expect("known").list.iter().map(|n| n.key).collect();
        assert_eq!(keys, [2, 4]);
    }

    #[test]
    fn a_clone_is_a_version_of_its_own() {
        let mut pairs = Covisitation::default();
        pairs.add(1, 2, 0.0, 8);
        let before = pairs.clone();
        pairs.add(1, 3, 0.0, 8);
        assert_eq!(before.get(1).expect("known").list.len(), 1);
    }
}
