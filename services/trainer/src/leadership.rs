//! One trainer at a time: reads `checkpoints`, claims an epoch, and notices when another claims a higher one (I9).
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use model::Model;
use runtime::Context;
use runtime::kafka::{Expected, Producer, Reader, Record, Watch};
use schemas::checkpoint::{Claim, EPOCH_REACH, Part, Through, parse_key};
use schemas::control::Back;
use schemas::signature::{SigningKey, Trust};
use schemas::{Releases, Topics};
use tracing::{debug, info, warn};
use versions::{Log, Refusals, claim_record};

use crate::bookmarks::Bookmarks;
use crate::config::Config;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::metrics::{EPOCH, VERSIONS_REFUSED};
use crate::restore::{Refusal, Restorer};

/// Records per poll; a batch ends at 8 MB anyway.
const BATCH: usize = 1_000;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(100);

/// What is known before the claim: the topic, read to its end.
#[derive(Debug)]
pub(crate) struct Candidate {
    restorer: Restorer,
    log: Log,
    /// Told to begin with nothing, and it does.
    anew: bool,
    /// Why the last version that was refused was.
    refused: String,
    told: Told,
    refusals: Refusals,
}

/// An epoch that is ours.
#[derive(Debug)]
pub(crate) struct Leadership {
    /// The epoch.
    pub(crate) epoch: u32,
    /// The newest whole version before our claim.
    pub(crate) model: Model,
    /// What lies on `checkpoints`.
    pub(crate) ledger: Ledger,
    /// Continues behind our claim.
    pub(crate) log: Reader,
    /// Us, as our claim names us.
    pub(crate) trainer: String,
    /// Leaves them behind our claim.
    pub(crate) bookmarks: Bookmarks,
    /// Where the versions stood that were rolled back.
    pub(crate) rolled_back: BTreeMap<i32, Through>,
    /// Where the topic began for us; what lies before, nobody looked at. 0: nothing.
    pub(crate) start: i64,
    /// Whose records are believed.
    pub(crate) trust: Trust,
    /// What was not.
    pub(crate) refusals: Refusals,
}

impl Candidate {
    /// Reads `checkpoints` to its end, from the newest snapshot but one on, or whole if operator or gate went back;
    /// `None` when asked to drain meanwhile. What is read is watched: a transaction that a stranger leaves open hides
    /// what lies behind it, our own claim, too.
    pub(crate) async fn read(
        config: &Config,
        releases: &Releases,
        watch: &Watch,
        ctx: &Context,
    ) -> Result<Option<Self>, Error> {
        let topic = config.log();
        let decided = releases.back().map(|(back, _)| back);
        let all = |restorer: Restorer| restorer.decided(decided);
        let log = Log::open_named(&topic, &config.kafka, ctx).await?;
        let Some(mut candidate) = Self::read_from(log, all, config, watch, ctx).await? else { return Ok(None) };
        if !candidate.log.is_whole() && candidate.model().manifest().is_none() {
            warn!(topic, "nothing is usable from the newest snapshots on; reading from the beginning");
            let log = Log::open_whole_named(&topic, &config.kafka, ctx).await?;
            let Some(whole) = Self::read_from(log, all, config, watch, ctx).await? else { return Ok(None) };
            candidate = whole;
        }
        let newest = candidate.model().version();
        if let Some((back, release)) = releases.back()
            && newest.is_some_and(|newest| back.covers(newest))
        {
            let to = back.to.version;
            warn!(%to, by = release.by, reason = release.reason, "rolled back: going on from an older version");
            let log = Log::open_whole_named(&topic, &config.kafka, ctx).await?;
            let Some(whole) = Self::read_from(log, |restorer| all(restorer).back(back), config, watch, ctx).await?
            else {
                return Ok(None);
            };
            candidate = whole;
            // Whoever came after went on from it.
            if candidate.model().version().is_none_or(|newest| newest < to || back.covers(newest)) {
                return Err(Error::GoneBackTo { topic, to });
            }
        }
        if let Some(newest) = candidate.restorer.unusable() {
            let reason = std::mem::take(&mut candidate.refused);
            if !config.trainer.anew {
                return Err(Error::Unusable { topic, newest, reason });
            }
            warn!(topic, %newest, reason, "trainer.anew: no version is usable; learning anew from the oldest interaction");
            candidate.anew = true;
        }
        match candidate.model().manifest() {
            Some(manifest) => info!(
                version = %manifest.version, interactions = manifest.interactions, through = ?manifest.through,
                "read the newest version back"
            ),
            None if candidate.anew => {}
            None => info!(topic, "no version is there; starting from the first interaction"),
        }
        Ok(Some(candidate))
    }

    /// Reads `checkpoints` to its end to claim it, and goes on from the newest version of a challenger's own log.
    /// `None` when asked to drain meanwhile.
    pub(crate) async fn promoted(config: &Config, watch: &Watch, ctx: &Context) -> Result<Option<Self>, Error> {
        let own = Topics::new(&config.kafka.topic_prefix).challenger(&config.trainer.name);
        let log = Log::open_named(&own, &config.kafka, ctx).await?;
        let Some(challenger) = Self::read_from(log, |all| all, config, watch, ctx).await? else { return Ok(None) };
        let (model, _) = challenger.restorer.into_parts();
        let Some(manifest) = model.manifest() else { return Err(Error::NothingToPromote { topic: own }) };
        info!(topic = own, version = %manifest.version, "promoted: going on from the challenger's newest version");
        let log = Log::open_named(&config.log(), &config.kafka, ctx).await?;
        let looked = Self::read_from(log, Restorer::only_looking, config, watch, ctx).await?;
        Ok(looked.map(|mut candidate| {
            candidate.restorer.begin_anew(model);
            candidate.anew = true; // it follows no version of this log
            candidate
        }))
    }

    /// Reads a log of versions to its end, from where it was opened; `how` says what is made of them.
    async fn read_from(
        log: Log,
        how: impl FnOnce(Restorer) -> Restorer,
        config: &Config,
        watch: &Watch,
        ctx: &Context,
    ) -> Result<Option<Self>, Error> {
        watch.follow(log.reader.stream(), Expected { topic: "checkpoints", caught_up: None, gauges: None });
        let Some(end) = log.reader.wait_for_end().await? else { return Ok(None) };
        if end.len() != 1 {
            return Err(Error::Partitions { topic: log.topic().to_owned(), partitions: end.len() });
        }
        let restorer = how(Restorer::new(Model::empty(&config.model.device)?, log.walk()));
        let (refused, told, refusals) = (String::new(), Told::default(), Refusals::new("trainer"));
        let candidate = Self { restorer, log, anew: false, refused, told, refusals };
        candidate.read_until(|log| log.is_at(&end), ctx).await
    }

    /// The highest epoch claimed.
    pub(crate) fn epoch(&self) -> u32 {
        self.restorer.leadership().0
    }

    /// The newest whole version.
    pub(crate) fn model(&self) -> &Model {
        self.restorer.model()
    }

    /// Lets go of a version that cannot be gone on from, as told by `trainer.anew`.
    pub(crate) fn begin_anew(&mut self, config: &Config) -> Result<(), Error> {
        self.restorer.begin_anew(Model::empty(&config.model.device)?);
        self.anew = true;
        Ok(())
    }

    /// Claims an epoch above every other, and above those that went back with `back`; `None` when asked to drain
    /// meanwhile, or when another was faster and this one `yields`. What `signer` is, `producer` signs with.
    ///
    /// Until our claim is on the log, the trainer before us may still publish: its versions are taken in. From our
    /// claim on, they are ignored by everyone.
    pub(crate) async fn claim(
        mut self,
        back: Option<Back>,
        yields: bool,
        config: &Config,
        (producer, signer): (&Producer, Option<Arc<SigningKey>>),
        ctx: &Context,
    ) -> Result<Option<Leadership>, Error> {
        // The process id tells an operator which one; the number tells apart what restarts under the same id.
        let trainer = format!("{}-{}-{:016x}", ctx.name(), std::process::id(), RandomState::new().hash_one(ctx.now()));
        loop {
            let topic = self.log.topic().to_owned();
            let Some(epoch) = self.restorer.next_epoch(back) else {
                return Err(Error::Epochs { topic });
            };
            let claim = Claim { epoch, trainer: trainer.clone(), claimed_at: ctx.now(), anew: self.anew };
            let written = producer.send_all(&topic, [claim_record(&claim)]).await?;
            let seen = |log: &Reader| {
                written.iter().all(|(p, at)| log.position().get(p).is_some_and(|next| next.is_past(*at)))
            };
            let Some(read) = self.read_until(seen, ctx).await? else { return Ok(None) };
            self = read;
            if self.restorer.leadership() == (epoch, Some(trainer.as_str())) {
                info!(epoch, trainer, "claimed an epoch");
                gauge!(EPOCH).set(f64::from(epoch));
                let newest = self.restorer.snapshot();
                let bookmarks = Bookmarks::new(&topic, &config.kafka, &claim, newest, signer, ctx)?;
                let (rolled_back, start) = (self.restorer.rolled_back().clone(), self.log.start());
                let (model, ledger) = self.restorer.into_parts();
                let (refusals, trust, log) = (self.refusals, self.log.trust().clone(), self.log.reader);
                return Ok(Some(Leadership {
                    epoch,
                    model,
                    ledger,
                    log,
                    trainer,
                    bookmarks,
                    rolled_back,
                    start,
                    trust,
                    refusals,
                }));
            }
            let winner = self.restorer.leadership();
            if yields {
                info!(epoch, ?winner, "another trainer claimed first; standing by");
                return Ok(None);
            }
            warn!(epoch, ?winner, "another trainer claimed first; claiming a higher epoch");
        }
    }

    /// Takes records until `done`; `None` when asked to drain before. Applying versions is work for a thread.
    async fn read_until(mut self, done: impl Fn(&Reader) -> bool, ctx: &Context) -> Result<Option<Self>, Error> {
        while !done(&self.log.reader) {
            let Some(batch) = self.log.reader.next_batch(BATCH, WAIT).await? else { return Ok(None) };
            if batch.records.is_empty() {
                continue;
            }
            let restorer = self.restorer;
            self.restorer = ctx.spawn_thread("restore", move || restorer.take(&batch.records)).join().await?;
            self.tell_refusals();
        }
        let restorer = self.restorer;
        self.restorer = ctx.spawn_thread("restore", move || restorer.settle()).join().await?;
        self.tell_refusals();
        Ok(Some(self))
    }

    fn tell_refusals(&mut self) {
        for refusal in self.restorer.refusals() {
            tell(&refusal, &mut self.told);
            if let Some(why) = refusal.distrust {
                let why = (why.as_str(), why.to_string());
                self.refusals.note("checkpoints", (why.0, &why.1), refusal.version, 1, Instant::now());
            }
            // Where nothing is claimed that is believed, that is why; what else is wrong follows from it.
            let follows = self.restorer.leadership().0 == 0 && !self.refusals.is_empty();
            let says = refusal.distrust.is_some() || !(refusal.orphan || follows);
            if says || self.refused.is_empty() {
                self.refused = refusal.reason;
            }
        }
    }
}

/// How many refusals were told: of a flood of them the first say enough.
#[derive(Debug, Default)]
struct Told(u32);

impl Told {
    /// Whether one more is told: what builds on a version that was refused is no news.
    fn is_news(&mut self, orphan: bool) -> bool {
        self.0 = self.0.saturating_add(u32::from(!orphan));
        !orphan && self.0 <= TELL
    }
}

/// Refusals told one by one.
const TELL: u32 = 20;

/// Counts and logs a version that is skipped.
fn tell(Refusal { version, distrust, reason, orphan }: &Refusal, told: &mut Told) {
    match distrust {
        Some(why) => counter!(VERSIONS_REFUSED, "reason" => why.as_str()).increment(1),
        None => counter!(VERSIONS_REFUSED).increment(1),
    }
    let version = version.map(|version| version.to_string());
    if told.is_news(*orphan) {
        warn!(version, reason, "refused a version; continuing from an older one");
    } else {
        debug!(version, reason, "skipped a version");
    }
}

/// Our claim: its epoch, our name, and its offset.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) epoch: u32,
    pub(crate) trainer: String,
    /// What lies before it was seen when it was written; `None` after the first claim, which was read back.
    pub(crate) at: Option<i64>,
}

/// The first claim among `records`, which are believed, that ends our epoch: a higher one, or one of the same that lies
/// before ours.
pub(crate) fn superseded<'a>(own: &Own, records: impl IntoIterator<Item = &'a Record>) -> Option<Claim> {
    records.into_iter().find_map(|record| {
        let (version, part) = parse_key(&record.key).ok()?;
        let value = record.value.as_ref()?;
        if part != Part::Claim || version.epoch < own.epoch || version.epoch > own.epoch.saturating_add(EPOCH_REACH) {
            return None;
        }
        // A claim that is not readable is nobody's: every other reader refuses it, too.
        let claim = Claim::read(version, value).ok()?;
        let first = own.at.is_some_and(|at| record.offset < at && claim.trainer != own.trainer);
        (version.epoch > own.epoch || first).then_some(claim)
    })
}

/// Whether what we wrote still lies on the topic.
#[derive(Debug, Default)]
pub(crate) struct Footing {
    /// The next offset of `checkpoints` to read.
    next: i64,
    /// Offset of the first chunk of our newest snapshot, and where it ends.
    snapshot: Option<i64>,
}

impl Footing {
    /// Takes note of a record that was read; true if the topic was made again.
    pub(crate) fn read(&mut self, offset: i64) -> bool {
        let before = std::mem::replace(&mut self.next, offset.saturating_add(1));
        offset < before
    }

    /// Takes note of a snapshot of ours.
    pub(crate) fn published(&mut self, first: i64) {
        self.snapshot = Some(first);
    }

    /// Whether our snapshot is gone from a topic that holds `beginning..end`: a scorer that starts would have nothing.
    pub(crate) fn is_lost(&self, beginning: i64, end: i64) -> bool {
        self.snapshot.is_some_and(|first| beginning > first || end <= first)
    }
}

#[cfg(test)]
mod tests {
    use schemas::checkpoint::LAST;

    use super::*;
    use crate::testing;

    #[test]
    fn only_a_claim_of_a_higher_epoch_ends_ours() {
        let own = Own { epoch: 3, trainer: "ours".into(), at: None };
        let superseded = |records: &[Record]| superseded(&own, records).map(|claim| claim.trainer);
        assert_eq!(superseded(&[testing::claim(3, "ours"), testing::claim(2, "older")]), None);
        assert_eq!(superseded(&[testing::claim(3, "ours"), testing::claim(4, "newer")]), Some("newer".into()));
        let mut deleted = testing::claim(4, "newer");
        deleted.value = None;
        assert_eq!(superseded(&[deleted]), None);
        assert_eq!(superseded(&[testing::claim(u32::MAX, "stranger"), testing::claim(LAST, "stranger")]), None);
    }

    #[test]
    fn of_a_flood_of_refusals_the_first_twenty_are_told() {
        let mut told = Told::default();
        assert_eq!((0..1_000).filter(|n| told.is_news(n % 2 == 1)).count(), 20);
        assert!(!told.is_news(false));
    }

    #[test]
    fn of_two_fresh_claims_of_one_epoch_the_first_on_the_log_has_it() {
        let at = |offset, trainer: &str| Record { offset, ..testing::claim(3, trainer) };
        let own = Own { epoch: 3, trainer: "ours".into(), at: Some(5) };
        assert!(superseded(&own, &[at(4, "other")]).is_some());
        assert!(superseded(&own, &[at(5, "ours"), at(6, "other")]).is_none());
    }

    #[test]
    fn a_topic_that_lost_our_snapshot_is_noticed() {
        let mut footing = Footing::default();
        assert!(!footing.is_lost(0, 0), "nothing is published yet");
        assert!(!footing.read(7) && !footing.read(9), "compaction leaves gaps");
        footing.published(8);
        assert!(!footing.is_lost(0, 12) && !footing.is_lost(8, 12));
        assert!(footing.is_lost(9, 12), "emptied, or cut off at its beginning");
        assert!(footing.is_lost(0, 3), "deleted and made again");
        assert!(footing.read(0), "the same, and it was written to already");
    }
}
