//! Counts what came of every record, from the topics themselves: the audit behind `lost: 0`.

use std::collections::{BTreeMap, HashMap, HashSet};

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Reader, StartAt};
use schemas::dead_letter::headers;
use schemas::{Interaction, Message, Topic, Topics};

use crate::error::Error;

/// Records of one read.
const BATCH: usize = 5_000;

/// What lies on the topics when everything has come to rest.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Distinct events that became interactions, by their place on `events`.
    pub(super) interactions: u64,
    /// Distinct events that became dead letters.
    pub(super) dead_letters: u64,
    pub(super) dead_letters_by_reason: BTreeMap<String, u64>,
    /// For each user, the place on `events` of the last interaction; for the freshest slate to name.
    pub(super) last_source: HashMap<String, (i32, i64)>,
}

pub(super) async fn count(kafka: &Kafka) -> Result<Tally, Error> {
    let ctx = Context::new("demo");
    let topics = Topics::new(&kafka.topic_prefix);
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    each(kafka, &topics.name(Topic::Interactions), &ctx, |record| {
        let value = record.value.as_deref().unwrap_or_default();
        let interaction =
            Interaction::decode(value).map_err(|e| Error::Other(format!("an interaction does not decode: {e}")))?;
        if let Some(source) = interaction.source
            && seen.insert((source.partition, source.offset))
        {
            let place = (source.partition, source.offset);
            let last = tally.last_source.entry(interaction.user_id).or_insert(place);
            *last = (*last).max(place);
        }
        Ok(())
    })
    .await?;
    tally.interactions = seen.len() as u64;
    let mut refused = HashSet::new();
    each(kafka, &topics.name(Topic::DeadLetters), &ctx, |record| {
        let header = |name| record.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        if refused.insert([headers::INCARNATION, headers::PARTITION, headers::OFFSET].map(header)) {
            *tally.dead_letters_by_reason.entry(header(headers::REASON).unwrap_or_default()).or_default() += 1;
        }
        Ok(())
    })
    .await?;
    tally.dead_letters = refused.len() as u64;
    Ok(tally)
}

async fn each(
    kafka: &Kafka,
    topic: &str,
    ctx: &Context,
    mut take: impl FnMut(&runtime::kafka::Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = Reader::open(kafka, topic, StartAt::Beginning, ctx).await?;
    let end = reader.end().await?;
    while let Some(batch) = reader.replay(&end, BATCH).await? {
        batch.records.iter().try_for_each(&mut take)?;
    }
    Ok(())
}
