//! Whether a training step costs the same however large the catalog is, and what an item costs in memory.
//!
//! The stream is the same at every size: only items that nobody chooses are added. A step tests before it trains, and
//! the test searches the hot set; that part is measured apart, by the same search right after each step, in
//! a model that is the learner's latest version. The encoder's training is measured apart, too, without any test. A
//! catalog that does not fill the hot set is searched faster, so one that just fills it is measured, too: from there on
//! a step should cost the same.

use std::hint::black_box;
use std::time::Instant;

use model::{Catalog, Learner, RowEncoding, Settings};
use schemas::checkpoint::PayloadKind;

use crate::error::Error;
use crate::machine::resident_bytes;
use crate::measure::{Latencies, Samples, Size, per_second};
use crate::report::{Figure, Report};
use crate::world::{World, served};

/// Items that are chosen from.
const SOLD: usize = 10_000;
const BATCH: usize = 128;
/// Steps between two publications: at 500 examples/s about two a second.
const STEPS: usize = 8;

struct Step {
    items: usize,
    whole: Latencies,
    search: Samples,
    rest: Samples,
    freeze: Samples,
    encoder: Samples,
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut steps = Vec::new();
    let hot = Settings::default().retrieval_items;
    // The largest first: memory that an earlier table left behind would be taken for its own.
    for items in size.pick([1_000_000, 100_000, hot, SOLD], [3 * hot, 2 * hot, hot, SOLD]) {
        steps.push(measure(items, size, report)?);
    }
    steps.reverse();
    let first = &steps[0];
    let full = steps[1].whole.ms(0.5);
    for step in &steps {
        let k = step.items / 1_000;
        let figure = Figure::of(format!("step of {BATCH}, {k} k items"), step.whole.ms(0.5), "ms");
        let figure = figure.remark(format!(
            "p99 {:.1} ms; {:.2} × a hot set just full",
            step.whole.ms(0.99),
            step.whole.ms(0.5) / full
        ));
        report.add(figure.beside("10 k items", step.whole.ms(0.5) / first.whole.ms(0.5)));
        let figure = Figure::median(format!("  of it the test's search, {k} k items"), &step.search, "ms");
        report.add(figure.beside("10 k items", step.search.median() / first.search.median()));
        let figure = Figure::median(format!("  the rest: training, {k} k items"), &step.rest, "ms");
        let figure = figure.remark("the difference of the two, step by step");
        report.add(figure.beside("10 k items", step.rest.median() / first.rest.median()));
        let figure = Figure::median(format!("  the encoder's step alone, {k} k items"), &step.encoder, "ms");
        let figure = figure.remark(format!("rows gathered, network, rows written: {} replayed", 2 * BATCH));
        report.add(figure.beside("10 k items", step.encoder.median() / first.encoder.median()));
        let figure = Figure::median(format!("  beside it a delta's freeze, {k} k items"), &step.freeze, "ms");
        let figure = figure.remark(format!("once in {STEPS} steps"));
        report.add(figure.beside("10 k items", step.freeze.median() / first.freeze.median()));
    }
    Ok(())
}

fn measure(items: usize, size: Size, report: &mut Report) -> Result<Step, Error> {
    let mut world = World::new(SOLD);
    let mut learner = Learner::new(Settings::default())?;
    fill(&mut learner, &world, items, report);
    let model = served(&mut learner, RowEncoding::F32)?;
    world.live_through(&mut learner, size.pick(512, 256));

    let chosen = world.items().iter().take(BATCH).map(|item| item.item_id.clone()).collect::<Vec<_>>();
    let ids: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let (catalog, near) = (Catalog::default(), Settings::default().candidates - 1);
    let mut step = Step {
        items,
        whole: Latencies::new(),
        search: Samples::default(),
        rest: Samples::default(),
        freeze: Samples::default(),
        encoder: Samples::default(),
    };
    for _ in 0..size.pick(4, 1) {
        // The trainer encodes a version on another thread meanwhile: what it shares is copied when written.
        let started = Instant::now();
        let _encoding = learner.freeze(PayloadKind::Delta)?;
        step.freeze.push(started.elapsed().as_secs_f64() * 1_000.0);
        for batch in world.examples(STEPS * BATCH).chunks(BATCH) {
            let started = Instant::now();
            learner.observe(batch);
            let whole = started.elapsed();
            let started = Instant::now();
            black_box(model.similar(&ids, &catalog, near));
            let search = started.elapsed();
            step.whole.record(whole);
            step.search.push(search.as_secs_f64() * 1_000.0);
            step.rest.push((whole.as_secs_f64() - search.as_secs_f64()) * 1_000.0);
        }
    }
    // As many examples as a step trains on: its own, and as many replayed.
    for _ in 0..size.pick(4 * STEPS, STEPS) {
        let started = Instant::now();
        learner.replay(2 * BATCH);
        step.encoder.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(step)
}

/// Fills the table with the shop's items and shelf warmers by catalog records.
#[allow(clippy::cast_precision_loss)] // bytes
fn fill(learner: &mut Learner, world: &World, items: usize, report: &mut Report) {
    let before = resident_bytes();
    let started = Instant::now();
    for item in world.items() {
        learner.catalog(&item.item_id, Some(item), world.now());
    }
    for item in world.shelf_warmers(0).take(items.saturating_sub(SOLD)) {
        learner.catalog(&item.item_id, Some(&item), world.now());
    }
    let rate = per_second(items, started.elapsed());
    // Of a small table too much is the allocator's.
    if items > 10 * SOLD
        && let (Some(before), Some(after)) = (before, resident_bytes())
    {
        let bytes = after.saturating_sub(before) as f64 / items as f64;
        report.add(
            Figure::of(format!("memory of an item, of {} k", items / 1_000), bytes, "bytes")
                .remark("row, vector, content, counters, id and index, in the trainer"),
        );
        report.add(Figure::of("catalog records taken in", rate, "items/s"));
    }
}
