//! What f32, f16 and int8 rows cost and save: bytes of versions and of a scorer's table, and time to search and score.
//!
//! The same stream in each encoding, of versions and of the table alike. Calls take turns, so a slow moment slows all.

use std::hint::black_box;

use model::{Model, RowEncoding, Settings, UserView};
use schemas::UserKey;
use schemas::checkpoint::PayloadKind;

use crate::error::Error;
use crate::measure::{Latencies, Size};
use crate::report::{Figure, Report};
use crate::world::{World, version};

const ALL: [(&str, RowEncoding); 3] =
    [("f32", RowEncoding::F32), ("f16", RowEncoding::F16), ("int8", RowEncoding::Int8)];
/// Examples between two deltas: a second at 500 events/s.
const SECOND: usize = 512;
const BATCHES: [usize; 3] = [1, 16, 128];

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let items = size.pick(100_000, 2_000);
    let mut models = Vec::new();
    for (name, encoding) in ALL {
        let model = bytes(items, encoding, name, size, report)?;
        models.push((name, model));
    }
    let mut world = World::new(items);
    let (histories, catalog) = (world.histories(BATCHES[2]), world.catalog());
    let users: Vec<_> =
        histories.iter().map(|history| UserView { user: UserKey::NOBODY, history, ts: world.now() }).collect();
    let ids: Vec<&str> = world.items().iter().map(|item| item.item_id.as_str()).take(BATCHES[2]).collect();
    let near = Settings::default().candidates - 1;
    for batch in BATCHES {
        let rounds = size.pick(if batch == 1 { 200 } else { 30 }, 3);
        let search = |model: &Model| black_box(model.similar(&ids[..batch], &catalog, near)).len();
        compare(&models, &format!("search, batch of {batch}"), rounds, search, report);
        let slates = |model: &Model| black_box(model.slates(&users[..batch], &catalog, 20)).len();
        compare(&models, &format!("slates, batch of {batch}"), rounds, slates, report);
    }
    Ok(())
}

/// Learns, publishes in one encoding, and gives what a scorer makes of it.
#[allow(clippy::cast_precision_loss)] // bytes
fn bytes(items: usize, encoding: RowEncoding, name: &str, size: Size, report: &mut Report) -> Result<Model, Error> {
    let mut world = World::new(items);
    let settings = Settings { row_encoding: encoding, ..Settings::default() };
    let mut learner = world.learner_with(settings, size.pick(4_096, 256))?;
    let each = |bytes: usize| bytes as f64 / items as f64;
    let whole = each(learner.knowledge().row_bytes());
    let (manifest, snapshot) = version(&mut learner, PayloadKind::Snapshot, 1)?;
    let served = Model::serving("flex", encoding)?.apply(&manifest, &snapshot)?;
    world.examples(SECOND).chunks(128).for_each(|batch| {
        learner.observe(batch);
    });
    let (manifest, delta) = version(&mut learner, PayloadKind::Delta, 2)?;
    let served = served.apply(&manifest, &delta)?;
    report.add(Figure::of(format!("snapshot in {name}, of {items} items"), each(snapshot.len()), "bytes/item"));
    report.add(Figure::of(format!("delta of {SECOND} examples in {name}"), delta.len() as f64 / 1e6, "MB"));
    let table = each(served.knowledge().row_bytes());
    let figure = Figure::of(format!("a scorer's table in {name}"), table, "bytes/item");
    report.add(figure.beside("the learner's: rows, content sums, vectors", table / whole));
    Ok(served)
}

fn compare(models: &[(&str, Model)], what: &str, rounds: usize, call: impl Fn(&Model) -> usize, report: &mut Report) {
    let mut latencies: Vec<Latencies> = models.iter().map(|_| Latencies::new()).collect();
    models.iter().for_each(|(_, model)| {
        call(model); // warms up
    });
    for _ in 0..rounds {
        for ((_, model), latencies) in models.iter().zip(&mut latencies) {
            latencies.time(|| call(model));
        }
    }
    let first = latencies[0].ms(0.5);
    for ((name, _), latencies) in models.iter().zip(&latencies) {
        let figure = Figure::of(format!("{what}, table in {name}"), latencies.ms(0.5), "ms");
        report.add(figure.beside("f32", latencies.ms(0.5) / first));
    }
}
