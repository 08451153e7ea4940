//! Standing by: waits until no trainer is there, and only then may claim.
//!
//! Every trainer that leads attends its group ([`runtime::kafka::Attendance`]), whatever its settings and release; who
//! stands by does not. So the group's members are the sign of life of the leader: one that is killed is let go of after
//! the session's time-out of 6 s, one that ends leaves at once. One that its group does not let in shows by the
//! versions that it goes on writing, and is not claimed over either: else the two would take turns. Nothing here makes
//! a leader: the claim does (I9). Who wakes up after its place was taken reads the claim and stands by in its turn.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use metrics::gauge;
use runtime::kafka::{KafkaError, Reader, Record, Roll, StartAt};
use runtime::{Context, chain};
use schemas::checkpoint::{Part, parse_key};
use schemas::signature::Trust;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use versions::{believed, signing};

use crate::config::Config;
use crate::error::Error;
use crate::metrics::STANDING_BY;

/// Between two looks at the group.
const EVERY: Duration = Duration::from_millis(250);
/// The group is without members for so long: then the place is vacant. More than two looks.
const VACANT: Duration = Duration::from_millis(600);
/// The same after the group could not be asked: in an outage every member is lost, and a leader that lives is back
/// within this.
const AFTER_AN_OUTAGE: Duration = Duration::from_secs(15);
/// The same until who took our place was seen in the group: it joins once it has claimed, and may take long to restore.
const AFTER_A_CLAIM: Duration = Duration::from_secs(60);
/// No version was written for so long, and for more than two periods of `publish_every`.
const QUIET: Duration = Duration::from_secs(3);
/// The same after versions were written while the group was empty: who leads is not in it, and may have nothing to
/// write for a while.
const AFTER_AN_OUTSIDER: Duration = Duration::from_secs(60);
/// What is read so long after the group became empty was written since.
const BEHIND: Duration = Duration::from_secs(2);
/// A look takes no longer: while Kafka hangs, nothing is known.
const LOOK: Duration = Duration::from_secs(2);
/// Records of the log of versions per batch, and batches per look: what is there is read at once.
const RECORDS: usize = 1_000;
const BATCHES: usize = 64;

/// Why we stand by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// We have just started.
    Start,
    /// Somebody else claimed.
    Claim,
}

/// Whether the place of the trainer is vacant. Pure.
#[derive(Debug)]
struct Vacancy {
    since: Option<Instant>,
    patience: Duration,
    /// No version was written since then, as far as is known.
    quiet: Option<Instant>,
    /// Versions are written by a trainer that is not in the group.
    outsider: bool,
    /// Two periods of `publish_every`, and more.
    periods: Duration,
}

impl Vacancy {
    fn new(since: Since, publish_every: Duration) -> Self {
        let periods = 2 * publish_every + Duration::from_secs(1);
        let patience = match since {
            Since::Start => VACANT,
            Since::Claim => AFTER_A_CLAIM,
        };
        Self { since: None, patience, quiet: None, outsider: false, periods }
    }

    /// Takes in how many members the group has, and whether a version was written since the last look; `None`: it could
    /// not be asked, which is not the same as none, or is not known.
    fn seen(&mut self, members: Option<usize>, written: Option<bool>, now: Instant) -> bool {
        match written {
            Some(false) => _ = self.quiet.get_or_insert(now),
            Some(true) => {
                self.quiet = Some(now);
                self.outsider |= self.since.is_some_and(|since| now.duration_since(since) >= BEHIND);
            }
            None => self.quiet = None,
        }
        match members {
            Some(0) => {
                let empty = now.duration_since(*self.since.get_or_insert(now));
                let quiet = self.quiet.map(|quiet| now.duration_since(quiet));
                let least = if self.outsider { AFTER_AN_OUTSIDER } else { QUIET }.max(self.periods);
                empty >= self.patience && quiet.is_some_and(|quiet| quiet >= least)
            }
            Some(_) => {
                (self.since, self.patience, self.outsider) = (None, VACANT, false);
                false
            }
            None => {
                (self.since, self.patience) = (None, self.patience.max(AFTER_AN_OUTAGE));
                false
            }
        }
    }
}

/// Looks for versions that are written. Of a log that is not there nothing is written.
struct Writings {
    opening: JoinSet<Result<Reader, KafkaError>>,
    reader: Option<Reader>,
    /// A stranger's versions keep nobody from taking over.
    trust: Trust,
    topic: String,
}

impl Writings {
    fn begin(config: &Config, ctx: &Context) -> Self {
        let (topic, trust, mut opening) = (config.log(), signing::trust(&config.kafka), JoinSet::new());
        let (kafka, of, ctx) = (config.kafka.clone(), topic.clone(), ctx.clone());
        opening.spawn(async move { Reader::open(&kafka, &of, StartAt::End, &ctx).await });
        Self { opening, reader: None, trust, topic }
    }

    /// Whether a version was written since the last look; `None` while that is not known.
    async fn look(&mut self) -> Result<Option<bool>, Error> {
        match self.opening.try_join_next() {
            Some(Ok(Ok(reader))) => self.reader = Some(reader),
            Some(Ok(Err(KafkaError::MissingTopic { .. }))) => debug!(topic = self.topic, "no version was ever written"),
            Some(Ok(Err(error))) => return Err(error.into()),
            Some(Err(error)) => return Err(Error::Publication(error)),
            None => {}
        }
        let Some(reader) = &mut self.reader else { return Ok(self.opening.is_empty().then_some(false)) };
        let mut written = false;
        for _ in 0..BATCHES {
            let Some(batch) = reader.next_batch(RECORDS, Duration::ZERO).await? else { return Ok(None) };
            if batch.records.is_empty() {
                break;
            }
            written |= batch.records.iter().any(|record| is_version(record, &self.trust, &self.topic));
        }
        Ok(Some(written))
    }
}

fn is_version(record: &Record, trust: &Trust, topic: &str) -> bool {
    let is_manifest = parse_key(&record.key).is_ok_and(|(_, part)| part == Part::Manifest) && record.value.is_some();
    is_manifest && believed(record, Part::Manifest, trust, topic).is_ok()
}

/// Waits until no trainer attends the group, nor writes versions; false when asked to drain before.
///
/// Who stands by is ready: nothing is sent to a trainer, so readiness says that it does what it is there for. A rollout
/// that waits for a new pod before it ends the old one would else wait for ever.
pub(crate) async fn wait(config: &Config, since: Since, ctx: &Context) -> Result<bool, Error> {
    let group = config.trainer.group();
    let roll = Roll::open(&config.kafka, ctx.name(), &group)?;
    let (mut vacancy, mut writings) = (Vacancy::new(since, config.trainer.publish_every), Writings::begin(config, ctx));
    gauge!(STANDING_BY).set(1.0);
    let why = format!("a trainer is in group {group}; this one takes over when it is gone");
    info!(group, "standing by until no trainer is in the group");
    let vacant = loop {
        // Of the trainer that we were, another client may say something yet.
        for condition in ["caught-up", "model", "gate", "group"] {
            ctx.set(condition, Ok(()));
        }
        let members = match roll.members().await {
            Ok(members) => {
                ctx.note("standing-by", Some(why.clone()));
                Some(members)
            }
            Err(error) => {
                debug!(group, %error, "who is in the group is not known");
                // A right that is missing would else have it stand by for ever, without a word.
                ctx.note("standing-by", Some(format!("it takes over from nobody meanwhile: {}", chain(&error))));
                None
            }
        };
        if ctx.draining() {
            break false;
        }
        let (members, written) = match tokio::time::timeout(LOOK, writings.look()).await {
            Ok(written) => (members, written?),
            Err(_) => (None, None),
        };
        let before = vacancy.outsider;
        if vacancy.seen(members, written, Instant::now()) {
            break true;
        }
        if vacancy.outsider && !before {
            warn!(group, "a trainer writes versions that is not in the group: see `group` on its /readyz");
        }
        tokio::select! {
            () = ctx.drained() => break false,
            () = tokio::time::sleep(EVERY) => {}
        }
    };
    gauge!(STANDING_BY).set(0.0);
    ctx.note("standing-by", None);
    if vacant {
        info!(group, "no trainer is in the group: taking over");
        ctx.set("caught-up", Err("reading the newest version back".to_owned()));
        ctx.set("model", Err("no version of this epoch is published yet".to_owned()));
    }
    Ok(vacant)
}

/// Whether another that stood by has taken over while we got ready. Where the group does not answer, the claim decides.
pub(crate) async fn is_taken(config: &Config, ctx: &Context) -> bool {
    let roll = Roll::open(&config.kafka, ctx.name(), &config.trainer.group());
    let Ok(roll) = roll else { return false };
    let taken = roll.members().await.is_ok_and(|members| members > 0);
    if taken {
        info!("another trainer was faster; standing by");
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the place is first found vacant: members as they are seen, each 250 ms, and when versions are written.
    fn vacant_beside(
        since: Since,
        seen: impl IntoIterator<Item = Option<usize>>,
        written: impl Fn(Duration) -> Option<bool>,
    ) -> Option<Duration> {
        let (mut vacancy, start) = (Vacancy::new(since, Duration::from_secs(1)), Instant::now());
        let mut looks = (0..).map(|n| EVERY * n).zip(seen);
        looks.find(|(at, members)| vacancy.seen(*members, written(*at), start + *at)).map(|(at, _)| at)
    }

    /// The same where no version is written.
    fn vacant(since: Since, seen: impl IntoIterator<Item = Option<usize>>) -> Option<Duration> {
        vacant_beside(since, seen, |_| Some(false))
    }

    #[test]
    fn a_place_is_taken_once_its_group_is_empty_for_more_than_two_looks_and_never_while_somebody_is_there() {
        let empty = || std::iter::repeat_n(Some(0), 1_000);
        assert_eq!(vacant(Since::Start, std::iter::repeat_n(Some(1), 1_000)), None);
        assert_eq!(vacant(Since::Start, empty()), Some(QUIET), "nobody was seen, and nobody writes");
        let left = std::iter::repeat_n(Some(1), 40).chain(empty());
        assert_eq!(vacant(Since::Start, left.clone()), Some(EVERY * 43));
        assert_eq!(vacant(Since::Claim, left), Some(EVERY * 43), "who took our place was seen");
        let blink = [Some(0), Some(0), Some(1), Some(0), Some(0), Some(1)];
        assert_eq!(vacant(Since::Start, blink), None);
    }

    #[test]
    fn a_group_that_cannot_be_asked_is_not_empty_and_a_leader_has_time_to_come_back() {
        assert_eq!(vacant(Since::Start, std::iter::repeat_n(None, 1_000)), None);
        let back = [Some(1), None, None].into_iter().chain(std::iter::repeat_n(Some(0), 40)).chain([Some(1)]);
        assert_eq!(vacant(Since::Start, back), None, "it joins again after ten seconds");
        let gone = [Some(1), None].into_iter().chain(std::iter::repeat_n(Some(0), 1_000));
        assert_eq!(vacant(Since::Start, gone), Some(EVERY * 2 + AFTER_AN_OUTAGE));
    }

    #[test]
    fn over_a_leader_that_its_group_does_not_let_in_and_that_writes_versions_nobody_claims() {
        let empty = || std::iter::repeat_n(Some(0), 1_000);
        let until = |end: u64| move |at: Duration| Some(at.as_millis() % 1_000 == 500 && at < Duration::from_secs(end));
        for since in [Since::Start, Since::Claim] {
            assert_eq!(vacant_beside(since, empty(), until(1_000)), None, "they do not take turns each minute");
        }
        let last = Duration::from_millis(99_500);
        assert_eq!(vacant_beside(Since::Start, empty(), until(100)), Some(last + AFTER_AN_OUTSIDER), "it is gone");
        // One that leaves its group while it goes on.
        let let_out = std::iter::repeat_n(Some(1), 40).chain(empty());
        assert_eq!(vacant_beside(Since::Start, let_out, until(1_000)), None);
        assert_eq!(vacant_beside(Since::Start, empty(), |_| None), None, "what is written is not known");
    }

    #[test]
    fn a_leader_that_ends_with_a_last_version_is_followed_within_seconds() {
        let seen = std::iter::repeat_n(Some(1), 40).chain(std::iter::repeat_n(Some(0), 1_000));
        let last = EVERY * 41; // read after it left
        assert_eq!(vacant_beside(Since::Start, seen, |at| Some(at == last)), Some(last + QUIET));
    }

    #[test]
    fn who_was_superseded_does_not_claim_back_before_the_other_was_seen() {
        assert_eq!(vacant(Since::Claim, std::iter::repeat_n(Some(0), 1_000)), Some(AFTER_A_CLAIM));
    }
}
