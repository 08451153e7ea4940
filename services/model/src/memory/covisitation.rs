//! Memory of pairs: which items were chosen after, before and near which, decayed. One click is enough to learn from.
//!
//! After Linden, Smith and York, *Amazon.com Recommendations: Item-to-Item Collaborative Filtering* (2003), made
//! incremental. A choice of weight `w` is paired with the last other choices before it. The one at distance `d` (0 is
//! the nearest), `a` days earlier, gains `w / ((d + 1) (1 + a))`. There are four ways to be paired, each with a share
//! of its own: as the very next, ahead, behind, and lately, which has a short half-life. The ranker learns what each is
//! worth on this stream.
//!
//! An item's neighbours are decayed all at once, when one of them is written. A share needs no decay, because time
//! takes as much from a neighbour as from the total.

use std::sync::Arc;

use crate::keymap::KeyMap;
use crate::memory::history::Seen;

/// The ways in which two items may belong together, each with a weight of its own.
pub(crate) const WAYS: usize = 4;
/// Chosen as the very next.
pub(crate) const NEXT: usize = 0;
/// Chosen later, the nearer the more.
pub(crate) const AHEAD: usize = 1;
/// Chosen before, the nearer the more.
pub(crate) const BEHIND: usize = 2;
/// Chosen near each other lately: ahead and behind with a short half-life.
pub(crate) const LATELY: usize = 3;

/// Decayed so far a total says nothing, and its reciprocal would not be finite.
const LEAST_TOTAL: f32 = 1e-30;

/// One weight, or share, for each way.
pub(crate) type Ways = [f32; WAYS];

/// One neighbour of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neighbour {
    pub(crate) key: u64,
    pub(crate) weights: Ways,
}

impl Neighbour {
    /// What decides who gives way at the bound.
    fn strength(&self) -> f32 {
        self.weights[AHEAD] + self.weights[BEHIND] + self.weights[LATELY]
    }
}

/// An item's neighbours, bounded, and the weight of all that it was ever paired with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbours {
    /// Event time to which all weights are decayed, milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) totals: Ways,
    pub(crate) list: Vec<Neighbour>,
}

/// How fast pairs are forgotten and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    pub(crate) half_life_ms: f32,
    pub(crate) short_half_life_ms: f32,
    pub(crate) neighbours: usize,
}

impl Memory {
    /// What remains of each way's weight after `elapsed` milliseconds.
    #[allow(clippy::cast_precision_loss)] // a half-life is not told to the millisecond
    fn remains(&self, elapsed: i64) -> Ways {
        let long = (-(elapsed as f32) / self.half_life_ms).exp2();
        [long, long, long, (-(elapsed as f32) / self.short_half_life_ms).exp2()]
    }
}

/// The items whose neighbours are looked at for a user: those chosen last, newest first, as often as they were chosen.
pub(crate) fn asking(history: &[Seen], window: usize) -> Vec<u64> {
    let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive());
    newest_first.take(window).map(|seen| seen.key).collect()
}

/// How a choice is paired with those before it, which come newest first, at most `window` of them: the key of each, and
/// what the pairs from there to here and from here to there gain. The nearer in place and in time, the more.
pub(crate) fn pairs_of<'a>(
    choice: &'a Seen,
    weight: f32,
    before: impl Iterator<Item = &'a Seen>,
    window: usize,
) -> impl Iterator<Item = (u64, Ways, Ways)> {
    nearness(choice, weight, before, window).enumerate().map(|(distance, (key, near))| {
        let (there, back) = gains(distance, near);
        (key, there, back)
    })
}

/// The key of each, and how near it is.
#[allow(clippy::cast_precision_loss)] // small counts and days
pub(crate) fn nearness<'a>(
    choice: &'a Seen,
    weight: f32,
    before: impl Iterator<Item = &'a Seen>,
    window: usize,
) -> impl Iterator<Item = (u64, f32)> {
    let others = before.filter(|seen| seen.key != choice.key).take(window);
    others.enumerate().map(move |(distance, seen)| {
        let days = choice.ts.saturating_sub(seen.ts).max(0) as f32 / 86_400_000.0;
        (seen.key, weight / ((distance as f32 + 1.0) * (1.0 + days)))
    })
}

/// What the pairs from there to here and from here to there gain, by what is so near, so many places before.
pub(crate) fn gains(distance: usize, near: f32) -> (Ways, Ways) {
    let next = if distance == 0 { near } else { 0.0 };
    ([next, near, 0.0, near], [0.0, 0.0, near, near])
}

/// Neighbours by item key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Covisitation {
    map: KeyMap<u64, Arc<Neighbours>>,
}

impl Covisitation {
    /// Adds `weights` to the pair `from → to` at the event time `ts`.
    pub(crate) fn add(&mut self, from: u64, to: u64, weights: Ways, ts: i64, memory: &Memory) {
        let neighbours = self.map.entry(from).or_insert_with(|| Arc::new(Neighbours::new(ts)));
        Arc::make_mut(neighbours).add(to, weights, ts, memory);
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

fn scale(weights: &mut Ways, by: &Ways) {
    weights.iter_mut().zip(by).for_each(|(weight, by)| *weight *= by);
}

impl Neighbours {
    /// Of an item that was never paired.
    pub(crate) fn new(ts: i64) -> Self {
        Self { at: ts, totals: [0.0; WAYS], list: Vec::with_capacity(4) }
    }

    /// Adds `weights` to the pair with `to` at the event time `ts`; at the bound the weakest neighbour gives way.
    pub(crate) fn add(&mut self, to: u64, mut weights: Ways, ts: i64, memory: &Memory) {
        if ts > self.at {
            let remains = memory.remains(ts.saturating_sub(self.at));
            scale(&mut self.totals, &remains);
            self.list.iter_mut().for_each(|n| scale(&mut n.weights, &remains));
            self.at = ts;
        } else {
            scale(&mut weights, &memory.remains(self.at.saturating_sub(ts))); // it came late and is as old as it is
        }
        self.totals.iter_mut().zip(weights).for_each(|(total, weight)| *total += weight);
        if let Some(known) = self.list.iter_mut().find(|n| n.key == to) {
            known.weights.iter_mut().zip(weights).for_each(|(known, weight)| *known += weight);
            return;
        }
        let new = Neighbour { key: to, weights };
        if self.list.len() < memory.neighbours {
            self.list.push(new);
        } else if let Some(weakest) = self.list.iter_mut().min_by(|a, b| a.strength().total_cmp(&b.strength())) {
            *weakest = new;
        }
    }

    /// Each neighbour's share of everything the item was paired with, 0 to 1, by way.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (u64, Ways)> + '_ {
        let scales = self.totals.map(|total| if total > LEAST_TOTAL { total.recip() } else { 0.0 });
        self.list.iter().map(move |n| {
            let mut shares = n.weights;
            scale(&mut shares, &scales);
            (n.key, shares)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Memory = Memory { half_life_ms: 1_000.0, short_half_life_ms: 100.0, neighbours: 2 };

    fn shares(pairs: &Covisitation, key: u64) -> Vec<(u64, Ways)> {
        pairs.get(key).expect("known").shares().collect()
    }

    #[test]
    fn shares_sum_to_one_and_follow_the_weights() {
        let mut pairs = Covisitation::default();
        for (to, ts) in [(2, 0), (2, 0), (3, 0)] {
            pairs.add(1, to, [0.0, 1.0, 0.0, 0.0], ts, &MEMORY);
        }
        let shares = shares(&pairs, 1);
        assert_eq!(shares[0].0, 2);
        assert!((shares[0].1[AHEAD] - 2.0 / 3.0).abs() < 1e-6);
        assert!((shares[1].1[AHEAD] - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(shares[0].1[BEHIND], 0.0);
    }

    #[test]
    fn what_is_older_by_a_half_life_weighs_half() {
        let mut pairs = Covisitation::default();
        pairs.add(1, 2, [1.0; WAYS], 0, &MEMORY);
        pairs.add(1, 3, [1.0; WAYS], 1_000, &MEMORY);
        let found = shares(&pairs, 1);
        assert!((found[0].1[NEXT] - 1.0 / 3.0).abs() < 1e-6, "{found:?}");
        assert!(found[0].1[LATELY] < 0.001, "ten short half-lives: {found:?}");
        // The order of arrival does not change what things weigh.
        let mut late = Covisitation::default();
        late.add(1, 3, [1.0; WAYS], 1_000, &MEMORY);
        late.add(1, 2, [1.0; WAYS], 0, &MEMORY);
        assert!((shares(&late, 1)[1].1[NEXT] - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn at_the_bound_the_weakest_neighbour_gives_way() {
        let mut pairs = Covisitation::default();
        for (to, weight) in [(2, 5.0), (3, 1.0), (4, 2.0)] {
            pairs.add(1, to, [weight; WAYS], 0, &MEMORY);
        }
        let keys: Vec<_> = pairs.get(1).expect("known").list.iter().map(|n| n.key).collect();
        assert_eq!(keys, [2, 4]);
    }

    #[test]
    fn a_clone_is_a_version_of_its_own() {
        let mut pairs = Covisitation::default();
        pairs.add(1, 2, [1.0; WAYS], 0, &MEMORY);
        let before = pairs.clone();
        pairs.add(1, 3, [1.0; WAYS], 0, &MEMORY);
        assert_eq!(before.get(1).expect("known").list.len(), 1);
    }
}
