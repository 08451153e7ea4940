//! What is done when the learner has become worse ([`model::Gate`] says when). Pure.

use std::time::Duration;

use model::{Reference, Rules};
use schemas::{Release, VersionId};
use serde::Deserialize;

/// Automatic action is taken so often in an hour; then a version is held, and somebody has to look.
const MOST_ROLLBACKS: usize = 3;

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// Section `[trainer.gate]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// What an alarm does.
    pub action: Action,
    /// How much worse than its anchor the learner may be, as a share of the tests.
    pub tolerance: f64,
    /// Evidence that raises an alarm.
    pub threshold: f64,
    /// Of how many tests the anchor takes one.
    pub sample: u64,
    /// A snapshot is good after so many tests,
    pub good_after_tests: u64,
    /// or after this time.
    #[serde(with = "humantime_serde")]
    pub good_after: Duration,
}

impl Settings {
    pub(crate) fn rules(&self) -> Rules {
        let Self { action, tolerance, threshold, sample, good_after_tests, good_after } = *self;
        let sample = if action == Action::Off { 0 } else { sample };
        Rules { tolerance, threshold, sample, good_after_tests, good_after }
    }
}

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Goes back to the newest good version.
    Rollback,
    /// Has scorers serve the newest good version; training goes on.
    Hold,
    /// Is told and counted.
    Alarm,
    /// Nothing is tested.
    Off,
}

/// What is done about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Go back to this version.
    Back(VersionId),
    /// Have scorers stay on this version.
    Hold(VersionId),
    /// Tell it; why nothing else is done.
    Tell(&'static str),
}

/// Automatic action only ever goes back, never over a person's word, and at most three times an hour. Only the anchor's
/// word is acted on: a simple method may do better for a while, and going back would change nothing.
pub(crate) fn conduct(
    beside: Reference,
    action: Action,
    good: Option<VersionId>,
    held: bool,
    rollbacks: usize,
) -> Conduct {
    match (action, good) {
        (Action::Alarm | Action::Off, _) => Conduct::Tell("trainer.gate.action says so"),
        _ if beside != Reference::Anchor => Conduct::Tell("only what is worse than its anchor is gone back from"),
        _ if held => Conduct::Tell("a version is pinned or held already"),
        (_, None) => Conduct::Tell("no version is known to be good"),
        (Action::Rollback, Some(good)) if rollbacks < MOST_ROLLBACKS => Conduct::Back(good),
        (Action::Rollback | Action::Hold, Some(good)) => Conduct::Hold(good),
    }
}

/// When the gate went back within the hour before `at`, as its last word has it; the newest, where there are more than
/// matter.
pub(crate) fn of_the_hour(word: Option<&Release>, at: i64) -> Vec<i64> {
    let mut times = word.map(|word| word.rollbacks.clone()).unwrap_or_default();
    times.retain(|time| at.saturating_sub(*time) < HOUR);
    times.sort_unstable();
    times.split_off(times.len().saturating_sub(MOST_ROLLBACKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u32) -> VersionId {
        VersionId { epoch: 1, sequence }
    }

    #[test]
    fn a_trainer_that_starts_knows_how_often_the_gate_went_back_within_the_hour() {
        let word = r#"{"action":"hold","version":"000001-00000007","by":"gate","reason":"x","at":1700000000000"#;
        let times = |rollbacks: &str, at: i64| {
            let word = Release::read(format!("{word}{rollbacks}}}").as_bytes()).expect("is readable");
            of_the_hour(Some(&word), at)
        };
        let now = 1_700_000_000_000;
        let said = format!(r#","rollbacks":[{},{},{}]"#, now, now - HOUR, now - HOUR + 1);
        assert_eq!(times(&said, now), [now - HOUR + 1, now]);
        assert_eq!(times(&said, now + HOUR), Vec::<i64>::new());
        assert_eq!((times("", now), of_the_hour(None, now)), (Vec::new(), Vec::new()), "as releases before wrote it");
        let many = format!(r#","rollbacks":[{now},{now},{now},{now}]"#);
        assert_eq!(times(&many, now).len(), MOST_ROLLBACKS);
    }

    #[test]
    fn automatic_action_only_goes_back_never_over_a_person_and_three_times_an_hour() {
        use Action::{Alarm, Hold, Off, Rollback};
        use Reference::{Anchor, Covisitation, Popularity};
        let good = Some(id(7));
        assert_eq!(conduct(Anchor, Rollback, good, false, 0), Conduct::Back(id(7)));
        assert_eq!(conduct(Anchor, Rollback, good, false, 2), Conduct::Back(id(7)));
        assert_eq!(conduct(Anchor, Rollback, good, false, 3), Conduct::Hold(id(7)));
        assert_eq!(conduct(Anchor, Hold, good, false, 0), Conduct::Hold(id(7)));
        for told in [
            conduct(Anchor, Rollback, good, true, 0),
            conduct(Anchor, Hold, good, true, 0),
            conduct(Anchor, Rollback, None, false, 0),
            conduct(Anchor, Alarm, good, false, 0),
            conduct(Anchor, Off, good, false, 0),
            conduct(Covisitation, Rollback, good, false, 0),
            conduct(Popularity, Hold, good, false, 0),
        ] {
            assert!(matches!(told, Conduct::Tell(_)), "{told:?}");
        }
    }
}
