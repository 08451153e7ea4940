//! The baseline that asks the neighbours: vector session k-nearest-neighbours over recent sessions, kept up to date.
//!
//! After Ludewig and Jannach, *Evaluation of Session-based Recommendation Algorithms* (2018): the later an item of the
//! current session, the more it counts, both in finding neighbours and in what they recommend.

use super::best::Best;
use super::sessions::Sessions;
use super::{Ask, Baseline, Choice, NAMED, Ranked};
use crate::keymap::Plain;
use crate::memory::history::last_chosen;

/// Items of the current session that look for neighbours.
const LOOKED_AT: usize = 10;
/// The latest sessions, over all items looked at, that are compared.
const SAMPLE: usize = 1_000;
/// Neighbours that recommend.
const NEIGHBOURS: usize = 100;

/// Session k-nearest-neighbours.
#[derive(Debug, Default)]
pub struct Vsknn {
    sessions: Sessions,
}

/// The weight of an item so many steps back in a session.
#[allow(clippy::cast_precision_loss)] // at most ten
fn fade(steps: usize) -> f32 {
    1.0 - 0.1 * steps as f32
}

impl Baseline for Vsknn {
    fn name(&self) -> &'static str {
        "vsknn"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let looked_at = last_chosen(ask.history, LOOKED_AT).into_iter().enumerate();
            let looked_at: Vec<(u64, f32)> = looked_at.map(|(steps, key)| (key, fade(steps))).collect();
            let mut scores = Plain::<u64, f32>::default();
            for neighbour in self.sessions.nearest(ask.user, &looked_at, SAMPLE, NEIGHBOURS) {
                for key in self.sessions.items(neighbour.session) {
                    *scores.entry(key).or_default() += neighbour.likeness * fade(neighbour.steps);
                }
            }
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        choices.iter().for_each(|choice| self.sessions.learn(choice));
    }
}
