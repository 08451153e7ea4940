//! Sees to it that the records handed out are of the topic that is read, not of one made again under its name.
//!
//! librdkafka goes on at the old position where a topic was deleted and made again: it skips the new one's beginning,
//! and says nothing. So a batch is handed out only when the topic's id was asked for after its records came.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::error::{KafkaError, is_outage};
use super::topic::{Described, describe};

/// The longest single question to a broker. The mock brokers of our own unit tests never answer this one.
const QUESTION: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(3) };
/// A topic is not deleted, made again and read within this: one question serves all records of such a while, so there
/// are 20 a second at most. Deleting, making and librdkafka's own backoff took 200 ms and more.
const FRESH: Duration = Duration::from_millis(50);
/// Questions in a row that nobody answered, before a broker that answers others is taken for one that does not describe
/// topics.
const TRIES: u32 = 3;
/// An idle topic is asked for this often, too.
const IDLE: Duration = Duration::from_secs(2);
/// Pause after a question that was not answered.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after one that was refused.
const LATER: Duration = Duration::from_secs(30);

/// What a broker says of a topic.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// `None`: there is no such topic now.
    pub(super) topic: Option<Described>,
    /// The oldest offset of the partitions that were asked about.
    pub(super) lows: Vec<(i32, i64)>,
}

type Question = JoinHandle<Result<Answer, KafkaError>>;

/// What is known of the topic, and the question that is under way. It outlives the future that asked: a reader that is
/// polled in turn with others drops its futures every few milliseconds.
#[derive(Debug, Default)]
pub(super) struct Identity {
    known: Option<Described>,
    /// When the last answered question was asked.
    asked: Option<Instant>,
    /// When the last record came.
    read: Option<Instant>,
    question: Option<(Instant, Question)>,
    not_before: Option<Instant>,
    /// The broker does not say: then nothing waits for it, until it does.
    silent: bool,
}

impl Identity {
    pub(super) fn life(&self) -> u32 {
        self.known.map_or(0, |known| known.life)
    }

    /// Takes note of a record.
    pub(super) fn read(&mut self) {
        self.read = Some(Instant::now());
    }

    /// Whether records came since the topic was last asked for. Before the first answer there is nothing that the topic
    /// could differ from.
    pub(super) fn is_behind(&self) -> bool {
        let fresh = |asked: Instant| self.read.is_none_or(|read| read <= asked + FRESH);
        self.known.is_some() && !self.silent && !self.asked.is_some_and(fresh)
    }

    /// Asks for the topic, if it is time: `now`, or because nothing was asked for long.
    pub(super) fn ask<C: ConsumerContext + 'static>(
        &mut self,
        consumer: &Arc<StreamConsumer<C>>,
        topic: &str,
        now: bool,
        gaps: impl FnOnce() -> Vec<i32>,
    ) {
        let due = now || self.asked.is_none_or(|asked| asked.elapsed() >= IDLE);
        let may = self.question.is_none() && self.not_before.is_none_or(|at| Instant::now() >= at);
        if !due || !may {
            return;
        }
        let (consumer, topic, gaps, asked) = (Arc::clone(consumer), topic.to_owned(), gaps(), Instant::now());
        self.question = Some((asked, tokio::task::spawn_blocking(move || ask(&consumer, &topic, &gaps))));
    }

    /// Waits for the answer to the question under way; `None` when it is time to ask again. Dropping the future loses
    /// nothing.
    pub(super) async fn answered(&mut self) -> Option<(Result<Answer, KafkaError>, Instant)> {
        if let Some((asked, question)) = &mut self.question {
            let (asked, answer) = (*asked, question.await);
            self.question = None;
            return Some((answer.unwrap_or_else(|_| Err(KafkaError::interrupted("ask for the topic"))), asked));
        }
        match self.not_before {
            Some(at) if Instant::now() < at => {
                tokio::time::sleep_until(at).await;
                None
            }
            _ => pending().await,
        }
    }

    /// Takes an answer in; whether the topic is another than before.
    pub(super) fn heard(&mut self, answer: &Answer, asked: Instant) -> bool {
        (self.asked, self.silent) = (Some(asked), false);
        // One that is gone was not made again yet: what was read is still of the old one.
        let Some(now) = answer.topic else { return false };
        let before = self.known.replace(now);
        before.is_some_and(|before| before.life != 0 && now.life != 0 && before.life != now.life)
    }

    /// Takes note that nobody answered.
    pub(super) fn failed(&mut self, topic: &str, error: &KafkaError) {
        let refused = is_refusal(error);
        self.not_before = Some(Instant::now() + if refused { LATER } else { PAUSE });
        if refused && !std::mem::replace(&mut self.silent, true) {
            warn!(topic, %error, "the broker does not describe topics: one that is deleted and made again may go unnoticed");
        }
    }
}

/// Whether a broker answers and does not describe topics: it is too old, or may not tell.
fn is_refusal(error: &KafkaError) -> bool {
    !matches!(error, KafkaError::Failed { source, .. } if is_outage(source))
}

/// Asks before anything is read; blocks. `None`: the broker does not describe topics. One question that is not answered
/// says nothing: taken for that, it would let a log be gone on with that was made again meanwhile.
///
/// # Errors
/// Nobody answers.
pub(super) fn first<C: ConsumerContext>(
    consumer: &StreamConsumer<C>,
    topic: &str,
) -> Result<Option<Answer>, KafkaError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match ask(consumer, topic, &[]) {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if is_refusal(&error) => {
                debug!(topic, %error, "the broker does not tell which life of the topic this is");
                return Ok(None);
            }
            // It answers other questions: it drops what it does not know.
            Err(error) if tries >= TRIES && consumer.fetch_metadata(Some(topic), QUESTION).is_ok() => {
                warn!(topic, %error, "the broker does not describe topics: one that is deleted and made again may go unnoticed");
                return Ok(None);
            }
            Err(error) if tries >= TRIES => return Err(error),
            Err(_) => {}
        }
    }
}

/// Asks; blocks.
pub(super) fn ask<C: ConsumerContext>(
    consumer: &StreamConsumer<C>,
    topic: &str,
    gaps: &[i32],
) -> Result<Answer, KafkaError> {
    let described = describe(consumer.client(), topic, QUESTION)?;
    let mut lows = Vec::with_capacity(gaps.len());
    if described.is_some() {
        for partition in gaps {
            let watermarks = consumer.fetch_watermarks(topic, *partition, QUESTION);
            lows.push((*partition, watermarks.map_err(|error| KafkaError::of("ask for the oldest record", error))?.0));
        }
    }
    Ok(Answer { topic: described, lows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_serves_the_records_of_50_ms_so_a_flood_asks_20_times_a_second() {
        let mut identity = Identity::default();
        identity.read();
        assert!(!identity.is_behind(), "before the first answer there is nothing that it could differ from");
        let (answer, mut asked) = (Answer { topic: Some(Described { life: 7, partitions: 1 }), lows: Vec::new() }, 0);
        assert!(!identity.heard(&answer, Instant::now()));
        let start = Instant::now();
        for n in 1..=10_000 {
            let now = start + n * Duration::from_micros(100); // 10,000 records in a second
            identity.read = Some(now);
            if identity.is_behind() {
                asked += 1;
                identity.heard(&answer, now);
            }
        }
        assert!((15..=20).contains(&asked), "asked {asked} times");
    }
}
