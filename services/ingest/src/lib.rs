//! Ingest: turns raw clickstream events into validated interactions.
//!
//! Reads `events` as a consumer group; writes partition *p* of `events` to partition *p* of `interactions`, and what it
//! refuses to `dead-letters` with the reason. Its decisions are pure ([`validator`], [`window`], [`judge`]); its state
//! is read back from the tail of `interactions` whenever a partition is assigned ([`progress`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

pub mod config;
mod erasures;
pub mod error;
pub mod judge;
mod life;
pub mod metrics;
mod partitioner;
pub mod progress;
mod tail;
pub mod validator;
pub mod window;
mod wire;

use std::collections::BTreeSet;
use std::time::Instant;

use runtime::Context;
use runtime::kafka::{Commits, Consumer, Expected, Producer, Watch, admin, contact};
use schemas::{Secret, Topic, Topics};
use tracing::warn;

pub use config::Config;
use erasures::Erasing;
pub use error::Error;
use judge::Judge;
use partitioner::Placement;
use progress::Progress;
use validator::Validator;

/// The embedded `config.toml`.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Runs until drained. I3: offsets are committed only after every output of the batch is acknowledged.
pub async fn run(config: Config, ctx: Context) -> Result<(), Error> {
    ctx.finish(serve(config, ctx.clone()).await)
}

#[allow(clippy::disallowed_methods, reason = "the loop measures its batches")]
async fn serve(config: Config, ctx: Context) -> Result<(), Error> {
    let topics = Topics::new(&config.kafka.topic_prefix);
    let [events, interactions, dead_letters] =
        [Topic::Events, Topic::Interactions, Topic::DeadLetters].map(|topic| topics.name(topic));
    ctx.set("caught-up", Err("waiting for partitions of events".to_owned()));
    metrics::describe();
    contact(&ctx, async || admin::check_partitions(&config.kafka, &[&events, &interactions]).await).await?;

    // Before the first event: nobody who is erased slips through at a start.
    let secret = Secret::new(&config.privacy.secret);
    let Some(mut erasing) = Erasing::open(&config.kafka, secret, &ctx).await? else { return Ok(()) };
    let mut input = Consumer::subscribe(&config.kafka, &config.ingest.group, &events, &ctx).await?;
    let output = Producer::connect(&config.kafka, &ctx)?;
    let mut judge = Judge::new(Validator::new(config.ingest.limits()), events);
    judge.leave_out(erasing.erased().clone());
    let mut progress = Progress::new(config.ingest.window);
    let mut commits = Commits::new(config.ingest.commit_every, Instant::now());
    let watch = Watch::start(&config.kafka, &ctx)?;
    erasing.watched(&watch);
    watch.follow(
        input.stream(),
        Expected {
            topic: "events",
            caught_up: Some((config.ingest.ready_lag, config.ingest.max_behind)),
            gauges: Some([metrics::LAG, metrics::LAG_SECONDS]),
        },
    );
    let latency = ctx.latency(metrics::BATCH);
    let mut told = false;

    let mut placement = Placement::default();
    ctx.started();

    while let Some(mut batch) = input.next_batch(config.ingest.batch, config.ingest.linger).await? {
        let started = Instant::now();
        for partition in &batch.revoked {
            progress.forget(*partition);
        }
        commits.forget(batch.revoked.iter().chain(&batch.reborn));
        ::metrics::counter!(metrics::MISSED).increment(batch.missed);
        let again: BTreeSet<i32> = batch.assigned.iter().chain(&batch.reborn).copied().collect();
        let again: Vec<i32> = again.into_iter().collect();
        let Some(begun) = tail::restore(&mut progress, &again, &judge, &config, &ctx).await? else { break };
        if !begun.is_empty() {
            // What is in hand of these comes again. Committed at once: a death must not skip the beginning of a life.
            batch.records.retain(|record| !begun.contains_key(&record.partition));
            commits.forget(begun.keys());
            let begun = input.seek(&begun).await?;
            input.commit(&begun).await?;
        }
        let ours = batch.records.iter().filter(|record| progress.owns(record.partition) && !record.key.is_empty());
        placement.place(ours.map(|record| (&*record.key, record.partition)), input.stream().partitions());
        if erasing.news().await? {
            judge.leave_out(erasing.erased().clone());
        }
        let verdict = judge.judge(&batch.records, &mut progress, ctx.now());
        let refused = !verdict.dead_letters.is_empty();
        // First the dead letters: so an interaction in the log vouches for every event before it (see
        // `Progress::is_done`).
        output.send_all(&dead_letters, verdict.dead_letters).await?;
        output.send_all(&interactions, verdict.interactions).await?;
        commits.acknowledged(batch.end().into_iter().filter(|(partition, _)| progress.owns(*partition)));
        // A dead letter leaves no trace in `interactions` to recognise it by, so its offset does not wait.
        if let Some(positions) = commits.due(Instant::now(), refused) {
            input.commit(&positions).await?;
        }

        metrics::record(&verdict.counts);
        if verdict.counts.unkeyed > 0 && !std::mem::replace(&mut told, true) {
            warn!(
                events = verdict.counts.unkeyed,
                "events come with another key than their user id: a user's events may then lie on several partitions, out \
                 of order; key them by user id (ingest_unkeyed_total goes on counting)"
            );
        }
        if !batch.records.is_empty() {
            latency.record(started.elapsed());
        }
        metrics::gauges(progress.window_len());
        // Last, for nothing of those users is on its way then.
        erasing.answer(&input.partitions(), &output).await?;
    }
    if let Some(positions) = commits.due(Instant::now(), true) {
        input.commit(&positions).await?;
    }
    output.flush().await;
    Ok(())
}
