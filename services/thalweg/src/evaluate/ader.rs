//! The ADER protocol: learn from one block after the other, and after each predict the next with a frozen model.
//!
//! After Mi, Lin and Faltings, *ADER: Adaptively Distilled Exemplar Replay Towards Continual Learning for
//! Session-based Recommendation* (2020), on the blocks of its repository.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;

use model::{Catalog, Learner, Model, Positioned, Rank, RowEncoding, Scored, Seen, Settings, UserView, rank_of};
use schemas::{Kind, key_of};
use serde_json::{Value, json};

use super::blocks::{self, Block};
use super::breakdown::{self, Breakdown};
use super::figures::hit;
use super::items::Items;
use super::leak;
use super::{Common, Verdict, floor, peak_memory_bytes, percent, weigh, write_page};
use crate::error::Error;
use crate::{output, report};

/// Tests that are ranked at once; fixed, so that figures do not depend on the number of threads.
const TESTED_AT_ONCE: usize = 128;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A folder with period_0.txt, period_1.txt, …: one `session item` a line.
    folder: PathBuf,
    /// Passes before the next block is predicted: the first over the block itself, each further one as many examples of
    /// the replay buffer, for the encoder alone.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    passes: u16,
    /// Predict only the first N blocks.
    #[arg(long, value_name = "N")]
    blocks: Option<usize>,
    /// How the scorer that is tested holds vectors, as its `scorer.table`: f32, f16, int8.
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
    /// `recall_10`, `recall_20`, `mrr_10`, `mrr_20`, as shares.
    pub(crate) figures: [f64; 4],
    pub(crate) tests: usize,
    pub(crate) sessions: usize,
    /// Items seen before the block: what is ranked.
    pub(crate) items: usize,
    unseen: usize,
    short: usize,
    seconds: f64,
}

/// What of a stream was learned: the evaluation's own record.
#[derive(Debug, Default)]
struct Learned {
    events: usize,
    ids: HashSet<String>,
    items: Items,
}

const NAMES: [&str; 4] = ["recall_10", "recall_20", "mrr_10", "mrr_20"];
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
    pub(crate) fn mean(&self) -> [f64; 4] {
        let n = self.blocks.len().max(1) as f64;
        std::array::from_fn(|at| self.blocks.iter().map(|block| block.figures[at]).sum::<f64>() / n)
    }

    fn tests(&self) -> u64 {
        self.blocks.iter().map(|block| block.tests as u64).sum()
    }
}

fn encoding(name: &str) -> Result<RowEncoding, String> {
    serde_json::from_value(json!(name)).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let started = Instant::now();
    floor::known(&args.verdict.floors, &NAMES)?;
    let blocks = blocks::read(&args.folder)?;
    let tested = args.blocks.unwrap_or(usize::MAX).min(blocks.len() - 1);
    if tested == 0 {
        return Err(Error::Other("nothing to predict: the protocol needs two blocks or more".to_owned()));
    }
    let blocks = &blocks[..=tested];
    let settings = args.common.settings()?;
    let seed = settings.seed;
    let events = blocks.windows(2).map(|pair| pair[0].events.len() + pair[1].events.len()).sum::<usize>();
    let bar = output::bar(events as u64, "learning and testing");
    let run = go(blocks, settings, args.common.micro_batch(), args.passes, args.table, &|n| bar.inc(n))?;
    bar.finish_and_clear();
    weigh(run.tests(), NOTHING_TESTED)?;

    let json = json(&run, started.elapsed().as_secs_f64(), args.passes, seed);
    if let Some(path) = &args.verdict.report {
        let name = args.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        write_page(path, &report::evaluation::ader(&name, &json)?)?;
    }
    if args.common.json { output::json(&json) } else { tell(&run, &json) }?;
    floor::check(&args.verdict.floors, &json["mean"])
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
        learn(&mut learner, past, learned.events, micro_batch, progress);
        run.replay_buffer = rehearse(&mut learner, past, micro_batch, passes);
        run.learning_seconds += started.elapsed().as_secs_f64();
        learned.take_in(past);
        run.learned = learned.events;
        // What a scorer would serve: rows as versions carry them, vectors as its table holds them.
        let model = Model::of(learner.knowledge()).published(table)?;
        let mut tested = test(&model, next, run.blocks.len() + 1, &learned, history, &mut run.breakdown)?;
        tested.seconds = started.elapsed().as_secs_f64();
        progress(next.events.len() as u64);
        run.blocks.push(tested);
    }
    Ok(run)
}

impl Learned {
    fn take_in(&mut self, block: &Block) {
        for (n, (_, item)) in block.events.iter().enumerate() {
            self.items.meet(key_of(item), block.ts(n), (self.events + n) as u64);
            if !self.ids.contains(item) {
                self.ids.insert(item.clone());
            }
        }
        self.events += block.events.len();
    }
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

/// The passes after the first: as many examples of the replay buffer as the block has events, each pass, for the encoder
/// alone. Gives how many interactions the buffer holds.
fn rehearse(learner: &mut Learner, block: &Block, micro_batch: usize, passes: u16) -> usize {
    let steps = block.events.len().div_ceil(micro_batch) * usize::from(passes - 1);
    (0..steps).for_each(|_| learner.rehearse(micro_batch));
    learner.rehearsable()
}

/// A next item to predict.
#[derive(Debug, Clone, Copy)]
struct Ask<'t> {
    /// The session's items before it, oldest first: what the model is shown.
    before: &'t [Seen],
    key: u64,
    /// Place in the block, and event time.
    event: usize,
    ts: i64,
}

fn test(
    model: &Model,
    block: &Block,
    number: usize,
    learned: &Learned,
    history: usize,
    breakdown: &mut Breakdown,
) -> Result<Tested, Error> {
    let test = block.test(&learned.ids);
    let seen = |n: &usize| seen(block, *n);
    let sessions: Vec<Vec<Seen>> = test.sessions.iter().map(|session| session.iter().map(seen).collect()).collect();
    let nexts = |(session, numbers): (usize, &Vec<usize>)| {
        let items = &sessions[session];
        let ask = |at: usize| Ask { before: &items[..at], key: items[at].key, event: numbers[at], ts: items[at].ts };
        (1..numbers.len()).map(ask).collect::<Vec<_>>()
    };
    let asks: Vec<Ask<'_>> = test.sessions.iter().enumerate().flat_map(nexts).collect();
    check_for_leaks(block, &learned.ids, &asks)?;
    let answers = answers(model, &asks, history);
    for (ask, (rank, source)) in asks.iter().zip(&answers) {
        breakdown.record(&breakdown::Test {
            rank: *rank,
            source: *source,
            known: true, // what was never seen is not tested
            first: learned.items.get(ask.key),
            offset: (learned.events + ask.event) as u64,
            ts: ask.ts,
            earlier: u32::try_from(ask.before.len()).unwrap_or(u32::MAX),
            repeat: ask.before.iter().any(|seen| seen.key == ask.key),
        });
    }
    let ranks: Vec<Rank> = answers.iter().map(|(rank, _)| *rank).collect();
    Ok(Tested {
        block: number,
        figures: figures(&ranks),
        tests: ranks.len(),
        sessions: sessions.len(),
        items: learned.ids.len(),
        unseen: test.unseen,
        short: test.short,
        seconds: 0.0,
    })
}

/// The `n`-th event of a block, as a history holds it.
fn seen(block: &Block, n: usize) -> Seen {
    Seen { key: key_of(&block.events[n].1), kind: Kind::View, ts: block.ts(n) }
}

/// Goes through the block once more, event by event, and holds what the model is to be shown against what came before.
///
/// # Errors
/// When an answer, or anything after it, is shown before it is asked for: then no figure could be trusted.
fn check_for_leaks(block: &Block, known: &HashSet<String>, asks: &[Ask<'_>]) -> Result<(), Error> {
    let asks: HashMap<usize, &Ask<'_>> = asks.iter().map(|ask| (ask.event, ask)).collect();
    let mut earlier: HashMap<&str, Vec<Seen>> = HashMap::new();
    for (n, (session, item)) in block.events.iter().enumerate() {
        let earlier = earlier.entry(session).or_default();
        if let Some(ask) = asks.get(&n)
            && !leak::is_honest(ask.before, earlier, earlier.len())
        {
            return Err(Error::Other(format!(
                "a leak: what is shown for event {n} of the block is not what came before it in its session"
            )));
        }
        if known.contains(item) {
            earlier.push(seen(block, n));
        }
    }
    Ok(())
}

/// The rank of each answer, and who named it; the model is frozen, so every core takes a share.
fn answers<'t>(model: &Model, asks: &[Ask<'t>], history: usize) -> Vec<(Rank, Option<&'static str>)> {
    let batches: Vec<&[Ask<'t>]> = asks.chunks(TESTED_AT_ONCE).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = batches.len().div_ceil(threads).max(1);
    let catalog = Catalog::default();
    let answer = |batch: &&[Ask<'t>]| -> Vec<_> {
        let view = |Ask { before, .. }: &Ask<'t>| {
            let (history, ts) = (&before[before.len().saturating_sub(history)..], before[before.len() - 1].ts);
            UserView { user: 0, history, ts }
        };
        let views: Vec<_> = batch.iter().map(view).collect();
        let scored = model.scored(&views, &catalog).into_iter();
        let answer = |(ask, scored): (&Ask<'t>, Vec<Scored>)| {
            let rank = rank_of(ask.key, scored.iter().map(|s| (s.key, s.score)));
            (rank, scored.iter().find(|s| s.key == ask.key).map(|s| s.source))
        };
        batch.iter().zip(scored).map(answer).collect()
    };
    std::thread::scope(|scope| {
        let spawned: Vec<_> = batches
            .chunks(share)
            .map(|batches| scope.spawn(move || batches.iter().flat_map(answer).collect::<Vec<_>>()))
            .collect();
        spawned.into_iter().flat_map(|thread| thread.join().expect("ranking does not panic")).collect()
    })
}

/// Recall and mean reciprocal rank at 10 and at 20: one item is relevant in each test.
#[allow(clippy::cast_precision_loss)] // counts
fn figures(ranks: &[Rank]) -> [f64; 4] {
    let n = ranks.len().max(1) as f64;
    let hits = |cut| ranks.iter().map(|rank| hit(*rank, cut).0).sum::<u64>() as f64 / n;
    let reciprocals = |cut| ranks.iter().map(|rank| hit(*rank, cut).1).sum::<f64>() / n;
    [hits(10), hits(20), reciprocals(10), reciprocals(20)]
}

fn named(figures: [f64; 4]) -> serde_json::Map<String, Value> {
    NAMES.into_iter().zip(figures).map(|(name, share)| (name.to_owned(), json!(percent(share)))).collect()
}

#[allow(clippy::cast_precision_loss)] // a count
fn json(run: &Run, wall_seconds: f64, passes: u16, seed: u64) -> Value {
    let block = |tested: &Tested| {
        let mut block = named(tested.figures);
        block.extend(
            [
                ("block", json!(tested.block)),
                ("tests", json!(tested.tests)),
                ("sessions", json!(tested.sessions)),
                ("items", json!(tested.items)),
                ("events_of_items_never_seen", json!(tested.unseen)),
                ("sessions_of_length_one", json!(tested.short)),
                ("seconds", json!(tested.seconds)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Value::Object(block)
    };
    json!({
        "blocks": run.blocks.iter().map(block).collect::<Vec<_>>(),
        "mean": named(run.mean()),
        "breakdown": run.breakdown.json(),
        "interactions": run.learned,
        "interactions_per_second": run.learned as f64 * f64::from(passes) / run.learning_seconds,
        "wall_seconds": wall_seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "passes": passes,
        "replay_buffer": run.replay_buffer,
        "seed": seed,
    })
}

/// The same for people.
fn tell(run: &Run, json: &Value) -> Result<(), Error> {
    let heads = ["block", "tests", "items", "Recall@10", "Recall@20", "MRR@10", "MRR@20"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    let figures = |figures: [f64; 4]| figures.map(|share| format!("{:.2}", share * 100.0));
    for tested in &run.blocks {
        let counts = [tested.block, tested.tests, tested.items].map(|count| count.to_string());
        table.push(counts.into_iter().chain(figures(tested.figures)).collect());
    }
    let mean = ["mean", "", ""].map(str::to_owned);
    table.push(mean.into_iter().chain(figures(run.mean())).collect());
    output::table(&table);
    output::line("");
    output::table(&run.breakdown.table());
    run.breakdown.lines().iter().for_each(output::line);
    output::line("");
    output::line(format!(
        "learned {} interactions, {:.0} a second, {} passes, a replay buffer of {} interactions; {:.0} MB at most",
        run.learned,
        json["interactions_per_second"].as_f64().unwrap_or_default(),
        json["passes"],
        run.replay_buffer,
        json["peak_memory_bytes"].as_f64().unwrap_or_default() / 1e6,
    ));
    output::line(
        "Items never seen leave the test, then sessions of length one; every next item is predicted among all \
                  items seen; repeats stay in; a tie counts against the label.",
    );
    Ok(())
}

#[cfg(test)]
mod tests;
