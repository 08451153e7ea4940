//! Follows the topic `checkpoints`: assembles versions, makes models of them on a thread, swaps them in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use model::{Error as Unfit, Model};
use runtime::config::Kafka;
use runtime::kafka::{Bookmark, Expected, From, Positions, Reader, Record, Watch};
use runtime::{Context, Latency};
use schemas::checkpoint::{CHUNK_CHECKSUM, Claim, PayloadKind};
use schemas::{Manifest, Topic, Topics, VersionId};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};
use versions::{Assembler, Live, Outcome, Slot, Worker};

use crate::error::Error;
use crate::metrics::{LOAD, MODEL_FRESHNESS, VERSIONS_REFUSED, VERSIONS_SWAPPED};

/// Records of one read, at most 1 MB each.
const BATCH: usize = 16;

/// While catching up, deltas wait in so many bytes for the next snapshot, which would make them needless.
const HELD_BYTES: usize = 256 << 20;

/// The log of versions, opened at the newest snapshot but one if its place is known.
#[derive(Debug)]
pub(crate) struct Log {
    reader: Reader,
    topic: String,
    /// The claim before the place where it was opened; `None` at its beginning.
    behind: Option<Claim>,
}

impl Log {
    pub(crate) async fn open(kafka: &Kafka, ctx: &Context) -> Result<Self, Error> {
        let topics = Topics::new(&kafka.topic_prefix);
        let (topic, group) = (topics.name(Topic::Checkpoints), topics.snapshot_group());
        let bookmark = Bookmark::find(kafka, ctx.name(), &group, &topic).await;
        let (from, behind) = match bookmark.and_then(|mark| Some((mark.offset, Claim::noted(&mark.note)?))) {
            Some((at, claim)) => (From::At(Positions::from([(0, at)])), Some(claim)),
            None => (From::Beginning, None),
        };
        Ok(Self { reader: Reader::open(kafka, &topic, from, ctx).await?, topic, behind })
    }
}

/// Reads the log of versions and follows it until drained.
///
/// `loaded` is told once everything that was there at the start is live or refused.
pub(crate) async fn follow(
    log: Log,
    kafka: Kafka,
    slot: Arc<Slot>,
    loaded: oneshot::Sender<()>,
    watch: Watch,
    ctx: Context,
) -> Result<(), Error> {
    let Log { mut reader, topic, behind } = log;
    let follow = |reader: &Reader| {
        watch.follow(reader.stream(), Expected { topic: "checkpoints", caught_up: None, gauges: None });
    };
    follow(&reader);
    let mut in_the_middle = behind.is_some();
    let assembler = behind.map_or_else(Assembler::default, Assembler::behind);
    let mut follower = Follower::new(Arc::clone(&slot), assembler, ctx.clone());
    let Some(mut end) = reader.wait_for_end().await? else { return Ok(()) };
    let mut loaded = Some(loaded);
    while let Some(batch) = reader.next_batch(BATCH, Duration::from_millis(200)).await? {
        for record in batch.records {
            follower.take(record, &reader).await?;
        }
        if loaded.is_some() && reader.is_at(&end) {
            if !follower.caught_up().await? && std::mem::take(&mut in_the_middle) {
                warn!(topic, "nothing is usable from the newest snapshots on; reading from the beginning");
                reader = Reader::open(&kafka, &topic, From::Beginning, &ctx).await?;
                follow(&reader);
                let Some(again) = reader.wait_for_end().await? else { return Ok(()) };
                end = again;
                follower = Follower::new(Arc::clone(&slot), Assembler::default(), ctx.clone());
                continue;
            }
            loaded.take().map(|loaded| loaded.send(()));
        }
    }
    Ok(())
}

/// How often a swap, and a refusal of one kind, is told.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(60);
/// How often it is asked whether the topic was emptied, and how long an answer may take.
const ASK_EVERY: Duration = Duration::from_secs(1);
const QUESTION: Duration = Duration::from_secs(2);

type Version = (Manifest, Vec<u8>);

struct Follower {
    assembler: Assembler,
    /// The newest version; the live one once caught up.
    newest: Model,
    slot: Arc<Slot>,
    /// The version before, on its way to be freed on the thread that makes the next: by then no reader has it.
    before: Option<Arc<Live>>,
    /// `None` once caught up.
    held: Option<Vec<Version>>,
    /// So many bytes of them.
    most_held: usize,
    /// A delta did not fit: the next snapshot is waited for.
    waiting: bool,
    /// The last version of a claimed epoch that was refused, and why.
    refused: Option<String>,
    /// Offset after the last record.
    next: i64,
    /// Offset of the last record that counted.
    counted: i64,
    /// When it was asked last whether the topic was emptied.
    asked: Option<Instant>,
    told: Told,
    /// When a swap was told last: one a second is no news.
    announced: Option<Instant>,
    worker: Worker,
    load: Latency,
    freshness: Latency,
    ctx: Context,
}

impl Follower {
    fn new(slot: Arc<Slot>, assembler: Assembler, ctx: Context) -> Self {
        Self {
            assembler,
            newest: slot.load().model.clone(),
            slot,
            before: None,
            held: Some(Vec::new()),
            most_held: HELD_BYTES,
            waiting: false,
            refused: None,
            next: 0,
            counted: -1,
            asked: None,
            told: Told::default(),
            announced: None,
            worker: Worker::in_background("scorer-versions", &ctx),
            load: ctx.latency(LOAD),
            freshness: ctx.latency(MODEL_FRESHNESS),
            ctx,
        }
    }

    async fn take(&mut self, record: Record, reader: &Reader) -> Result<(), Error> {
        if record.offset < self.next {
            // Epochs begin anew with a new topic: by the old one's, everything on it would be a superseded trainer's.
            warn!(offset = record.offset, "the topic checkpoints was made anew; following it from its beginning");
            (self.assembler, self.counted) = (Assembler::default(), -1);
        }
        self.next = record.offset.saturating_add(1);
        let mut outcome = self.push(&record);
        if matches!(outcome, Outcome::Stale(_)) && self.was_emptied(reader).await {
            // The same after it was emptied: whoever claimed since found nothing to claim above.
            warn!(offset = record.offset, "the topic checkpoints was emptied; following it from here");
            (self.assembler, self.counted) = (Assembler::default(), -1);
            outcome = self.push(&record);
        }
        if !matches!(outcome, Outcome::Stale(_) | Outcome::Refused { .. }) {
            self.counted = record.offset;
        }
        match outcome {
            Outcome::Nothing => {}
            Outcome::Whole(manifest, payload) => self.whole(manifest, payload).await?,
            Outcome::Refused { version, reason } => {
                if let Some(version) = version {
                    self.refuse(version, &reason);
                }
                self.told.refused("torn", version, &reason);
            }
            Outcome::Claimed(claim) => info!(epoch = claim.epoch, trainer = claim.trainer, "a trainer claimed the log"),
            Outcome::Stale(version) => {
                counter!(VERSIONS_REFUSED, "reason" => "epoch").increment(1);
                debug!(%version, offset = record.offset, "ignored a record of a superseded trainer"); // I9
            }
        }
        Ok(())
    }

    fn push(&mut self, record: &Record) -> Outcome {
        let checksum = record.header(CHUNK_CHECKSUM).cloned();
        self.assembler.push(&record.key, record.value.clone(), checksum.as_deref())
    }

    /// Whether all that counted so far is gone from the topic. Asked of the broker only when something does not count.
    async fn was_emptied(&mut self, reader: &Reader) -> bool {
        if self.counted < 0 || self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return false;
        }
        self.asked = Some(Instant::now());
        let Ok(Ok(beginning)) = tokio::time::timeout(QUESTION, reader.beginning()).await else { return false };
        beginning.get(&0).is_some_and(|beginning| *beginning > self.counted)
    }

    async fn whole(&mut self, manifest: Manifest, payload: Vec<u8>) -> Result<(), Error> {
        let Some(held) = &mut self.held else {
            if self.apply(manifest, payload).await? {
                self.go_live();
                self.measure();
            }
            return Ok(());
        };
        // Of a long log only the last snapshot and its deltas count; the earlier ones stand by in case it is refused.
        if manifest.kind == PayloadKind::Delta {
            held.push((manifest, payload));
            let bytes: usize = held.iter().map(|(_, payload)| payload.len()).sum();
            return if bytes > self.most_held { self.apply_held().await } else { Ok(()) };
        }
        if self.apply(manifest, payload).await?
            && let Some(held) = &mut self.held
        {
            held.clear();
        }
        Ok(())
    }

    async fn apply_held(&mut self) -> Result<(), Error> {
        let held = self.held.as_mut().map(std::mem::take).unwrap_or_default();
        for (manifest, payload) in held {
            self.apply(manifest, payload).await?;
        }
        Ok(())
    }

    /// Everything that was there at the start has been read; whether a version of it is live.
    async fn caught_up(&mut self) -> Result<bool, Error> {
        self.apply_held().await?;
        self.held = None;
        let some = self.newest.version().is_some();
        if some {
            self.go_live();
        } else if let Some(refused) = &self.refused {
            self.slot.leave_lists();
            let advice = "lists stay as they are until one is";
            warn!(refused, advice, "versions are there and none is usable");
            self.ctx.set("model", Err(format!("versions are there and none is usable, {advice}: {refused}")));
        } else {
            info!("no version is usable yet");
        }
        Ok(some)
    }

    /// Takes note of what a trainer wrote and this release cannot use. What is of an epoch that nobody claimed is a stranger's.
    fn refuse(&mut self, version: VersionId, reason: &str) {
        let claimed = self.assembler.epoch();
        if claimed > 0 && version.epoch <= claimed {
            self.refused = Some(format!("{version}: {reason}"));
        }
    }

    /// Makes the next version of the newest; false, and nothing changed, if it does not fit.
    async fn apply(&mut self, manifest: Manifest, payload: Vec<u8>) -> Result<bool, Error> {
        let (newest, before) = (self.newest.clone(), self.before.take());
        let started = Instant::now();
        let version = manifest.version;
        let may_be_empty = newest.knowledge().items() == 0 || self.assembler.claim().is_some_and(|claim| claim.anew);
        let made = self.worker.run(move || {
            drop(before);
            newest.apply(&manifest, &payload).and_then(|next| match next.knowledge().items() {
                0 if !may_be_empty => Err(Unfit::Empty),
                _ => Ok(next),
            })
        });
        match made.await? {
            Ok(next) => {
                self.load.record(started.elapsed());
                self.newest = next;
                if std::mem::take(&mut self.waiting) {
                    info!(%version, "the chain of versions goes on");
                }
                Ok(true)
            }
            Err(error @ Unfit::Parent { .. }) => {
                counter!(VERSIONS_REFUSED, "reason" => "parent").increment(1);
                if self.waiting || self.newest.version().is_none() {
                    debug!(%error, "waiting for a snapshot");
                } else {
                    warn!(%error, "the chain of versions is broken; the live one keeps serving until the next snapshot");
                }
                self.waiting = true;
                Ok(false)
            }
            Err(error) => {
                self.refuse(version, &error.to_string());
                self.told.refused("payload", Some(version), &error.to_string());
                Ok(false)
            }
        }
    }

    /// Swaps the newest version in.
    fn go_live(&mut self) {
        let Some(manifest) = self.newest.manifest() else { return };
        let now = self.ctx.now();
        let (version, age_ms) = (manifest.version, now.saturating_sub(manifest.made_at));
        let interactions = manifest.interactions;
        // Each second one: what an operator wants to see is that they come, and each that a scorer could start from.
        if manifest.kind == PayloadKind::Snapshot || self.announced.is_none_or(|at| at.elapsed() >= ANNOUNCE_EVERY) {
            info!(%version, interactions, age_ms, "swapped checkpoint");
            self.announced = Some(Instant::now());
        } else {
            debug!(%version, interactions, age_ms, "swapped checkpoint");
        }
        self.before = Some(self.slot.swap(self.newest.clone(), now));
        self.ctx.set("model", Ok(()));
        counter!(VERSIONS_SWAPPED).increment(1);
    }

    /// How old the interactions are that this version is the first to know; not for what was published before we came.
    fn measure(&self) {
        let now = self.ctx.now();
        for (arrived_at, count) in self.newest.manifest().into_iter().flat_map(|manifest| &manifest.arrivals) {
            let age = u64::try_from(now.saturating_sub(*arrived_at)).unwrap_or(0); // clocks of two machines may differ
            self.freshness.record_n(Duration::from_millis(age), u64::from(*count));
        }
    }
}

/// What was told of refusals: of a flood of one kind, one a minute says enough.
#[derive(Debug, Default)]
struct Told {
    last: BTreeMap<&'static str, Instant>,
}

impl Told {
    /// A version must not be used; the live one keeps serving (I4).
    fn refused(&mut self, why: &'static str, version: Option<VersionId>, reason: &str) {
        counter!(VERSIONS_REFUSED, "reason" => why).increment(1);
        let version = version.map(tracing::field::display);
        if self.is_news(why, Instant::now()) {
            warn!(version, reason, "refused a checkpoint; the live one keeps serving");
        } else {
            debug!(version, reason, "refused a checkpoint; the live one keeps serving");
        }
    }

    fn is_news(&mut self, why: &'static str, now: Instant) -> bool {
        let news = self.last.get(why).is_none_or(|at| now.duration_since(*at) >= ANNOUNCE_EVERY);
        if news {
            self.last.insert(why, now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use model::{Learner, Positioned, RowEncoding, Settings};
    use schemas::{Interaction, Kind, Source};
    use versions::split;

    use super::*;

    /// A snapshot and four deltas of a small shop.
    fn versions() -> Vec<Version> {
        let settings = Settings { dim: 16, negatives: 16, retrieval_items: 64, ..Settings::default() };
        let mut learner = Learner::new(settings).expect("opens");
        let view = |offset: i64| Positioned {
            partition: 0,
            offset,
            interaction: Interaction {
                user_id: format!("u{}", offset % 3),
                item_id: format!("i{}", offset % 5),
                kind: Kind::View.into(),
                ts: 1_700_000_000_000 + offset * 1_000,
                source: Some(Source { offset, ..Source::default() }),
                ..Interaction::default()
            },
        };
        let mut version = |sequence: u32| {
            let kind = if sequence == 1 { PayloadKind::Snapshot } else { PayloadKind::Delta };
            let first = i64::from(sequence) * 10;
            learner.observe(&(first..first + 10).map(view).collect::<Vec<_>>());
            let frozen = learner.freeze(kind).expect("freezes");
            let payload = frozen.encode().expect("encodes");
            let (id, parent) = (VersionId { epoch: 1, sequence }, VersionId { epoch: 1, sequence: sequence - 1 });
            (split(id, Some(parent), &frozen, &payload, 0).1, payload)
        };
        (1..6).map(&mut version).collect()
    }

    #[tokio::test]
    async fn deltas_beyond_what_is_held_at_a_start_are_applied_and_give_the_same_version() {
        let versions = versions();
        let delta = versions[1].1.len().max(versions[2].1.len());
        for (most, waiting) in [(HELD_BYTES, 4), (3 * delta / 2, 0), (0, 0)] {
            let ctx = Context::new("test");
            let slot = Arc::new(Slot::new(Model::serving("flex", RowEncoding::F32).expect("opens")));
            let mut follower = Follower::new(Arc::clone(&slot), Assembler::default(), ctx.clone());
            follower.most_held = most;
            for (manifest, payload) in versions.clone() {
                follower.whole(manifest, payload).await.expect("is taken");
                let held: usize = follower.held.iter().flatten().map(|(_, payload)| payload.len()).sum();
                assert!(held <= most, "{held} of {most} bytes");
            }
            let held = follower.held.as_ref().map_or(0, Vec::len);
            assert!(if waiting == 0 { held < 4 } else { held == waiting }, "{held} deltas wait at {most} bytes");
            assert!(slot.load().model.version().is_none(), "nothing is live before the end");
            assert!(follower.caught_up().await.expect("is taken"));
            assert_eq!(slot.load().model.version(), Some(VersionId { epoch: 1, sequence: 5 }));
        }
    }

    #[test]
    fn of_a_flood_of_refusals_one_a_minute_of_each_reason_is_told() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |told: &mut Told, why, seconds| told.is_news(why, start + Duration::from_secs(seconds));
        let flood = (0..1_000).filter(|n| at(&mut told, "torn", n / 10)).count();
        assert_eq!(flood, 2, "100 seconds of them");
        assert!(at(&mut told, "payload", 100) && !at(&mut told, "torn", 100));
    }
}
