//! Lists of some users, as one version makes them and the next.

use schemas::UserKey;

use super::Doubt;
use crate::keymap::KeySet;
use crate::memory::catalog::Catalog;
use crate::memory::history::Seen;
use crate::memory::only_listed::OnlyListed;
use crate::ranking::query::UserView;
use crate::version::served::Model;

/// Users whose lists are compared.
const USERS: usize = 8;
/// Sessions among which they are looked for.
const LOOKED_AT: usize = 64;
/// The items of a list.
const LENGTH: usize = 20;
/// Of a small shop a list shows much in any case.
const LEAST_ITEMS: usize = 200;
/// The lists of a young shop change with each choice.
const LEAST_INTERACTIONS: u64 = 5_000;
/// The share of a list that is as before, at least.
const LEAST_SAME: f32 = 0.5;

/// Some users of whom a version knows sessions, and what it would show them.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    histories: Vec<Vec<u64>>,
    lists: Vec<Vec<u64>>,
}

impl Probe {
    /// Draws users from a version: those of its last sessions; none where lists say nothing yet.
    #[must_use]
    pub fn draw(model: &Model) -> Self {
        let knowledge = model.knowledge();
        if knowledge.items() < LEAST_ITEMS || knowledge.interactions() < LEAST_INTERACTIONS {
            return Self::default();
        }
        let sessions = knowledge.sessions().newest(LOOKED_AT).filter(|session| session.items.len() > 1);
        let histories: Vec<Vec<u64>> = sessions.take(USERS).map(|session| session.items.clone()).collect();
        if histories.len() < USERS {
            return Self::default();
        }
        Self { lists: lists(model, &histories), histories }
    }

    /// The same users and what the next version would show them; an error where that is something else. `compared`:
    /// false where the two are too far apart to be alike.
    ///
    /// # Errors
    /// Fewer than half of the items are the same.
    pub fn next(&self, model: &Model, compared: bool) -> Result<Self, (Doubt, Self)> {
        if self.histories.is_empty() {
            return Ok(Self::draw(model));
        }
        let next = Self { lists: lists(model, &self.histories), histories: self.histories.clone() };
        let share = self.share(&next);
        if compared && share < LEAST_SAME { Err((Doubt::Lists(share), next)) } else { Ok(next) }
    }

    /// Whether both show the same users much the same.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self.histories != other.histories || self.share(other) >= LEAST_SAME
    }

    #[allow(clippy::cast_precision_loss)] // at most 160
    fn share(&self, other: &Self) -> f32 {
        let (mut same, mut all) = (0, 0);
        for (a, b) in self.lists.iter().zip(&other.lists) {
            let shown: KeySet<u64> = a.iter().copied().collect();
            same += b.iter().filter(|key| shown.contains(key)).count();
            all += a.len().max(b.len());
        }
        if all == 0 { 1.0 } else { same as f32 / all as f32 }
    }
}

/// What each would be shown, whatever the catalog says: it is not the version's.
fn lists(model: &Model, histories: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let (model, now) = (model.showing(OnlyListed::No), model.knowledge().now());
    let kind = schemas::Kind::View;
    let seen = |items: &Vec<u64>| items.iter().map(|key| Seen { key: *key, kind, ts: now }).collect();
    let seen: Vec<Vec<Seen>> = histories.iter().map(seen).collect();
    let users: Vec<UserView<'_>> =
        seen.iter().map(|history| UserView { user: UserKey::NOBODY, history, ts: now }).collect();
    let listed = model.listed(&users, &Catalog::default(), LENGTH).into_iter();
    listed.map(|list| list.into_iter().map(|(key, _)| key).collect()).collect()
}
