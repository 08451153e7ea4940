//! Exponentially decayed counters that never have to be decayed.
//!
//! A counter `Σ 2^((t_i - t)/h)` is kept as the logarithm `s = log2 Σ 2^(t_i/h)`, with times from a fixed origin. This
//! is forward decay (Cormode, Shkapenyuk, Srivastava and Xu, *Forward Decay: A Practical Time Decay Model for Streaming
//! Systems*, 2009). Adding an event is one log-add, the order of items does not change with time, and a share of the
//! total is a difference of two logarithms. Only the counters that an event touches are written.

use imbl::OrdSet;
use ordered::Ordered;

/// How many half-lives are kept.
pub(crate) const HALF_LIVES: usize = 4;

/// One item's counters, one for each half-life: log2 of the decayed count, in time from the origin.
pub(crate) type Counters = [f64; HALF_LIVES];

/// The counter of what was never seen.
pub(crate) const NEVER: f64 = f64::NEG_INFINITY;

/// `log2(2^a + 2^b)` without overflow.
pub(crate) fn log2_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp2().ln_1p() * std::f64::consts::LOG2_E }
}

/// Turns event times into exponents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    /// Event time of the first interaction ever seen, milliseconds since 1970.
    pub(crate) origin: i64,
    half_lives_ms: Counters,
}

impl Clock {
    pub(crate) fn new(origin: i64, half_lives_s: [f64; HALF_LIVES]) -> Self {
        Self { origin, half_lives_ms: half_lives_s.map(|s| s * 1_000.0) }
    }

    /// The exponents `t/h` of a moment.
    #[allow(clippy::cast_precision_loss)] // milliseconds of a few decades fit 53 bits
    pub(crate) fn exponents(&self, ts: i64) -> Counters {
        let t = ts.saturating_sub(self.origin) as f64;
        self.half_lives_ms.map(|h| t / h)
    }

    /// What a choice that counts `weights` times adds to each counter, as an exponent; [`NEVER`] where that is 0.
    pub(crate) fn exponents_of(&self, ts: i64, weights: [f32; HALF_LIVES]) -> Counters {
        let mut exponents = self.exponents(ts);
        exponents.iter_mut().zip(weights).for_each(|(exponent, weight)| *exponent += f64::from(weight).log2());
        exponents
    }
}

/// What an item's place among the popular goes by: what is proven comes before what one user alone chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Popularity {
    pub(crate) proven: bool,
    pub(crate) counters: Counters,
}

impl Popularity {
    fn place(&self, h: usize) -> (bool, Ordered) {
        (self.proven, Ordered(self.counters[h]))
    }
}

/// The totals and, for each half-life, the items with the highest counters, bounded.
#[derive(Debug, Clone)]
pub(crate) struct Popular {
    pub(crate) totals: Counters,
    leaders: [OrdSet<((bool, Ordered), u64)>; HALF_LIVES],
}

/// How many leaders are kept for each half-life; the lists that services read are cut from them.
const LEADERS: usize = 2_000;

impl Default for Popular {
    fn default() -> Self {
        Self { totals: [NEVER; HALF_LIVES], leaders: Default::default() }
    }
}

impl Popular {
    /// Moves an item from its old counters to its new ones.
    pub(crate) fn update(&mut self, key: u64, old: &Popularity, new: &Popularity) {
        for (h, leaders) in self.leaders.iter_mut().enumerate() {
            leaders.remove(&(old.place(h), key));
            if !new.counters[h].is_finite() {
                continue; // never chosen
            }
            let full = leaders.len() >= LEADERS;
            if full && leaders.get_min().is_some_and(|least| least.0 > new.place(h)) {
                continue; // an item below the bound comes back by its next sighting
            }
            leaders.insert((new.place(h), key));
            if full {
                leaders.remove_min();
            }
        }
    }

    /// Forgets an item.
    pub(crate) fn remove(&mut self, key: u64, old: &Popularity) {
        for (h, leaders) in self.leaders.iter_mut().enumerate() {
            leaders.remove(&(old.place(h), key));
        }
    }

    /// Whether proven, counter of the `h`-th half-life and key of the most popular items; falling.
    pub(crate) fn leaders(&self, h: usize) -> impl Iterator<Item = (bool, f64, u64)> + '_ {
        self.leaders[h].iter().rev().map(|((proven, counter), key)| (*proven, counter.0, *key))
    }
}

/// Natural logarithm of an item's share of everything seen, decayed; bounded below.
#[allow(clippy::cast_possible_truncation)] // a logarithm needs no more than f32
pub(crate) fn log_shares(counters: &Counters, totals: &Counters) -> [f32; HALF_LIVES] {
    let mut shares = [LEAST_LOG_SHARE; HALF_LIVES];
    for ((share, total), counter) in shares.iter_mut().zip(totals).zip(counters) {
        if counter.is_finite() {
            *share = (((counter - total) * std::f64::consts::LN_2) as f32).max(LEAST_LOG_SHARE);
        }
    }
    shares
}

/// The logarithm of a share too small to tell from nothing: about one in nine million.
pub(crate) const LEAST_LOG_SHARE: f32 = -16.0;

mod ordered {
    //! A total order on counters.

    /// A counter that sorts by `total_cmp`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Ordered(pub(crate) f64);

    impl PartialEq for Ordered {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }
    impl Eq for Ordered {}
    impl PartialOrd for Ordered {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Ordered {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.total_cmp(&other.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_halves_after_its_half_life() {
        let clock = Clock::new(0, [10.0, 100.0, 1_000.0, 10_000.0]);
        let at = |ts| clock.exponents(ts)[0];
        // Three sightings at 0 s weigh as much as 1.5 at 10 s.
        let three = log2_add(log2_add(at(0), at(0)), at(0));
        let count_at_10_s = (three - at(10_000)).exp2();
        assert!((count_at_10_s - 1.5).abs() < 1e-9);
    }

    #[test]
    fn the_leaders_follow_the_counters() {
        let mut popular = Popular::default();
        let counted = |count| Popularity { proven: true, counters: [count; HALF_LIVES] };
        let keys = |popular: &Popular| popular.leaders(0).map(|(.., key)| key).collect::<Vec<_>>();
        popular.update(1, &counted(NEVER), &counted(1.0));
        popular.update(2, &counted(NEVER), &counted(2.0));
        popular.update(1, &counted(1.0), &counted(3.0));
        assert_eq!(keys(&popular), [1, 2]);
        popular.remove(1, &counted(3.0));
        assert_eq!(keys(&popular), [2]);
    }

    #[test]
    fn beyond_the_bound_the_least_chosen_is_no_leader_until_it_is_chosen_again() {
        let mut popular = Popular::default();
        let counted = |count| Popularity { proven: true, counters: [count; HALF_LIVES] };
        for key in 0..LEADERS as u64 + 10 {
            popular.update(key, &counted(NEVER), &counted(1.0 + key as f64));
        }
        let leads = |popular: &Popular, wanted| popular.leaders(0).any(|(.., key)| key == wanted);
        assert_eq!(popular.leaders(0).count(), LEADERS);
        assert!(!leads(&popular, 9) && leads(&popular, 10));
        popular.update(9, &counted(10.0), &counted(9_000.0));
        assert_eq!(popular.leaders(0).map(|(.., key)| key).next(), Some(9));
        assert!(popular.leaders(0).count() == LEADERS && !leads(&popular, 10));
    }

    #[test]
    fn what_one_user_alone_chose_comes_after_all_that_is_proven_and_makes_room_first() {
        let mut popular = Popular::default();
        let (never, proven) = (NEVER, |count| Popularity { proven: true, counters: [count; HALF_LIVES] });
        let unproven = |count| Popularity { proven: false, ..proven(count) };
        (0..10).for_each(|key| popular.update(key, &proven(never), &proven(1.0)));
        (10..10 + 2 * LEADERS as u64).for_each(|key| popular.update(key, &unproven(never), &unproven(9.0)));
        let leaders: Vec<bool> = popular.leaders(0).map(|(proven, ..)| proven).collect();
        assert_eq!(leaders.len(), LEADERS);
        assert!(leaders[..10].iter().all(|proven| *proven) && leaders[10..].iter().all(|proven| !proven));
    }
}
