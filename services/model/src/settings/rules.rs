//! What is refused of the settings, in a configuration and inside a version alike.

use super::{Settings, Weights};
use crate::table::items::BLOCK;

/// The longest vector of an item.
const MAX_DIM: usize = 1_024;
/// Most items known; a payload of so many would be too large by far.
const MAX_ITEMS: usize = 50_000_000;
/// Most sessions remembered.
pub(crate) const MAX_SESSIONS: usize = 10_000_000;
/// Most neighbours of an item.
pub(crate) const MAX_NEIGHBOURS: usize = 1_000;
/// Three hundred years: in milliseconds it is still far from overflow.
const LONGEST_S: u64 = 10_000_000_000;
/// Half-lives, in seconds. Shorter ones make of a decade a count that no sum holds.
const HALF_LIFE_S: std::ops::RangeInclusive<f64> = 1.0..=1e10;

impl Settings {
    /// Everything that is wrong, one line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.rules();
        if let Err(problem) = crate::device::open(&self.device) {
            problems.push(format!("model.device: {problem}"));
        }
        if self.exclude_purchased == Some(true) {
            problems.push(
                "model.exclude_purchased: has gone; model.repeats = \"mix\" keeps what was bought out of lists until it is due \
                 again, \"never\" for good"
                    .to_owned(),
            );
        }
        problems
    }

    /// The same but for the device, which is another on another machine. The settings inside a version go through
    /// these, too: each that sizes anything has an upper bound, because a stranger may have written it.
    #[must_use]
    pub(crate) fn rules(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(
            (8..=MAX_DIM).contains(&self.dim) && self.dim.is_multiple_of(8),
            "model.dim: must be a multiple of 8 between 8 and 1024: every row that moved is sent each second, 2 KB each at \
             1024, and versions of more than some 10 MB/s reach no scorer in time",
        );
        check(self.heads > 0 && self.dim.is_multiple_of(self.heads.max(1)), "model.heads: must divide model.dim");
        check((1..=256).contains(&self.history), "model.history: must lie between 1 and 256");
        check(
            (self.history..=1_024).contains(&self.remembered),
            "model.remembered: must lie between model.history and 1024",
        );
        check((0.0..=0.5).contains(&self.delta_tolerance), "model.delta_tolerance: must lie between 0 and 0.5");
        check((16..=65_536).contains(&self.negatives), "model.negatives: must lie between 16 and 65536");
        check((0.0..=16.0).contains(&self.replay), "model.replay: must lie between 0 and 16");
        check(self.replay_examples <= 10_000_000, "model.replay_examples: must be at most 10000000");
        check((0.001..=1_000.0).contains(&self.temperature), "model.temperature: must lie between 0.001 and 1000");
        let Weights { view, cart, like, purchase } = self.weights;
        check(
            [view, cart, like, purchase].iter().all(|weight| (1e-3..=1e3).contains(weight)),
            "model.weights: each must lie between 0.001 and 1000",
        );
        check(
            self.guard.rate == 0 || self.guard.rate >= 10,
            "model.guard.rate: must be 10 or more, for people are as fast as that, or 0 for no bound",
        );
        check((0.0..=10.0).contains(&self.row_learning_rate), "model.row_learning_rate: must lie between 0 and 10");
        check((0.0..=10.0).contains(&self.dense_learning_rate), "model.dense_learning_rate: must lie between 0 and 10");
        check(
            (0.0..=10.0).contains(&self.ranker_learning_rate),
            "model.ranker_learning_rate: must lie between 0 and 10",
        );
        check(
            self.popularity_half_lives_s.is_sorted()
                && self.popularity_half_lives_s.iter().all(|half_life| HALF_LIFE_S.contains(half_life)),
            "model.popularity_half_lives_s: must rise and lie between 1 and 10000000000",
        );
        check(
            HALF_LIFE_S.contains(&self.covisitation_half_life_s),
            "model.covisitation_half_life_s: must lie between 1 and 10000000000",
        );
        check(
            HALF_LIFE_S.contains(&self.covisitation_short_half_life_s),
            "model.covisitation_short_half_life_s: must lie between 1 and 10000000000",
        );
        check((1..=MAX_SESSIONS).contains(&self.sessions), "model.sessions: must lie between 1 and 10000000");
        check((1..=10_000).contains(&self.sessions_per_item), "model.sessions_per_item: must lie between 1 and 10000");
        check(
            (1..=10_000).contains(&self.session_neighbours),
            "model.session_neighbours: must lie between 1 and 10000",
        );
        check((1..=LONGEST_S).contains(&self.session_gap_s), "model.session_gap_s: must lie between 1 and 10000000000");
        check(
            (8..=MAX_NEIGHBOURS).contains(&self.covisitation_neighbours),
            "model.covisitation_neighbours: must lie between 8 and 1000",
        );
        check(
            (1..=MAX_NEIGHBOURS).contains(&self.covisitation_window),
            "model.covisitation_window: must lie between 1 and 1000",
        );
        check((20..=1_000).contains(&self.candidates), "model.candidates: must lie between 20 and 1000");
        check(
            (BLOCK..=MAX_ITEMS).contains(&self.retrieval_items) && self.retrieval_items.is_multiple_of(BLOCK),
            "model.retrieval_items: must be a multiple of 64, between 64 and 50000000",
        );
        check((1_000..=MAX_ITEMS).contains(&self.max_items), "model.max_items: must lie between 1000 and 50000000");
        check(self.expire_after_s <= LONGEST_S, "model.expire_after_s: must be at most 10000000000");
        check((1_000..=50_000_000).contains(&self.max_users), "model.max_users: must lie between 1000 and 50000000");
        check(
            (100..=10_000_000).contains(&self.quality_window),
            "model.quality_window: must lie between 100 and 10000000",
        );
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::popularity::HALF_LIVES;
    use crate::settings::Guard;

    #[test]
    fn a_vector_so_long_that_versions_reach_no_scorer_in_time_is_refused_with_the_reason() {
        for dim in [0, 7, 1_032, 1 << 20, usize::MAX] {
            let problems = Settings { dim, ..Settings::default() }.rules();
            assert!(
                problems.iter().any(|p| p.contains("model.dim") && p.contains("each second")),
                "{dim}: {problems:?}"
            );
        }
        for dim in [8, 64, 1_024] {
            assert_eq!(Settings { dim, ..Settings::default() }.rules(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_pace_that_people_have_is_guarded_against_by_no_setting() {
        let of = |rate| Settings { guard: Guard { rate, repeats: true }, ..Settings::default() }.rules();
        assert!(of(9)[0].contains("model.guard.rate"));
        assert!([0, 10, u32::MAX].into_iter().all(|rate| of(rate).is_empty()));
    }

    #[test]
    fn whatever_sizes_anything_has_an_upper_bound_and_what_is_no_number_is_refused() {
        let huge = usize::MAX / 64 * 64;
        let all = [
            Settings { heads: huge, ..Settings::default() },
            Settings { history: huge, ..Settings::default() },
            Settings { remembered: huge, ..Settings::default() },
            Settings { delta_tolerance: f32::NAN, ..Settings::default() },
            Settings { negatives: huge, ..Settings::default() },
            Settings { replay: f64::NAN, ..Settings::default() },
            Settings { replay_examples: huge, ..Settings::default() },
            Settings { temperature: f32::INFINITY, ..Settings::default() },
            Settings { weights: Weights { view: f32::NAN, ..Weights::default() }, ..Settings::default() },
            Settings { row_learning_rate: f32::NAN, ..Settings::default() },
            Settings { dense_learning_rate: f64::INFINITY, ..Settings::default() },
            Settings { ranker_learning_rate: -1.0, ..Settings::default() },
            Settings { popularity_half_lives_s: [f64::NAN; HALF_LIVES], ..Settings::default() },
            Settings { popularity_half_lives_s: [1.0, 2.0, 3.0, f64::INFINITY], ..Settings::default() },
            Settings { covisitation_half_life_s: f64::INFINITY, ..Settings::default() },
            Settings { covisitation_short_half_life_s: f64::NAN, ..Settings::default() },
            Settings { covisitation_neighbours: huge, ..Settings::default() },
            Settings { covisitation_window: huge, ..Settings::default() },
            Settings { sessions: huge, ..Settings::default() },
            Settings { sessions_per_item: huge, ..Settings::default() },
            Settings { session_neighbours: huge, ..Settings::default() },
            Settings { session_gap_s: u64::MAX, ..Settings::default() },
            Settings { candidates: huge, ..Settings::default() },
            Settings { retrieval_items: huge, ..Settings::default() },
            Settings { max_items: huge, ..Settings::default() },
            Settings { expire_after_s: u64::MAX, ..Settings::default() },
            Settings { max_users: huge, ..Settings::default() },
            Settings { quality_window: huge, ..Settings::default() },
        ];
        for settings in all {
            assert!(!settings.rules().is_empty(), "{settings:?}");
        }
    }
}
