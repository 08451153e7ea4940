//! `thalweg dead-letters`: shows refused events, and sends them again once the cause is mended.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use runtime::Context;
use runtime::kafka::{From, Outgoing, Producer, Reader, Record};
use schemas::dead_letter::headers;
use schemas::{Reason, Topic};
use serde_json::json;

use crate::config::Config;
use crate::error::Error;
use crate::output;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Shows refused events, oldest first.
    List(Args),
    /// Sends refused events to `events` again, as they were.
    Replay(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only those refused for this reason.
    #[arg(long, value_name = "REASON")]
    reason: Option<Reason>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    match what {
        What::List(args) => list(&args, config).await,
        What::Replay(args) => replay(&args, config).await,
    }
}

async fn list(args: &Args, config: &Config) -> Result<(), Error> {
    let letters = read(args, config).await?;
    let mut rows = vec![["reason", "source", "key", "detail"].map(str::to_owned).to_vec()];
    for letter in &letters {
        let [reason, topic, partition, offset, detail] =
            [headers::REASON, headers::TOPIC, headers::PARTITION, headers::OFFSET, headers::DETAIL]
                .map(|name| text(letter.header(name).map(AsRef::as_ref)));
        let key = text(Some(&letter.key));
        if args.json {
            let value = text(letter.value.as_deref());
            let document = json!({"reason": reason, "detail": detail, "source": format!("{topic}/{partition}@{offset}"),
                "key": key, "value": value});
            output::line(document);
        } else {
            rows.push(vec![reason, format!("{topic}/{partition}@{offset}"), key.chars().take(32).collect(), detail]);
        }
    }
    if !args.json {
        output::table(&rows);
        output::note(format!("{} dead letters", letters.len()));
    }
    Ok(())
}

async fn replay(args: &Args, config: &Config) -> Result<(), Error> {
    let ctx = Context::new("thalweg");
    let letters = read(args, config).await?;
    let count = letters.len();
    let again = letters.into_iter().map(|letter| Outgoing {
        partition: None,
        key: letter.key,
        value: letter.value,
        timestamp: None,
        headers: Vec::new(),
    });
    Producer::connect(&config.kafka, &ctx)?.send_all(&config.topic(Topic::Events), again).await?;
    if args.json {
        output::line(json!({"sent": count}));
    } else {
        output::line(format!("{count} events sent again"));
    }
    Ok(())
}

/// Reads the topic from its beginning; a letter written twice (I2) counts once.
async fn read(args: &Args, config: &Config) -> Result<Vec<Record>, Error> {
    let ctx = Context::new("thalweg");
    let mut reader = Reader::open(&config.kafka, &config.topic(Topic::DeadLetters), From::Beginning, &ctx).await?;
    let end = reader.end().await?;
    let (mut seen, mut letters) = (BTreeSet::new(), Vec::new());
    while !reader.is_at(&end) && letters.len() < args.limit {
        let Some(batch) = reader.next_batch(1_000, Duration::from_millis(200)).await? else { break };
        for record in batch.records {
            let header = |name| text(record.header(name).map(AsRef::as_ref));
            let wanted = args.reason.is_none_or(|reason| header(headers::REASON) == reason.as_str());
            let source = [headers::TOPIC, headers::PARTITION, headers::OFFSET].map(header);
            if wanted && letters.len() < args.limit && seen.insert(source) {
                letters.push(record);
            }
        }
    }
    Ok(letters)
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
