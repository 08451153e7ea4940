//! Winner against start on the part of the log that no trial saw, choice by choice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ladder::Ladder;
use super::objective::{self, MEASURES, Score};
use crate::error::Error;
use crate::evaluate::interval::{self, Interval, Paired};
use crate::evaluate::judge::Placed;
use crate::evaluate::percent;
use crate::evaluate::sum::{CUT, Sum};

/// Said with every interval.
pub(crate) const METHOD: &str = "paired difference tuned - start on the same tests of the held-back part, from one run \
                                 each with one seed; 95 % interval by batch means over 100 consecutive parts of it";

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) start: Score,
    pub(crate) tuned: Score,
    gains: [Paired; MEASURES.len()],
}

impl Comparison {
    /// Pairs the tests of two runs over the whole log.
    ///
    /// # Errors
    /// When they are not of the same choices: then the log did not stay the same.
    pub(crate) fn of(start: &[Placed], tuned: &[Placed], ladder: &Ladder) -> Result<Self, Error> {
        let offsets = |placed: &[Placed]| placed.iter().map(|placed| placed.offset).collect::<Vec<_>>();
        if offsets(start) != offsets(tuned) {
            return Err(Error::Other("the two runs of the comparison tested different choices".to_owned()));
        }
        let mut gains: [Paired; MEASURES.len()] = Default::default();
        for (before, after) in start.iter().zip(tuned) {
            let place = interval::place(before.offset, ladder.held_back(), ladder.length);
            for ((gain, after), before) in gains.iter_mut().zip(objective::of(after)).zip(objective::of(before)) {
                if let (Some(after), Some(before)) = (after, before) {
                    gain.record(place, after - before);
                }
            }
        }
        Ok(Self { start: score(start), tuned: score(tuned), gains })
    }

    /// Whether the objective's interval lies above zero.
    pub(crate) fn is_sure(&self) -> bool {
        self.objective().interval().is_some_and(|interval| interval.low > 0.0)
    }

    /// Whether it lies below zero.
    pub(crate) fn is_loss(&self) -> bool {
        self.objective().interval().is_some_and(|interval| interval.high < 0.0)
    }

    fn objective(&self) -> &Paired {
        &self.gains[MEASURES.len() - 1]
    }

    /// Each measure with its difference and interval, in per cent; nothing where there are too few tests for one.
    pub(crate) fn gains(&self) -> impl Iterator<Item = (&'static str, Option<Interval>)> + '_ {
        MEASURES.into_iter().zip(self.gains.iter().map(Paired::percent))
    }

    /// `+0.80 (95 % interval +0.41 to +1.19)`
    pub(crate) fn spell(&self) -> String {
        match self.objective().percent() {
            Some(Interval { difference, low, high }) => {
                format!("{difference:+.2} (95 % interval {low:+.2} to {high:+.2})")
            }
            None => "unknown, for want of tests".to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let gains: BTreeMap<_, _> = self.gains().collect();
        json!({ "start": self.start.json(), "tuned": self.tuned.json(), "gain": gains, "method": METHOD })
    }
}

fn score(placed: &[Placed]) -> Score {
    let all = Sum::of(placed.iter().map(|placed| placed.rank), CUT);
    let first_time = Sum::of(placed.iter().filter(|placed| !placed.repeat).map(|placed| placed.rank), CUT);
    Score {
        hr: percent(all.hit_rate()),
        first_time_hr: percent(first_time.hit_rate()),
        mrr: percent(all.mean_reciprocal()),
        tests: all.tests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rank;

    fn ladder() -> Ladder {
        Ladder::of(3_000).expect("long enough")
    }

    fn placed(rank: impl Fn(u64) -> Rank) -> Vec<Placed> {
        (2_000..3_000).map(|offset| Placed { offset, rank: rank(offset), repeat: offset % 4 == 1 }).collect()
    }

    #[test]
    fn a_gain_everywhere_is_sure_and_its_figures_are_those_computed_by_hand() {
        let (start, tuned) = (placed(|n| (n % 2 == 0).then_some(3)), placed(|n| (n % 2 == 0).then_some(1)));
        let comparison = Comparison::of(&start, &tuned, &ladder()).expect("the same choices");
        assert!(comparison.is_sure());
        assert_eq!(comparison.start, Score { hr: 50.0, first_time_hr: percent(2.0 / 3.0), mrr: 12.5, tests: 1_000 });
        assert_eq!(comparison.tuned, Score { hr: 50.0, first_time_hr: percent(2.0 / 3.0), mrr: 25.0, tests: 1_000 });
        let json = comparison.json();
        assert_eq!(json["gain"]["objective"]["difference"], 12.5);
        assert_eq!((&json["gain"]["hr_20"]["low"], &json["gain"]["hr_20"]["high"]), (&json!(0.0), &json!(0.0)));
    }

    #[test]
    fn a_gain_here_and_a_loss_there_is_not_sure() {
        let hit_in = |turn: u64| placed(move |n| (n / 10 % 2 == turn).then_some(0));
        let (start, tuned) = (hit_in(0), hit_in(1));
        let comparison = Comparison::of(&start, &tuned, &ladder()).expect("the same choices");
        assert!(!comparison.is_sure(), "{}", comparison.spell());
        let few = Comparison::of(&start[..2], &tuned[..2], &ladder()).expect("the same choices");
        assert!(!few.is_sure() && few.spell().contains("unknown"));
    }

    #[test]
    fn runs_of_different_choices_are_not_compared() {
        let all = placed(|_| None);
        assert!(Comparison::of(&all, &all[1..], &ladder()).is_err());
    }
}
