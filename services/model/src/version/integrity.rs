//! Holds a version against the one before: what an honest learner cannot have done within a moment is doubted. Pure.
//!
//! Each version carries a [`Sample`]: the 256 items with the smallest keys that were met often, and their rows. Keys
//! are hashes, so these are any items, and the same ones in every version. Rows are read from the payload, for a scorer
//! holds vectors of length 1 only. What is compared:
//!
//! | what | doubted |
//! |---|---|
//! | settings, of one epoch | they differ: a trainer never changes them |
//! | offsets and interactions, of one epoch | they fall |
//! | items | fewer than half are left |
//! | lengths of rows | the median grew to more than 4 times; more where the version knows more |
//! | directions of rows | an item's is no nearer to its own of before than to those of other items: ids are shuffled |
//! | lists of some users ([`Probe`]) | fewer than half of the items are the same |
//!
//! Versions of another epoch with other settings are not compared: somebody chose them. Neither are rows under a
//! `row_learning_rate` beyond [`STEADY_RATE`], which moves them anywhere: whether that is bad is the quality gate's
//! question.

mod probe;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemas::checkpoint::Through;

use crate::settings::Settings;

pub use probe::Probe;

/// Items of a sample.
pub(crate) const SAMPLED: usize = 256;
/// Sightings of an item before its row says anything.
pub(crate) const MET: u32 = 10;
/// Fewer items in common say nothing.
const LEAST: usize = 24;
/// Fewer items may go in any way.
const FEW_ITEMS: usize = 100;
/// Rows grow with the square root of the steps, by some per cent within a minute.
const MOST_GROWTH: f32 = 4.0;
/// Up to this rate a row moves little within a version; the default is 0.2.
const STEADY_RATE: f32 = 0.5;
/// Each row is held against so many of others.
const OTHERS: usize = 8;
/// The share of them to which it is nearer than to its own, at most: by chance a half. A learner that goes on stays
/// below a tenth.
const MOST_STRANGE: f32 = 0.3;
/// A version that knows so much more than the one before, as a share, is not compared row by row.
const MOST_NEW: f64 = 0.25;

/// Why a version is doubted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Doubt {
    /// The settings of an epoch changed.
    Settings,
    /// Offsets or the count of interactions fell.
    Offsets,
    /// So many items are left of so many.
    Items(usize, usize),
    /// Rows are so many times as long.
    Lengths(f32),
    /// So large a share of rows is nearer to another item's of before than to their own.
    Shuffled(f32),
    /// So large a share of the probes' lists is the same.
    Lists(f32),
}

impl Doubt {
    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Offsets => "offsets",
            Self::Items(..) => "items",
            Self::Lengths(_) => "lengths",
            Self::Shuffled(_) => "shuffled",
            Self::Lists(_) => "lists",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => f.write_str("its settings are not those of its epoch"),
            Self::Offsets => f.write_str("it stands before the version that it follows"),
            Self::Items(left, of) => write!(f, "it knows {left} of {of} items"),
            Self::Lengths(times) => write!(f, "its rows are {times:.1} times as long as before"),
            Self::Shuffled(share) => {
                write!(f, "rows are other items' than before: {:.0} % of those compared", share * 100.0)
            }
            Self::Lists(share) => write!(f, "{:.0} % of some users' lists are as before", share * 100.0),
        }
    }
}

/// What of a version the next one is held against.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub(crate) settings: Arc<Settings>,
    pub(crate) epoch: u32,
    pub(crate) through: BTreeMap<i32, Through>,
    pub(crate) interactions: u64,
    /// Items known; where only payloads are read, those of the last snapshot.
    pub(crate) items: usize,
    /// Keys, rising.
    pub(crate) keys: Vec<u64>,
    pub(crate) slots: Vec<u32>,
    /// `[keys, dim]`: row + content.
    pub(crate) rows: Vec<f32>,
}

impl Sample {
    /// What is doubtful about this version where `before` is the one that it follows.
    #[must_use]
    pub fn doubt(&self, before: &Self) -> Option<Doubt> {
        let same = self.settings == before.settings;
        if self.epoch == before.epoch {
            if !same {
                return Some(Doubt::Settings);
            }
            if self.interactions < before.interactions || falls(&before.through, &self.through) {
                return Some(Doubt::Offsets);
            }
        }
        if same && before.items >= FEW_ITEMS && self.items * 2 < before.items {
            return Some(Doubt::Items(self.items, before.items));
        }
        if !same || self.settings.row_learning_rate > STEADY_RATE {
            return None;
        }
        let pairs = self.in_common(before);
        // What was met often stays so: where it is other items, they have one another's counts.
        if before.keys.len() >= LEAST && pairs.len() * 2 < before.keys.len() && self.is_close_to(before) {
            #[allow(clippy::cast_precision_loss)] // at most 256
            let lost = 1.0 - pairs.len() as f32 / before.keys.len() as f32;
            return Some(Doubt::Shuffled(lost));
        }
        if pairs.len() < LEAST {
            return None;
        }
        self.lengths(before, &pairs).or_else(|| self.directions(before, &pairs))
    }

    /// Whether it follows `before` beyond doubt: soon behind it, and both have rows to compare, or neither has.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let can_tell = before.keys.len() >= LEAST || self.keys.len() < LEAST;
        can_tell && self.is_close_to(before) && self.doubt(before).is_none()
    }

    /// Whether it knows little more than `before`, and no less.
    #[must_use]
    pub fn is_close_to(&self, before: &Self) -> bool {
        #[allow(clippy::cast_precision_loss)] // counts
        let (now, then) = (self.interactions as f64, before.interactions as f64);
        self.settings == before.settings && (then..=then * (1.0 + MOST_NEW)).contains(&now)
    }

    fn lengths(&self, before: &Self, pairs: &[(usize, usize)]) -> Option<Doubt> {
        let ratio = |(now, then): &(usize, usize)| {
            let then = length(before.row(*then));
            (then > 0.0).then(|| length(self.row(*now)) / then)
        };
        let mut ratios: Vec<f32> = pairs.iter().filter_map(ratio).collect();
        if ratios.len() < LEAST {
            return None;
        }
        ratios.sort_by(f32::total_cmp);
        let median = ratios[ratios.len() / 2];
        #[allow(clippy::cast_precision_loss)] // counts
        let more = (self.interactions as f32 / before.interactions.max(1) as f32).max(1.0).sqrt();
        (median > MOST_GROWTH * more).then_some(Doubt::Lengths(median))
    }

    fn directions(&self, before: &Self, pairs: &[(usize, usize)]) -> Option<Doubt> {
        if !self.is_close_to(before) {
            return None;
        }
        let then: Vec<(&[f32], f32)> =
            pairs.iter().map(|(_, n)| before.row(*n)).map(|row| (row, length(row))).collect();
        let likeness = |row: &[f32], (other, length): (&[f32], f32)| {
            let dot: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            dot / length.max(f32::MIN_POSITIVE)
        };
        let (mut compared, mut strange) = (0_u32, 0_u32);
        for (n, (now, _)) in pairs.iter().enumerate() {
            let row = self.row(*now);
            let own = likeness(row, then[n]);
            // Not the next ones: what is alike by its content may have come in a row, and is told apart by little.
            for k in 1..=OTHERS {
                let other = likeness(row, then[(n + k * k) % pairs.len()]);
                compared += u32::from(other != own);
                strange += u32::from(other > own);
            }
        }
        #[allow(clippy::cast_precision_loss)] // at most 256 times 8
        let share = strange as f32 / compared.max(1) as f32;
        (share > MOST_STRANGE).then_some(Doubt::Shuffled(share))
    }

    fn row(&self, n: usize) -> &[f32] {
        let dim = self.settings.dim;
        &self.rows[n * dim..(n + 1) * dim]
    }

    /// Where the items stand that both have: here and there.
    fn in_common(&self, before: &Self) -> Vec<(usize, usize)> {
        let there = |(n, key): (usize, &u64)| Some((n, before.keys.binary_search(key).ok()?));
        self.keys.iter().enumerate().filter_map(there).collect()
    }
}

/// Whether a place lies before that of the version before, in one life of the log. Of a life that is not known nothing
/// is said.
fn falls(before: &BTreeMap<i32, Through>, now: &BTreeMap<i32, Through>) -> bool {
    before.iter().any(|(partition, then)| {
        now.get(partition).is_some_and(|now| now.log == then.log && now.log != 0 && now.next < then.next)
    })
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests;
