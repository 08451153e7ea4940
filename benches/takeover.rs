//! How long it takes from a trainer's SIGKILL until a version of the stand-by is live.

use std::time::Instant;

use runtime::Context;

use crate::error::Error;
use crate::measure::{Latencies, Size, block_on};
use crate::report::{Figure, Report};
use crate::running::{Live, Running};
use crate::sender::Sender;
use crate::servers::{Kafka, Redis};
use crate::world::World;

/// Within so many milliseconds the next version is there.
const LIMIT: f64 = 10_000.0;
const PER_SECOND: i64 = 200;
const STAND_BY: &[(&str, &str)] = &[("THALWEG__TRAINER__WHEN_SUPERSEDED", "stand_by")];
const STANDING_BY: &str = "trainer_standing_by";

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace")]
pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let rounds = size.pick(20, 2);
    let (latencies, label) = block_on(async {
        let (kafka, redis) = (Kafka::fresh().await?, Redis::start().await?);
        let (ctx, on) = (Context::new("bench"), (&kafka, &redis));
        let live = Live::connect(&redis, &ctx).await?;
        let _ingest = Running::start("ingest", on, &[])?;
        let _scorer = Running::start("scorer", on, &[])?;
        let mut leader = Running::start("trainer", on, STAND_BY)?;
        let mut sender = Sender::open(&kafka, World::at(size.pick(3_000, 200), PER_SECOND), &ctx)?;
        let work = async {
            let mut latencies = Latencies::new();
            let mut epoch = live.wait("a version is live", |_| true).await?.epoch;
            for _ in 0..rounds {
                let next = Running::start("trainer", on, STAND_BY)?;
                next.says(STANDING_BY, 1.0).await?;
                let began = Instant::now();
                leader.kill();
                let before = epoch;
                epoch = live.wait("the stand-by's version is live", |live| live.epoch > before).await?.epoch;
                latencies.record(began.elapsed());
                leader = next;
            }
            Ok(latencies)
        };
        let latencies = sender.until(PER_SECOND as usize, |_| (), work).await?;
        Ok((latencies, kafka.label))
    })?;
    let figure = |quantile: f64, name: &str| {
        Figure::of(format!("SIGKILL → version of the stand-by in Redis, {name}"), latencies.ms(quantile), "ms")
    };
    report.add(figure(0.5, "p50").remark(format!("{label}; {rounds} kills, {PER_SECOND} events/s")));
    report.add(figure(0.99, "p99").beside("limit of 10 s".to_owned(), latencies.ms(0.99) / LIMIT));
    Ok(())
}
