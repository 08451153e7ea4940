//! `thalweg items`: writes a file of items to the topic `items`.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clap::Subcommand;
use laboratory::output;
use runtime::Context;
use runtime::kafka::{Producer, admin};
use schemas::Topic;
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Error;
use crate::import::Import;
use crate::traffic;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Writes the items of a file to `items`, each as a whole record; other items stay as they are.
    ///
    /// The file may be CSV (also with tabs, semicolons or pipes), JSON lines, a JSON array, or a feed in XML (RSS,
    /// Atom); plain, .gz or .zst. Field names are Thalweg's (item_id, title, categories, brand, price, available,
    /// published_at) or Google Merchant's (id, price "79.00 EUR", availability, product_type "A > B"). If an id occurs
    /// twice, the last one counts.
    #[command(after_help = "Example: thalweg items import products.xml --dry-run")]
    Import(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// CSV, JSON or XML.
    file: PathBuf,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    let What::Import(args) = what;
    let import = tokio::task::block_in_place(|| Import::open(&args.file))?;
    let topic = config.topic(Topic::Items);
    let distinct = import.items.iter().map(|item| item.item_id.as_str()).collect::<HashSet<_>>().len();
    if !args.dry_run && !import.items.is_empty() {
        let records: Vec<_> = import.items.iter().map(traffic::listing).collect::<Result<_, _>>()?;
        // A producer waits for a broker as long as it takes: whoever looks on had better be told at once.
        admin::check_partitions(&config.kafka, &[&topic]).await?;
        let producer = Producer::connect(&config.kafka, &Context::new("thalweg"))?;
        producer.send_all(&topic, records).await?;
    }
    if args.json {
        return Ok(output::json(&json!({"rows": import.rows, "items": distinct, "written": !args.dry_run,
            "left_out": listed(&import.left_out), "fields_left_out": listed(&import.fields)}))?);
    }
    for (reason, (count, example)) in &import.left_out {
        output::note(format!("{count} of {} rows left out: {reason}, such as {example}", import.rows));
    }
    for (field, (count, example)) in &import.fields {
        output::note(format!("{count} items without a field: {field}, such as {example}"));
    }
    let repeats = import.items.len() - distinct;
    if repeats > 0 {
        output::note(format!("{repeats} rows repeat an id; the last one counts"));
    }
    let hidden = import.items.iter().filter(|item| !item.available).count();
    let done = if args.dry_run { "would be written" } else { "written" };
    output::line(format!("{distinct} items of {} rows {done} to {topic}, {hidden} of them not to be had", import.rows));
    if import.items.is_empty() {
        return Err(Error::Other("no item was read: see above what is wrong with the rows".to_owned()));
    }
    Ok(())
}

fn listed(reasons: &BTreeMap<String, (u64, String)>) -> Value {
    reasons
        .iter()
        .map(|(reason, (count, example))| json!({"reason": reason, "count": count, "example": example}))
        .collect()
}
