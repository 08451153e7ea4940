//! What swapping versions in costs the lists that are written meanwhile: the same traffic with a version a second, and
//! with one in twenty.
//!
//! What else a version costs is in it, too: freezing, encoding, and its way through Kafka, on the same cores.

use serde_json::Value;

use crate::error::Error;
use crate::freshness::demo;
use crate::measure::{Samples, Size};
use crate::report::{Figure, Report};

const RATE: u32 = 500;
const OFTEN: &str = "1s";
const SELDOM: &str = "20s";
const LATENCIES: [(&str, &str); 3] =
    [("p50", "/freshness_ms/p50"), ("p99", "/freshness_ms/p99"), ("p99.9", "/freshness_ms/p999")];

#[derive(Default)]
struct Runs {
    latencies: [Samples; 3],
    swaps: Samples,
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let (mut often, mut seldom) = (Runs::default(), Runs::default());
    // By turns, so that a slow minute of the machine slows both.
    for _ in 0..size.pick(3, 1) {
        often.add(&demo(RATE, size.pick(40, 8), Some(OFTEN))?);
        seldom.add(&demo(RATE, size.pick(40, 8), Some(SELDOM))?);
    }
    for (n, (what, _)) in LATENCIES.iter().enumerate() {
        let named = |every: &str| format!("{RATE} events/s, a version each {every}: event → slate, {what}");
        let (a, b) = (&often.latencies[n], &seldom.latencies[n]);
        let figure = Figure::median(named(OFTEN), a, "ms").remark(format!("{} swaps", often.swaps.median()));
        report.add(figure.beside(format!("one each {SELDOM}"), a.median() / b.median()));
        let figure = Figure::median(named(SELDOM), b, "ms");
        report.add(figure.remark(format!("{} swaps", seldom.swaps.median())));
    }
    Ok(())
}

impl Runs {
    fn add(&mut self, demo: &Value) {
        let number = |path: &str| demo.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        for (samples, (_, path)) in self.latencies.iter_mut().zip(LATENCIES) {
            samples.push(number(path));
        }
        self.swaps.push(number("/versions_swapped"));
    }
}
