//! Test, then train: one pass in event order, one model state, the product beside its baselines on the same tests.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use model::baselines::{self, Baseline, FrozenCopy};
use model::{Catalog, Learner, Positioned, Settings, Tested};
use schemas::{Item, Kind, key_of};

use super::damage::{Ordered, Striker};
use super::evaluation::{CatalogUsed, Evaluation, Lead};
use super::figures::FIGURES;
use super::guard::{Guard, Guarded};
use super::interval;
use super::judge::{Happened, Judge, Judged, MicroBatch, Shown, split};
use super::listing::Listing;
use super::methods::{ByMethod, FROZEN, METHODS};
use super::stream::Stream;
use super::{Common, Verdict, floor, print_json, weigh, write_page};
use crate::error::Error;
use crate::log::Entry;
use crate::recorded::LogArgs;
use crate::trainer_config::TrainerConfig;
use crate::{output, report};

/// Micro-batches that the baselines may be behind the product; then the product waits, and its clock stands still.
const BEHIND: usize = 64;
/// Every baseline.
static BASELINES: LazyLock<String> = LazyLock::new(|| METHODS[1..].join(","));

/// The options of `thalweg evaluate prequential`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// CSV, JSON lines or Parquet, plain, .gz or .zst; or a folder of ADER blocks (period_0.txt, …) as one stream.
    file: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    /// Baselines to compare with, separated by commas; `thalweg` runs none. isgd and gru take most of the time.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = METHODS,
        default_value = BASELINES.as_str())]
    methods: Vec<String>,
    /// When the learner sees the log's description of an item, if --columns names a title, category, brand or price.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    catalog: Listing,
    /// Hold the learner against the trainer's quality gate, with its defaults, and count the alarms.
    #[arg(long)]
    gate: bool,
    /// Damage the learner or its stream at this interaction, and tell how soon the gate notices. KIND is one of
    /// learning-rates, scale, noise, rows and labels.
    #[arg(long, value_name = "KIND@INTERACTION", requires = "gate")]
    damage: Option<Ordered>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    verdict: Verdict,
}

/// What the names of figures do not say.
const LEGEND: &str = "coverage@20: share of the items known at the end that were in a list. new@20: share of the \
                      recommended items that were younger than a day. First-time HR@20: of choices of what \
                      the user had not chosen before. HR@20 of all events: with the first 20 % of the \
                      stream.";

/// What a run is, beside its events and settings.
pub(crate) struct Course<'a> {
    /// Baselines to compare with.
    pub(crate) methods: &'a [String],
    pub(crate) micro_batch: usize,
    /// Where in the stream the product's places begin to be kept, one for each test; none are without it.
    pub(crate) keep_from: Option<u64>,
    /// Records in the catalog before the first event; others come with the entries and are taken in after the
    /// micro-batch in which they are met.
    pub(crate) listed: &'a [Item],
    /// Whether the gate looks on.
    pub(crate) gate: bool,
    /// What is damaged, and when.
    pub(crate) damage: Option<Ordered>,
}

/// The names of a run's figures, which floors may be set for.
#[must_use]
pub fn figures() -> Vec<&'static str> {
    let mut names = FIGURES.map(|figure| figure.name).to_vec();
    names.sort_unstable();
    names
}

/// How the run went.
pub(crate) struct Run {
    pub(crate) judged: Judged,
    pub(crate) interactions: u64,
    /// Records of the catalog that the product was given.
    pub(crate) records: u64,
    /// What the product took for testing and training.
    pub(crate) busy: Duration,
    /// What the gate found, if it looked on.
    pub(crate) gate: Option<Guarded>,
}

impl Run {
    /// Tests that the figures are of: every method has the same.
    pub(super) fn tests(&self) -> u64 {
        self.judged.after().next().map_or(0, |(_, tally)| tally.tests())
    }
}

/// Evaluates, prints the figures, and holds them against the floors.
///
/// # Errors
/// When log or settings cannot be used, nothing was tested, or a figure is below its floor.
pub fn run(args: &Args, trainer: &TrainerConfig) -> Result<(), Error> {
    let started = Instant::now();
    floor::known(&args.verdict.floors, &figures())?;
    let stream = Stream::open(&args.file, &args.log)?;
    let settings = args.common.settings(trainer)?;
    let seed = settings.seed;
    check_catalog(&stream, args.catalog)?;
    let bar = output::bar(stream.len() as u64, "learning");
    let (micro_batch, listed) = (args.common.micro_batch(), stream.listed(args.catalog));
    let (gate, damage) = (args.gate, args.damage);
    if let Some(Ordered { at, .. }) = damage
        && at >= stream.len() as u64
    {
        return Err(Error::Other(format!("--damage: the log has {} interactions, and none at {at}", stream.len())));
    }
    let course = Course { methods: &args.methods, micro_batch, keep_from: None, listed: &listed, gate, damage };
    let run = go(stream.entries(args.catalog), settings, &course, |n| bar.inc(n))?;
    bar.finish_and_clear();
    weigh(run.tests(), &nothing_tested(run.interactions))?;

    let evaluation = Evaluation::of(&run, started.elapsed(), &stream, args.catalog, seed);
    if let Some(path) = &args.verdict.report {
        write_page(path, &report::evaluation::prequential(&name(args), &evaluation)?)?;
    }
    if args.common.json {
        print_json(&evaluation)?;
    } else {
        tell(&evaluation);
    }
    floor::check(&args.verdict.floors, |figure| evaluation.product().get(figure))
}

/// Says before the run when there is no catalog where one is asked for.
pub(super) fn check_catalog(stream: &Stream, listing: Listing) -> Result<(), Error> {
    let problem = match (stream.has_catalog, listing) {
        (true, _) if !stream.has_records() => {
            "--catalog has no record: no event's row has anything that can be read in the columns for title, category, \
             brand and price; name others in --columns, or leave them out"
        }
        (false, Listing::FromStart) => {
            "--catalog from-start needs a catalog: a file, with a column for title, category, brand or price in --columns"
        }
        _ => return Ok(()),
    };
    Err(Error::Other(problem.to_owned()))
}

/// Why a run over so many interactions may have no test.
fn nothing_tested(interactions: u64) -> String {
    format!(
        "after the first 20 % of {interactions} interactions there is no choice by a user who acted before. Look at \
         --columns, whether a user of it has two events or more; at --type, since an impression or a dislike is no \
         choice; and at --limit, which may be too small"
    )
}

fn name(args: &Args) -> String {
    args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs product and baselines over the events of `entries`; `progress` is told how many events more are done.
pub(crate) fn go(
    entries: impl ExactSizeIterator<Item = Entry>,
    settings: Settings,
    course: &Course<'_>,
    progress: impl Fn(u64),
) -> Result<Run, Error> {
    let Course { methods, micro_batch, keep_from, listed, gate, damage } = *course;
    let mut baselines = Vec::new();
    for name in baselines::NAMES.into_iter().filter(|name| methods.iter().any(|method| method == name)) {
        baselines.extend(baselines::baseline(name, &settings.device, settings.seed)?);
    }
    let frozen = methods.iter().any(|method| method == FROZEN);
    let length = entries.len() as u64;
    let mut entries = entries.peekable();
    let mut judge = Judge::new(length, settings.remembered, baselines);
    judge.keep_from(keep_from.unwrap_or(u64::MAX));
    let learner = Learner::new(settings)?;
    // A thread of their own: the product's rate is measured beside them, not with them.
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BEHIND);
        let judging = scope.spawn(move || follow(judge, &receiver));
        let (copied, gate) = (frozen.then(Catalog::default), gate.then(Guard::new));
        let damage = damage.map(Striker::new);
        let mut product = Product { learner, copied, records: 0, busy: Duration::ZERO, gate, damage };
        // A record that does not say when its item was published is as old as the stream.
        let opening = entries.peek().map_or(0, |first| first.event.ts.0);
        listed.iter().for_each(|item| product.list(item, opening));
        let mut joins = None;
        let mut batch = Vec::with_capacity(micro_batch);
        for (offset, entry) in (0_u64..).zip(entries) {
            if offset == split(length) {
                // The copy stands exactly where the first 20 % end.
                if sender.send(product.learn(std::mem::take(&mut batch), joins.take())?).is_err() {
                    break;
                }
                joins = product.copied.take().map(|catalog| -> Box<dyn Baseline> {
                    Box::new(FrozenCopy::new(product.learner.knowledge(), catalog))
                });
            }
            batch.push((offset, entry));
            if batch.len() >= micro_batch {
                progress(batch.len() as u64);
                if sender.send(product.learn(std::mem::take(&mut batch), joins.take())?).is_err() {
                    break; // the judge has stopped, and says why below
                }
            }
        }
        progress(batch.len() as u64);
        let _ = sender.send(product.learn(batch, joins)?); // fails only when the judge has stopped, and joining says why
        drop(sender);
        let judged = judging.join().map_err(|_| Error::Other("the baselines' thread panicked".to_owned()))??;
        let gate = product.gate.map(Guard::found);
        Ok(Run { judged, interactions: length, records: product.records, busy: product.busy, gate })
    })
}

fn follow(mut judge: Judge, receiver: &Receiver<MicroBatch>) -> Result<Judged, Error> {
    for batch in receiver {
        judge.follow(batch)?;
    }
    Ok(judge.finish())
}

struct Product {
    learner: Learner,
    /// The learner's catalog once more, for the copy that stops learning, until it is made.
    copied: Option<Catalog>,
    records: u64,
    busy: Duration,
    gate: Option<Guard>,
    damage: Option<Striker>,
}

impl Product {
    /// Takes a record into the catalog, at event time `now`.
    fn list(&mut self, item: &Item, now: i64) {
        let started = Instant::now();
        self.learner.catalog(&item.item_id, Some(item), now);
        self.busy += started.elapsed();
        if let Some(catalog) = &mut self.copied {
            catalog.apply(&item.item_id, Some(item));
        }
        self.records += 1;
    }

    fn learn(&mut self, mut entries: Vec<(u64, Entry)>, joins: Option<Box<dyn Baseline>>) -> Result<MicroBatch, Error> {
        if let Some(damage) = &mut self.damage
            && damage.strike(&mut self.learner, &mut entries)?
            && let Some(guard) = &mut self.gate
        {
            guard.damaged(damage.ordered);
        }
        let happened = entries.iter().map(|(_, Entry { event, .. })| Happened {
            user: event.user_id.clone(),
            key: key_of(&event.item_id),
            kind: Kind::from(event.kind),
            ts: event.ts.0,
        });
        let mut batch = MicroBatch { happened: happened.collect(), shown: Vec::with_capacity(entries.len()), joins };
        let place = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let mut met = Vec::new();
        let mut arrived = Vec::with_capacity(entries.len());
        for (offset, Entry { event, record }) in entries {
            met.extend(record.map(|record| (record, event.ts.0)));
            arrived.push(Positioned::in_stream(place(offset), event));
        }
        let started = Instant::now();
        self.learner.observe_with(&arrived, |tested| {
            batch.shown.push(shown(&tested));
            if let Some(guard) = &mut self.gate {
                guard.test(&tested);
            }
        });
        self.busy += started.elapsed();
        if let Some(guard) = &mut self.gate {
            guard.look(&mut self.learner);
        }
        // Only now: before its first choice was tested, a record would tell that the item is about to be chosen.
        met.iter().for_each(|(record, ts)| self.list(record, *ts));
        Ok(batch)
    }
}

fn shown(tested: &Tested<'_>) -> Shown {
    Shown {
        key: tested.key,
        rank: tested.rank,
        list: tested.slate.iter().map(|(key, _)| *key).collect(),
        source: tested.slate.iter().find(|(key, _)| *key == tested.key).map(|(_, source)| *source),
        known: tested.item.is_some(),
        history: tested.history.to_vec(),
    }
}

/// The figures for people.
fn tell(evaluation: &Evaluation) {
    let Evaluation { cost, differences, breakdown, young_items, .. } = evaluation;
    let memory = cost.peak_memory_bytes.map_or(String::new(), |bytes| format!(", {:.0} MB", bytes as f64 / 1e6));
    let rate = cost.interactions_per_second;
    output::line(format!(
        "{} interactions, {} items, {} interactions a second{memory}",
        cost.interactions,
        evaluation.items,
        if rate.is_finite() { format!("{rate:.0}") } else { "-".to_owned() }
    ));
    if let Some(CatalogUsed { mode, records, .. }) = &evaluation.catalog {
        let is_as_met = *mode == Listing::AsMet;
        let again = if is_as_met { ": an item has another one each time that a row adds to it" } else { "" };
        output::line(format!("a catalog of {records} records, {}{again}", mode.as_str()));
    }
    let told = || FIGURES.iter().filter(|figure| !figure.is_multiple);
    let heads = ["method, in %"].into_iter().chain(told().map(|figure| figure.head)).chain(["HR@20 of all events"]);
    let mut table = vec![heads.map(str::to_owned).collect::<Vec<_>>()];
    for (name, after) in evaluation.after_20_percent.iter() {
        let figures = told().map(|figure| format!("{:.2}", (figure.of)(&after.figures)));
        let overall = evaluation.overall.get(name).map_or("-".to_owned(), |all| format!("{:.2}", all.figures.hr_20));
        table.push([name.to_owned()].into_iter().chain(figures).chain([overall]).collect());
    }
    output::table(&table);
    output::line(LEGEND);
    output::line("");
    if !differences.baselines.is_empty() {
        output::table(&leads(&differences.baselines));
        output::line("");
    }
    if let Some(gate) = &evaluation.gate {
        gate.lines().iter().for_each(output::line);
        output::line("");
    }
    output::table(&breakdown.table());
    breakdown.lines().iter().for_each(output::line);
    output::line("");
    output::table(&young_items.table());
    young_items.lines().iter().for_each(output::line);
    output::line(
        "Tested: choices of a user or session that acted before, after the first 20 % of the stream. Repeats stay in; a \
         tie counts against the label.",
    );
    if !differences.baselines.is_empty() {
        output::line(interval::METHOD);
    }
}

/// The product's lead over each baseline.
fn leads(baselines: &ByMethod<Lead>) -> Vec<Vec<String>> {
    let mut table = vec![["thalweg minus", "HR@20", "95 %", "MRR@20", "95 %"].map(str::to_owned).to_vec()];
    for (name, lead) in baselines.iter() {
        let [hr, mrr] = [lead.hr_20, lead.mrr_20].map(interval::cells);
        table.push([name.to_owned()].into_iter().chain(hr).chain(mrr).collect());
    }
    table
}
