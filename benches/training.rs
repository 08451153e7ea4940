//! Examples per second through the learner: tested, then trained on, at the trainer's default settings.

use std::time::Instant;

use crate::error::Error;
use crate::limits;
use crate::measure::{Samples, Size, per_second};
use crate::report::{Figure, Report};
use crate::world::World;

const ITEMS: usize = 10_000;
const BATCHES: [usize; 3] = [32, 128, 256];

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let limits = limits::ask(size, &BATCHES, &[]);
    for batch in BATCHES {
        let mut world = World::new(ITEMS);
        let mut learner = world.learner(size.pick(2_048, 256))?;
        let mut samples = Samples::default();
        for _ in 0..size.pick(9, 2) {
            let examples = world.examples(size.pick(2_048, 512));
            let started = Instant::now();
            let trained: usize = examples.chunks(batch).map(|batch| learner.observe(batch).trained).sum();
            samples.push(per_second(trained, started.elapsed()));
        }
        #[allow(clippy::cast_precision_loss)] // the size of a micro-batch
        let step_ms = batch as f64 * 1_000.0 / samples.median().max(1e-9);
        let mut figure = Figure::median(format!("micro-batch of {batch}, 10 k items"), &samples, "examples/s")
            .remark(format!("a step takes {step_ms:.1} ms"));
        if let Some(limit) = limits.train_ms(batch) {
            let what = format!("the network's part in PyTorch {}, {limit:.1} ms", limits.torch);
            figure = figure.beside(what, limit / step_ms);
        }
        report.add(figure);
    }
    Ok(())
}
