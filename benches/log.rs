//! How many bytes a second the log of versions takes in a shop of 20,000 items with 200 events a second, what they are,
//! and what lists lose by what deltas leave out.
//!
//! Played by event time: micro-batches as the trainer cuts them, a version each second. No Kafka.

use std::collections::BTreeMap;
use std::time::Instant;

use model::{Learner, Model, Payload, RowEncoding, Settings, UserView, pack};
use schemas::UserKey;
use schemas::checkpoint::PayloadKind;

use crate::error::Error;
use crate::measure::{Samples, Size};
use crate::report::{Figure, Report};
use crate::world::{World, version};

pub(crate) const ITEMS: usize = 20_000;
pub(crate) const PER_SECOND: i64 = 200;
/// What arrives within the trainer's `linger` of 50 ms.
pub(crate) const BATCH: usize = 10;
/// Batches between two versions: a second.
pub(crate) const BATCHES: usize = 20;
/// `model.delta_tolerance`.
const TOLERANCES: [f32; 5] = [0.0, 0.01, 0.02, 0.03, 0.05];
/// `trainer.snapshot_every`, in seconds.
pub(crate) const BETWEEN_SNAPSHOTS: u32 = 300;
/// Users whose lists are compared, and the length of these.
const USERS: usize = 500;
const LIST: usize = 20;

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut world = World::at(size.pick(ITEMS, 2_000), PER_SECOND);
    // The pairs of 20 minutes, in large batches, for these are learned fast.
    let mut grown = world.learner(size.pick(240_000, 2_000))?;
    let (manifest, snapshot) = version(&mut grown, PayloadKind::Snapshot, 1)?;
    let whole = Model::empty("flex")?.apply(&manifest, &snapshot)?;
    let whole_kb = tell("snapshot", &[snapshot], report)?;
    for tolerance in TOLERANCES {
        let settings = Settings { delta_tolerance: tolerance, ..Settings::default() };
        let mut learner = Learner::restore(settings, &whole)?;
        world.list(&mut learner);
        world.live_through(&mut learner, 0);
        let delta_kb = play(&format!("{tolerance}"), size.pick(60, 5), &mut world, &mut learner, report)?;
        let all = delta_kb + whole_kb / f64::from(BETWEEN_SNAPSHOTS);
        report.add(Figure::of(format!("delta at {tolerance}, and a snapshot each five minutes"), all, "kB/s"));
    }
    Ok(())
}

/// Some seconds of the shop, with a delta for each; gives its kilobytes.
fn play(name: &str, seconds: u32, world: &mut World, learner: &mut Learner, report: &mut Report) -> Result<f64, Error> {
    let served = |learner: &mut Learner, number| {
        let (manifest, snapshot) = version(learner, PayloadKind::Snapshot, number)?;
        Ok::<_, Error>(Model::serving("flex", RowEncoding::F32)?.apply(&manifest, &snapshot)?)
    };
    let mut model = served(learner, 1)?;
    let (mut deltas, mut frozen, mut applied) = (Vec::new(), Samples::default(), Samples::default());
    for number in 2..seconds + 2 {
        for _ in 0..BATCHES {
            learner.observe(&world.examples(BATCH));
        }
        let began = Instant::now();
        let (manifest, delta) = version(learner, PayloadKind::Delta, number)?;
        let packed = pack(&delta)?;
        frozen.push(began.elapsed().as_secs_f64() * 1_000.0);
        let began = Instant::now();
        model = model.apply(&manifest, &packed)?;
        applied.push(began.elapsed().as_secs_f64() * 1_000.0);
        deltas.push(delta);
    }
    let what = format!("delta at {name}");
    report.add(Figure::median(format!("{what}: frozen, encoded, packed"), &frozen, "ms"));
    report.add(Figure::median(format!("{what}: unpacked, applied"), &applied, "ms"));
    let kilobytes = tell(&what, &deltas, report)?;
    let exact = served(learner, seconds + 2)?;
    report.add(Figure::of(
        format!("{what}: of the lists by a snapshot"),
        in_common(&model, &exact, world) * 100.0,
        "%",
    ));
    Ok(kilobytes)
}

/// The mean share of a user's list that two versions have in common.
#[allow(clippy::cast_precision_loss)] // counts
fn in_common(one: &Model, other: &Model, world: &mut World) -> f64 {
    let (histories, catalog, ts) = (world.histories(USERS), world.catalog(), world.now());
    let users: Vec<UserView<'_>> =
        histories.iter().map(|history| UserView { user: UserKey::NOBODY, history, ts }).collect();
    let lists = |model: &Model| model.slates(&users, &catalog, LIST);
    let common = |(a, b): (&Vec<schemas::Entry>, &Vec<schemas::Entry>)| {
        a.iter().filter(|entry| b.iter().any(|other| other.id == entry.id)).count()
    };
    let (a, b) = (lists(one), lists(other));
    let (common, all) = (a.iter().zip(&b).map(common).sum::<usize>(), b.iter().map(Vec::len).sum::<usize>());
    common as f64 / all.max(1) as f64
}

/// The mean bytes of a version, in all and by what they are; gives its kilobytes as it travels.
#[allow(clippy::cast_precision_loss)] // bytes
fn tell(what: &str, payloads: &[Vec<u8>], report: &mut Report) -> Result<f64, Error> {
    let mean = |bytes: usize| bytes as f64 / payloads.len() as f64 / 1e3;
    let packed = payloads.iter().map(|payload| Ok(pack(payload)?.len())).sum::<Result<usize, Error>>()?;
    report.add(Figure::of(format!("{what}: packed, as it travels"), mean(packed), "kB"));
    report.add(Figure::of(format!("{what}: payload"), mean(payloads.iter().map(Vec::len).sum()), "kB"));
    let mut parts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for payload in payloads {
        for (name, dtype, shape) in Payload::open(payload)?.describe() {
            let width = match dtype.as_str() {
                "U8" | "I8" => 1,
                "F16" | "U16" => 2,
                "F32" | "U32" => 4,
                _ => 8,
            };
            let of = name.split('.').next().unwrap_or_default();
            let dense = matches!(of, "encoder" | "ranker" | "encoder_step" | "ranker_step");
            let name = if dense { of.to_owned() } else { name };
            let part = parts.entry(name).or_default();
            part.0 += shape.iter().product::<usize>() * width;
            part.1 += shape.first().copied().unwrap_or(0);
        }
    }
    for (name, (bytes, rows)) in parts {
        let rows = rows as f64 / payloads.len() as f64;
        report.add(Figure::of(format!("{what}: {name}"), mean(bytes), "kB").remark(format!("{rows:.0} of them")));
    }
    Ok(mean(packed))
}
