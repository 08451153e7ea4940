//! `thalweg dead-letters`: shows refused events and catalog records, and sends events again once the cause is mended.

mod selection;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use laboratory::output;
use runtime::Context;
use runtime::kafka::{Outgoing, Producer, Reader, Record, StartAt, admin};
use schemas::dead_letter::headers;
use schemas::{Reason, Topic};
use serde_json::json;

use crate::config::Config;
use crate::error::Error;
use selection::{Position, Selection};

/// Records of one read.
const BATCH: usize = 1_000;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Lists refused events and refused catalog records, oldest first.
    #[command(after_help = "Example: thalweg dead-letters list --reason in_future --all")]
    List(Args),
    /// Sends refused events to `events` again, unchanged, each to the partition that it came from.
    ///
    /// The command skips and reports events that were too large to be kept whole: take them from `events` itself. It
    /// also skips dead letters about the catalog: their records are still on `items` and are read at each start, and an
    /// old record would replace a corrected one. Write the item again instead.
    ///
    /// Thalweg does not record which events were sent again, so the output ends with the --from for the next call.
    /// Ingest recognises a repeat only by its `event_id`; an event without one is applied each time it is sent.
    #[command(after_help = "Example: thalweg dead-letters replay --reason in_future --from 0:1500 --all")]
    Replay(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only records refused for this reason.
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    reason: Option<Reason>,
    /// Begin at these offsets of `dead-letters`, separated by commas. A partition that is not named begins with its
    /// oldest record.
    #[arg(long, value_name = "PARTITION:OFFSET", value_delimiter = ',')]
    from: Vec<Position>,
    /// At most this many records.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All records.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print JSON: `list` prints a line for each record, `replay` one document.
    #[arg(long)]
    json: bool,
}

/// Reads a reason; help and refusal list them all.
fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)).try_map(|name: String| name.parse::<Reason>())
}

impl Args {
    fn selection(&self) -> Selection {
        Selection::new(self.reason, &self.from, if self.all { u64::MAX } else { self.limit })
    }
}

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    match what {
        What::List(args) => list(&args, config).await,
        What::Replay(args) => replay(&args, config).await,
    }
}

async fn list(args: &Args, config: &Config) -> Result<(), Error> {
    let mut rows = vec![["at", "reason", "source", "key", "detail"].map(str::to_owned).to_vec()];
    let mut selection = args.selection();
    read(config, &mut selection, async |letters| {
        for letter in letters {
            let [reason, topic, partition, offset, detail] =
                [headers::REASON, headers::TOPIC, headers::PARTITION, headers::OFFSET, headers::DETAIL]
                    .map(|name| text(letter.header(name)));
            let at = Position { partition: letter.partition, offset: letter.offset }.to_string();
            let source = format!("{topic}/{partition}@{offset}");
            let key = text(Some(&letter.key));
            let cut_from = cut_from(&letter);
            if args.json {
                let value = text(letter.value.as_ref());
                output::json_line(&json!({"at": at, "reason": reason, "detail": detail, "source": source, "key": key,
                    "value": value, "cut_from_bytes": cut_from}));
            } else {
                let cut = cut_from.map(|bytes| format!(" (cut from {bytes} bytes)")).unwrap_or_default();
                let detail = format!("{detail}{cut}");
                rows.push(vec![at, reason, source, key.chars().take(32).collect(), detail]);
            }
        }
        Ok(())
    })
    .await?;
    if !args.json {
        output::table(&rows);
    }
    if args.json && !output::arrives() {
        return Ok(()); // whoever read has gone, and what was left was not counted
    }
    output::note(format!("{} of {} dead letters", selection.taken, selection.total));
    if selection.taken < selection.total {
        output::note(format!("the next ones: --from {}; or --all", selection.from()));
    }
    Ok(())
}

async fn replay(args: &Args, config: &Config) -> Result<(), Error> {
    let ctx = Context::new("thalweg");
    let producer = Producer::connect(&config.kafka, &ctx)?;
    let events = config.topic(Topic::Events);
    let partitions = admin::check_partitions(&config.kafka, &[&events]).await?;
    let mut selection = args.selection();
    let (mut sent, mut unmarked, mut cut, mut of_items) = (0_u64, 0_u64, 0_u64, 0_u64);
    let outcome = read(config, &mut selection, async |mut letters| {
        let all = letters.len() as u64;
        letters.retain(|letter| text(letter.header(headers::TOPIC)) == events);
        let taken = letters.len() as u64;
        of_items += all - taken;
        letters.retain(|letter| letter.header(headers::CUT).is_none()); // half an event is another event
        let count = letters.len() as u64;
        cut += taken - count;
        let without_id = letters.iter().filter(|letter| !has_event_id(letter)).count() as u64;
        producer.send_all(&events, letters.into_iter().map(|letter| again(letter, partitions))).await?;
        sent += count;
        unmarked += without_id;
        Ok(())
    })
    .await;
    let next = selection.from();
    if let Err(error) = outcome {
        if sent > 0 {
            output::note(format!("{sent} events were sent again, and then perhaps a few more; go on by --from {next}"));
        }
        return Err(error);
    }
    if args.json {
        return Ok(output::json(
            &json!({"sent": sent, "of": selection.total, "without_event_id": unmarked, "cut": cut, "of_items": of_items,
                "next_from": next}),
        )?);
    }
    output::line(format!("{sent} of {} letters sent again", selection.total));
    if of_items > 0 {
        output::note(format!(
            "{of_items} more are about the catalog and were not sent: write these items again, as they should be"
        ));
    }
    if cut > 0 {
        output::note(format!(
            "{cut} more were not sent: only a part of them is kept here; `list` shows where on `events` they lie"
        ));
    }
    if selection.taken > 0 {
        output::note(format!("next time: --from {next}, or these are taken once more"));
    }
    if unmarked > 0 {
        output::note(format!("{unmarked} of them have no event_id: sent once more, they may be applied twice"));
    }
    Ok(())
}

/// A letter as the event that it was. An application may choose partitions otherwise than by the key, and the order of
/// a user's events is that of one partition: it goes where it came from, or by its key where `events` was made again
/// with fewer partitions.
fn again(letter: Record, partitions: usize) -> Outgoing {
    let partition = text(letter.header(headers::PARTITION)).parse::<i32>().ok();
    Outgoing {
        partition: partition.filter(|partition| usize::try_from(*partition).is_ok_and(|n| n < partitions)),
        key: letter.key,
        value: letter.value,
        timestamp: None,
        headers: Vec::new(),
    }
}

/// The bytes that the event had, if only a part of it is kept.
fn cut_from(letter: &Record) -> Option<u64> {
    letter.header(headers::CUT).and_then(|bytes| text(Some(bytes)).parse().ok())
}

/// Whether ingest would know the event if it came again.
fn has_event_id(letter: &Record) -> bool {
    let event = serde_json::from_slice::<serde_json::Value>(letter.value.as_deref().unwrap_or_default());
    event.is_ok_and(|event| event["event_id"].as_str().is_some_and(|id| !id.is_empty()))
}

/// Reads the topic to its end and hands over what the selection takes, batch by batch.
async fn read(
    config: &Config,
    selection: &mut Selection,
    mut take: impl AsyncFnMut(Vec<Record>) -> Result<(), Error>,
) -> Result<(), Error> {
    let ctx = Context::new("thalweg");
    let mut reader = Reader::open(&config.kafka, &config.topic(Topic::DeadLetters), StartAt::Beginning, &ctx).await?;
    let end = reader.end().await?;
    let bar = output::bar(reader.lag(&end), "reading dead letters");
    while output::arrives()
        && let Some(batch) = reader.replay(&end, BATCH).await?
    {
        bar.inc(batch.records.len() as u64);
        let before = selection.next.clone();
        let taken: Vec<Record> = batch.records.into_iter().filter(|record| selection.takes(record)).collect();
        if !taken.is_empty()
            && let Err(error) = take(taken).await
        {
            selection.next = before;
            return Err(error);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Bytes as people read them; empty for what is not there.
fn text(bytes: Option<&impl AsRef<[u8]>>) -> String {
    String::from_utf8_lossy(bytes.map_or(&[], AsRef::as_ref)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_goes_where_it_came_from_and_by_its_key_where_that_partition_is_no_more() {
        for (said, partition) in [("3", Some(3)), ("4", None), ("99", None), ("-1", None), ("", None)] {
            let letter = Record {
                partition: 0,
                offset: 0,
                timestamp: 0,
                by_broker: false,
                key: "u1".into(),
                value: None,
                headers: vec![(headers::PARTITION.to_owned(), said.to_owned().into())],
            };
            assert_eq!(again(letter, 4).partition, partition, "{said}");
        }
    }
}
