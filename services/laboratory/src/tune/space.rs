//! The search space: which settings are tried, within which bounds, and how one is drawn.

use model::Settings;
use rand::{Rng, RngExt};

use crate::error::Error;

/// Each setting of a draw moves away from where the search starts with this probability. The start is mostly good:
/// moving everything at once would leave nothing of it.
const MOVES: f64 = 0.5;
/// Draws in a row that a model may refuse before the search gives up.
const REFUSALS: usize = 1_000;

/// How values of a setting are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Values {
    /// Uniform in the logarithm, from the least to the most.
    Log(f64, f64),
    /// The same, as a factor of what the search starts from.
    Factor(f64, f64),
    /// One of these, each as likely.
    OneOf(&'static [f64]),
}

/// A setting that is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dimension {
    /// Its key in the section `[model]`.
    pub(crate) key: &'static str,
    pub(crate) values: Values,
    put: fn(&mut Settings, f64),
}

const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;

/// Everything that is searched. The bounds are about a factor of five around the defaults, wider for half-lives: news
/// and shops differ most in them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates in f32; sizes are small whole numbers
pub(crate) const SPACE: [Dimension; 15] = {
    use Values::{Factor, Log, OneOf};
    const fn dimension(key: &'static str, values: Values, put: fn(&mut Settings, f64)) -> Dimension {
        Dimension { key, values, put }
    }
    [
        dimension("row_learning_rate", Log(0.04, 1.0), |s, x| s.row_learning_rate = x as f32),
        dimension("dense_learning_rate", Log(2e-4, 5e-3), |s, x| s.dense_learning_rate = x),
        dimension("ranker_learning_rate", Log(2e-3, 5e-2), |s, x| s.ranker_learning_rate = x),
        dimension("temperature", Log(0.04, 0.4), |s, x| s.temperature = x as f32),
        dimension("negatives", OneOf(&[128.0, 256.0, 512.0, 1_024.0]), |s, x| s.negatives = x as usize),
        dimension("replay", OneOf(&[0.0, 0.5, 1.0, 2.0, 3.0]), |s, x| s.replay = x),
        dimension("replay_examples", OneOf(&[5_000.0, 12_000.0, 50_000.0]), |s, x| s.replay_examples = x as usize),
        dimension("history", OneOf(&[8.0, 12.0, 16.0, 24.0, 32.0]), |s, x| s.history = x as usize),
        dimension("popularity_half_lives_s", Factor(0.125, 8.0), |s, x| {
            s.popularity_half_lives_s = s.popularity_half_lives_s.map(|half_life| rounded(half_life * x));
        }),
        dimension("covisitation_half_life_s", Log(12.0 * HOUR, 180.0 * DAY), |s, x| s.covisitation_half_life_s = x),
        dimension("covisitation_window", OneOf(&[3.0, 5.0, 8.0, 12.0, 16.0]), |s, x| {
            s.covisitation_window = x as usize;
        }),
        dimension("covisitation_neighbours", OneOf(&[40.0, 80.0, 120.0, 200.0]), |s, x| {
            s.covisitation_neighbours = x as usize;
        }),
        dimension("sessions_per_item", OneOf(&[32.0, 64.0, 128.0, 256.0]), |s, x| s.sessions_per_item = x as usize),
        dimension("session_neighbours", OneOf(&[50.0, 100.0, 200.0, 400.0]), |s, x| s.session_neighbours = x as usize),
        dimension("candidates", OneOf(&[30.0, 40.0, 60.0, 100.0, 150.0]), |s, x| s.candidates = x as usize),
    ]
};

/// Draws settings around `start` that differ from it and that the model accepts.
///
/// # Errors
/// When the model refuses everything that is drawn: then `start` stands at the edge of what it accepts.
pub(crate) fn draw(start: &Settings, rng: &mut impl Rng) -> Result<Settings, Error> {
    for _ in 0..REFUSALS {
        let mut drawn = start.clone();
        for dimension in &SPACE {
            if rng.random_bool(MOVES) {
                (dimension.put)(&mut drawn, value(dimension.values, rng));
            }
        }
        if drawn != *start && drawn.problems().is_empty() {
            return Ok(drawn);
        }
    }
    let problem = "no settings near the given ones are accepted by the model; start from the defaults: leave out \
                   --settings, or bring model.remembered in it to 32 or more";
    Err(Error::Other(problem.to_owned()))
}

fn value(values: Values, rng: &mut impl Rng) -> f64 {
    match values {
        Values::Log(least, most) | Values::Factor(least, most) => {
            rounded(rng.random_range(least.ln()..=most.ln()).exp()).clamp(least, most)
        }
        Values::OneOf(choices) => choices[rng.random_range(0..choices.len())],
    }
}

/// To three digits: a search knows no more, and people read them.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn draws(start: &Settings, seed: u64, count: usize) -> Vec<Settings> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| draw(start, &mut rng).expect("accepted")).collect()
    }

    #[test]
    fn draws_stay_inside_the_space_and_the_model_accepts_them() {
        let start = Settings::default();
        let json = |settings: &Settings| serde_json::to_value(settings).expect("serialises");
        let mut moved = [0; SPACE.len()];
        for drawn in draws(&start, 7, 500) {
            assert_eq!(drawn.problems(), [""; 0]);
            let (before, after) = (json(&start), json(&drawn));
            for (key, value) in after.as_object().expect("a table") {
                let Some(at) = SPACE.iter().position(|dimension| dimension.key == key) else {
                    assert_eq!(*value, before[key], "{key} is not searched");
                    continue;
                };
                moved[at] += usize::from(*value != before[key]);
                let number = value.as_f64().or(value[0].as_f64().map(|x| x / start.popularity_half_lives_s[0]));
                let number = number.expect("a number");
                let inside = match SPACE[at].values {
                    Values::Log(least, most) => (least * 0.999..=most * 1.001).contains(&number),
                    Values::Factor(least, most) => (least * 0.99..=most * 1.01).contains(&number),
                    Values::OneOf(choices) => choices.contains(&number),
                };
                assert!(inside || *value == before[key], "{key} = {value}");
            }
        }
        assert!(moved.iter().all(|moved| (150..350).contains(moved)), "{moved:?}");
    }

    #[test]
    fn draws_repeat_with_the_seed_and_only_with_it() {
        let start = Settings::default();
        assert_eq!(draws(&start, 3, 20), draws(&start, 3, 20));
        assert_ne!(draws(&start, 3, 20), draws(&start, 4, 20));
        assert!(draws(&start, 3, 20).iter().all(|drawn| *drawn != start));
    }

    #[test]
    fn what_the_model_refuses_is_drawn_again() {
        // Histories may be no longer than what is remembered.
        let start = Settings { remembered: 16, ..Settings::default() };
        assert!(draws(&start, 7, 100).iter().all(|drawn| drawn.history <= 16));
        let never = Settings { dim: 7, ..Settings::default() };
        let error = draw(&never, &mut ChaCha8Rng::seed_from_u64(7)).expect_err("refused").to_string();
        assert!(error.contains("--settings"), "{error}");
    }
}
