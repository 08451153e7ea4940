//! A challenger that is to be the trainer: a record on `control` under a key of its own.
//!
//! It is an event and no state of what is served, so it stands beside the operator's word and the gate's. The
//! challenger answers by writing the record again with the epoch that it claimed. From then on it is the trainer, also
//! after a restart, until another is promoted.

use serde::{Deserialize, Serialize};

use super::read::{MAX_BYTES, is_text};
use crate::checkpoint::{LAST, is_time, shown};
use crate::topics::is_challenger;

/// Key of the record.
pub const PROMOTE: &str = "promote";

/// Milliseconds for which a promotion waits for its challenger: one that nobody answered surprises nobody later.
pub const WAITS: i64 = 3_600_000;

/// Value of the record (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The challenger's `trainer.name`.
    pub name: String,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// The epoch of `checkpoints` that the challenger claimed; `None` until it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
}

impl Promotion {
    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is not readable, or says what cannot be.
    pub fn read(value: &[u8]) -> Result<Self, String> {
        if value.len() > MAX_BYTES {
            return Err(format!("the promotion on control is longer than {MAX_BYTES} bytes"));
        }
        let promotion: Self = serde_json::from_slice(value)
            .map_err(|error| format!("the promotion on control is not readable: {}", shown(&error.to_string())))?;
        match promotion.problem() {
            None => Ok(promotion),
            Some(problem) => Err(format!("the promotion on control {problem}")),
        }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let Self { name, by, reason, at, epoch } = self;
        let rules = [
            (!is_challenger(name), "names no challenger"),
            (!is_text(by) || !is_text(reason), "names nobody or no reason, or with control characters or at length"),
            (!is_time(*at), "names a time that cannot be"),
            (epoch.is_some_and(|epoch| !(1..=LAST).contains(&epoch)), "names an epoch that cannot be"),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, problem)| problem)
    }

    /// Whether this challenger is to answer it, at `now` in milliseconds since 1970.
    #[must_use]
    pub fn calls(&self, name: &str, now: i64) -> bool {
        self.name == name && self.epoch.is_none() && now.saturating_sub(self.at) < WAITS
    }

    /// Whether it may come behind `before`: it is later, or the answer, or the same again.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let answers = before.epoch.is_none() && self.at == before.at && self.name == before.name;
        self.at > before.at || answers || self == before
    }

    /// Whether this challenger was promoted and is the trainer.
    #[must_use]
    pub fn made(&self, name: &str) -> bool {
        self.name == name && self.epoch.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Releases;

    fn promotion() -> Promotion {
        Promotion { name: "gru".into(), by: "ann".into(), reason: "better".into(), at: 1_700_000_000_000, epoch: None }
    }

    #[test]
    fn a_promotion_calls_its_challenger_for_an_hour_and_until_it_is_answered() {
        let (called, now) = (promotion(), 1_700_000_000_000);
        assert!(called.calls("gru", now) && called.calls("gru", now + WAITS - 1) && !called.made("gru"));
        assert!(!called.calls("other", now) && !called.calls("gru", now + WAITS));
        let answered = Promotion { epoch: Some(7), ..called.clone() };
        assert!(answered.follows(&called) && !called.follows(&answered), "an answer is not taken back");
        assert!(Promotion { at: now + 1, ..called.clone() }.follows(&answered));
        assert!(!answered.calls("gru", now) && answered.made("gru") && !answered.made("other"));
    }

    #[test]
    fn a_promotion_that_cannot_be_is_refused_and_changes_nothing_that_is_served() {
        let mut releases = Releases::default();
        let mut take = |promotion: &Promotion| {
            let value = serde_json::to_vec(promotion).expect("serialises");
            releases.take(PROMOTE.as_bytes(), Some(&value), 3)
        };
        for wrong in [
            Promotion { name: "../x".into(), ..promotion() },
            Promotion { reason: String::new(), ..promotion() },
            Promotion { at: i64::MAX, ..promotion() },
            Promotion { epoch: Some(0), ..promotion() },
        ] {
            assert!(take(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(take(&promotion()), Ok(true));
        assert_eq!(take(&promotion()), Ok(false));
        assert_eq!(releases.promotion(), Some(&promotion()));
        assert!(releases.operator().is_none() && releases.named().is_empty());
    }
}
