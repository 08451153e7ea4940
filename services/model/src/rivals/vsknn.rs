//! The rival that asks the neighbours: vector session k-nearest-neighbours over recent sessions, kept up to date.
//!
//! After Ludewig and Jannach, *Evaluation of Session-based Recommendation Algorithms* (2018): the later an item of the
//! current session, the more it counts, both in finding neighbours and in what they recommend.

use std::collections::VecDeque;

use super::best::Best;
use super::{Ask, Choice, ITEMS, NAMED, Ranked, Recent, Rival, USERS, chosen, recent};
use crate::keymap::Plain;

/// Items of the current session that look for neighbours.
const LOOKED_AT: usize = 10;
/// Sessions remembered for each item, the latest.
const SESSIONS_OF_ITEM: usize = 500;
/// The latest sessions, over all items looked at, that are compared.
const SAMPLE: usize = 1_000;
/// Neighbours that recommend.
const NEIGHBOURS: usize = 100;
/// Items of a session remembered, the latest.
const ITEMS_OF_SESSION: usize = 50;

/// Session k-nearest-neighbours.
#[derive(Debug)]
pub struct Vsknn {
    /// Each session's distinct items, oldest first.
    sessions: Recent<VecDeque<u64>>,
    /// Each item's sessions with the time of the choice, latest last.
    of_item: Recent<VecDeque<(u64, u64)>>,
    /// Choices so far.
    time: u64,
}

impl Default for Vsknn {
    fn default() -> Self {
        Self { sessions: recent(USERS), of_item: recent(ITEMS), time: 0 }
    }
}

/// A session that shares an item with the current one.
#[derive(Debug, Clone, Copy, Default)]
struct Neighbour {
    session: u64,
    /// When it last chose an item of the current session.
    time: u64,
    likeness: f32,
    /// Weight of the latest item in common.
    latest: f32,
}

impl Vsknn {
    /// The nearest sessions, in a fixed order.
    fn neighbours(&self, ask: &Ask<'_>) -> Vec<Neighbour> {
        let mut looked_at: Vec<u64> = Vec::with_capacity(LOOKED_AT);
        for key in chosen(ask.history) {
            if looked_at.len() < LOOKED_AT && !looked_at.contains(&key) {
                looked_at.push(key);
            }
        }
        let mut found = Plain::<Neighbour>::default();
        for (steps, key) in looked_at.iter().enumerate() {
            let weight = fade(steps);
            for (session, time) in self.of_item.peek(key).into_iter().flatten() {
                if *session != ask.user {
                    let fresh = Neighbour { session: *session, time: *time, likeness: 0.0, latest: weight };
                    let neighbour = found.entry(*session).or_insert(fresh);
                    neighbour.likeness += weight;
                    neighbour.time = neighbour.time.max(*time);
                }
            }
        }
        let mut neighbours: Vec<Neighbour> = found.into_values().collect();
        keep(&mut neighbours, SAMPLE, |a, b| b.time.cmp(&a.time).then(a.session.cmp(&b.session)));
        let nearest = |a: &Neighbour, b: &Neighbour| {
            b.likeness.total_cmp(&a.likeness).then(b.time.cmp(&a.time)).then(a.session.cmp(&b.session))
        };
        keep(&mut neighbours, NEIGHBOURS, nearest);
        // Sums of floats depend on their order, so it is a fixed one.
        neighbours.sort_unstable_by(nearest);
        neighbours
    }
}

/// The weight of an item so many steps back in a session.
#[allow(clippy::cast_precision_loss)] // at most ten
fn fade(steps: usize) -> f32 {
    1.0 - 0.1 * steps as f32
}

/// Keeps the first `k` by `order`, in no order.
fn keep<T>(list: &mut Vec<T>, k: usize, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    if list.len() > k {
        list.select_nth_unstable_by(k, order);
        list.truncate(k);
    }
}

impl Rival for Vsknn {
    fn name(&self) -> &'static str {
        "vsknn"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let mut scores = Plain::<f32>::default();
            for neighbour in self.neighbours(ask) {
                for key in self.sessions.peek(&neighbour.session).into_iter().flatten() {
                    *scores.entry(*key).or_default() += neighbour.likeness * neighbour.latest;
                }
            }
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            self.time += 1;
            let session = self.sessions.get_or_insert_mut(choice.user, VecDeque::new);
            let old = session.iter().position(|key| *key == choice.key);
            old.map(|at| session.remove(at));
            session.push_back(choice.key);
            if session.len() > ITEMS_OF_SESSION {
                session.pop_front();
            }
            let sessions = self.of_item.get_or_insert_mut(choice.key, VecDeque::new);
            // A session that comes back to an item stands among its latest again, once.
            if let Some(at) = sessions.iter().rev().take(8).position(|(session, _)| *session == choice.user) {
                sessions.remove(sessions.len() - 1 - at);
            }
            sessions.push_back((choice.user, self.time));
            if sessions.len() > SESSIONS_OF_ITEM {
                sessions.pop_front();
            }
        }
    }
}
