//! Watches, beside the loops, how far a service's streams are behind the real end of the log, and whether they move.
//!
//! The ends are asked for by clients of their own, for all partitions in one call, once a second: so a hung broker
//! shows whatever the loops wait for, and no loop waits for an answer. The real end (the high watermark) is told only
//! to a client that reads uncommitted records, what may be read (the last stable offset) to one that reads committed
//! ones; a transaction left open is the difference. The first record that was not applied is looked at for its time.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use metrics::gauge;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::Offset;
use tokio::time::MissedTickBehavior;
use tracing::debug;

use super::bootstrap::{self, Silence};
use super::client::{Role, blocking, settings};
use super::ends::{QUESTION, ask, first};
use super::error::{KafkaError, is_outage};
use super::link::{Link, Quiet};
use super::stream::Stream;
use super::{Next, Positions};
use crate::caught_up::CaughtUp;
use crate::config;
use crate::context::Context;
use crate::lock::lock;
use crate::progress::{Look, Progress, STILL};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// No answer for so long is an outage: `/readyz` is red within 15 s, the questions included.
const SILENT: Duration = Duration::from_secs(9);
/// The conditions that this sets.
const CAUGHT_UP: &str = "caught-up";
const PROGRESS: &str = "progress";

/// What is expected of a stream, and how it is shown.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What people call the topic.
    pub topic: &'static str,
    /// Sets the condition `caught-up`: ready at so many messages behind, no longer when so long behind (zero: for
    /// good).
    pub caught_up: Option<(i64, Duration)>,
    /// Names of the gauges for messages and seconds behind; `NaN` while unknown.
    pub gauges: Option<[&'static str; 2]>,
}

/// Watches the streams of one service until it drains.
#[derive(Debug, Clone)]
pub struct Watch {
    followed: Arc<Mutex<Vec<Followed>>>,
}

#[derive(Debug)]
struct Followed {
    stream: Weak<Stream>,
    gauges: Option<[&'static str; 2]>,
    caught_up: Option<CaughtUp>,
    progress: Progress,
    /// Since when the end is told and no record can be looked at.
    blind: Option<Instant>,
}

impl Watch {
    /// Starts the watch. Call it within a tokio runtime.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn start(config: &config::Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let eyes = Eyes::open(config, ctx)?;
        let watch = Self { followed: Arc::default() };
        ctx.set(PROGRESS, Ok(()));
        ctx.spawn("watch", watch.clone().run(Arc::new(eyes), config.clone(), ctx.clone()));
        Ok(watch)
    }

    /// Follows a stream for as long as its reader is there.
    pub fn follow(&self, stream: &Arc<Stream>, expected: Expected) {
        let Expected { topic, caught_up, gauges } = expected;
        let caught_up = caught_up.map(|(ready, most)| CaughtUp::new(topic, ready, most, Instant::now()));
        show(gauges, None);
        let (stream, progress) = (Arc::downgrade(stream), Progress::new(stream.topic()));
        lock(&self.followed).push(Followed { stream, gauges, caught_up, progress, blind: None });
    }

    async fn run(self, eyes: Arc<Eyes>, kafka: config::Kafka, ctx: Context) -> Result<(), KafkaError> {
        let link = Link::new(&ctx);
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut answered, mut silence) = (Instant::now(), Silence::begins());
        loop {
            tokio::select! {
                () = ctx.drained() => break,
                _ = tick.tick() => {}
            }
            let streams: Vec<Arc<Stream>> = {
                let mut followed = lock(&self.followed);
                followed.retain(|followed| followed.is_there(&ctx));
                followed.iter().filter_map(|followed| followed.stream.upgrade()).collect()
            };
            let (looking, began) = (Arc::clone(&eyes), Instant::now());
            let looked = tokio::select! {
                () = ctx.drained() => break,
                looked = blocking("look at the ends of the topics", move || looking.look(streams)) => looked,
            };
            match looked {
                Ok(looks) => {
                    answered = began; // a broker that hangs in the middle of a look has not answered since
                    silence.ends();
                    link.up();
                    self.judge(&looks, &ctx);
                }
                Err(error) => {
                    debug!(%error, "it is not known how far behind we are");
                    let silent = answered.elapsed();
                    if silent >= SILENT {
                        let (why, seconds) = (crate::context::chain(&error), silent.as_secs());
                        let hangs = if is_answer(&error) { "" } else { ", a broker may hang" };
                        link.refused(format!("not known for {seconds} s how far behind we are{hangs}: {why}"));
                    }
                    self.unknown(&ctx);
                    if silence.goes_on() {
                        bootstrap::tell(eyes.real.client(), &kafka.brokers);
                        bootstrap::tell(eyes.readable.client(), &kafka.brokers);
                    }
                }
            }
        }
        ctx.spawn_worker("kafka-close", move |_| drop(eyes)); // closing takes a round trip
        Ok(())
    }

    /// A topic may have several readers: each is judged by its own look.
    fn judge(&self, looks: &[Looked], ctx: &Context) {
        let (now, clock) = (Instant::now(), ctx.now());
        let (mut reasons, mut standstills) = (Vec::new(), BTreeMap::<String, Option<String>>::new());
        for followed in lock(&self.followed).iter_mut() {
            let Some(stream) = followed.stream.upgrade() else { continue };
            let Some((_, look)) = looks.iter().find(|(looked, _)| Arc::ptr_eq(looked, &stream)) else { continue };
            let look = match look {
                Ok(look) => look,
                Err(why) => {
                    let silent = now.duration_since(*followed.blind.get_or_insert(now));
                    if silent >= SILENT {
                        let (topic, silent) = (stream.topic(), silent.as_secs());
                        reasons.push(format!("not known for {silent} s how far behind we are on {topic}: {why}"));
                    }
                    followed.unknown(ctx);
                    continue;
                }
            };
            followed.blind = None;
            let joined = stream.joined();
            show(followed.gauges, joined.then(|| (look.messages(), age(look, clock))));
            if let Some(caught_up) = &mut followed.caught_up {
                ctx.set(CAUGHT_UP, caught_up.state(joined, look.messages(), &look.reached, &look.ends, now));
            }
            let (told, still) = followed.progress.judge(look, ctx.patience(STILL), now);
            // Whoever waits for Redis or for Kafka to take a record is not helped by a restart.
            let stuck = still > ctx.patience(ctx.stall()) && ctx.reaches_its_neighbours();
            let reason = || format!("nothing of {} was applied for {} s", stream.topic(), still.as_secs());
            let standstill = standstills.entry(stream.topic().to_owned()).or_default();
            *standstill = standstill.take().or_else(|| stuck.then(reason));
            reasons.extend(told);
        }
        standstills.into_iter().for_each(|(topic, reason)| ctx.stands_still(&topic, reason));
        ctx.set(PROGRESS, if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) });
    }

    /// Nobody answers.
    fn unknown(&self, ctx: &Context) {
        lock(&self.followed).iter_mut().for_each(|followed| followed.unknown(ctx));
    }
}

impl Followed {
    /// Whether its reader is; one that is gone stands still no more.
    fn is_there(&self, ctx: &Context) -> bool {
        let is_there = self.stream.strong_count() > 0;
        if !is_there {
            ctx.stands_still(self.progress.topic(), None);
        }
        is_there
    }

    /// Unknown is never shown as 0.
    fn unknown(&mut self, ctx: &Context) {
        show(self.gauges, None);
        self.progress.unknown();
        if let Some(reason) = self.caught_up.as_ref().and_then(CaughtUp::unknown) {
            ctx.set(CAUGHT_UP, Err(reason));
        }
        if let Some(stream) = self.stream.upgrade() {
            ctx.stands_still(stream.topic(), None);
        }
    }
}

/// Whether Kafka answered, and refused.
fn is_answer(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Denied { .. } | KafkaError::MissingTopic { .. })
        || matches!(error, KafkaError::Failed { source, .. } if !is_outage(source))
}

/// The error, or that the topic is missing, with what to do about it.
fn missing(topic: &str, error: KafkaError) -> KafkaError {
    let code = if let KafkaError::Failed { source, .. } = &error { source.rdkafka_error_code() } else { None };
    match code {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
            KafkaError::MissingTopic { topic: topic.to_owned() }
        }
        _ => error,
    }
}

/// Seconds since the oldest record was written that is not applied; 0 if there is none, `NaN` if it has no time.
fn age(look: &Look, clock: i64) -> f64 {
    match look.oldest {
        Some(written) => clock.saturating_sub(written).max(0) as f64 / 1_000.0,
        None if look.messages() == 0 => 0.0,
        None => f64::NAN,
    }
}

fn show(gauges: Option<[&'static str; 2]>, lag: Option<(i64, f64)>) {
    let Some([messages, seconds]) = gauges else { return };
    gauge!(messages).set(lag.map_or(f64::NAN, |(messages, _)| messages as f64));
    gauge!(seconds).set(lag.map_or(f64::NAN, |(_, seconds)| seconds));
}

/// A stream, and what a look at it found, or why nothing.
type Looked = (Arc<Stream>, Result<Look, String>);

/// Two clients that only look.
struct Eyes {
    /// Is told the high watermarks.
    real: BaseConsumer<Quiet>,
    /// Is told the last stable offsets.
    readable: BaseConsumer<Quiet>,
}

impl Eyes {
    fn open(config: &config::Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let client = |role| settings(config, ctx.name(), role).create_with_context(Quiet).map_err(KafkaError::Settings);
        Ok(Self {
            real: client(Role::Watcher { committed: false })?,
            readable: client(Role::Watcher { committed: true })?,
        })
    }

    /// Looks at every stream; fails only where nobody tells of any. Blocks.
    fn look(&self, streams: Vec<Arc<Stream>>) -> Result<Vec<Looked>, KafkaError> {
        let wanted: Vec<(&str, Vec<i32>)> = streams.iter().map(|stream| (stream.topic(), stream.ours())).collect();
        if wanted.iter().all(|(_, ours)| ours.is_empty()) {
            self.asks_for_nothing()?;
        }
        let mut ends = ask(&self.real, &wanted, Offset::End)?;
        // Where no topic is told of, the broker is away.
        if !ends.is_empty() && ends.iter().all(Result::is_err) {
            let error = ends.swap_remove(0).expect_err("each is one");
            return Err(missing(wanted[0].0, error));
        }
        let stable = ask(&self.readable, &wanted, Offset::End)?;
        drop(wanted);
        let mut looks = Vec::with_capacity(streams.len());
        for ((stream, ends), stable) in streams.into_iter().zip(ends).zip(stable) {
            let look = ends.and_then(|ends| self.look_at(&stream, ends, stable?));
            let why = |error| {
                debug!(%error, topic = stream.topic(), "cannot be looked at");
                crate::context::chain(&missing(stream.topic(), error))
            };
            let look = look.map_err(why);
            looks.push((stream, look));
        }
        Ok(looks)
    }

    /// Looks at a stream of which it is told where the partitions end.
    fn look_at(&self, stream: &Stream, ends: Positions, stable: Positions) -> Result<Look, KafkaError> {
        self.learn_starts(stream)?;
        let applied = stream.applied();
        // Partitions that left since then are another's; those that came are looked at next time.
        let ours = |all: Positions| all.into_iter().filter(|(p, _)| applied.contains_key(p)).collect::<Positions>();
        let (ends, stable) = (ours(ends), ours(stable));
        let applied: Positions = applied.into_iter().filter(|(p, _)| ends.contains_key(p)).collect();
        self.look_closer(stream.topic(), applied, stable, ends)
    }

    /// Where there is something beyond what was applied: is it a record, and of when?
    fn look_closer(
        &self,
        topic: &str,
        applied: Positions,
        stable: Positions,
        ends: Positions,
    ) -> Result<Look, KafkaError> {
        let (mut reached, mut waits, mut held) = (Positions::new(), Positions::new(), Positions::new());
        for (&partition, &next) in &applied {
            let end_of_readable = stable.get(&partition).copied().unwrap_or(next);
            reached.insert(partition, next.max(end_of_readable));
            if next < end_of_readable {
                waits.insert(partition, next);
            }
            if end_of_readable < ends.get(&partition).copied().unwrap_or(end_of_readable) {
                held.insert(partition, next.max(end_of_readable));
            }
        }
        let mut oldest: Vec<i64> = Vec::new();
        for (partition, (offset, written)) in first(&self.readable, topic, &waits)? {
            reached.insert(partition, Next(offset));
            oldest.push(written);
        }
        oldest.extend(first(&self.real, topic, &held)?.into_values().map(|(_, written)| written));
        let oldest = oldest.into_iter().filter(|written| *written >= 0).min();
        Ok(Look { applied, reached, stable, ends, oldest })
    }

    /// Of a partition of which nothing was read yet: where the group continues, else its beginning.
    fn learn_starts(&self, stream: &Stream) -> Result<(), KafkaError> {
        let unknown = stream.unknown();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut starts = stream.committed(&unknown)?;
        let fresh: Vec<i32> = unknown.into_iter().filter(|partition| !starts.contains_key(partition)).collect();
        starts.extend(ask(&self.readable, &[(stream.topic(), fresh)], Offset::Beginning)?.remove(0)?);
        stream.begins(&starts);
        Ok(())
    }

    /// A standby has no partition to ask for, and wants to know of a hung broker all the same.
    fn asks_for_nothing(&self) -> Result<(), KafkaError> {
        let asked = self.real.fetch_metadata(None, QUESTION); // all topics: asking for one by name could create it
        asked.map(|_| ()).map_err(|error| KafkaError::of("ask for the topics", error))
    }
}
