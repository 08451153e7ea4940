//! `thalweg items`: writes a file of items to the topic `items`.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clap::Subcommand;
use laboratory::log::{Delimiter, Form, Nothing};
use laboratory::output;
use runtime::Context;
use runtime::kafka::{Producer, admin};
use schemas::Topic;
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Error;
use crate::import::{Columns, Import, Meant, Options};

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Writes the items of a file to `items`, each as a whole record (with --update, only what the file says of it);
    /// other items stay as they are.
    ///
    /// The file may be CSV (also with tabs, semicolons or pipes), JSON lines, a JSON array, or a feed in XML (RSS,
    /// Atom); plain, .gz or .zst. Field names are Thalweg's (item_id, title, categories, brand, price, available,
    /// published_at) or Google Merchant's (id, price "79.00 EUR", availability, product_type "A > B"). If an id occurs
    /// twice, the last one counts. A file of stock or prices alone needs --update.
    #[command(after_help = "Example: thalweg items import products.xml --dry-run")]
    Import(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// CSV, JSON or XML.
    file: PathBuf,
    /// Write only the fields that the file has; what the catalog says otherwise of these items stays.
    #[arg(long, conflicts_with = "replace")]
    update: bool,
    /// Write whole records although no row has a title: what the catalog says of these items goes.
    #[arg(long)]
    replace: bool,
    /// Which column is which field, if it has none of the usual names: item_id=Article,price=RRP.
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    columns: Option<Columns>,
    /// The first line is an item; --columns then names columns by number, from 1.
    #[arg(long)]
    no_header: bool,
    /// The column separator, if the header does not show it: `;`, `::`, tab, space (one or several) and so on.
    #[arg(long, value_name = "TEXT")]
    delimiter: Option<Delimiter>,
    /// Another word for a missing value, besides NULL, \N, NaN, None, NA, undefined and the like; may be given several
    /// times. With an empty word (--null '') only the given words count.
    #[arg(long = "null", value_name = "WORD")]
    nulls: Vec<String>,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            columns: self.columns.clone().unwrap_or_default(),
            form: Form { no_header: self.no_header, delimiter: self.delimiter.clone() },
            nothing: Nothing::new(&self.nulls),
        }
    }

    const fn meant(&self) -> Meant {
        match (self.update, self.replace) {
            (true, _) => Meant::Update,
            (false, true) => Meant::Replacement,
            (false, false) => Meant::Catalog,
        }
    }
}

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    let What::Import(args) = what;
    let import = tokio::task::block_in_place(|| Import::open(&args.file, &args.options()))?;
    let topic = config.topic(Topic::Items);
    let distinct = import.entries.iter().map(|entry| entry.item_id.as_str()).collect::<HashSet<_>>().len();
    let records = import.records(args.meant())?;
    let written = records.len();
    if !args.dry_run && !records.is_empty() {
        // A producer waits for a broker as long as it takes: whoever looks on had better be told at once.
        admin::check_partitions(&config.kafka, &[&topic]).await?;
        let producer = Producer::connect(&config.kafka, &Context::new("thalweg"))?;
        producer.send_all(&topic, records).await?;
    }
    if args.json {
        return Ok(output::json(&json!({"rows": import.rows, "items": distinct, "records": written,
            "written": !args.dry_run, "remarks": import.remarks, "left_out": listed(&import.left_out), "fields_left_out": listed(&import.fields)}))?);
    }
    for (reason, (count, example)) in &import.left_out {
        output::note(format!("{count} of {} rows left out: {reason}, such as {example}", import.rows));
    }
    for (field, (count, example)) in &import.fields {
        output::note(format!("{count} items without a field: {field}, such as {example}"));
    }
    import.remarks.iter().for_each(output::note);
    let repeats = import.entries.len() - distinct;
    if repeats > 0 {
        output::note(format!("{repeats} rows repeat an id; the last one counts"));
    }
    let hidden = import.entries.iter().filter(|entry| entry.fields.available == Some(false)).count();
    let done = if args.dry_run { "would be written" } else { "written" };
    let how = if args.update { format!(" as {written} updates of single fields") } else { String::new() };
    output::line(format!(
        "{distinct} items of {} rows {done} to {topic}{how}, {hidden} of them not to be had",
        import.rows
    ));
    if import.entries.is_empty() {
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
