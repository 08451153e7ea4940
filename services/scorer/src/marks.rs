//! How far each partition was applied, as Redis itself remembers it: what notices that Redis has forgotten.
//!
//! The mark of a partition is moved after the profiles of everything before it were acknowledged. So in every snapshot
//! of Redis, in every replica and after every flush the mark is never ahead of the profiles. And it is renewed behind
//! every batch of profiles, in the same pipeline: what Redis loses it loses from the end, so where the mark that we
//! wrote last still is, everything before is. Where it is missing, or another, what we hold in memory is worth nothing,
//! and the partition is read again from the mark on. What a profile has applied it drops (I2), so going back is
//! harmless.
//!
//! A mark also says whether Redis may have evicted profiles behind it ([`crate::evictions`]). Who takes a partition
//! over would else take what is left for all that there was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use runtime::kafka::{Next, Positions};
use runtime::redis::{Answer, Redis, Script};
use runtime::{Context, lock};
use schemas::mark::MARK_BYTES;
use schemas::{Gone, Keys, Mark};

use crate::error::Error;
use crate::{Sources, script};

/// A partition that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// The value under the key, as we saw or wrote it last; empty: none.
    lies: Vec<u8>,
    /// The next offset of `interactions`: what lies before is applied, and acknowledged.
    next: Next,
    /// What lies before this was applied once already, before Redis forgot it.
    past: Next,
    /// The first record that was passed over, for its user's profile is of a later release: that release goes back to
    /// it.
    passed: Option<i64>,
    /// What the mark that we found says of evictions: it goes on to say so until Redis was asked.
    gone: Option<Gone>,
}

impl Held {
    /// What the mark says: everything before is in the profiles.
    fn through(&self) -> Next {
        self.passed.map_or(self.next, |passed| self.next.min(Next(passed)))
    }

    /// Redis holds another mark than the one that was known: where the partition goes on. What was passed over is met
    /// again.
    fn go_back(&mut self, lies: Vec<u8>, mark: Option<Mark>) {
        self.past = self.past.max(self.next);
        self.next = start(mark, Some(self.next)).next;
        (self.lies, self.passed, self.gone) = (lies, None, mark.and_then(|mark| mark.gone));
    }
}

/// A mark to be written.
#[derive(Debug)]
pub(crate) struct Renewal {
    partition: i32,
    value: Vec<u8>,
    pub(crate) call: script::Call,
}

/// The marks of our partitions.
#[derive(Debug)]
pub(crate) struct Marks {
    redis: Redis,
    keys: Keys,
    group: String,
    /// Tells our marks from those of an instance that was here before.
    by: u64,
    seq: u64,
    /// Which life of `interactions` is read; 0: not known.
    life: u32,
    ttl: Duration,
    script: Script,
    held: BTreeMap<i32, Held>,
    sources: Arc<Sources>,
    ctx: Context,
}

impl Marks {
    pub(crate) fn new(
        redis: Redis,
        (keys, group): (Keys, String),
        ttl: Duration,
        sources: Arc<Sources>,
        ctx: Context,
    ) -> Self {
        let (script, held, by) = (script::write(), BTreeMap::new(), token(ctx.now()));
        Self { redis, keys, group, by, seq: 0, life: 0, ttl, script, held, sources, ctx }
    }

    /// Partitions that are another's now.
    pub(crate) fn forget(&mut self, partitions: &[i32]) {
        self.held.retain(|partition, _| !partitions.contains(partition));
    }

    /// Our partitions.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.held.keys().copied().collect()
    }

    /// The keys of these partitions' marks.
    pub(crate) fn keys(&self, partitions: impl IntoIterator<Item = i32>) -> Vec<String> {
        partitions.into_iter().map(|partition| self.keys.applied(&self.group, partition)).collect()
    }

    /// Whether the marks of these partitions, as read behind users, are those that we know: only then do the users lack
    /// nothing that we wrote. None read are known.
    pub(crate) fn are_known(&self, partitions: impl IntoIterator<Item = i32>, read: &[Answer<Vec<u8>>]) -> bool {
        partitions.into_iter().zip(read).all(|(partition, read)| {
            let lies = read.as_deref().unwrap_or_default();
            let lies = &lies[..lies.len().min(MARK_BYTES)];
            self.held.get(&partition).is_some_and(|held| held.lies == lies)
        })
    }

    /// Whether a record was applied before Redis forgot.
    pub(crate) fn is_past(&self, partition: i32, offset: i64) -> bool {
        self.held.get(&partition).is_some_and(|held| held.past.is_past(offset))
    }

    /// A record is passed over whose user's profile is of a later release: the mark stays before it.
    pub(crate) fn pass_over(&mut self, partition: i32, offset: i64) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.passed = Some(held.passed.map_or(offset, |passed| passed.min(offset)));
        }
    }

    /// Whether a partition is on its way to where it was before.
    pub(crate) fn is_replaying(&self) -> bool {
        self.held.values().any(|held| held.next < held.past)
    }

    /// From now on these partitions are read from the beginning of another log: nothing of it is applied.
    pub(crate) fn begin_anew(&mut self, partitions: &[i32]) {
        for (_, held) in self.held.iter_mut().filter(|(partition, _)| partitions.contains(partition)) {
            (held.next, held.past, held.passed) = (Next(0), Next(0), None);
        }
    }

    /// Which life of `interactions` is read; 0: not known.
    pub(crate) fn follow(&mut self, life: u32) {
        self.life = life;
        self.sources.life.store(life, Ordering::Relaxed);
    }

    /// Looks at the marks of partitions that became ours and would go on at `committed`; where those have to go back
    /// to.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn take_over(
        &mut self,
        partitions: &[i32],
        committed: impl Fn(i32) -> Option<Next>,
    ) -> Result<Positions, Error> {
        let read = self.read(partitions).await?;
        let mut back = Positions::new();
        for (partition, (lies, mark)) in partitions.iter().zip(read) {
            let committed = committed(*partition);
            let start = start(mark, committed);
            if start.goes_back {
                back.insert(*partition, start.next);
            }
            let past = committed.filter(|_| start.goes_back).unwrap_or_default();
            let gone = mark.and_then(|mark| mark.gone);
            lock(&self.sources.evictions).took_over(gone);
            self.held.insert(*partition, Held { lies, next: start.next, past, passed: None, gone });
        }
        Ok(back)
    }

    /// A batch is read again: where each of our partitions goes on, which is its mark or where we stood, and whether
    /// Redis has other marks than those that we know, so that it is not what it was.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn go_back(&mut self) -> Result<(Positions, bool), Error> {
        let partitions = self.partitions();
        let read = self.read(&partitions).await?;
        let mut fell_back = false;
        for (held, (lies, mark)) in self.held.values_mut().zip(read) {
            if held.lies != lies {
                held.go_back(lies, mark);
                lock(&self.sources.evictions).took_over(held.gone);
                fell_back = true;
            }
        }
        Ok((self.held.iter().map(|(partition, held)| (*partition, held.next)).collect(), fell_back))
    }

    /// Where partitions really go on: what they should go on with may be deleted, or of another life of the topic, of
    /// which nothing was applied before.
    pub(crate) fn went_back(&mut self, wanted: &Positions, went: &Positions) {
        for (partition, next) in went {
            if let Some(held) = self.held.get_mut(partition) {
                held.next = *next;
                if wanted.get(partition).is_some_and(|wanted| next < wanted) {
                    held.past = Next(0);
                }
            }
        }
    }

    /// Writes how far we are, with what was acknowledged since; false: somebody else's marks lie there, or none.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn advance(&mut self, acknowledged: &Positions) -> Result<bool, Error> {
        for (partition, next) in acknowledged {
            if let Some(held) = self.held.get_mut(partition) {
                held.next = *next;
            }
        }
        let renewals = self.renew(self.partitions());
        if renewals.is_empty() {
            return Ok(true);
        }
        let calls: Vec<_> = renewals.iter().map(|renewal| renewal.call.clone()).collect();
        let answers = self.ctx.retry("redis", || self.redis.eval_many(&self.script, calls.clone())).await?;
        Ok(self.renewed(renewals, &answers))
    }

    /// Marks of these partitions, as far as they are ours, to be written anew behind profiles, in the same pipeline.
    pub(crate) fn renew(&mut self, partitions: impl IntoIterator<Item = i32>) -> Vec<Renewal> {
        let mut renewals = Vec::new();
        let gone = lock(&self.sources.evictions).gone();
        for partition in partitions {
            let Some(held) = self.held.get(&partition) else { continue };
            self.seq += 1;
            let (next, gone) = (held.through().0, gone.or(held.gone));
            let value = Mark { next, by: self.by, seq: self.seq, life: self.life, gone }.encode();
            let key = self.keys.applied(&self.group, partition);
            let call = script::mark(key, &held.lies, value.clone(), self.ttl);
            renewals.push(Renewal { partition, value, call });
        }
        renewals
    }

    /// Takes what Redis answered; false: somebody else's marks lie there, or none.
    pub(crate) fn renewed(&mut self, renewals: Vec<Renewal>, answers: &[Answer<i64>]) -> bool {
        let mut all = true;
        for (Renewal { partition, value, .. }, answer) in renewals.into_iter().zip(answers) {
            match (answer, self.held.get_mut(&partition)) {
                (Ok(script::REFUSED), _) => all = false,
                (Ok(_), Some(held)) => held.lies = value,
                (Ok(_), None) => {}
                // Somebody keeps something else there: the partition goes on without a mark.
                (Err(wrong), _) => self.sources.foreign.found(self.keys.applied(&self.group, partition), wrong),
            }
        }
        all
    }

    /// What lies under the partitions' keys, and what it says.
    async fn read(&self, partitions: &[i32]) -> Result<Vec<(Vec<u8>, Option<Mark>)>, Error> {
        let keys = self.keys(partitions.iter().copied());
        let values = self.ctx.retry("redis", || self.redis.heads(&keys, MARK_BYTES)).await?;
        let mut read = Vec::with_capacity(values.len());
        for (key, value) in keys.iter().zip(values) {
            let lies = value.unwrap_or_else(|wrong| {
                self.sources.foreign.found(key, wrong);
                Vec::new()
            });
            let mark = Mark::decode(&lies);
            if mark.is_none() && !lies.is_empty() {
                self.sources.foreign.found(key, "it is no mark; it is written anew");
            }
            // An offset of another life of the topic says nothing of this one.
            let mark = mark.filter(|mark| mark.life == self.life || mark.life == 0 || self.life == 0);
            read.push((lies, mark));
        }
        Ok(read)
    }
}

/// Where a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    next: Next,
    goes_back: bool,
}

/// The earlier of what Redis has applied and of where the group would go on. A group that has committed nothing begins
/// with the oldest record by itself.
fn start(mark: Option<Mark>, committed: Option<Next>) -> Start {
    let applied = mark.map_or(Next(0), |mark| Next(mark.next));
    match committed {
        None => Start { next: Next(0), goes_back: false },
        Some(committed) if applied < committed => Start { next: applied, goes_back: true },
        Some(committed) => Start { next: committed, goes_back: false },
    }
}

/// Something that no other instance has: its number is its process and the time.
pub(crate) fn token(now: i64) -> u64 {
    schemas::key_of(&format!("{}@{now}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_before_what_was_passed_over_until_somebody_goes_back_to_it() {
        let mut held = Held { lies: Vec::new(), next: Next(5), past: Next(0), passed: None, gone: None };
        assert_eq!(held.through(), Next(5));
        held.passed = Some(7);
        assert_eq!(held.through(), Next(5), "what lies before the record is not applied yet");
        held.next = Next(90);
        assert_eq!(held.through(), Next(7));
        let by_another = Mark { next: 60, by: 1, seq: 1, life: 0, gone: Some(Gone::Perhaps) };
        held.go_back(by_another.encode(), Some(by_another));
        assert_eq!(
            (held.through(), held.past),
            (Next(60), Next(90)),
            "the release that wrote the profile has applied it since"
        );
        assert_eq!(held.gone, by_another.gone, "what another knows of evictions is not forgotten");
    }

    #[test]
    fn a_partition_goes_on_at_the_mark_where_redis_is_behind_the_group_and_from_the_beginning_where_there_is_none() {
        let mark = |next| Some(Mark { next, by: 7, seq: 1, life: 0, gone: None });
        let goes = |next, goes_back| Start { next: Next(next), goes_back };
        assert_eq!(start(mark(100), Some(Next(100))), goes(100, false), "intact");
        assert_eq!(start(mark(120), Some(Next(100))), goes(100, false), "the last commit was lost");
        assert_eq!(start(mark(40), Some(Next(100))), goes(40, true), "restored from an older snapshot");
        assert_eq!(start(None, Some(Next(100))), goes(0, true), "flushed");
        assert_eq!(start(None, None), goes(0, false), "a new group");
        assert_eq!(start(mark(40), None), goes(0, false), "commits expired, or another life of the topic");
    }
}
