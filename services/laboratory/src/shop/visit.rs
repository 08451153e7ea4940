//! One visit to the synthetic shop: a walk over items, the view → cart → purchase funnel, and its end.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemas::EventType;

use super::catalog::{Catalog, Link};
use super::chance::any;
use super::people::People;

/// Items remembered within one visit.
const REMEMBERED: usize = 12;

/// Items shown by one impression.
const SHOWN: usize = 6;

/// What happens next to the item in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Just came in.
    Arriving,
    /// Picks the next item.
    Browsing,
    /// Has seen the item; may put it into the cart, like it or turn away.
    Deciding,
    /// Pays, or leaves the cart standing.
    Leaving,
}

/// What a visit did; items by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) kind: EventType,
    pub(super) item: u32,
    pub(super) shown: Vec<u32>,
}

/// A visit in progress.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) user: u32,
    pub(super) number: u64,
    phase: Phase,
    /// Whether this visit compares alternatives or collects what goes together: a sequence model can tell.
    intent: Link,
    views_left: u32,
    /// Items seen, newest last, the one in front included.
    seen: Vec<u32>,
    cart: Vec<u32>,
    shown: Vec<u32>,
}

/// What a visit walks through.
pub(super) struct Surroundings<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) people: &'a People,
    pub(super) hot: &'a [u32],
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl Visit {
    /// A visit begins; its length is geometric with a mean of `mean_views`.
    pub(super) fn new(user: u32, number: u64, mean_views: f64, rng: &mut ChaCha8Rng) -> Self {
        let chance: f64 = rng.random_range(f64::EPSILON..1.0);
        let more = (chance.ln() * -(mean_views - 1.0).max(0.0)).round().min(200.0);
        Self {
            user,
            number,
            phase: Phase::Arriving,
            intent: if rng.random_bool(0.6) { Link::Alike } else { Link::GoesWith },
            views_left: 1 + more as u32,
            seen: Vec::new(),
            cart: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// The next thing the user does, or `None` when the visit is over.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) -> Option<Deed> {
        loop {
            match self.phase {
                Phase::Arriving => {
                    self.phase = Phase::Browsing;
                    if around.rng.random_bool(0.3) {
                        return Some(self.look_around(around));
                    }
                }
                Phase::Browsing if self.views_left == 0 => self.phase = Phase::Leaving,
                Phase::Browsing => {
                    let item = self.pick(around);
                    self.views_left -= 1;
                    self.seen.retain(|known| *known != item);
                    self.seen.push(item);
                    if self.seen.len() > REMEMBERED {
                        self.seen.remove(0);
                    }
                    self.phase = Phase::Deciding;
                    return Some(Deed { kind: EventType::View, item, shown: Vec::new() });
                }
                Phase::Deciding => {
                    self.phase = Phase::Browsing;
                    if let Some(deed) = self.decide(around) {
                        return Some(deed);
                    }
                }
                Phase::Leaving => {
                    let item = self.cart.pop()?;
                    if around.rng.random_bool(0.5) {
                        return Some(Deed { kind: EventType::Purchase, item, shown: Vec::new() });
                    }
                }
            }
        }
    }

    /// The entrance page: hot items and some to the user's taste.
    fn look_around(&mut self, around: &mut Surroundings<'_>) -> Deed {
        let mut shown: Vec<u32> = around.hot.iter().copied().take(SHOWN / 2).collect();
        for _ in 0..SHOWN {
            let item = around.people.fancy(self.user, around.catalog, around.rng);
            if !shown.contains(&item) && shown.len() < SHOWN {
                shown.push(item);
            }
        }
        self.shown.clone_from(&shown);
        Deed { kind: EventType::Impression, item: shown[0], shown }
    }

    fn pick(&mut self, around: &mut Surroundings<'_>) -> u32 {
        let Surroundings { catalog, people, hot, rng } = around;
        if let Some(item) = any(rng, &std::mem::take(&mut self.shown)).filter(|_| rng.random_bool(0.7)) {
            return item;
        }
        let front = self.seen.last().copied();
        match (rng.random::<f64>(), front) {
            (..0.05, _) => any(rng, hot),
            (..0.08, _) => catalog.something_new(rng),
            (..0.13, Some(front)) => any(rng, &self.seen).filter(|item| *item != front),
            (..0.82, Some(front)) => {
                let after_cart = self.cart.last() == Some(&front);
                let link = if after_cart { Link::GoesWith } else { self.intent };
                let link = match link {
                    Link::Alike if rng.random_bool(0.12) => Link::GoesWith,
                    Link::GoesWith if rng.random_bool(0.12) => Link::Alike,
                    link => link,
                };
                Some(catalog.follow(front, link, rng))
            }
            _ => None,
        }
        .unwrap_or_else(|| people.fancy(self.user, catalog, rng))
    }

    fn decide(&mut self, around: &mut Surroundings<'_>) -> Option<Deed> {
        let item = *self.seen.last()?;
        let wanted = around.people.likes(self.user, item, around.catalog);
        let (cart, like, dislike) = if wanted { (0.16, 0.04, 0.0) } else { (0.06, 0.01, 0.02) };
        let deed = |kind| Some(Deed { kind, item, shown: Vec::new() });
        match around.rng.random::<f64>() {
            chance if chance < cart && !self.cart.contains(&item) => {
                self.cart.push(item);
                deed(EventType::Cart)
            }
            chance if chance < cart => None,
            chance if chance < cart + like => deed(EventType::Like),
            chance if chance < cart + like + dislike => {
                // Forgotten: the next item is not reached from this one.
                self.seen.pop();
                deed(EventType::Dislike)
            }
            _ => None,
        }
    }
}
