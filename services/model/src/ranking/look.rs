//! What is known of one candidate, looked up once for all its features.

use super::origin::{Origin, Places};
use crate::memory::catalog::Alike;
use crate::memory::covisitation::{AHEAD, BEHIND, LATELY, Ways};
use crate::memory::history::Seen;
use crate::memory::popularity::HALF_LIVES;
use crate::table::block::Counts;

/// What pairs say about an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paired {
    /// Shares given by the last item.
    pub(crate) last: Ways,
    /// Shares given by the item before.
    pub(crate) before: Ways,
    /// Shares given by the last items, each step back fading.
    pub(crate) sum: Ways,
    /// How many of the last items name it.
    pub(crate) linked: f32,
}

impl Paired {
    /// What sorts the candidates of this source.
    pub(crate) fn strength(&self) -> f32 {
        self.sum[AHEAD] + 0.5 * self.sum[BEHIND] + 0.3 * self.sum[LATELY]
    }
}

/// What is the same for all candidates of a query, as features have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// The logarithm of the history's length.
    pub(crate) length: f32,
    /// The share of the history that repeats an item.
    pub(crate) repetition: f32,
    /// The logarithm of the time between the last two interactions.
    pub(crate) tempo: f32,
    /// 1 where the user has a vector.
    pub(crate) known: f32,
}

/// One candidate beside what its user did.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    /// Of the item's vector and the user's, and the best that retrieval found.
    pub(crate) cosine: f32,
    pub(crate) best_cosine: f32,
    /// The setting, which cosines are divided by.
    pub(crate) temperature: f32,
    /// Of the item's vector and the last item's.
    pub(crate) likeness: f32,
    pub(crate) paired: Paired,
    /// How many of the last items are asked for their pairs.
    pub(crate) window: usize,
    /// The share that similar sessions give, and the largest that they give to any item.
    pub(crate) session: f32,
    pub(crate) best_session: f32,
    /// `None` where nothing was counted of it.
    pub(crate) counts: Option<Counts>,
    /// Natural logarithms of its shares of everything chosen, by half-life.
    pub(crate) log_shares: [f32; HALF_LIVES],
    pub(crate) places: &'a Places,
    /// Interactions since the user's last choice of it.
    pub(crate) back: Option<usize>,
    /// That choice.
    pub(crate) latest: Option<Seen>,
    /// How often the user chose it.
    pub(crate) times: f32,
    /// How closely it followed when the last item was chosen before.
    pub(crate) followed: f32,
    pub(crate) alike: Alike,
    /// When it came: by the catalog, or else when it was first met.
    pub(crate) came: Option<i64>,
    /// Event time for which it is asked.
    pub(crate) asked_at: i64,
    /// The same, or the version's own time where that is earlier: a version knows nothing of what happened after it,
    /// and ages beyond it would be of a kind never trained on.
    pub(crate) now: i64,
    pub(crate) asker: Asker,
}

impl Look<'_> {
    /// 1 for the first place in an origin's list, falling with its root; 0 where it is not named.
    #[inline]
    pub(crate) fn place(&self, origin: Origin) -> f32 {
        self.places[origin as usize].map_or(0.0, |place| (1.0 + f32::from(place)).sqrt().recip())
    }

    /// How much more than its popularity of the longest half-life says a share is.
    #[inline]
    pub(crate) fn lift(&self, share: f32) -> f32 {
        let expected = self.log_shares[HALF_LIVES - 1];
        if share > 0.0 { ((share.ln() - expected) / 4.0).clamp(-2.0, 3.0) } else { 0.0 }
    }

    /// How long ago it was chosen last. Of the user's own choice that is known whatever the version knows.
    #[inline]
    pub(crate) fn idle(&self) -> f32 {
        let Some(counts) = &self.counts else { return 0.0 };
        let by_user = self.latest.is_some_and(|own| own.ts >= counts.last_ts);
        let now = if by_user { self.asked_at } else { self.now };
        log_seconds(now.saturating_sub(counts.last_ts))
    }
}

#[allow(clippy::cast_precision_loss)] // a logarithm needs no more
pub(crate) fn log_seconds(milliseconds: i64) -> f32 {
    (1.0 + milliseconds.max(0) as f32 / 1_000.0).ln() / 5.0
}
