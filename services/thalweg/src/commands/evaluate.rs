//! `thalweg evaluate`: tests and trains on a recorded log without Kafka, by the code that the trainer runs.

use std::path::PathBuf;
use std::time::Instant;

use clap::Subcommand;
use model::{Learner, Positioned, Settings};
use schemas::{Event, Interaction, Kind, Source};
use serde_json::json;

use crate::cli::LogArgs;
use crate::error::Error;
use crate::output;

#[derive(Subcommand, Debug)]
pub(crate) enum How {
    /// One pass in event order: each interaction is predicted, then learned from.
    Prequential(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// CSV, JSON lines or Parquet; plain, .gz or .zst.
    file: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    /// Seeds initial weights and negative sampling; the same seed gives the same figures.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Interactions learned from at once; the trainer takes what has arrived, up to 256.
    #[arg(long, default_value_t = 64, value_name = "N")]
    micro_batch: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(how: How) -> Result<(), Error> {
    let How::Prequential(args) = how;
    let log = super::open_log(&args.file, &args.log)?;
    let (rows, length) = (log.rows, log.len());
    let settings = Settings { seed: args.seed, max_users: log.users().max(1_000), ..Settings::default() };
    let mut learner = Learner::new(settings)?;
    let bar = output::bar(length as u64, "learning");
    let started = Instant::now();
    let mut batch = Vec::with_capacity(args.micro_batch);
    for (offset, event) in (0_i64..).zip(log.into_events()) {
        batch.push(positioned(offset, event));
        if batch.len() == args.micro_batch.max(1) {
            learner.observe(&batch);
            bar.inc(batch.len() as u64);
            batch.clear();
        }
    }
    learner.observe(&batch);
    bar.finish_and_clear();
    #[allow(clippy::cast_precision_loss)] // a count
    let per_second = length as f64 / started.elapsed().as_secs_f64();
    let (items, users, pairs) = learner.sizes();
    let quality = learner.quality().overall();
    if args.json {
        return output::json(&json!({
            "rows": rows, "interactions": length, "interactions_per_second": per_second,
            "items": items, "users": users, "items_with_neighbours": pairs, "overall": quality,
        }));
    }
    output::line(format!("{length} interactions, {items} items, {per_second:.0} interactions a second"));
    let mut table = vec![["method", "HR@20 %", "MRR@20 %"].map(str::to_owned).to_vec()];
    for (method, quality) in quality {
        table.push(vec![method, format!("{:.2}", quality.hr20 * 100.0), format!("{:.2}", quality.mrr20 * 100.0)]);
    }
    output::table(&table);
    output::line("Every interaction counts, a user's first too; repeats stay in; a tie counts against the label.");
    Ok(())
}

fn positioned(offset: i64, event: Event) -> Positioned {
    let interaction = Interaction {
        user_id: event.user_id,
        item_id: event.item_id,
        kind: Kind::from(event.kind).into(),
        ts: event.ts.0,
        session_id: event.session_id.unwrap_or_default(),
        value: event.value,
        shown: event.items,
        event_id: event.event_id.unwrap_or_default(),
        source: Some(Source { partition: 0, offset }),
        arrived_at: event.ts.0,
    };
    Positioned { partition: 0, offset, interaction }
}
