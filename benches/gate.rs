//! The quality gate: what its anchor costs a step, how soon it finds a broken learner, and how often it is wrong,
//! beside a test of a window at 5 %, read as often.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{Gate, Learner, Model, Positioned, Rules, Settings, Tested};
use schemas::VersionId;
use schemas::checkpoint::PayloadKind;

use crate::error::Error;
use crate::measure::{Samples, Size, per_second};
use crate::report::{Figure, Report};
use crate::world::{World, version};

const ITEMS: usize = 10_000;
const BATCH: usize = 128;
/// Tests between two looks of the window test, and of its window.
const LOOK_EVERY: u64 = 500;
const WINDOW: usize = 2_000;
/// Beyond so many standard deviations a test at 5 % on one side finds a loss.
const FIVE_PERCENT: f64 = 1.645;

fn rules(sample: u64) -> Rules {
    let good_after = Duration::from_secs(600);
    Rules { tolerance: 0.002, threshold: 1e9, sample, good_after_tests: 20_000, good_after }
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    cost(size, report)?;
    alarms(size, report)
}

/// The rate of a learner alone, and with an anchor that takes every eighth and each test.
fn cost(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut rates = [Samples::default(), Samples::default(), Samples::default()];
    let mut world = World::new(ITEMS);
    let mut learners = Vec::new();
    for every in [0, 8, 1] {
        let mut learner = world.learner(size.pick(2_048, 256))?;
        if every > 0 {
            learner.set_anchor(Model::of(learner.knowledge()), every);
        }
        learners.push(learner);
    }
    // In turns, so that what others want of the machine meets all alike.
    for _ in 0..size.pick(9, 2) {
        let examples = world.examples(size.pick(2_048, 512));
        for (learner, rates) in learners.iter_mut().zip(&mut rates) {
            let started = Instant::now();
            let trained: usize = examples.chunks(BATCH).map(|batch| learner.observe(batch).trained).sum();
            rates.push(per_second(trained, started.elapsed()));
        }
    }
    let alone = rates[0].median();
    report.add(Figure::median(format!("micro-batch of {BATCH}, without an anchor"), &rates[0], "examples/s"));
    for (rates, every) in rates[1..].iter().zip(["every eighth test by an anchor", "each test by an anchor"]) {
        let figure = Figure::median(format!("micro-batch of {BATCH}, {every}"), rates, "examples/s");
        report.add(figure.beside("without an anchor".to_owned(), rates.median() / alone.max(1e-9)));
    }
    Ok(())
}

/// A test of the last [`WINDOW`] differences in hits.
#[derive(Default)]
struct Window {
    differences: VecDeque<f64>,
    tests: u64,
    alarms: u64,
    first: Option<u64>,
}

impl Window {
    fn test(&mut self, tested: &Tested<'_>) {
        let Some(anchor) = tested.anchor else { return };
        let hit = |rank: Option<usize>| f64::from(u8::from(rank.is_some_and(|rank| rank < 20)));
        self.tests += 1;
        self.differences.push_back(hit(tested.rank) - hit(anchor));
        if self.differences.len() > WINDOW {
            self.differences.pop_front();
        }
        if self.tests.is_multiple_of(LOOK_EVERY) && self.differences.len() == WINDOW {
            #[allow(clippy::cast_precision_loss)] // a count
            let n = WINDOW as f64;
            let mean = self.differences.iter().sum::<f64>() / n;
            let variance = self.differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
            if mean / (variance / n).sqrt().max(1e-12) < -FIVE_PERCENT {
                self.alarms += 1;
                self.first = self.first.or(Some(self.tests));
            }
        }
    }
}

/// What gate and window say of a learner on these examples: the gate's alarms, and when it raised the first.
fn watch(learner: &mut Learner, examples: &[Positioned]) -> (u64, Option<u64>, Window) {
    let (mut gate, mut window, mut tests) = (Gate::new(rules(1), None), Window::default(), 0);
    let (mut alarms, mut first) = (0, None);
    for batch in examples.chunks(BATCH) {
        learner.observe_with(batch, |tested| {
            gate.test(&tested);
            window.test(&tested);
            tests += 1;
        });
        if gate.alarm().is_some() {
            alarms += 1;
            first = first.or(Some(tests));
        }
    }
    (alarms, first, window)
}

fn alarms(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut world = World::new(ITEMS);
    let mut learner = world.learner(size.pick(20_000, 512))?;
    let (manifest, payload) = version(&mut learner, PayloadKind::Snapshot, 1)?;
    let whole = Model::empty("flex")?.apply(&manifest, &payload)?;
    debug_assert_eq!(whole.version(), Some(VersionId { epoch: 1, sequence: 1 }));
    let past = world.examples(size.pick(20_000, 512));
    let after = world.examples(size.pick(60_000, 1_024));

    let started = |settings: Settings| -> Result<Learner, Error> {
        let mut learner = Learner::restore(settings, &whole)?;
        world.list(&mut learner);
        past.iter().for_each(|positioned| learner.remember(&positioned.interaction));
        learner.set_anchor(whole.clone(), 1);
        Ok(learner)
    };
    let (alarms, _, window) = watch(&mut started(Settings::default())?, &after);
    let tests = window.tests;
    report.add(
        Figure::of("false alarms of the gate on a sound learner", count(alarms), "alarms")
            .remark(format!("in {tests} tests; the anchor stays the same meanwhile")),
    );
    report.add(
        Figure::of(format!("the same of a window of {WINDOW} tests at 5 %"), count(window.alarms), "alarms")
            .remark(format!("read each {LOOK_EVERY} tests, {} times", tests / LOOK_EVERY)),
    );

    let usual = Settings::default();
    let broken = [
        (
            "every learning rate × 50",
            Settings {
                row_learning_rate: (usual.row_learning_rate * 50.0).min(10.0),
                dense_learning_rate: usual.dense_learning_rate * 50.0,
                ranker_learning_rate: usual.ranker_learning_rate * 50.0,
                ..usual.clone()
            },
        ),
        ("the ranker's learning rate × 1,000", Settings { ranker_learning_rate: 10.0, ..usual }),
    ];
    for (what, settings) in broken {
        let most = size.pick(20_000, 1_024).min(after.len());
        let (_, first, window) = watch(&mut started(settings)?, &after[..most]);
        let told = |first: Option<u64>| first.map_or_else(|| format!("none in {most} tests"), |n| format!("{n} tests"));
        report.add(
            Figure::of(format!("until the gate's alarm: {what}"), first.map_or(f64::NAN, count), "tests")
                .remark(format!("{}; the window: {}", told(first), told(window.first))),
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // a count
fn count(n: u64) -> f64 {
    n as f64
}
