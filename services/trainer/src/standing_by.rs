//! Standing by: waits until no trainer is there, and only then may claim.
//!
//! Every trainer that leads attends its group ([`runtime::kafka::Attendance`]), whatever its settings and release; who
//! stands by does not. So the group's members are the sign of life of the leader: one that is killed is let go of after
//! the session's time-out of 6 s, one that ends leaves at once. Nothing here makes a leader: the claim does (I9). Who
//! wakes up after its place was taken reads the claim and stands by in its turn.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use metrics::gauge;
use runtime::kafka::Roll;
use runtime::{Context, chain};
use tracing::{debug, info};

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
}

impl Vacancy {
    fn new(since: Since) -> Self {
        let patience = match since {
            Since::Start => VACANT,
            Since::Claim => AFTER_A_CLAIM,
        };
        Self { since: None, patience }
    }

    /// Takes in how many members the group has; `None`: it could not be asked, which is not the same as none.
    fn seen(&mut self, members: Option<usize>, now: Instant) -> bool {
        match members {
            Some(0) => now.duration_since(*self.since.get_or_insert(now)) >= self.patience,
            Some(_) => {
                *self = Self { since: None, patience: VACANT };
                false
            }
            None => {
                *self = Self { since: None, patience: self.patience.max(AFTER_AN_OUTAGE) };
                false
            }
        }
    }
}

/// Waits until no trainer attends the group; false when asked to drain before.
///
/// Who stands by is ready: nothing is sent to a trainer, so readiness says that it does what it is there for. A rollout
/// that waits for a new pod before it ends the old one would else wait for ever.
pub(crate) async fn wait(config: &Config, since: Since, ctx: &Context) -> Result<bool, Error> {
    let group = config.trainer.group();
    let roll = Roll::open(&config.kafka, ctx.name(), &group)?;
    let mut vacancy = Vacancy::new(since);
    gauge!(STANDING_BY).set(1.0);
    let why = format!("a trainer is in group {group}; this one takes over when it is gone");
    info!(group, "standing by until no trainer is in the group");
    let vacant = loop {
        // Of the trainer that we were, another client may say something yet.
        for condition in ["caught-up", "model", "gate"] {
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
        if vacancy.seen(members, Instant::now()) {
            break true;
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

    /// When the place is first found vacant: members as they are seen, each 250 ms.
    fn vacant(since: Since, seen: impl IntoIterator<Item = Option<usize>>) -> Option<Duration> {
        let (mut vacancy, start) = (Vacancy::new(since), Instant::now());
        let looks = (0..).map(|n| EVERY * n).zip(seen);
        looks.map(|(at, members)| (at, vacancy.seen(members, start + at))).find(|(_, vacant)| *vacant).map(|(at, _)| at)
    }

    #[test]
    fn a_place_is_taken_once_its_group_is_empty_for_more_than_two_looks_and_never_while_somebody_is_there() {
        let empty = || std::iter::repeat_n(Some(0), 1_000);
        assert_eq!(vacant(Since::Start, std::iter::repeat_n(Some(1), 1_000)), None);
        assert_eq!(vacant(Since::Start, empty()), Some(EVERY * 3));
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
    fn who_was_superseded_does_not_claim_back_before_the_other_was_seen() {
        assert_eq!(vacant(Since::Claim, std::iter::repeat_n(Some(0), 1_000)), Some(AFTER_A_CLAIM));
    }
}
