//! Follows the topic `checkpoints`: assembles versions, makes models of them on a thread, swaps them in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use model::checkpoint::{Assembler, Outcome};
use model::{Error as Unfit, Model};
use runtime::kafka::{Reader, Record};
use runtime::{Context, Latency};
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, PayloadKind, parse_key};
use schemas::{Manifest, VersionId};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use crate::error::Error;
use crate::metrics::{LOAD, MODEL_FRESHNESS, VERSIONS_REFUSED, VERSIONS_SWAPPED};
use crate::slot::{Live, Slot};
use crate::worker::Worker;

/// Records of one read, at most 1 MB each.
const BATCH: usize = 16;

/// While catching up, deltas wait in so many bytes for the next snapshot, which would make them needless.
const HELD_BYTES: usize = 256 << 20;

/// Reads the log of versions from its beginning and follows it until drained.
///
/// `loaded` is told once everything that was there at the start is live or refused.
pub(crate) async fn follow(
    mut reader: Reader,
    slot: Arc<Slot>,
    loaded: oneshot::Sender<()>,
    ctx: Context,
) -> Result<(), Error> {
    let end = reader.end().await?;
    let mut follower = Follower::new(slot, ctx);
    let mut loaded = Some(loaded);
    while let Some(batch) = reader.next_batch(BATCH, Duration::from_millis(200)).await? {
        for record in batch.records {
            follower.take(record).await?;
        }
        if loaded.is_some() && reader.is_at(&end) {
            follower.caught_up().await?;
            loaded.take().map(|loaded| loaded.send(()));
        }
    }
    Ok(())
}

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
    /// A delta did not fit: the next snapshot is waited for.
    waiting: bool,
    /// Offset after the last record.
    next: i64,
    worker: Worker,
    load: Latency,
    freshness: Latency,
    ctx: Context,
}

impl Follower {
    fn new(slot: Arc<Slot>, ctx: Context) -> Self {
        Self {
            assembler: Assembler::default(),
            newest: slot.load().model.clone(),
            slot,
            before: None,
            held: Some(Vec::new()),
            waiting: false,
            next: 0,
            worker: Worker::in_background("scorer-versions", &ctx),
            load: ctx.latency(LOAD),
            freshness: ctx.latency(MODEL_FRESHNESS),
            ctx,
        }
    }

    async fn take(&mut self, record: Record) -> Result<(), Error> {
        if record.offset < self.next {
            // Epochs begin anew with a new topic: by the old one's, everything on it would be a superseded trainer's.
            warn!(offset = record.offset, "the topic checkpoints was made anew; following it from its beginning");
            self.assembler = Assembler::default();
        }
        self.next = record.offset + 1;
        let checksum = record.header(CHUNK_CHECKSUM).cloned();
        match self.assembler.push(&record.key, record.value, checksum.as_deref()) {
            Outcome::Nothing => {}
            Outcome::Whole(manifest, payload) => self.whole(manifest, payload).await?,
            Outcome::Refused { version, reason } => refused("torn", version, &reason),
            Outcome::Claimed(claim) => info!(epoch = claim.epoch, trainer = claim.trainer, "a trainer claimed the log"),
            Outcome::Stale(version) => {
                counter!(VERSIONS_REFUSED, "reason" => "epoch").increment(1);
                let (live, offset) = (self.assembler.epoch(), record.offset);
                if version.epoch < live && is_claim(&record.key) {
                    // A trainer claims above every record that it finds: it found an emptied topic.
                    warn!(%version, live, offset, "a trainer began with a lower epoch than ours; restart the scorers to follow it");
                } else {
                    debug!(%version, offset, "ignored a record of a superseded trainer"); // I9
                }
            }
        }
        Ok(())
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
            return if bytes > HELD_BYTES { self.apply_held().await } else { Ok(()) };
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

    /// Everything that was there at the start has been read.
    async fn caught_up(&mut self) -> Result<(), Error> {
        self.apply_held().await?;
        self.held = None;
        match self.newest.version() {
            Some(_) => self.go_live(),
            None => info!("no version is published yet"),
        }
        Ok(())
    }

    /// Makes the next version of the newest; false, and nothing changed, if it does not fit.
    async fn apply(&mut self, manifest: Manifest, payload: Vec<u8>) -> Result<bool, Error> {
        let (newest, before) = (self.newest.clone(), self.before.take());
        let started = Instant::now();
        let version = manifest.version;
        let made = self.worker.run(move || {
            drop(before);
            newest.apply(&manifest, &payload)
        });
        match made.await? {
            Ok(next) => {
                self.load.record(started.elapsed());
                self.newest = next;
                self.waiting = false;
                Ok(true)
            }
            Err(error @ Unfit::Parent { .. }) => {
                counter!(VERSIONS_REFUSED, "reason" => "parent").increment(1);
                if self.waiting || self.newest.version().is_none() {
                    debug!(%error, "waiting for a snapshot");
                } else {
                    warn!(%error, "waiting for a snapshot");
                }
                self.waiting = true;
                Ok(false)
            }
            Err(error) => {
                refused("payload", Some(version), &error.to_string());
                Ok(false)
            }
        }
    }

    /// Swaps the newest version in.
    fn go_live(&mut self) {
        let Some(manifest) = self.newest.manifest() else { return };
        let now = self.ctx.now();
        info!(
            version = %manifest.version,
            parent = manifest.parent.map(tracing::field::display),
            interactions = manifest.interactions,
            age_ms = now - manifest.made_at,
            "swapped checkpoint"
        );
        self.before = Some(self.slot.swap(self.newest.clone(), now));
        self.ctx.set("model", Ok(()));
        counter!(VERSIONS_SWAPPED).increment(1);
    }

    /// How old the interactions are that this version is the first to know; not for what was published before we came.
    fn measure(&self) {
        let now = self.ctx.now();
        for (arrived_at, count) in self.newest.manifest().into_iter().flat_map(|manifest| &manifest.arrivals) {
            let age = u64::try_from(now - arrived_at).unwrap_or(0); // clocks of two machines may differ
            self.freshness.record_n(Duration::from_millis(age), u64::from(*count));
        }
    }
}

fn is_claim(key: &[u8]) -> bool {
    parse_key(key).is_ok_and(|(_, part)| part == Part::Claim)
}

/// A version must not be used; the live one keeps serving (I4).
fn refused(why: &'static str, version: Option<VersionId>, reason: &str) {
    counter!(VERSIONS_REFUSED, "reason" => why).increment(1);
    let version = version.map(tracing::field::display);
    warn!(version, reason, "refused a checkpoint; the live one keeps serving");
}
