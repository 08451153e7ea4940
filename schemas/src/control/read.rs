//! Reading records of `control` within bounds: anybody may have written them.

use super::{Action, Place, Release};
use crate::VersionId;
use crate::checkpoint::{LAST, MAX_OFFSET, is_time, shown};

/// The longest record.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// The longest name and reason, in bytes.
pub const MAX_TEXT: usize = 1_000;

/// Entries of `rollbacks`.
const MAX_ROLLBACKS: usize = 16;

impl Release {
    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is not readable, or says what cannot be.
    pub fn read(value: &[u8]) -> Result<Self, String> {
        if value.len() > MAX_BYTES {
            return Err(format!("the record on control is longer than {MAX_BYTES} bytes"));
        }
        let release: Self = serde_json::from_slice(value)
            .map_err(|error| format!("the record on control is not readable: {}", shown(&error.to_string())))?;
        match release.problem() {
            None => Ok(release),
            Some(problem) => Err(format!("the record on control {problem}")),
        }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let Self { action, place, back, by, reason, at, expires, rollbacks } = self;
        let names_one = matches!(action, Action::Pin | Action::Rollback | Action::Hold);
        let rules = [
            (names_one && place.is_none(), "names no version"),
            (
                !place.iter().chain(back.iter().map(|back| &back.to)).all(Place::can_be),
                "names a version that cannot be",
            ),
            (back.is_some_and(|back| back.epoch < back.to.version.epoch), "goes back to a later epoch"),
            (back.is_some_and(|back| back.epoch > LAST || !is_time(back.at)), "names a rollback that cannot be"),
            (
                *action == Action::Rollback && back.map(|back| Some(back.to)) != Some(*place),
                "is a rollback and does not say to what, or from which epoch",
            ),
            (!is_text(by) || !is_text(reason), "names nobody or no reason, or with control characters or at length"),
            (!is_time(*at) || expires.is_some_and(|end| !is_time(end)), "names a time that cannot be"),
            (rollbacks.len() > MAX_ROLLBACKS || !rollbacks.iter().all(|at| is_time(*at)), "went back more than can be"),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, problem)| problem)
    }
}

impl Place {
    /// Whether there can be a version of this name at such an offset.
    pub(crate) fn can_be(&self) -> bool {
        let Self { version: VersionId { epoch, sequence }, begins } = self;
        let is_version = (1..=LAST).contains(epoch) && (1..=LAST).contains(sequence);
        is_version && begins.is_none_or(|at| (0..=MAX_OFFSET).contains(&at))
    }
}

pub(super) fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}
