//! What was applied, as Redis and the group are told of it (I3), and the way back where Redis has forgotten it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use metrics::counter;
use runtime::kafka::{Batch, Commits, Consumer, Next, Positions};
use tracing::warn;

use crate::config::Scorer;
use crate::error::Error;
use crate::marks::Marks;
use crate::metrics::{MISSED, WENT_BACK};

/// How often the marks are looked at and written anew while nothing flows: how late a flush may be noticed, and a Redis
/// that takes no writes.
const LOOK: Duration = Duration::from_secs(1);

/// Records read at once on the way to where a partition was before: profiles are written and no slates are made.
const REPLAY_BATCH: usize = 4_096;

/// This instance's place in its partitions of `interactions`.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) input: Consumer,
    pub(crate) marks: Marks,
    /// Acknowledged by Redis. What is taken of it is told to Redis first.
    commits: Commits,
}

impl Progress {
    /// Tells Redis and the group of progress at most once per `commit_every`.
    pub(crate) fn new(input: Consumer, marks: Marks, commit_every: Duration) -> Self {
        Self { input, marks, commits: Commits::new(commit_every, Instant::now()) }
    }

    /// The next records; `None` once the service drains.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub(crate) async fn next_batch(&mut self, settings: &Scorer) -> Result<Option<Batch>, Error> {
        let most = if self.marks.is_replaying() { REPLAY_BATCH.max(settings.max_batch) } else { settings.max_batch };
        Ok(self.input.next_batch(most, settings.linger).await?)
    }

    /// Partitions changed hands: ours go on where both Redis and the group say that everything before was applied.
    /// Whether Redis is behind the group, and so not what it was.
    ///
    /// # Errors
    /// The service drains before Redis and Kafka have said so.
    pub(crate) async fn rebalance(&mut self, batch: &mut Batch) -> Result<bool, Error> {
        counter!(MISSED).increment(batch.missed);
        self.marks.follow(self.input.life());
        self.marks.forget(&batch.revoked);
        self.marks.begin_anew(&batch.reborn);
        self.commits.forget(batch.revoked.iter().chain(&batch.reborn));
        if batch.assigned.is_empty() {
            return Ok(false);
        }
        let back = self.marks.take_over(&batch.assigned, |partition| self.input.committed(partition)).await?;
        if !back.is_empty() {
            batch.records.retain(|record| !back.contains_key(&record.partition));
            let counted = back.keys().filter_map(|p| Some((*p, self.input.committed(*p)?))).collect();
            self.seek(&back, &counted).await?;
        }
        // From here on a flush is noticed; whoever wrote a mark meanwhile is met at the next telling.
        self.marks.advance(&Positions::new()).await?;
        Ok(!back.is_empty())
    }

    /// A batch is read again: our partitions go on from where Redis stands. Whether it has other marks than those that
    /// we know.
    ///
    /// # Errors
    /// The service drains before Redis and Kafka have answered.
    pub(crate) async fn go_back(&mut self) -> Result<bool, Error> {
        self.commits.clear();
        let (back, fell_back) = self.marks.go_back().await?;
        self.seek(&back, &Positions::new()).await?;
        // Before anything is applied: where there is no mark, nothing shows that Redis forgets once more.
        self.marks.advance(&Positions::new()).await?;
        Ok(fell_back)
    }

    /// The records of a batch were acknowledged.
    pub(crate) fn acknowledge(&mut self, end: Positions) {
        self.commits.acknowledged(end);
    }

    /// Tells Redis and the group, if it is time to; false: Redis has forgotten.
    ///
    /// # Errors
    /// Redis or Kafka is away and the service drains.
    pub(crate) async fn tell(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        match self.commits.due(now, false) {
            Some(acknowledged) => self.pass_on(acknowledged).await,
            None if self.commits.is_empty() && self.commits.waited(now) >= LOOK => self.tell_now().await,
            None => Ok(true),
        }
    }

    /// The same, whether it is time or not.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub(crate) async fn tell_now(&mut self) -> Result<bool, Error> {
        let acknowledged = self.commits.take(Instant::now());
        self.pass_on(acknowledged).await
    }

    /// Tells for the last time. A Redis that is away is no failure: what was not committed is known when it is read
    /// again.
    ///
    /// # Errors
    /// Kafka is away, or refuses.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        match self.tell_now().await {
            Err(Error::Redis(error)) => {
                warn!(%error, "ended without Redis; what was not committed is recognised after the restart");
                Ok(())
            }
            told => told.map(|_| ()),
        }
    }

    /// Tells Redis, and only then the group. Where Redis has forgotten, it is all read again.
    async fn pass_on(&mut self, acknowledged: Positions) -> Result<bool, Error> {
        if !self.marks.advance(&acknowledged).await? {
            return Ok(false);
        }
        self.input.commit(&acknowledged).await?;
        Ok(true)
    }

    /// From the offsets `counted` on the consumer has counted what is gone.
    async fn seek(&mut self, back: &Positions, counted: &Positions) -> Result<(), Error> {
        let went = self.input.seek(back).await?;
        warn!(wanted = ?back, ?went, "reading interactions again from where Redis has applied them; what profiles hold counts once");
        counter!(WENT_BACK).increment(1);
        for (partition, next) in &went {
            let gone = counted.get(partition).map_or(*next, |counted| *next.min(counted));
            let wanted = back.get(partition).filter(|wanted| **wanted > Next(0));
            counter!(MISSED).increment(wanted.map_or(0, |wanted| wanted.until(gone)));
        }
        self.marks.went_back(back, &went);
        Ok(())
    }
}
