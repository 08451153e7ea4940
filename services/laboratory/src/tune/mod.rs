//! `thalweg tune`: searches the learner's settings on a recorded log by successive halving, and says what it gained.

mod budget;
mod change;
mod comparison;
mod file;
mod ladder;
mod objective;
mod search;
mod space;
mod tell;
mod verdict;
mod workers;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use model::Settings;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use budget::Budget;
use comparison::Comparison;
use ladder::{Ladder, RUNGS};
use objective::Score;
use search::{Best, Trial};
use tell::{tell, whole_seconds};
use verdict::Verdict;

pub use file::{check, write};

use crate::error::Error;
use crate::evaluate::Common;
use crate::evaluate::judge::{Judged, Placed};
use crate::evaluate::listing::Listing;
use crate::evaluate::prequential::{self, Course};
use crate::evaluate::stream::Stream;
use crate::output;
use crate::recorded::LogArgs;
use crate::trainer_config::TrainerConfig;

/// The time when neither it nor a number of trials is given.
const TIME: Duration = Duration::from_secs(15 * 60);

/// The options of `thalweg tune`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// CSV, JSON lines or Parquet, plain, .gz or .zst; or a folder of ADER blocks (period_0.txt, …) as one stream.
    file: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    /// How long search and comparison may take together; a run in progress at that time is finished [default: 15m; no
    /// limit with --trials].
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Try this many settings, including the starting ones, instead of as many as the time allows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(budget::FEWEST as i64..=budget::MOST as i64))]
    trials: Option<u16>,
    /// The file to write: a config.toml for the trainer with the settings found.
    #[arg(long, value_name = "FILE", default_value = "tuned.toml")]
    output: PathBuf,
    /// Overwrite the file if it exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<humantime::Duration>().map_err(|error| format!("{error}; write it like 10m or 1h30m"))?;
    if time.is_zero() { Err("must be above 0, for example 10m".to_owned()) } else { Ok(time.into()) }
}

/// Searches, compares, and writes what was found.
///
/// # Errors
/// When the log or the settings cannot be used, or the file not be written.
pub fn run(args: &Args, trainer: &TrainerConfig) -> Result<(), Error> {
    file::check(&args.output, args.force)?;
    let start = args.common.settings(trainer)?;
    let workers = workers::count();
    let budget = Budget::start(args.time.or(args.trials.is_none().then_some(TIME)), workers);
    let stream = Stream::open(&args.file, &args.log)?;
    let verdict = tune(args, &stream, start, &budget, workers)?;
    file::write(&args.output, args.force, verdict.chosen(), &verdict.heading(), trainer)?;
    let written = args.output.display().to_string();
    if args.common.json { output::json(&verdict.json(&budget, &written)?) } else { tell(&verdict, &budget, &written) }
}

/// Runs the search and the comparison.
fn tune(args: &Args, stream: &Stream, start: Settings, budget: &Budget, workers: usize) -> Result<Verdict, Error> {
    let ladder = Ladder::of(stream.len() as u64)?;
    let micro_batch = args.common.micro_batch();
    let judge = |bar: &ProgressBar, settings: &Settings, length: u64, keep_from: Option<u64>| {
        let started = Instant::now();
        let course = Course { methods: &[], micro_batch, keep_from, listed: &[], gate: false, damage: None };
        let entries = stream.entries(Listing::AsMet).take(usize::try_from(length).unwrap_or(usize::MAX));
        let run = prequential::go(entries, settings.clone(), &course, |n| bar.inc(n))?;
        budget.ran(length, started.elapsed());
        Ok::<_, Error>(run.judged)
    };
    let score = |judged: Judged| judged.after().next().map(|(_, tally)| Score::of(tally)).unwrap_or_default();

    // The first trial tells how many there can be.
    let bar = output::bar(ladder.rungs[0], "measuring the pace");
    let mut first = Trial::new(start);
    first.scores.push(score(judge(&bar, &first.settings, ladder.rungs[0], None)?));
    bar.finish_and_clear();
    let count = args.trials.map_or_else(|| budget.trials(&ladder), usize::from);
    output::note(plan(&ladder, budget, count, workers));
    let mut rng = ChaCha8Rng::seed_from_u64(first.settings.seed);
    let draws = (1..count).map(|_| Ok(Trial::new(space::draw(&first.settings, &mut rng)?)));
    let draws = draws.collect::<Result<Vec<_>, Error>>()?;
    let mut trials: Vec<Trial> = [first].into_iter().chain(draws).collect();

    let bar = output::bar(ladder.cost(count), "searching");
    bar.inc(ladder.rungs[0]);
    let ran_out = search::climb(
        &mut trials,
        &ladder,
        workers,
        |settings, length| Ok(score(judge(&bar, settings, length, None)?)),
        |length| budget.is_spent(&ladder, length),
        |rung, count| bar.set_message(format!("rung {} of {RUNGS}, {count} trials", rung + 1)),
    )?;
    bar.finish_and_clear();

    let best = search::best(&trials);
    let winner = best.filter(|Best { number, .. }| *number != 0).map(|best| &trials[best.number].settings);
    let comparison = winner.map(|winner| -> Result<Comparison, Error> {
        let bar = output::bar(2 * ladder.length, "comparing on what is held back");
        let run = |settings: &&Settings| Ok(judge(&bar, settings, ladder.length, Some(ladder.held_back()))?.kept);
        let placed = workers::run(workers, &[&trials[0].settings, winner], || false, run)?;
        bar.finish_and_clear();
        let [start, tuned]: [Vec<Placed>; 2] = placed
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| Error::Other("a run of the comparison gave nothing".to_owned()))?;
        Comparison::of(&start, &tuned, &ladder)
    });
    let comparison = comparison.transpose()?;
    let log = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Verdict { log, ladder, micro_batch, trials, ran_out, best, comparison })
}

/// What is about to happen, and whether it will end in time.
fn plan(ladder: &Ladder, budget: &Budget, count: usize, workers: usize) -> String {
    let expected = budget.expected(ladder, count);
    let mut plan = format!(
        "{count} trials, {workers} at once, in about {}: the starting settings and {} drawn around them; the last {} of \
         {} interactions are held back",
        whole_seconds(expected),
        count - 1,
        ladder.length - ladder.held_back(),
        ladder.length,
    );
    if !budget.fits(expected) {
        let enough = whole_seconds(budget.elapsed() + expected);
        plan += &format!(
            "\ntoo long for the time given, so the search will stop early: give --time {enough}, or a smaller --limit"
        );
    }
    plan
}

#[cfg(test)]
mod tests;
