//! Reads back, from the tail of `interactions`, what was already written (I1, I2).

use std::time::Duration;

use runtime::Context;
use runtime::kafka::{From, KafkaError, Positions, Reader};
use schemas::{Interaction, Message, Topic, Topics};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::progress::Progress;

/// Records per poll of the tail.
const BATCH: usize = 10_000;

/// Renews what is known of the partitions in `assigned`; false when asked to drain before it was whole.
///
/// The tail is as long as the window of event ids. It may end with the records of an owner that does not know yet that
/// it lost the partition, and such a zombie may go on writing behind it. Both are harmless: it judges the same events in
/// the same order, and every consumer drops what is not beyond the source offset it applied last.
pub(crate) async fn restore(
    progress: &mut Progress,
    assigned: &[i32],
    config: &Config,
    ctx: &Context,
) -> Result<bool, Error> {
    if assigned.is_empty() {
        return Ok(true);
    }
    let pulse = ctx.pulse("taking over partitions");
    let _busy = pulse.long_work("reading back what was written");
    let topics = Topics::new(&config.kafka.topic_prefix);
    let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
    let span = span(config, &interactions, ctx).await?;
    let starts = span.starts(assigned, config.ingest.window);
    let at = || Reader::open(&config.kafka, &interactions, From::At(starts.clone()), ctx);
    let mut tail = ctx.retry("kafka", at).await?;

    for partition in assigned {
        progress.begin(*partition);
    }
    let ends = span.ends_of(assigned);
    let mut unreadable = 0_u64;
    while !tail.is_at(&ends) {
        let Some(batch) = tail.next_batch(BATCH, Duration::from_millis(100)).await? else { return Ok(false) };
        for record in batch.records.into_iter().filter(|record| assigned.contains(&record.partition)) {
            match record.value.map(Interaction::decode) {
                Some(Ok(written)) => progress.remember(record.partition, &written),
                Some(Err(_)) | None => unreadable += 1,
            }
        }
    }
    if unreadable > 0 {
        warn!(records = unreadable, topic = interactions, "skipped what is no interaction: somebody else writes here");
    }

    // A topic that was deleted and made again counts its offsets from 0, and its events would look old.
    let ends = self::span(config, &events, ctx).await?.ends;
    for &partition in assigned {
        let written = progress.done_through(partition);
        let end = ends.get(&partition).copied().unwrap_or(0);
        if written >= end {
            return Err(Error::Recreated { events, interactions, partition, written, end });
        }
    }
    info!(partitions = ?assigned, event_ids = progress.window_len(), "took over partitions");
    Ok(true)
}

/// Which offsets a topic holds: from the beginnings up to, but without, the ends.
struct Span {
    beginnings: Positions,
    ends: Positions,
}

async fn span(config: &Config, topic: &str, ctx: &Context) -> Result<Span, KafkaError> {
    let ask = || async {
        let reader = Reader::open(&config.kafka, topic, From::End, ctx).await?;
        Ok(Span { beginnings: reader.beginning().await?, ends: reader.end().await? })
    };
    ctx.retry("kafka", ask).await
}

impl Span {
    /// Where to begin: the last `window` records of the assigned partitions, at least one, and the end of the others.
    fn starts(&self, assigned: &[i32], window: usize) -> Positions {
        let length = i64::try_from(window.max(1)).unwrap_or(i64::MAX);
        let start = |(&partition, &end): (&i32, &i64)| {
            let beginning = self.beginnings.get(&partition).copied().unwrap_or(0);
            let tail = end.saturating_sub(length).max(beginning).min(end);
            (partition, if assigned.contains(&partition) { tail } else { end })
        };
        self.ends.iter().map(start).collect()
    }

    fn ends_of(&self, assigned: &[i32]) -> Positions {
        let ours = self.ends.iter().filter(|(partition, _)| assigned.contains(partition));
        ours.map(|(partition, end)| (*partition, *end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_as_long_as_the_window_and_other_partitions_are_not_read() {
        let span = Span {
            beginnings: Positions::from([(0, 0), (1, 0), (2, 0), (3, 45)]),
            ends: Positions::from([(0, 1000), (1, 1000), (2, 5), (3, 50)]),
        };
        assert_eq!(span.starts(&[0, 2, 3], 100), Positions::from([(0, 900), (1, 1000), (2, 0), (3, 45)]));
        assert_eq!(span.ends_of(&[0, 3]), Positions::from([(0, 1000), (3, 50)]));
    }

    #[test]
    fn without_a_window_the_last_record_still_tells_how_far_it_was_written() {
        let span = Span { beginnings: Positions::from([(0, 0)]), ends: Positions::from([(0, 1000)]) };
        assert_eq!(span.starts(&[0], 0), Positions::from([(0, 999)]));
    }
}
