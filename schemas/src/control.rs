//! What is to be served, as somebody decided it: records on the topic `control`.
//!
//! The topic is compacted and holds the last word of the operator and of the gate, each under a key of its own. The
//! last record under a key stands by itself: it repeats what of the ones before is still in force. So all readers come
//! to the same, whenever they begin.

mod promotion;
mod read;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::VersionId;
use crate::checkpoint::EPOCH_REACH;

pub use promotion::{PROMOTE, Promotion, WAITS};
pub use read::MAX_TEXT;

/// Key of the operator's record.
pub const OPERATOR: &str = "release";

/// Key of the gate's record.
pub const GATE: &str = "gate";

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Serve this version until something else is said. Training goes on.
    Pin,
    /// No version is pinned any more.
    Unpin,
    /// Go back to this version: later ones are served no more, and training goes on from it.
    Rollback,
    /// Serve what is the newest version now. Training goes on.
    Hold,
    /// Nothing is held any more.
    Resume,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Rollback => "rollback",
            Self::Hold => "hold",
            Self::Resume => "resume",
        })
    }
}

/// A version, and where readers find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub version: VersionId,
    /// Where on `checkpoints` the snapshot begins that it is, or builds on. `None`: look for it from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<i64>,
}

/// A rollback in force: versions behind `to` are not served, up to those of an epoch. Later epochs went on from `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// What is served instead.
    pub to: Place,
    /// The last epoch whose versions went back with it. Who goes on from `to` claims a later one.
    pub epoch: u32,
    /// When it was decided, milliseconds since 1970.
    pub at: i64,
}

impl Back {
    /// A rollback that is decided at `at`, when `claimed` is the highest epoch claimed. It reaches one epoch further,
    /// for a trainer may be starting that does not know of it.
    #[must_use]
    pub fn new(to: Place, claimed: u32, at: i64) -> Self {
        Self { to, epoch: claimed.saturating_add(1), at }
    }

    /// Whether a version was rolled back. An epoch far beyond the version's is none that was claimed.
    #[must_use]
    pub fn covers(&self, version: VersionId) -> bool {
        let later = self.epoch.checked_sub(version.epoch);
        version > self.to.version && later.is_some_and(|epochs| epochs <= EPOCH_REACH)
    }
}

/// Value of a record on `control` (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What was decided.
    pub action: Action,
    /// The version that it is about; pin, rollback and hold have one.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The last rollback under this key; it stays in force whatever was decided since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Back>,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// When a pin or hold ends by itself, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When the gate went back, of late, milliseconds since 1970: whichever trainer asks knows how often it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<i64>,
}

impl Release {
    /// The version to be served whatever comes, at `now` in milliseconds since 1970.
    fn held(&self, now: i64) -> Option<Place> {
        let holds = matches!(self.action, Action::Pin | Action::Hold) && self.expires.is_none_or(|end| now < end);
        self.place.filter(|_| holds)
    }
}

/// What is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve<'a> {
    /// The newest version.
    Tip,
    /// This version, as this record says.
    Version(Place, &'a Release),
}

/// Both words, as they stand, and the last promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Releases {
    operator: Option<(i64, Release)>,
    gate: Option<(i64, Release)>,
    promotion: Option<Promotion>,
}

impl Releases {
    /// Takes the next record of the topic, with its offset; a record without a value takes the word back. False:
    /// nothing changed.
    ///
    /// # Errors
    /// When it is not readable, or says what cannot be; nothing changed then.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>, offset: i64) -> Result<bool, String> {
        let (slot, may_pin) = match std::str::from_utf8(key) {
            Ok(OPERATOR) => (&mut self.operator, true),
            Ok(GATE) => (&mut self.gate, false),
            Ok(PROMOTE) => {
                let new = value.map(Promotion::read).transpose()?;
                let changed = self.promotion != new;
                self.promotion = new;
                return Ok(changed);
            }
            _ => return Ok(false), // for somebody else
        };
        let new = value.map(Release::read).transpose()?;
        if let Some(Release { action: Action::Pin | Action::Unpin | Action::Resume, .. }) = new
            && !may_pin
        {
            return Err("the gate only ever goes back or holds".to_owned());
        }
        let new = new.map(|release| (offset, release));
        let changed = slot.as_ref().map(|(_, release)| release) != new.as_ref().map(|(_, release)| release);
        *slot = new;
        Ok(changed)
    }

    /// The operator's last word.
    #[must_use]
    pub fn operator(&self) -> Option<&Release> {
        self.operator.as_ref().map(|(_, release)| release)
    }

    /// The gate's last word.
    #[must_use]
    pub fn gate(&self) -> Option<&Release> {
        self.gate.as_ref().map(|(_, release)| release)
    }

    /// The last word under a key.
    #[must_use]
    pub fn standing(&self, key: &str) -> Option<&Release> {
        match key {
            OPERATOR => self.operator(),
            GATE => self.gate(),
            _ => None,
        }
    }

    /// The time of a word that is said at `now`: later than that of every word before, whatever clock it had. A signed
    /// word that is not later is one of before, written again.
    #[must_use]
    pub fn moment(&self, now: i64) -> i64 {
        let said = [self.operator(), self.gate()].into_iter().flatten();
        let said = said.map(|word| word.at).chain(self.promotion().map(|promotion| promotion.at));
        said.map(|at| at.saturating_add(1)).fold(now, i64::max)
    }

    /// The last challenger that was to be the trainer.
    #[must_use]
    pub fn promotion(&self) -> Option<&Promotion> {
        self.promotion.as_ref()
    }

    /// The record that holds a version, at `now` in milliseconds since 1970. The operator's counts before the gate's,
    /// and whatever the operator said after the gate held lifts it.
    #[must_use]
    pub fn pin(&self, now: i64) -> Option<(Place, &Release)> {
        if let Some(operator) = self.operator()
            && let Some(place) = operator.held(now)
        {
            return Some((place, operator));
        }
        let spoken = self.operator.as_ref().map_or(-1, |(offset, _)| *offset);
        let gate = self.gate.as_ref().filter(|(offset, _)| *offset > spoken).map(|(_, release)| release)?;
        Some((gate.held(now)?, gate))
    }

    /// The rollback that reaches the highest epoch; of two, the one said later.
    #[must_use]
    pub fn back(&self) -> Option<(Back, &Release)> {
        let both = [&self.operator, &self.gate].into_iter().flatten();
        let both = both.filter_map(|(offset, release)| Some((release.back?, offset, release)));
        both.max_by_key(|(back, offset, _)| (back.epoch, **offset)).map(|(back, _, release)| (back, release))
    }

    /// A rollback to `to` that is decided now, when `claimed` is the highest epoch claimed: it reaches further than any
    /// before, also where a trainer has not yet answered that one.
    #[must_use]
    pub fn back_to(&self, to: Place, claimed: u32, at: i64) -> Back {
        let before = self.back().map_or(0, |(back, _)| back.epoch);
        let within = before <= claimed.saturating_add(EPOCH_REACH);
        Back::new(to, if within { claimed.max(before) } else { claimed }, at)
    }

    /// Every version that is named: none of them may go from the topic.
    #[must_use]
    pub fn named(&self) -> Vec<VersionId> {
        let words = [self.operator(), self.gate()].into_iter().flatten();
        let places = words.flat_map(|word| word.place.into_iter().chain(word.back.map(|back| back.to)));
        places.map(|place| place.version).collect()
    }

    /// What is to be served where `tip` is the newest version, at `now` in milliseconds since 1970.
    #[must_use]
    pub fn serve(&self, tip: VersionId, now: i64) -> Serve<'_> {
        if let Some((place, by)) = self.pin(now) {
            return Serve::Version(place, by);
        }
        match self.back() {
            Some((back, by)) if back.covers(tip) => Serve::Version(back.to, by),
            _ => Serve::Tip,
        }
    }
}

#[cfg(test)]
mod tests;
