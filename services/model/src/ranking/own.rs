//! What the user who asks did with each item of the history.

use crate::keymap::Plain;
use crate::memory::history::Seen;

/// So many items that followed an earlier choice of the last item are looked at.
const FOLLOWING: usize = 8;

/// What the user did with an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Own {
    /// What the newest interaction says that tells a dislike, or takes it back.
    dislikes: Option<bool>,
    /// When it was bought last.
    pub(crate) bought: Option<i64>,
    /// Interactions since the last choice of it; `None` when it was never chosen.
    pub(crate) back: Option<usize>,
    /// How often it was chosen.
    pub(crate) times: f32,
    /// The last choice of it.
    pub(crate) latest: Option<Seen>,
    /// How closely it followed when the last item was chosen before.
    pub(crate) followed: f32,
}

impl Own {
    /// Whether it was ever chosen.
    pub(crate) fn chosen(&self) -> bool {
        self.back.is_some()
    }

    /// Whether it was disliked, and neither liked nor bought nor taken back since.
    pub(crate) fn disliked(&self) -> bool {
        self.dislikes == Some(true)
    }
}

/// Looks through a history once, so that no candidate has to.
pub(crate) fn own(history: &[Seen]) -> Plain<u64, Own> {
    let mut own: Plain<u64, Own> = Plain::default();
    for (back, seen) in history.iter().rev().enumerate() {
        let known = own.entry(seen.key).or_default();
        known.dislikes = known.dislikes.or(seen.kind.dislikes()); // the newest decides
        if seen.kind == schemas::Kind::Purchase {
            known.bought.get_or_insert(seen.ts);
        }
        if seen.kind.is_positive() {
            known.back.get_or_insert(back);
            known.latest.get_or_insert(*seen);
            known.times += 1.0;
        }
    }
    // Who buys again often buys the same things after one another.
    let chosen: Vec<u64> = history.iter().filter(|seen| seen.kind.is_positive()).map(|seen| seen.key).collect();
    if let Some((last, before)) = chosen.split_last() {
        for (at, _) in before.iter().enumerate().filter(|(_, key)| *key == last) {
            for (key, distance) in before[at + 1..].iter().take(FOLLOWING).zip(1_u8..) {
                if let Some(own) = own.get_mut(key) {
                    own.followed = own.followed.max(f32::from(distance).recip());
                }
            }
        }
    }
    own
}
