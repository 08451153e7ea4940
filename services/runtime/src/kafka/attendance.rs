//! Membership in a group that brings no records: tools that look at groups see who reads what, and how far.
//!
//! Who reads every partition from offsets of its own keeps out of groups, and a group that only holds commits has no
//! members: tools for lag take it for a dead consumer's. So one more client joins it for the same topics. What it is
//! assigned it pauses at once, so it fetches nothing, whoever else is in the group; and since a group with members
//! takes commits from its members alone, progress is committed through it. A member may commit any partition, not only
//! those that it was given: while two readers are in the group, each commits all that it reads, and the later counts.
//!
//! Nothing waits for the group: what is to be committed is kept, one offset for each partition, and asked for once the
//! group has us. librdkafka joins, and joins again, by itself; it does not tell what became of such a commit (it does
//! where a callback is set, which its Rust client never does), so whenever the group is shared anew all is committed
//! again. Who stands by takes the group's members for a sign of life, so not to be let in turns the condition `group`
//! red, with the reason.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::bootstrap::{self, Silence};
use super::client::{Role, settings};
use super::error::{KafkaError, is_outage};
use super::link::log;
use super::{Next, Positions};
use crate::config;
use crate::context::{Context, Pulse};
use crate::lock::lock;

/// How late a commit may leave. A consumer that polls as seldom as that holds no rebalance up.
const TURN: Duration = Duration::from_millis(100);
/// How long the end waits for the group to have us, for the last commits.
const LAST: Duration = Duration::from_secs(2);
/// Without a reason so long outside of the group is no start and no rebalance.
const OUTSIDE: Duration = Duration::from_secs(60);

/// The readiness condition.
const GROUP: &str = "group";

/// A member of a group that is given partitions and reads none. Dropping it leaves the group.
pub struct Attendance {
    group: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Progress {
    /// The next offset to be read, by topic and partition.
    next: BTreeMap<(String, i32), Next>,
    /// The group was not asked to take all of it yet.
    is_due: bool,
}

impl Attendance {
    /// Joins `group` for these topics, by and by: nothing waits for it, and a broker that is away is no error.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn join(config: &config::Kafka, group: &str, topics: &[&str], ctx: &Context) -> Result<Self, KafkaError> {
        let shared = Arc::<Shared>::default();
        let state = Mutex::new(State { joined: false, outside: Instant::now(), trouble: None });
        let context = Member { group: group.to_owned(), shared: Arc::clone(&shared), state, ctx: ctx.clone() };
        let consumer: BaseConsumer<Member> = settings(config, ctx.name(), Role::Attendant(group))
            .create_with_context(context)
            .map_err(KafkaError::Settings)?;
        consumer.subscribe(topics).map_err(|error| KafkaError::of(format!("join group {group}"), error))?;
        let brokers = config.brokers.clone();
        ctx.spawn_worker("kafka-attendance", move |pulse| attend(&consumer, &brokers, &pulse));
        Ok(Self { group: group.to_owned(), shared })
    }

    /// Commits where reading goes on, as soon as the group takes it. What was to be committed before and is not yet
    /// need not be any more.
    pub fn commit(&self, topic: &str, positions: &Positions) {
        let mut progress = lock(&self.shared.progress);
        progress.next.extend(positions.iter().map(|(partition, next)| ((topic.to_owned(), *partition), *next)));
        progress.is_due |= !positions.is_empty();
    }

    /// Waits until the group was asked to take everything, for up to two seconds. Leaving waits for its answer.
    pub async fn settle(&self) {
        let deadline = tokio::time::Instant::now() + LAST;
        while lock(&self.shared.progress).is_due {
            if tokio::time::Instant::now() >= deadline {
                warn!(group = self.group, "lag tools do not see the last progress: the group did not have us in time");
                return;
            }
            tokio::time::sleep(TURN / 4).await;
        }
    }
}

impl fmt::Debug for Attendance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendance").field("group", &self.group).field("shared", &self.shared).finish()
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        // What is not committed by now is not: whoever ends because another took over must not commit after it.
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// Attends until it is over. Then the caller drops the consumer, which leaves the group.
fn attend(consumer: &BaseConsumer<Member>, brokers: &str, pulse: &Pulse) {
    let member = Arc::clone(consumer.context());
    let mut silence = Silence::begins();
    while !member.shared.over.load(Ordering::Relaxed) {
        let _busy = pulse.work("a turn in the group");
        // Rebalances are heard in here. Nothing is fetched, so there is no record.
        if let Some(Err(error)) = consumer.poll(TURN) {
            member.hear(&error);
        }
        member.commit(consumer);
        member.tell(Instant::now());
        if lock(&member.state).joined {
            silence.ends();
        } else if silence.goes_on() {
            bootstrap::tell(consumer.client(), brokers);
        }
    }
    if lock(&member.state).trouble.is_some() {
        member.ctx.set(GROUP, Ok(())); // nobody is to be in it any more
    }
}

/// Hears of the group, on the thread that polls.
struct Member {
    group: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
    ctx: Context,
}

#[derive(Debug)]
struct State {
    /// We have a generation of the group. Without one the group would refuse a commit, and librdkafka, that refused,
    /// join anew.
    joined: bool,
    /// Since when we have had none.
    outside: Instant,
    /// Why we have none; told in the log once, and again only after we joined.
    trouble: Option<String>,
}

impl Member {
    fn commit(&self, consumer: &BaseConsumer<Self>) {
        if !lock(&self.state).joined {
            return;
        }
        let mut progress = lock(&self.shared.progress);
        if !progress.is_due {
            return;
        }
        progress.is_due = false;
        if let Err(error) = consumer.commit(&list(&progress.next), CommitMode::Async) {
            self.hear(&error);
        }
    }

    /// Says on `/readyz` that the group does not have us, and why.
    fn tell(&self, now: Instant) {
        let mut state = lock(&self.state);
        if state.joined {
            return;
        }
        if state.trouble.is_none() && now.duration_since(state.outside) >= OUTSIDE {
            state.trouble = Some(format!("it did not let this member in within {OUTSIDE:?}"));
        }
        if let Some(trouble) = &state.trouble {
            let advice = "let nobody else use this group, and allow it to be read; who stands by does not see this leader, \
                          nor do lag tools";
            self.ctx.set(GROUP, Err(format!("not in group {}: {trouble}: {advice}", self.group)));
        }
    }

    /// librdkafka tries again by itself.
    fn hear(&self, error: &ClientError) {
        if matches!(error, ClientError::PartitionEOF(_)) {
            return; // of what was assigned and is paused only a moment later
        }
        let mut state = lock(&self.state);
        if is_outage(error) || state.trouble.replace(error.to_string()).is_some() {
            debug!(group = self.group, %error, "attending waits");
        } else {
            warn!(
                group = self.group,
                %error,
                "not in the group: lag tools do not see who reads; let nobody else use this group, and allow it to be read"
            );
        }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        debug!(group = self.group, %error, reason, "librdkafka"); // nobody's readiness depends on it
    }
}

impl ConsumerContext for Member {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut state = lock(&self.state);
        match rebalance {
            Rebalance::Assign(partitions) => {
                (state.joined, state.trouble) = (true, None);
                self.ctx.set(GROUP, Ok(()));
                let mut progress = lock(&self.shared.progress);
                progress.is_due = !progress.next.is_empty(); // what was committed in between may have been refused
                info!(group = self.group, partitions = partitions.count(), "attending the group");
                if let Err(error) = consumer.pause(partitions) {
                    warn!(group = self.group, %error, "what is assigned is fetched in vain: it could not be paused");
                }
            }
            Rebalance::Revoke(_) => *state = State { joined: false, outside: Instant::now(), trouble: None },
            Rebalance::Error(error) => debug!(group = self.group, %error, "rebalance failed; librdkafka joins again"),
        }
    }
}

/// What is to be committed, as librdkafka wants it. An offset below 0 is none.
fn list(next: &BTreeMap<(String, i32), Next>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(next.len());
    for ((topic, partition), next) in next {
        if let Err(error) = list.add_partition_offset(topic, *partition, Offset::Offset(next.0)) {
            debug!(topic, partition, %next, %error, "no offset that can be committed");
        }
    }
    list
}
