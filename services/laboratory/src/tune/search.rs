//! The search: runs trials rung by rung and lets the best go on.

use model::Settings;

use super::ladder::{Ladder, RUNGS, survivors};
use super::objective::Score;
use super::workers;
use crate::error::Error;

/// Settings, and what they came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    pub(crate) settings: Settings,
    /// One for each rung that it was run on.
    pub(crate) scores: Vec<Score>,
}

impl Trial {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, scores: Vec::new() }
    }
}

/// The best trial, by number, and the rung that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Best {
    pub(crate) number: usize,
    pub(crate) rung: usize,
}

/// Runs trials, of which the first is where the search starts, up the ladder. Says whether time ran out before its end.
///
/// `judge` is given settings and the length of a rung; `stop` is asked, with that length, before each run; `watch` is
/// told each rung that begins and how many are on it.
///
/// # Errors
/// The first error of a run.
pub(crate) fn climb(
    trials: &mut [Trial],
    ladder: &Ladder,
    workers: usize,
    judge: impl Fn(&Settings, u64) -> Result<Score, Error> + Sync,
    stop: impl Fn(u64) -> bool + Sync,
    mut watch: impl FnMut(usize, usize),
) -> Result<bool, Error> {
    let mut entrants: Vec<usize> = (0..trials.len()).collect();
    for (rung, length) in ladder.rungs.into_iter().enumerate() {
        watch(rung, entrants.len());
        // The start's first run may be over: its pace told how many trials there can be.
        let open: Vec<usize> = entrants.iter().copied().filter(|number| trials[*number].scores.len() == rung).collect();
        let run = |number: &usize| judge(&trials[*number].settings, length);
        let scores = workers::run(workers, &open, || stop(length), run)?;
        let ran_out = scores.iter().any(Option::is_none);
        for (number, score) in open.into_iter().zip(scores) {
            trials[number].scores.extend(score);
        }
        if ran_out {
            return Ok(true);
        }
        let scores: Vec<_> = entrants.iter().map(|n| (*n, trials[*n].scores[rung].objective())).collect();
        entrants = survivors(&scores);
    }
    Ok(false)
}

/// The best on the highest rung that the start and a draw were both run on: only there is it a comparison. `None` when
/// there is no such rung.
pub(crate) fn best(trials: &[Trial]) -> Option<Best> {
    (0..RUNGS).rev().find_map(|rung| {
        let scores = on(trials, rung);
        let compares = scores.len() > 1 && scores[0].0 == 0;
        top(&scores).filter(|_| compares).map(|(number, _)| Best { number, rung })
    })
}

/// The objective of each trial that was run on a rung, by trial number.
pub(crate) fn on(trials: &[Trial], rung: usize) -> Vec<(usize, f64)> {
    let scores = trials.iter().enumerate().filter_map(|(n, trial)| Some((n, trial.scores.get(rung)?)));
    scores.map(|(n, score)| (n, score.objective())).collect()
}

/// The best of them; of equals the earlier.
pub(crate) fn top(scores: &[(usize, f64)]) -> Option<(usize, f64)> {
    scores.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Trials told apart by their seeds; the start has seed 0.
    fn trials(count: u64) -> Vec<Trial> {
        (0..count).map(|seed| Trial::new(Settings { seed, ..Settings::default() })).collect()
    }

    fn ladder() -> Ladder {
        Ladder::of(2_700).expect("long enough")
    }

    /// The higher the seed, the better.
    fn by_seed(settings: &Settings, _: u64) -> Result<Score, Error> {
        #[allow(clippy::cast_precision_loss)] // small
        Ok(Score { hr: settings.seed as f64, tests: 1, ..Score::default() })
    }

    #[test]
    fn the_held_back_part_is_never_seen_by_a_rung() {
        let (ladder, asked) = (ladder(), Mutex::new(Vec::new()));
        let judge = |settings: &Settings, length| {
            asked.lock().expect("whole").push(length);
            by_seed(settings, length)
        };
        climb(&mut trials(10), &ladder, 2, judge, |_| false, |_, _| {}).expect("climbs");
        let asked = asked.into_inner().expect("whole");
        assert!(asked.iter().all(|length| *length <= ladder.held_back()));
        assert_eq!(asked.iter().sum::<u64>(), ladder.cost(10));
        assert_eq!(ladder.held_back(), 1_800);
    }

    #[test]
    fn the_best_goes_up_and_the_start_beside_it() {
        let mut trials = trials(10);
        let mut rungs = Vec::new();
        let ran_out = climb(&mut trials, &ladder(), 2, by_seed, |_| false, |rung, count| rungs.push((rung, count)));
        assert!(!ran_out.expect("climbs"));
        assert_eq!(rungs, [(0, 10), (1, 4), (2, 2)]);
        assert_eq!(trials.iter().map(|trial| trial.scores.len()).collect::<Vec<_>>(), [3, 1, 1, 1, 1, 1, 1, 2, 2, 3]);
        assert_eq!(best(&trials), Some(Best { number: 9, rung: 2 }));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let climbed = |workers| {
            let mut trials = trials(20);
            climb(&mut trials, &ladder(), workers, by_seed, |_| false, |_, _| {}).expect("climbs");
            trials
        };
        assert_eq!(climbed(1), climbed(2));
    }

    #[test]
    fn when_time_runs_out_what_is_known_decides() {
        // Time ends on the second rung, after the start and the best draw of the first.
        let runs = Mutex::new(0);
        let judge = |settings: &Settings, length| {
            *runs.lock().expect("whole") += 1;
            by_seed(settings, length)
        };
        let after = |most: i32| {
            *runs.lock().expect("whole") = 0;
            let mut trials = trials(10);
            let stop = |_| *runs.lock().expect("whole") >= most;
            assert!(climb(&mut trials, &ladder(), 1, judge, stop, |_, _| {}).expect("climbs"));
            best(&trials)
        };
        assert_eq!(after(12), Some(Best { number: 9, rung: 1 }));
        assert_eq!(after(11), Some(Best { number: 9, rung: 0 }), "the start alone is no comparison");
        assert_eq!(after(5), Some(Best { number: 4, rung: 0 }));
        assert_eq!(after(1), None);
    }
}
