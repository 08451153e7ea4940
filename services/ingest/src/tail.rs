//! Reads back, from the tail of `interactions`, what was already written (I1, I2).

use std::collections::BTreeMap;

use metrics::counter;
use runtime::Context;
use runtime::kafka::{KafkaError, Next, Positions, Reader, Record, Span, StartAt};
use schemas::{Interaction, Topic, Topics};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::judge::Judge;
use crate::life::{Log, Marks, Written};
use crate::metrics::{FOREIGN_INTERACTIONS, LIVES, REWRITTEN};
use crate::progress::Progress;

/// Records per poll of the tail.
const BATCH: usize = 10_000;

/// Renews what is known of `partitions`, which are new to us or lie in another log than before; where to read those in
/// which a new life of `events` begins. `None` when asked to drain before it was whole.
///
/// The tail is as long as the window of event ids. It may end with the records of an owner that does not know yet that
/// it lost the partition, and such a zombie may go on writing behind it. Both are harmless: it judges the same events
/// in the same order, and every consumer drops what is not beyond the source that it applied last.
pub(crate) async fn restore(
    progress: &mut Progress,
    partitions: &[i32],
    judge: &Judge,
    config: &Config,
    ctx: &Context,
) -> Result<Option<Positions>, Error> {
    if partitions.is_empty() {
        return Ok(Some(Positions::new()));
    }
    let pulse = ctx.pulse("taking over partitions");
    let _busy = pulse.long_work("reading back what was written");
    let topics = Topics::new(&config.kafka.topic_prefix);
    let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
    let Some(span) = span(config, &interactions, ctx).await? else { return Ok(None) };
    let starts = starts(&span, partitions, config.ingest.window);
    for partition in partitions {
        progress.begin(*partition);
    }
    let mut written: BTreeMap<i32, Written> = BTreeMap::new();
    let (mut foreign, mut again) = (0_u64, 0_u64);
    let mut take = |record: Record| {
        let place = schemas::Written { partition: record.partition, at: record.timestamp, by_broker: record.by_broker };
        match Interaction::read(record.value.as_deref(), place) {
            Ok((interaction, source)) => {
                progress.remember(record.partition, &interaction);
                again += u64::from(!written.entry(record.partition).or_default().note(&source, &interaction));
            }
            Err(_) => foreign += 1,
        }
    };
    if !read(config, &interactions, &starts, &ends_of(&span, partitions), ctx, &mut take).await? {
        return Ok(None);
    }
    if foreign > 0 {
        counter!(FOREIGN_INTERACTIONS).increment(foreign);
        warn!(records = foreign, topic = interactions, "skipped what ingest did not write: somebody else writes here");
    }

    if again > 0 {
        counter!(REWRITTEN).increment(again);
        info!(
            records = again,
            topic = interactions,
            "found interactions of ours that were written twice; they count once"
        );
    }

    let Some(span) = self::span(config, &events, ctx).await? else { return Ok(None) };
    let Some(there) = events_behind(&written, partitions, &span, judge, config, ctx).await? else { return Ok(None) };
    let (none, nothing) = (Marks::new(), Written::default());
    let mut begun = Positions::new();
    for partition in partitions {
        let (written, there) = (written.get(partition).unwrap_or(&nothing), there.get(partition).unwrap_or(&none));
        let log = log(&span, *partition);
        let course = written.course(&log, there);
        progress.go_on(*partition, course.life, course.through);
        if let Some(from) = course.from {
            counter!(LIVES).increment(1);
            warn!(
                topic = events,
                partition,
                %from,
                end = %log.high,
                life = ?course.life,
                "a new life of the topic begins: it was deleted and made again, lost records, or is read by this release \
                 for the first time"
            );
            begun.insert(*partition, from);
        }
    }
    info!(?partitions, event_ids = progress.window_len(), "took over partitions");
    Ok(Some(begun))
}

/// The events that now lie where `interactions` says it came from: of each partition the last, and all of them if that
/// differs. `None` when asked to drain before.
async fn events_behind(
    written: &BTreeMap<i32, Written>,
    partitions: &[i32],
    span: &Span,
    judge: &Judge,
    config: &Config,
    ctx: &Context,
) -> Result<Option<BTreeMap<i32, Marks>>, Error> {
    let events = Topics::new(&config.kafka.topic_prefix).name(Topic::Events);
    let mut there: BTreeMap<i32, Marks> = BTreeMap::new();
    let mut open = partitions.to_vec();
    for all in [false, true] {
        let to_check =
            |partition: &i32| Some((*partition, written.get(partition)?.to_check(&log(span, *partition), all)?));
        let ranges: BTreeMap<i32, (Next, Next)> = open.iter().filter_map(to_check).collect();
        if ranges.is_empty() {
            break;
        }
        // The other partitions are not read.
        let mut starts = span.ends.clone();
        starts.extend(ranges.iter().map(|(partition, (from, _))| (*partition, *from)));
        let ends = ranges.iter().map(|(partition, (_, to))| (*partition, *to)).collect();
        there.retain(|partition, _| !ranges.contains_key(partition));
        let mut take = |record: Record| {
            let wanted = ranges.get(&record.partition).is_some_and(|(_, to)| to.is_past(record.offset));
            if let Some(mark) = judge.mark(&record, ctx.now()).filter(|_| wanted) {
                there.entry(record.partition).or_default().insert(record.offset, mark);
            }
        };
        if !read(config, &events, &starts, &ends, ctx, &mut take).await? {
            return Ok(None);
        }
        let differs = |partition: &i32| {
            let found = there.get(partition);
            found.is_some_and(|there| written.get(partition).is_some_and(|w| w.differs(&log(span, *partition), there)))
        };
        open = ranges.into_keys().filter(differs).collect();
    }
    Ok(Some(there))
}

/// Hands every record of the partitions in `ends` from `starts` up to there to `take`; false when asked to drain
/// before.
async fn read(
    config: &Config,
    topic: &str,
    starts: &Positions,
    ends: &Positions,
    ctx: &Context,
    take: &mut (dyn FnMut(Record) + Send),
) -> Result<bool, KafkaError> {
    let mut reader = Reader::open(&config.kafka, topic, StartAt::Offsets(starts.clone()), ctx).await?;
    while let Some(batch) = reader.replay(ends, BATCH).await? {
        for record in batch.records {
            if ends.contains_key(&record.partition) {
                take(record);
            }
        }
    }
    Ok(reader.is_at(ends))
}

/// Which offsets a topic holds now; `None` when asked to drain before Kafka says.
async fn span(config: &Config, topic: &str, ctx: &Context) -> Result<Option<Span>, KafkaError> {
    let reader = Reader::open(&config.kafka, topic, StartAt::End, ctx).await?;
    reader.span().await
}

/// Where to begin: the last `window` records of the assigned partitions, at least one, and the end of the others.
fn starts(span: &Span, assigned: &[i32], window: usize) -> Positions {
    let length = i64::try_from(window.max(1)).unwrap_or(i64::MAX);
    let mut starts = span.ends.clone();
    for (partition, end) in starts.iter_mut().filter(|(partition, _)| assigned.contains(partition)) {
        let beginning = span.beginnings.get(partition).copied().unwrap_or_default();
        *end = Next(end.0.saturating_sub(length)).max(beginning).min(*end);
    }
    starts
}

/// One partition of `events`.
fn log(span: &Span, partition: i32) -> Log {
    let of = |positions: &Positions| positions.get(&partition).copied().unwrap_or_default();
    Log { life: span.life, low: of(&span.beginnings), high: of(&span.ends) }
}

/// Where the assigned partitions end.
fn ends_of(span: &Span, assigned: &[i32]) -> Positions {
    let mut ends = span.ends.clone();
    ends.retain(|partition, _| assigned.contains(partition));
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_as_long_as_the_window_and_other_partitions_are_not_read() {
        let span = Span {
            life: 0,
            beginnings: Positions::from([(0, Next(0)), (1, Next(0)), (2, Next(0)), (3, Next(45))]),
            ends: Positions::from([(0, Next(1000)), (1, Next(1000)), (2, Next(5)), (3, Next(50))]),
        };
        assert_eq!(
            starts(&span, &[0, 2, 3], 100),
            Positions::from([(0, Next(900)), (1, Next(1000)), (2, Next(0)), (3, Next(45))])
        );
        assert_eq!(ends_of(&span, &[0, 3]), Positions::from([(0, Next(1000)), (3, Next(50))]));
    }

    #[test]
    fn without_a_window_the_last_record_still_tells_how_far_it_was_written() {
        let span =
            Span { life: 0, beginnings: Positions::from([(0, Next(0))]), ends: Positions::from([(0, Next(1000))]) };
        assert_eq!(starts(&span, &[0], 0), Positions::from([(0, Next(999))]));
    }
}
