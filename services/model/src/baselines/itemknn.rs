//! The baseline that compares items: item k-nearest-neighbours by the cosine of what sessions chose together.
//!
//! After Sarwar et al., *Item-Based Collaborative Filtering Recommendation Algorithms* (2001), as a session's baseline
//! in Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (2016), and Ludewig and Jannach,
//! *Evaluation of Session-based Recommendation Algorithms* (2018): every choice pairs an item with those that its
//! session holds, and a cosine is damped by 20 choices, for two items met once each, together, are no sure pair.
//!
//! Theirs ask the last item alone. Here a pair counts less with distance and fades with event time, and each step back
//! in the history that asks counts less. All counts fade alike, so nothing is decayed but what is written. Theirs name
//! no item beside itself; here a return to an item pairs it with itself, since repeats are tested, too: in REES46 every
//! third choice is one of the item just chosen. Where nobody returns, as in Globo, this changes nothing.

use super::best::Best;
use super::{Ask, Baseline, Choice, ITEMS, NAMED, Ranked, Recent, recent};
use crate::keymap::Plain;
use crate::memory::history::last_chosen;
use crate::memory::popularity::log2_add;

/// Items of a history that are taken for one session, and that ask.
const WINDOW: usize = 10;
/// Neighbours kept for each item; the weakest gives way.
const NEIGHBOURS: usize = 100;
/// After so many milliseconds a choice counts half.
const HALF_LIFE_MS: f64 = 14.0 * 86_400_000.0;
/// Each step back in a history counts so much less.
const FADE: f32 = 0.5;
/// Choices that every item is taken to have beside its own, as Hidasi has it: of 5, 20 and 50 none does better on
/// REES46.
const DAMPING: f64 = 20.0;

/// How often an item was chosen, and with what: log2 of counts that grow with time instead of fading.
#[derive(Debug)]
struct Chosen {
    count: f64,
    together: Vec<(u64, f64)>,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { count: f64::NEG_INFINITY, together: Vec::new() }
    }
}

impl Chosen {
    fn pair(&mut self, with: u64, weight: f64) {
        if let Some((_, known)) = self.together.iter_mut().find(|(key, _)| *key == with) {
            *known = log2_add(*known, weight);
        } else if self.together.len() < NEIGHBOURS {
            self.together.push((with, weight));
        } else if let Some(weakest) = self.together.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (with, weight);
        }
    }
}

/// A time in half-lives: the log2 of what a choice then counts.
#[allow(clippy::cast_precision_loss)] // milliseconds
fn grown(ts: i64) -> f64 {
    ts as f64 / HALF_LIFE_MS
}

/// Item k-nearest-neighbours by cosine.
#[derive(Debug)]
pub struct ItemKnn {
    items: Recent<u64, Chosen>,
}

impl Default for ItemKnn {
    fn default() -> Self {
        Self { items: recent(ITEMS) }
    }
}

impl Baseline for ItemKnn {
    fn name(&self) -> &'static str {
        "itemknn"
    }

    #[allow(clippy::cast_possible_truncation)] // at most 2, for an item that everybody returns to
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let damping = DAMPING.log2() + grown(ask.ts);
            let mut scores = Plain::<u64, f32>::default();
            let mut fade = 1.0;
            for key in last_chosen(ask.history, WINDOW) {
                if let Some(own) = self.items.peek(&key) {
                    let count = log2_add(own.count, damping);
                    for (other, together) in &own.together {
                        if let Some(others) = self.items.peek(other) {
                            let cosine = (together - (count + log2_add(others.count, damping)) / 2.0).exp2() as f32;
                            *scores.entry(*other).or_default() += fade * cosine;
                        }
                    }
                }
                fade *= FADE;
            }
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    #[allow(clippy::cast_precision_loss)] // at most ten
    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            let weight = grown(choice.ts);
            let own = self.items.get_or_insert_mut(choice.key, Chosen::default);
            own.count = log2_add(own.count, weight);
            for (steps, other) in last_chosen(choice.history, WINDOW).into_iter().enumerate() {
                let weight = weight - (steps as f64 + 1.0).log2();
                // Both ways; of an item with itself both are the same pair.
                self.items.get_or_insert_mut(choice.key, Chosen::default).pair(other, weight);
                self.items.get_or_insert_mut(other, Chosen::default).pair(choice.key, weight);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::history::Seen;
    use schemas::{Kind, UserKey};

    fn seen(key: u64) -> Seen {
        Seen { key, kind: Kind::View, ts: 0 }
    }

    /// Two sessions of 1, 2, 1 and of 1, 3; a half-life later one of 2 alone, which counts two.
    fn taught() -> ItemKnn {
        let mut items = ItemKnn::default();
        let mut learn = |history: &[Seen], key, ts| items.learn(&[Choice { user: UserKey(0), history, key, ts }]);
        learn(&[], 1, 0);
        learn(&[seen(1)], 2, 0);
        learn(&[seen(1), seen(2)], 1, 0);
        learn(&[], 1, 0);
        learn(&[seen(1)], 3, 0);
        learn(&[], 2, HALF_LIFE_MS as i64);
        items
    }

    fn assert_ranked(history: &[Seen], ts: i64, expected: &[(u64, f32)]) {
        let ranked = taught().rank(&[Ask { user: UserKey(9), history, ts }]).remove(0);
        assert_eq!(ranked.len(), expected.len());
        for ((key, score), (wanted, by_hand)) in ranked.into_iter().zip(expected) {
            assert!(key == *wanted && (score - by_hand).abs() < 1e-5, "{key}: {score}, by hand {wanted}: {by_hand}");
        }
    }

    #[test]
    fn items_are_as_near_as_they_are_chosen_together_and_old_choices_count_less() {
        // Chosen are 1 three times, 2 as if three times, 3 once; 20 more are added. Together are 1 and 2 twice, next to
        // each other, and 1 and 3 once. The return to 1 is two steps long and counts both ways: once.
        assert_ranked(&[seen(1)], 0, &[(2, 2.0 / 23.0), (3, 1.0 / (23.0_f32 * 21.0).sqrt()), (1, 1.0 / 23.0)]);
        // A half-life later all that is old counts half beside the 20, which are always of today.
        let later = HALF_LIFE_MS as i64;
        assert_ranked(&[seen(1)], later, &[(2, 2.0 / 43.0), (3, 1.0 / (43.0_f32 * 41.0).sqrt()), (1, 1.0 / 43.0)]);
    }

    #[test]
    fn each_step_back_in_a_history_asks_with_half_the_weight() {
        let expected = [(1, 2.5 / 23.0), (2, 1.0 / 23.0), (3, 0.5 / (23.0_f32 * 21.0).sqrt())];
        assert_ranked(&[seen(1), seen(2)], 0, &expected);
    }

    #[test]
    fn an_item_that_nobody_returns_to_is_not_named_to_who_just_chose_it() {
        let ranked = taught().rank(&[Ask { user: UserKey(9), history: &[seen(2)], ts: 0 }]).remove(0);
        assert_eq!(ranked.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1]);
    }
}
