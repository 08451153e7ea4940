//! The baseline that asks the neighbours as a shop of millions does: vector-multiplication-indexed-session
//! k-nearest-neighbours, VMIS-kNN.
//!
//! After Kersbergen, Sprangers and Schelter, *Serenade: Low-Latency Session-Based Recommendation in e-Commerce at
//! Scale* (SIGMOD 2022), and the code of their service (bolcom/serenade), whose index is made anew each day; here it
//! grows with each choice, and holds no more of the session that asks than theirs does: nothing. Rare items count more,
//! by the logarithm of their rarity. The item just chosen is never named, in their service as in the Java and Python of
//! their experiments: where every third choice is that item again, as in REES46, no setting brings those hits back.

use super::best::Best;
use super::sessions::Sessions;
use super::{Ask, Baseline, Choice, NAMED, Ranked, chosen};
use crate::keymap::Plain;
use crate::memory::history::Seen;

/// Items of the current session that look for neighbours: of 2 to 9, tried on the first parts of four logs, 5 lies
/// between REES46 and DIGINETICA, where more hit more, and the others, where fewer do; theirs are searched for, for
/// each shop.
const LOOKED_AT: usize = 5;
/// The latest sessions, over all items looked at, that are compared.
const SAMPLE: usize = 500;
/// Neighbours that recommend: all that are compared.
const NEIGHBOURS: usize = 500;

/// Session k-nearest-neighbours, as Serenade has them.
#[derive(Debug, Default)]
pub struct VmisKnn {
    sessions: Sessions,
}

/// The last items of a session, latest first, as their store keeps them: a second look in a row adds nothing.
fn evolving(history: &[Seen]) -> Vec<u64> {
    let mut last: Vec<u64> = chosen(history).collect();
    last.dedup();
    last.truncate(LOOKED_AT);
    last
}

impl Baseline for VmisKnn {
    fn name(&self) -> &'static str {
        "vmisknn"
    }

    #[allow(clippy::cast_precision_loss)] // a few items
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let last = evolving(ask.history);
            let met_later = |n: usize| last[..n].contains(&last[n]);
            let distinct = (0..last.len()).filter(|n| !met_later(*n)).count() as f32;
            // An item counts once, by its latest place: of three items 1, two thirds and a third.
            let weight = |n: usize| if met_later(n) { 0.0 } else { (last.len() - n) as f32 / distinct };
            let looked_at: Vec<(u64, f32)> = last.iter().enumerate().map(|(n, key)| (*key, weight(n))).collect();
            let mut scores = Plain::<u64, f32>::default();
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
