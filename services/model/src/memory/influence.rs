//! How much a choice still counts for what others see: the oftener its user repeats it, the less.
//!
//! The `k`-th choice of the same item and kind within a half-life counts `1/k²` there. So a user gives an item at most
//! `π²/6 = 1.64` first choices, however often the choice is repeated; with `1/k` two thousand repetitions would still
//! give it 8.2, and ever more. What was repeated is read from the user's history: nothing has to be kept for it, and
//! whoever rebuilds the history counts the same. It holds 128 interactions, so `k` grows no further for who goes round
//! many items: two thousand choices of one item weigh as 1.75, of eight in turn as 2.4 each, of 128 in full.
//!
//! * *Popularity:* each counter has a half-life, and `k` of its own.
//! * *Pairs:* the half-life of what belongs together lately. What a household buys each week belongs together.
//! * *Examples:* the same, and the first [`ALLOWED`] count in full. From those the ranker learns how soon people choose
//!   the same again, and a person looks at a thing a few times before buying it.
//! * *Negatives* are drawn from the last choices; of what is repeated the first alone is among them. So it is in the
//!   number of an item's choices that the ranker sees.

use crate::memory::history::Seen;
use crate::memory::popularity::{Counters, HALF_LIVES};

/// So many choices of one item by one user count in full as examples.
const ALLOWED: u32 = 4;

/// How long a choice is remembered as one that is repeated, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Windows {
    /// For each half-life of popularity.
    pub(crate) popularity_ms: Counters,
    /// For pairs, examples and negatives.
    pub(crate) lately_ms: f64,
}

/// How much one choice counts, beside the first choice of an item by a user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Influence {
    /// In the counter of each half-life, 0 to 1.
    pub(crate) popularity: [f32; HALF_LIVES],
    /// In pairs, 0 to 1.
    pub(crate) pairs: f32,
    /// As an example, 0 to 1.
    pub(crate) example: f32,
    /// Whether it repeats none of late: only such are among the last choices, and count as choices for the ranker.
    pub(crate) first: bool,
}

impl Influence {
    /// Of a choice that counts in full.
    pub(crate) const WHOLE: Self = Self { popularity: [1.0; HALF_LIVES], pairs: 1.0, example: 1.0, first: true };
    /// Of a choice that nothing is learned from.
    pub(crate) const NONE: Self = Self { popularity: [0.0; HALF_LIVES], pairs: 0.0, example: 0.0, first: false };

    /// Of a choice by a user with this history, which does not hold it yet. What the history holds of later counts,
    /// too: who sends the newest first gains nothing.
    pub(crate) fn of(history: &[Seen], choice: &Seen, windows: &Windows) -> Self {
        let (mut popular, mut lately) = ([1_u32; HALF_LIVES], 1_u32);
        for seen in history.iter().filter(|seen| seen.key == choice.key && seen.kind == choice.kind) {
            #[allow(clippy::cast_precision_loss)] // milliseconds of a few decades fit 53 bits
            let apart = seen.ts.abs_diff(choice.ts) as f64;
            for (k, window) in popular.iter_mut().zip(windows.popularity_ms) {
                *k += u32::from(apart < window);
            }
            lately += u32::from(apart < windows.lately_ms);
        }
        Self {
            popularity: popular.map(|k| share(k, 1)),
            pairs: share(lately, 1),
            example: share(lately, ALLOWED),
            first: lately == 1,
        }
    }

    /// Whether nothing is learned from it.
    pub(crate) fn is_none(&self) -> bool {
        self.example <= 0.0
    }
}

/// What the `k`-th counts where so many count in full.
#[allow(clippy::cast_precision_loss)] // at most 1,025
fn share(k: u32, allowed: u32) -> f32 {
    let share = allowed as f32 / k.max(allowed) as f32;
    share * share
}

#[cfg(test)]
mod tests {
    use schemas::Kind;

    use super::*;
    use crate::memory::history::remember;

    const WINDOWS: Windows = Windows { popularity_ms: [10.0, 100.0, 1_000.0, 10_000.0], lately_ms: 1_000.0 };

    fn view(key: u64, ts: i64) -> Seen {
        Seen { key, kind: Kind::View, ts }
    }

    #[test]
    fn the_kth_choice_within_a_half_life_counts_one_part_in_k_squared_there() {
        let history = [view(7, 0), view(7, 95), view(8, 96), Seen { kind: Kind::Purchase, ..view(7, 97) }];
        let third = Influence::of(&history, &view(7, 99), &WINDOWS);
        let [one, quarter, ninth] = [1, 2, 3].map(|k| share(k, 1));
        assert!((one, quarter) == (1.0, 0.25) && (ninth - 1.0 / 9.0).abs() < 1e-6);
        assert_eq!(third.popularity, [quarter, ninth, ninth, ninth]);
        assert_eq!((third.pairs, third.example, third.first), (ninth, 1.0, false));
        let bought = Influence::of(&history, &Seen { kind: Kind::Cart, ..view(7, 99) }, &WINDOWS);
        assert_eq!(bought, Influence::WHOLE, "to put into the cart what was viewed is no repetition");
        let later = Influence::of(&history, &view(7, 1_100), &WINDOWS);
        assert_eq!((later.popularity, later.pairs), ([one, one, one, ninth], 1.0), "half-lives later");
        let late = Influence::of(&history, &view(7, -5), &WINDOWS);
        assert_eq!(late.popularity, [quarter, quarter, ninth, ninth], "what comes in the wrong order counts no more");
    }

    #[test]
    fn two_thousand_choices_of_one_item_count_less_than_two() {
        for backwards in [false, true] {
            let (mut history, mut sum, mut firsts) = (Vec::new(), [0.0_f32; 3], 0);
            for n in 0..2_000 {
                let choice = view(7, if backwards { -n } else { n } / 1_000);
                let Influence { popularity, pairs, example, first } = Influence::of(&history, &choice, &WINDOWS);
                [popularity[0], pairs, example].iter().zip(&mut sum).for_each(|(one, sum)| *sum += one);
                firsts += u32::from(first);
                remember(&mut history, choice, 128);
            }
            // 1.64 from the repetitions that the history holds, and 0.11 from all that it has forgotten.
            assert!(sum[0] < 1.8 && sum[1] < 1.8, "{sum:?}");
            assert!(sum[2] < 11.0 && firsts == 1, "{sum:?} {firsts}");
        }
    }

    #[test]
    fn two_thousand_choices_of_eight_items_in_turn_count_less_than_three_for_each() {
        let (mut history, mut sum) = (Vec::new(), 0.0);
        for n in 0..2_000_i64 {
            let choice = view(n.unsigned_abs() % 8, n / 1_000);
            let counts = Influence::of(&history, &choice, &WINDOWS).pairs;
            sum += if choice.key == 7 { counts } else { 0.0 };
            remember(&mut history, choice, 128);
        }
        assert!(sum < 2.5, "{sum}: the history holds sixteen of each");
    }

    #[test]
    fn a_choice_of_a_kind_that_its_user_made_up_to_four_times_is_a_whole_example() {
        let mut history = Vec::new();
        let examples = [1.0, 1.0, 1.0, 1.0, 0.64];
        for (n, expected) in (0..).zip(examples) {
            let of = Influence::of(&history, &view(7, n), &WINDOWS);
            assert!((of.example - expected).abs() < 1e-6, "{n}: {}", of.example);
            history.push(view(7, n));
        }
    }
}
