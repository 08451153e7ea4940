//! How long a version takes on its way: frozen on the learner's thread, encoded beside it, applied in a scorer.

use std::time::Instant;

use model::{Learner, Model, RowEncoding};
use schemas::checkpoint::{PayloadKind, VersionId};

use crate::error::Error;
use crate::measure::{Samples, Size};
use crate::report::{Figure, Report};
use crate::world::World;

/// Examples between two deltas: a second at 500 events/s.
const SECOND: usize = 512;

#[derive(Default)]
struct Times {
    freeze: Samples,
    encode: Samples,
    apply: Samples,
    bytes: Samples,
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    for items in size.pick([10_000, 100_000], [2_000, 10_000]) {
        let mut world = World::new(items);
        let mut learner = world.learner(size.pick(4_096, 512))?;
        let (mut snapshots, mut deltas) = (Times::default(), Times::default());
        for _ in 0..size.pick(7, 2) {
            let base = pass(
                &mut learner,
                &Model::serving("flex", RowEncoding::F32)?,
                PayloadKind::Snapshot,
                1,
                &mut snapshots,
            )?;
            world.examples(SECOND).chunks(128).for_each(|batch| {
                learner.observe(batch);
            });
            pass(&mut learner, &base, PayloadKind::Delta, 2, &mut deltas)?;
        }
        let k = items / 1_000;
        snapshots.tell(&format!("snapshot, {k} k items"), report);
        deltas.tell(&format!("delta of {SECOND} examples, {k} k items"), report);
    }
    Ok(())
}

/// One version from the learner to a scorer that serves `live`.
fn pass(
    learner: &mut Learner,
    live: &Model,
    kind: PayloadKind,
    number: u32,
    times: &mut Times,
) -> Result<Model, Error> {
    let mut began = Instant::now();
    let mut lap = |samples: &mut Samples| {
        samples.push(began.elapsed().as_secs_f64() * 1_000.0);
        began = Instant::now();
    };
    let frozen = learner.freeze(kind)?;
    lap(&mut times.freeze);
    let payload = frozen.encode()?;
    lap(&mut times.encode);
    let id = |sequence| VersionId { epoch: 1, sequence };
    let (_, manifest) = versions::split(id(number), Some(id(number - 1)), &frozen, &payload, 0);
    lap(&mut Samples::default()); // not told: hashing, at memory speed
    let next = live.apply(&manifest, &payload)?;
    lap(&mut times.apply);
    #[allow(clippy::cast_precision_loss)] // bytes
    times.bytes.push(payload.len() as f64 / 1e6);
    Ok(next)
}

impl Times {
    fn tell(&self, what: &str, report: &mut Report) {
        let stages = [("freeze", &self.freeze), ("encode", &self.encode), ("apply", &self.apply)];
        for (stage, samples) in stages {
            report.add(Figure::median(format!("{what}: {stage}"), samples, "ms"));
        }
        report.add(Figure::median(format!("{what}: size"), &self.bytes, "MB"));
    }
}
