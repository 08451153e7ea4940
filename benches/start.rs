//! How long a start takes that finds as much as there can be behind the newest snapshot but one, in the shop of `log`:
//! two snapshots, and behind each the deltas of `trainer.snapshot_every`.
//!
//! The records lie in memory, as they lie on the topic: what a broker takes to hand them out comes on top, some 100
//! MB/s.

use std::time::Instant;

use bytes::Bytes;
use model::{Learner, Model, Payload, RowEncoding, Settings, pack, unpack};
use schemas::Manifest;
use schemas::checkpoint::{PayloadKind, VersionId};
use versions::{Assembler, Outcome, Record, manifest_record, split};

use crate::error::Error;
use crate::log::{BATCH, BATCHES, BETWEEN_SNAPSHOTS, ITEMS, PER_SECOND};
use crate::measure::Size;
use crate::report::{Figure, Report};
use crate::world::World;

#[allow(clippy::cast_precision_loss)] // bytes
pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut world = World::at(size.pick(ITEMS, 2_000), PER_SECOND);
    let mut learner = world.learner(size.pick(240_000, 2_000))?;
    let between = size.pick(BETWEEN_SNAPSHOTS, 5);
    let mut records = Vec::new();
    for number in 1..=2 * between {
        for _ in 0..BATCHES {
            learner.observe(&world.examples(BATCH));
        }
        records.extend(published(&mut learner, number, between)?);
    }
    let bytes: usize = records.iter().map(|record| record.value.len()).sum();
    let seconds = f64::from(2 * between);
    report.add(Figure::of("read", bytes as f64 / 1e6, "MB").remark(format!("{} records", records.len())));
    report.add(Figure::of("a second of the log", bytes as f64 / 1e3 / seconds, "kB"));
    drop(learner);

    let began = Instant::now();
    let model = newest(&records, Model::empty("flex")?, |manifest, payload| {
        Ok(Payload::open(&unpack(payload)?)?.verify(manifest)?)
    })?;
    let read = began.elapsed().as_secs_f64();
    Learner::try_on(Settings::default(), &model)?;
    Learner::restore(Settings::default(), &model)?;
    report.add(Figure::of("a trainer: versions, and a learner of the last", began.elapsed().as_secs_f64(), "s"));
    report.add(Figure::of("of it versions", read, "s"));
    let began = Instant::now();
    newest(&records, Model::serving("flex", RowEncoding::F32)?, |_, _| Ok(()))?;
    report.add(Figure::of("a scorer: versions", began.elapsed().as_secs_f64(), "s"));
    Ok(())
}

/// The newest version, as trainer and scorer make it: of deltas behind which a later snapshot comes none is applied,
/// and the trainer only looks at them.
fn newest(
    records: &[Record],
    mut model: Model,
    look: impl Fn(&Manifest, &[u8]) -> Result<(), Error>,
) -> Result<Model, Error> {
    let mut held = Vec::new();
    for (manifest, payload) in whole(records)? {
        if manifest.kind == PayloadKind::Delta {
            held.push((manifest, payload));
            continue;
        }
        model = model.apply(&manifest, &payload)?;
        for (manifest, payload) in std::mem::take(&mut held) {
            look(&manifest, &payload)?;
        }
    }
    for (manifest, payload) in held {
        model = model.apply(&manifest, &payload)?;
    }
    Ok(model)
}

/// The next version as its records.
fn published(learner: &mut Learner, number: u32, between: u32) -> Result<Vec<Record>, Error> {
    let kind = if number % between == 1 { PayloadKind::Snapshot } else { PayloadKind::Delta };
    let frozen = learner.freeze(kind)?;
    let id = |sequence| VersionId { epoch: 1, sequence };
    let (mut records, manifest) = split(id(number), Some(id(number - 1)), &frozen, &pack(&frozen.encode()?)?, 0);
    records.push(manifest_record(&manifest));
    Ok(records)
}

/// The versions of a log, as a reader puts them together.
fn whole(records: &[Record]) -> Result<Vec<(Manifest, Vec<u8>)>, Error> {
    let (mut assembler, mut versions) = (Assembler::default(), Vec::new());
    for Record { key, value, checksum } in records {
        match assembler.push(key.as_bytes(), Some(Bytes::from(value.clone())), Some(checksum.as_bytes())) {
            Outcome::Whole(manifest, payload) => versions.push((manifest, payload)),
            Outcome::Nothing => {}
            other => return Err(Error::Other(format!("{key}: {other:?}"))),
        }
    }
    Ok(versions)
}
