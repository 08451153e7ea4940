//! `thalweg replay`: sends a recorded log to the topic `events`, and what it says about items to `items` if asked to.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::path::PathBuf;

use laboratory::LogArgs;
use laboratory::log::by_name;
use laboratory::output;
use runtime::Context;
use runtime::kafka::{Producer, admin};
use runtime::redis::Redis;
use schemas::{Topic, Topics};
use serde_json::json;

use crate::closed_loop::{ClosedLoop, handfuls};
use crate::config::Config;
use crate::error::Error;
use crate::traffic::{self, Pace, PaceArgs, Pacer};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// CSV, JSON lines or Parquet; plain, .gz or .zst.
    file: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Also write the log's descriptions of items (title, category, brand and price in --columns) to `items`. Each
    /// record replaces the item's previous record completely.
    #[arg(long)]
    with_catalog: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, config: &Config) -> Result<(), Error> {
    let log = tokio::task::block_in_place(|| args.log.open(&args.file))?;
    let (topic, catalog) = (config.topic(Topic::Events), config.topic(Topic::Items));
    let mut listings: Vec<_> = traffic::listings(&log).map(|item| traffic::listing(&item)).collect::<Result<_, _>>()?;
    if !args.with_catalog && !listings.is_empty() {
        output::note(format!(
            "{catalog} is left alone: with --with-catalog what the log says about {} items would be written there first, in \
             the place of the records that they have",
            listings.len()
        ));
        listings.clear();
    }
    // A producer waits for a broker as long as it takes: whoever looks on had better be told at once.
    let needed = std::iter::once(&topic).chain((!listings.is_empty()).then_some(&catalog));
    for topic in needed {
        admin::check_partitions(&config.kafka, &[topic]).await?;
    }
    let ctx = Context::new("thalweg");
    let producer = Producer::connect(&config.kafka, &ctx)?;
    let bar = output::bar(log.len() as u64, "sending");
    let (rows, skipped, unread) = (log.rows, by_name(&log.skipped), by_name(&log.unread));
    let started = std::time::Instant::now();
    let mut closed_loop = match args.pace.closed_loop {
        true => Some(ClosedLoop::new(
            Redis::connect(&config.redis, &ctx).await?,
            config.keys(),
            &Topics::new(&config.kafka.topic_prefix),
        )),
        false => None,
    };
    let mut pacer = Pacer::new(args.pace.or(Pace::Unbounded));
    let listed = listings.len();
    producer.send_all(&catalog, listings).await?;
    let mut events = log.into_events().peekable();
    let mut sent = 0_u64;
    loop {
        let due = pacer.due(&mut events).await;
        if due.is_empty() {
            break;
        }
        for handful in if closed_loop.is_some() { handfuls(&due) } else { vec![&due[..]] } {
            if let Some(closed_loop) = &mut closed_loop {
                closed_loop.wait(handful).await?;
            }
            let records: Vec<_> = handful.iter().map(traffic::record).collect::<Result<_, _>>()?;
            let places = producer.send_all(&topic, records).await?;
            if let Some(closed_loop) = &mut closed_loop {
                closed_loop.sent(handful, &places);
            }
            sent += handful.len() as u64;
            bar.set_position(sent);
        }
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    if let Some(late) = pacer.late() {
        output::note(late);
    }
    let unanswered = closed_loop.as_ref().map(ClosedLoop::unanswered);
    if let Some(unanswered @ 1..) = unanswered {
        output::note(format!("{unanswered} lists did not come within 10 s: are ingest and a scorer running?"));
    }
    if args.json {
        return Ok(output::json(&json!({"rows": rows, "sent": sent, "items": listed, "seconds": seconds,
            "behind_seconds": pacer.behind(), "unanswered": unanswered, "skipped": skipped, "unread": unread}))?);
    }
    #[allow(clippy::cast_precision_loss)] // a count
    let rate = sent as f64 / seconds.max(1e-9);
    let items = if listed > 0 { format!(" and {listed} items to {catalog}") } else { String::new() };
    output::line(format!("{sent} events sent to {topic}{items} in {seconds:.1} s, {rate:.0} a second"));
    Ok(())
}
