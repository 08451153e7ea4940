//! Examples per second through the learner: tested, then trained on, at the trainer's default settings.

use std::time::Instant;

use crate::error::Error;
use crate::measure::{Samples, Size, per_second};
use crate::report::{Figure, Report};
use crate::world::World;

const ITEMS: usize = 10_000;

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    for batch in [32, 128, 256] {
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
        let figure = Figure::median(format!("micro-batch of {batch}, 10 k items"), &samples, "examples/s")
            .remark(format!("a step takes {step_ms:.1} ms"));
        report.add(figure);
    }
    Ok(())
}
