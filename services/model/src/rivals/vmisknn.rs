//! The rival that asks the neighbours as a shop of millions does: vector-multiplication-indexed-session
//! k-nearest-neighbours, VMIS-kNN.
//!
//! After Kersbergen, Sprangers and Schelter, *Serenade: Low-Latency Session-Based Recommendation in e-Commerce at Scale*
//! (SIGMOD 2022), with the defaults of their service, whose index is made anew each day; here it grows with each choice.
//! Rare items count more, by the logarithm of their rarity, and the item just chosen is never named.

use super::best::Best;
use super::sessions::Sessions;
use super::{Ask, Choice, NAMED, Ranked, Rival};
use crate::history::last_chosen;
use crate::keymap::Plain;

/// Items of the current session that look for neighbours.
const LOOKED_AT: usize = 2;
/// The latest sessions, over all items looked at, that are compared.
const SAMPLE: usize = 500;
/// Neighbours that recommend: all that are compared.
const NEIGHBOURS: usize = 500;

/// Session k-nearest-neighbours, as Serenade has them.
#[derive(Debug, Default)]
pub struct VmisKnn {
    sessions: Sessions,
}

impl Rival for VmisKnn {
    fn name(&self) -> &'static str {
        "vmisknn"
    }

    #[allow(clippy::cast_precision_loss)] // a few items
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let last = last_chosen(ask.history, LOOKED_AT);
            // By an item's place in the session: of two the last counts 1, the one before it a half.
            let weight = |steps: usize| (last.len() - steps) as f32 / last.len() as f32;
            let looked_at: Vec<(u64, f32)> = last.iter().enumerate().map(|(n, key)| (*key, weight(n))).collect();
            let mut scores = Plain::<f32>::default();
            for neighbour in self.sessions.nearest(ask.user, &looked_at, SAMPLE, NEIGHBOURS) {
                let counts = neighbour.likeness * (0.9 - 0.1 * neighbour.steps as f32);
                for key in self.sessions.items(neighbour.session) {
                    *scores.entry(key).or_default() += counts * self.sessions.rarity(key);
                }
            }
            last.first().map(|just_chosen| scores.remove(just_chosen));
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        choices.iter().for_each(|choice| self.sessions.learn(choice));
    }
}
