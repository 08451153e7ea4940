//! The rival that compares items: item k-nearest-neighbours by the cosine between the sets of sessions that chose them.
//!
//! After Sarwar et al., *Item-Based Collaborative Filtering Recommendation Algorithms* (2001). What sessions chose fades
//! with event time, and so does each step back in the history that asks. Both counts of a cosine fade alike, so that its
//! value does not depend on when it is asked for: nothing is decayed but what is written.

use super::best::Best;
use super::{Ask, Choice, ITEMS, NAMED, Ranked, Recent, Rival, recent};
use crate::history::last_chosen;
use crate::keymap::Plain;
use crate::popularity::log2_add;

/// Items of a history that are taken for one session, and that ask.
const WINDOW: usize = 10;
/// Neighbours kept for each item; the weakest gives way.
const NEIGHBOURS: usize = 100;
/// After so many milliseconds a choice counts half.
const HALF_LIFE_MS: f64 = 14.0 * 86_400_000.0;
/// Each step back in a history counts so much less.
const FADE: f32 = 0.5;

/// An item's sessions, and those that it shares with others: log2 of counts that grow with time instead of fading.
#[derive(Debug)]
struct Chosen {
    sessions: f64,
    shared: Vec<(u64, f64)>,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { sessions: f64::NEG_INFINITY, shared: Vec::new() }
    }
}

impl Chosen {
    fn share(&mut self, with: u64, weight: f64) {
        if let Some((_, known)) = self.shared.iter_mut().find(|(key, _)| *key == with) {
            *known = log2_add(*known, weight);
        } else if self.shared.len() < NEIGHBOURS {
            self.shared.push((with, weight));
        } else if let Some(weakest) = self.shared.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (with, weight);
        }
    }
}

/// Item k-nearest-neighbours by cosine.
#[derive(Debug)]
pub struct ItemKnn {
    items: Recent<Chosen>,
}

impl Default for ItemKnn {
    fn default() -> Self {
        Self { items: recent(ITEMS) }
    }
}

impl Rival for ItemKnn {
    fn name(&self) -> &'static str {
        "itemknn"
    }

    #[allow(clippy::cast_possible_truncation)] // at most 1, or a little above where a neighbour was let go
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let mut scores = Plain::<f32>::default();
            let mut fade = 1.0;
            for key in last_chosen(ask.history, WINDOW) {
                if let Some(own) = self.items.peek(&key) {
                    for (other, shared) in &own.shared {
                        if let Some(others) = self.items.peek(other) {
                            let cosine = (shared - (own.sessions + others.sessions) / 2.0).exp2() as f32;
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

    #[allow(clippy::cast_precision_loss)] // times
    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            let session = last_chosen(choice.history, WINDOW);
            if session.contains(&choice.key) {
                continue; // a set holds it once
            }
            let weight = choice.ts as f64 / HALF_LIFE_MS;
            let own = self.items.get_or_insert_mut(choice.key, Chosen::default);
            own.sessions = log2_add(own.sessions, weight);
            session.iter().for_each(|other| own.share(*other, weight));
            for other in session {
                self.items.get_or_insert_mut(other, Chosen::default).share(choice.key, weight);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Seen;
    use schemas::Kind;

    #[test]
    fn items_are_as_near_as_their_sessions_overlap_and_old_sessions_count_less() {
        let seen = |key| Seen { key, kind: Kind::View, ts: 0 };
        let mut items = ItemKnn::default();
        let mut learn = |history: &[Seen], key, ts| items.learn(&[Choice { user: 0, history, key, ts }]);
        // Two sessions hold 1, one of them 2, the other 3.
        learn(&[], 1, 0);
        learn(&[seen(1)], 2, 0);
        learn(&[seen(1), seen(2)], 1, 0); // once more in the same session: a set
        learn(&[], 1, 0);
        learn(&[seen(1)], 3, 0);
        // A session of 2 alone, a half-life later: two of the old ones.
        learn(&[], 2, HALF_LIFE_MS as i64);
        let ranked = items.rank(&[Ask { user: 9, history: &[seen(2), seen(1)], ts: 0 }]).remove(0);
        let near = 1.0 / (2.0_f32 * 3.0).sqrt();
        let expected = [(3, 1.0 / 2.0_f32.sqrt()), (2, near), (1, FADE * near)];
        assert_eq!(ranked.len(), expected.len());
        for ((key, score), (wanted, by_hand)) in ranked.into_iter().zip(expected) {
            assert!(key == wanted && (score - by_hand).abs() < 1e-5, "{key}: {score}, by hand {wanted}: {by_hand}");
        }
    }
}
