//! Notices within seconds that a topic has more partitions than before, or fewer since it was made again, and that a
//! client has lost every broker.
#![allow(clippy::disallowed_methods, reason = "the task ends with its client, which is before the service does")]

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use tracing::{debug, info, warn};

use super::bootstrap::{self, Silence};
use super::link::Link;
use super::stream::Stream;

/// Between two looks: added partitions are read within ten seconds, the refresh of librdkafka's metadata included.
const EVERY: Duration = Duration::from_secs(2);
/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(2);

/// Who reads explicit partitions takes the new ones in; a member of a group is given them by its group.
pub(super) trait Grows: ConsumerContext + Sized {
    /// Partitions from `before` on, up to `now`, are there.
    fn grew(consumer: &StreamConsumer<Self>, stream: &Stream, before: usize, now: usize) -> Result<(), String>;

    /// Partitions from `now` on, up to `before`, are gone.
    fn shrank(consumer: &StreamConsumer<Self>, stream: &Stream, before: usize, now: usize) -> Result<(), String>;
}

/// Asks every two seconds, until the client is dropped or the service drains; who gets no answer is told of `brokers`
/// anew.
pub(super) fn follow_partitions<C: Grows + 'static>(
    consumer: &Arc<StreamConsumer<C>>,
    stream: &Arc<Stream>,
    link: &Arc<Link>,
    brokers: &str,
) {
    let (consumer, stream, link) = (Arc::downgrade(consumer), Arc::downgrade(stream), Arc::clone(link));
    let brokers: Arc<str> = brokers.into();
    tokio::spawn(async move {
        let (mut silence, mut found) = (Silence::begins(), (0, 0));
        loop {
            tokio::select! {
                () = link.ctx().drained() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let (Some(consumer), Some(stream)) = (consumer.upgrade(), stream.upgrade()) else { return };
            let (lost, brokers) = (silence.goes_on(), Arc::clone(&brokers));
            // The consumer goes along: whoever drops it last waits for it to close.
            let asked = tokio::task::spawn_blocking(move || {
                if lost {
                    bootstrap::tell(consumer.client(), &brokers);
                }
                let answered = look(&consumer, &stream, &mut found);
                (answered, found)
            });
            let answered;
            (answered, found) = asked.await.unwrap_or((true, (0, 0))); // it fails only at the end
            if answered {
                silence.ends();
            }
        }
    });
}

/// Looks in a row that find the same smaller number of partitions: one that follows may be of a broker that lags
/// behind.
const LOOKS: u32 = 3;

/// Whether anybody answered. `found`: how many partitions the looks before found, and how many of these in a row.
fn look<C: Grows + 'static>(consumer: &StreamConsumer<C>, stream: &Stream, found: &mut (usize, u32)) -> bool {
    let before = stream.partitions();
    let now = match consumer.fetch_metadata(Some(stream.topic()), QUESTION) {
        Ok(metadata) => metadata.topics().first().map_or(0, |topic| topic.partitions().len()),
        Err(error) => {
            debug!(topic = stream.topic(), %error, "cannot ask for the partitions");
            return false;
        }
    };
    // Fewer once: the topic may just be deleted or made again, of which whoever reads hears.
    *found = if found.0 == now { (now, found.1.saturating_add(1)) } else { (now, 1) };
    let (changed, what) = match now.cmp(&before) {
        Ordering::Greater => (C::grew(consumer, stream, before, now), "partitions were added"),
        Ordering::Less if now > 0 && found.1 >= LOOKS => {
            (C::shrank(consumer, stream, before, now), "the topic was made again with fewer partitions")
        }
        Ordering::Less | Ordering::Equal => return true,
    };
    match changed {
        Ok(()) => {
            info!(topic = stream.topic(), before, now, "{what}");
            stream.counted(now);
        }
        Err(error) => {
            warn!(topic = stream.topic(), before, now, error, "{what}; they are not taken in yet; trying again");
        }
    }
    true
}
