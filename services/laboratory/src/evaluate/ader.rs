//! The ADER protocol: learn from one block after the other, and after each predict the next with a frozen model.
//!
//! After Mi, Lin and Faltings, *ADER: Adaptively Distilled Exemplar Replay Towards Continual Learning for
//! Session-based Recommendation* (2020), on the blocks of its repository.

mod next_items;

use std::path::PathBuf;
use std::time::Instant;

use model::{Learner, Model, Positioned, Rank, RowEncoding, Settings};
use serde::Serialize;

use super::blocks::{self, Block};
use super::breakdown::{Breakdown, Parts};
use super::evaluation::Cost;
use super::sum::Sum;
use super::{Common, Verdict, floor, peak_memory_bytes, percent, print_json, weigh, write_page};
use crate::error::Error;
use crate::trainer_config::TrainerConfig;
use crate::{output, report};
use next_items::Learned;

/// The options of `thalweg evaluate ader`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A folder with period_0.txt, period_1.txt, …, with one `session item` on each line.
    folder: PathBuf,
    /// Passes before the next block is predicted. The first is over the block itself; each further one trains only the
    /// encoder, on at most as many examples of the replay buffer.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    passes: u16,
    /// Predict only the first N blocks.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    blocks: Option<u16>,
    /// How the tested scorer holds item vectors, like `scorer.table`: f32, f16 or int8.
    #[arg(long, default_value = "f32", value_name = "ENCODING", value_parser = encoding)]
    table: RowEncoding,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    verdict: Verdict,
}

/// What a block's test came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tested {
    pub(crate) block: usize,
    /// As shares.
    pub(crate) figures: Figures,
    pub(crate) tests: usize,
    pub(crate) sessions: usize,
    /// Items seen before the block: what is ranked, but for those that expired.
    pub(crate) items: usize,
    unseen: usize,
    short: usize,
    seconds: f64,
}

/// Recall and mean reciprocal rank at 10 and at 20: one item is relevant in each test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) recall_10: f64,
    pub(crate) recall_20: f64,
    pub(crate) mrr_10: f64,
    pub(crate) mrr_20: f64,
}

const NAMES: [&str; 4] = ["recall_10", "recall_20", "mrr_10", "mrr_20"];

impl Figures {
    /// Of tests with these ranks.
    fn of(ranks: &[Rank]) -> Self {
        let at = |cut| Sum::of(ranks.iter().copied(), cut);
        Self::from([at(10).hit_rate(), at(20).hit_rate(), at(10).mean_reciprocal(), at(20).mean_reciprocal()])
    }

    fn map(self, each: impl FnMut(f64) -> f64) -> Self {
        self.each().map(each).into()
    }

    /// In the order of tables, and of their names.
    pub(crate) const fn each(self) -> [f64; 4] {
        [self.recall_10, self.recall_20, self.mrr_10, self.mrr_20]
    }

    fn get(self, name: &str) -> Option<f64> {
        NAMES.into_iter().zip(self.each()).find(|(figure, _)| *figure == name).map(|(_, figure)| figure)
    }
}

impl From<[f64; 4]> for Figures {
    fn from([recall_10, recall_20, mrr_10, mrr_20]: [f64; 4]) -> Self {
        Self { recall_10, recall_20, mrr_10, mrr_20 }
    }
}

/// Why a run may have no test.
const NOTHING_TESTED: &str = "no session of a predicted block has two items that were seen before it. Check that a \
                              line is `session item`, or predict more --blocks";

/// How the run went.
pub(crate) struct Run {
    pub(crate) blocks: Vec<Tested>,
    /// Over all blocks.
    breakdown: Breakdown,
    learned: usize,
    learning_seconds: f64,
    replay_buffer: usize,
}

impl Run {
    #[allow(clippy::cast_precision_loss)] // a count of blocks
    pub(crate) fn mean(&self) -> Figures {
        let n = self.blocks.len().max(1) as f64;
        let sum = |at: usize| self.blocks.iter().map(|block| block.figures.each()[at]).sum::<f64>();
        Figures::from(std::array::from_fn(|at| sum(at) / n))
    }

    fn tests(&self) -> u64 {
        self.blocks.iter().map(|block| block.tests as u64).sum()
    }
}

fn encoding(name: &str) -> Result<RowEncoding, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

/// Evaluates, prints the figures, and holds them against the floors.
///
/// # Errors
/// When log or settings cannot be used, nothing was tested, or a figure is below its floor.
pub fn run(args: &Args, trainer: &TrainerConfig) -> Result<(), Error> {
    let started = Instant::now();
    floor::known(&args.verdict.floors, &NAMES)?;
    let blocks = blocks::read(&args.folder)?;
    let tested = args.blocks.map_or(usize::MAX, usize::from).min(blocks.len() - 1);
    if tested == 0 {
        return Err(Error::Other("nothing to predict: the protocol needs two blocks or more".to_owned()));
    }
    let blocks = &blocks[..=tested];
    let settings = args.common.settings(trainer)?;
    let seed = settings.seed;
    let events = blocks.windows(2).map(|pair| pair[0].events.len() + pair[1].events.len()).sum::<usize>();
    let bar = output::bar(events as u64, "learning and testing");
    let run = go(blocks, settings, args.common.micro_batch(), args.passes, args.table, &|n| bar.inc(n))?;
    bar.finish_and_clear();
    weigh(run.tests(), NOTHING_TESTED)?;

    let evaluation = Evaluation::of(&run, started.elapsed().as_secs_f64(), args.passes, seed);
    if let Some(path) = &args.verdict.report {
        let name = args.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        write_page(path, &report::evaluation::ader(&name, &evaluation)?)?;
    }
    if args.common.json {
        print_json(&evaluation)?;
    } else {
        tell(&run, &evaluation);
    }
    floor::check(&args.verdict.floors, |figure| evaluation.mean.get(figure))
}

/// Goes through the blocks; `progress` is told how many events more were learned or tested.
pub(crate) fn go(
    blocks: &[Block],
    settings: Settings,
    micro_batch: usize,
    passes: u16,
    table: RowEncoding,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Run, Error> {
    let history = settings.remembered;
    let mut learner = Learner::new(settings)?;
    let mut learned = Learned::default();
    let mut run = Run {
        blocks: Vec::new(),
        breakdown: Breakdown::default(),
        learned: 0,
        learning_seconds: 0.0,
        replay_buffer: 0,
    };
    // Learning from block t - 1 ends before block t is looked at.
    for (past, next) in blocks.iter().zip(&blocks[1..]) {
        let started = Instant::now();
        learn(&mut learner, past, learned.events(), micro_batch, progress);
        run.replay_buffer = replay(&mut learner, past, micro_batch, passes);
        run.learning_seconds += started.elapsed().as_secs_f64();
        learned.take_in(past);
        // What a scorer would serve: rows as versions carry them, vectors as its table holds them.
        let model = Model::of(learner.knowledge()).published(table)?;
        let test = next.test(|item| learned.knows(item));
        let sessions = next_items::histories(next, &test);
        let asks = next_items::asks(&test, &sessions, history);
        let ranks = next_items::predict(&model, next, &learned, &asks, history, &mut run.breakdown)?;
        progress(next.events.len() as u64);
        run.blocks.push(Tested {
            block: run.blocks.len() + 1,
            figures: Figures::of(&ranks),
            tests: ranks.len(),
            sessions: sessions.len(),
            items: learned.items(),
            unseen: test.unseen,
            short: test.short,
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    run.learned = learned.events();
    Ok(run)
}

/// The first pass over a block: the trainer's own. `before` events were learned earlier.
fn learn(learner: &mut Learner, block: &Block, before: usize, micro_batch: usize, progress: &(dyn Fn(u64) + Sync)) {
    let place = |n: usize| i64::try_from(before + n).unwrap_or(i64::MAX);
    let numbers: Vec<usize> = (0..block.events.len()).collect();
    for numbers in numbers.chunks(micro_batch) {
        let batch: Vec<_> = numbers.iter().map(|n| Positioned::in_stream(place(*n), block.event(*n))).collect();
        learner.observe(&batch);
        progress(batch.len() as u64);
    }
}

/// The passes after the first: at most as many examples of the replay buffer as the block has events, each pass, for
/// the encoder alone. Gives how many interactions the buffer holds.
fn replay(learner: &mut Learner, block: &Block, micro_batch: usize, passes: u16) -> usize {
    let steps = block.events.len().div_ceil(micro_batch) * usize::from(passes - 1);
    (0..steps).for_each(|_| learner.replay(micro_batch));
    learner.replayable()
}

/// The figures of a run. Its names are those of the JSON, which are a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Evaluation {
    pub(crate) blocks: Vec<OfBlock>,
    /// Over the blocks, in per cent.
    pub(crate) mean: Figures,
    pub(crate) breakdown: Parts,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    passes: u16,
    replay_buffer: usize,
    seed: u64,
}

/// What a block's test came to, in per cent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct OfBlock {
    pub(crate) block: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) tests: usize,
    sessions: usize,
    pub(crate) items: usize,
    events_of_items_never_seen: usize,
    sessions_of_length_one: usize,
    seconds: f64,
}

impl Evaluation {
    #[allow(clippy::cast_precision_loss)] // a count
    fn of(run: &Run, wall_seconds: f64, passes: u16, seed: u64) -> Self {
        let block = |tested: &Tested| OfBlock {
            block: tested.block,
            figures: tested.figures.map(percent),
            tests: tested.tests,
            sessions: tested.sessions,
            items: tested.items,
            events_of_items_never_seen: tested.unseen,
            sessions_of_length_one: tested.short,
            seconds: tested.seconds,
        };
        Self {
            blocks: run.blocks.iter().map(block).collect(),
            mean: run.mean().map(percent),
            breakdown: run.breakdown.parts(),
            cost: Cost {
                interactions: run.learned as u64,
                interactions_per_second: run.learned as f64 * f64::from(passes) / run.learning_seconds,
                wall_seconds,
                peak_memory_bytes: peak_memory_bytes(),
            },
            passes,
            replay_buffer: run.replay_buffer,
            seed,
        }
    }
}

/// The same for people.
#[allow(clippy::cast_precision_loss)] // bytes
fn tell(run: &Run, evaluation: &Evaluation) {
    let heads = ["block", "tests", "items", "Recall@10", "Recall@20", "MRR@10", "MRR@20"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    let figures = |figures: Figures| figures.each().map(|share| format!("{:.2}", share * 100.0));
    for tested in &run.blocks {
        let counts = [tested.block, tested.tests, tested.items].map(|count| count.to_string());
        table.push(counts.into_iter().chain(figures(tested.figures)).collect());
    }
    let mean = ["mean", "", ""].map(str::to_owned);
    table.push(mean.into_iter().chain(figures(run.mean())).collect());
    output::table(&table);
    output::line("");
    output::table(&evaluation.breakdown.table());
    evaluation.breakdown.lines().iter().for_each(output::line);
    output::line("");
    output::line(format!(
        "learned {} interactions, {:.0} a second, {} passes, a replay buffer of {} interactions; {:.0} MB at most",
        run.learned,
        evaluation.cost.rate(),
        evaluation.passes,
        run.replay_buffer,
        evaluation.cost.peak_memory_bytes.unwrap_or_default() as f64 / 1e6,
    ));
    output::line(
        "Items never seen leave the test, then sessions of length one; every next item is predicted among all \
                  items seen; repeats stay in; a tie counts against the label. Ages suppose that a block is a week, evenly \
                  filled: the files have no times.",
    );
}

#[cfg(test)]
mod tests;
