//! What it costs to hold a version against the one before: reading its sample, comparing, and the lists of some users.
//! The limit is 10 ms at 100,000 items.

use std::hint::black_box;
use std::time::Duration;

use model::{Model, Payload, RowEncoding, unpack};
use schemas::checkpoint::PayloadKind;
use versions::Continuity;

use crate::error::Error;
use crate::measure::{Latencies, Size};
use crate::report::{Figure, Report};
use crate::world::{World, version};

const ITEMS: usize = 100_000;
const BUDGET: Duration = Duration::from_secs(3);
/// The limit, in milliseconds.
const LIMIT_MS: f64 = 10.0;

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let mut world = World::new(size.pick(ITEMS, 5_000));
    // So many that lists are compared, too.
    let mut learner = world.learner(6_000)?;
    let before = {
        let (manifest, payload) = version(&mut learner, PayloadKind::Snapshot, 1)?;
        Model::serving("flex", RowEncoding::F32)?.apply(&manifest, &payload)?
    };
    let mut number = 1;
    for kind in [PayloadKind::Delta, PayloadKind::Snapshot] {
        number += 1;
        learner.observe(&world.examples(256));
        let (manifest, payload) = version(&mut learner, kind, number)?;
        let bytes = unpack(&payload)?;
        let opened = Payload::open(&bytes)?;
        let next = before.apply(&manifest, &payload)?;
        let named = if kind == PayloadKind::Delta { "a delta" } else { "a snapshot" };
        let sampling = Latencies::of(BUDGET, 5, || {
            black_box(opened.sample(&manifest, before.sample()).is_ok());
        });
        let comparing = Latencies::of(BUDGET, 5, || {
            black_box(next.sample().doubt(before.sample()));
        });
        let mut continuity = Continuity::default();
        continuity.ask_from(&before);
        let mut doubts = 0_u32;
        let judging = Latencies::of(BUDGET, 5, || {
            doubts += u32::from(continuity.judge(&before, &next, None, false).is_err());
        });
        let figures = [
            ("its sample is read", &sampling),
            ("rows are compared", &comparing),
            ("rows and lists are compared", &judging),
        ];
        for (what, taken) in figures {
            let figure = Figure::of(format!("{named} of {ITEMS} items: {what}, p50"), taken.ms(0.5), "ms");
            let remark = format!("p99 {:.2} ms; {doubts} doubted", taken.ms(0.99));
            report.add(figure.beside(format!("the limit of {LIMIT_MS} ms"), taken.ms(0.5) / LIMIT_MS).remark(remark));
        }
    }
    Ok(())
}
