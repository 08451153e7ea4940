//! `thalweg checkpoints import`: publishes an exported version again, as the newest.
//!
//! Who imports is a trainer for a moment: it claims an epoch, and writes chunks and then the manifest behind the claim.
//! Killed before the claim, nothing happened; killed between claim and manifest, no version came of it, and a trainer
//! that starts goes on from the newest version there is.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use laboratory::output;
use laboratory::shown::plain;
use runtime::Context;
use runtime::kafka::{Outgoing, Producer, admin};
use schemas::audit::{Chain, Deed};
use schemas::checkpoint::{Claim, Through};
use schemas::control::Back;
use schemas::{Manifest, Releases, Timestamp, Topic, VersionId};
use serde_json::json;
use versions::{Control, Log, Step, Walk, claim_record, cut, manifest_record, signing};

use super::file::{Exported, read};
use crate::commands::release::Change;
use crate::config::Config;
use crate::error::Error;

/// Records of one read.
const BATCH: usize = 64;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(100);
/// Chunks written at a time, 0.9 MB each.
const GROUP: usize = 16;
/// Claims that others may be faster with, before it gives up.
const CLAIMS: usize = 10;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A file that `thalweg checkpoints export` wrote.
    file: PathBuf,
    /// Leave out the offsets that the version was trained through: the next trainer learns all that `interactions`
    /// still holds. For a version of another cluster, or from before the topic was made again.
    #[arg(long)]
    without_offsets: bool,
    /// Go ahead although a trainer has claimed the topic: if it runs, it ends.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: Change,
}

pub(super) async fn run(args: Args, config: &Config) -> Result<(), Error> {
    let Args { file, without_offsets, yes, change } = args;
    let said = change.said("an import changes what is served")?;
    let ctx = Context::new("thalweg");
    let exported = tokio::task::block_in_place(|| read(&file, &signing::trust(&config.kafka), ctx.now()))?;
    let stands = stands(&exported, without_offsets, config).await?;
    let control = Control::open(&config.kafka, "refused", &ctx).await?;
    let releases = control.map(|control| control.releases().clone()).unwrap_or_default();
    let mut topic = Checkpoints::read(config, &ctx).await?;
    let leader = topic.walk.claim().cloned();
    if let Some(Claim { epoch, trainer, claimed_at, .. }) = &leader
        && !yes
        && !change.dry_run
    {
        return Err(Error::Other(format!(
            "{} claimed epoch {epoch} at {}. If it is a trainer that runs, it ends when it reads the import's claim, and \
             what it learned since its last version is not in what you import: stop it first. Then say --yes",
            plain(trainer),
            Timestamp(*claimed_at)
        )));
    }
    let back = releases.back().map(|(back, _)| back);
    let manifest = if change.dry_run {
        topic.next(back).map(|epoch| exported.manifest(epoch, &stands, ctx.now()))?
    } else {
        let producer = config.producer(&ctx)?;
        publish(&exported, &stands, &mut topic, back, (said, &producer), config, &ctx).await?
    };
    tell(&exported, &manifest, &Outcome { written: !change.dry_run, leader, stands, json: change.json })?;
    tell_pin(&releases, ctx.now());
    Ok(())
}

/// Where an imported version stands on `interactions`.
#[derive(Debug, Default)]
pub(super) struct Stands {
    /// What it was trained through.
    pub(super) through: BTreeMap<i32, Through>,
    /// What lies before is not trained on.
    pub(super) untrained: BTreeMap<i32, Through>,
    /// Whether these are the offsets that it had.
    kept: bool,
}

/// Offsets count in one life of a topic of one cluster, and are never taken for those of another.
async fn stands(exported: &Exported, without: bool, config: &Config) -> Result<Stands, Error> {
    let topic = config.topic(Topic::Interactions);
    let life = admin::ends(&config.kafka, &topic).await?.life;
    let Some(Manifest { through, untrained, .. }) = &exported.manifest else {
        return if without {
            Ok(Stands::default())
        } else {
            Err(Error::Other(format!(
                "{} does not say what it was trained through: a release before this one exported it. Say --without-offsets: \
             the next trainer learns all that {topic} still holds",
                exported.file.display()
            )))
        };
    };
    match (counts_here(through, life), without) {
        (true, false) => Ok(Stands { through: through.clone(), untrained: untrained.clone(), kept: true }),
        (false, false) => Err(Error::Other(format!(
            "{} was trained through offsets of another {topic} than the one that is here: it comes from another cluster, \
             or the topic was deleted and made again. Say --without-offsets: the next trainer learns all that is on it",
            exported.file.display()
        ))),
        (true, true) if !through.is_empty() => {
            output::note(format!("{topic} is what it was trained on: what is still there of it is learned twice"));
            Ok(Stands::default())
        }
        (_, true) => Ok(Stands::default()),
    }
}

/// Whether offsets count in this life of the topic: one of them says so, or there are none. A partition of another life
/// is told apart by the trainer, as after a start.
fn counts_here(through: &BTreeMap<i32, Through>, life: u32) -> bool {
    through.is_empty() || (life != 0 && through.values().any(|through| through.log == life))
}

/// The topic `checkpoints`, read to its end.
struct Checkpoints {
    log: Log,
    walk: Walk,
}

impl Checkpoints {
    /// From the newest snapshot but one on, and whole where no version is there.
    async fn read(config: &Config, ctx: &Context) -> Result<Self, Error> {
        let mut log = Log::open(&config.kafka, ctx).await?;
        loop {
            let (mut walk, mut versions) = (log.walk(), 0_u64);
            let end = log.reader.end().await?;
            if end.len() != 1 {
                let (topic, partitions) = (log.topic(), end.len());
                let advice = "delete it, then create it with `thalweg topics apply`";
                return Err(Error::Other(format!("{topic} has {partitions} partitions; it must have 1: {advice}")));
            }
            let records = end.values().map(|end| end.0).sum::<i64>().saturating_sub(log.start());
            let bar = output::bar(u64::try_from(records).unwrap_or(0), "reading checkpoints");
            while let Some(batch) = log.reader.replay(&end, BATCH).await? {
                for record in &batch.records {
                    versions += u64::from(matches!(walk.take(record), Step::Whole(_)));
                    bar.set_position(record.offset.saturating_sub(log.start()).unsigned_abs());
                }
            }
            bar.finish_and_clear();
            if log.is_whole() || versions > 0 {
                return Ok(Self { log, walk });
            }
            log = Log::open_whole(&config.kafka, ctx).await?;
        }
    }

    fn next(&self, back: Option<Back>) -> Result<u32, Error> {
        let topic = self.log.topic();
        self.walk.next_epoch_above(back).ok_or_else(|| {
            Error::Other(format!(
                "no epoch is left to claim on {topic}: stop trainer and scorers, delete the topic, and create it with \
                 `thalweg topics apply`"
            ))
        })
    }

    /// Claims an epoch above every other, as a trainer does: of two claims of one epoch the first on the log has it.
    async fn claim(
        &mut self,
        back: Option<Back>,
        name: &str,
        producer: &Producer,
        ctx: &Context,
    ) -> Result<u32, Error> {
        for _ in 0..CLAIMS {
            let epoch = self.next(back)?;
            // A backup knows less than what is live, and its offsets lie before: that is what it is for.
            let claim = Claim { epoch, trainer: name.to_owned(), claimed_at: ctx.now(), anew: true };
            let written = producer.send_all(self.log.topic(), [claim_record(&claim)]).await?;
            let is_read = |log: &Log| {
                let next = log.reader.position();
                written.iter().all(|(partition, at)| next.get(partition).is_some_and(|next| next.is_past(*at)))
            };
            while !is_read(&self.log) {
                let Some(batch) = self.log.reader.next_batch(BATCH, WAIT).await? else {
                    return Err(Error::Other("asked to end; no version was written".to_owned()));
                };
                batch.records.iter().for_each(|record| drop(self.walk.take(record)));
            }
            if self.walk.epoch() == epoch && self.walk.claim().is_some_and(|claim| claim.trainer == name) {
                return Ok(epoch);
            }
        }
        let topic = self.log.topic();
        Err(Error::Other(format!("others claim {topic} faster than this command: stop the trainers, and say it again")))
    }
}

/// Claims, notes it in the audit, and writes chunks and manifest (I4).
async fn publish(
    exported: &Exported,
    stands: &Stands,
    topic: &mut Checkpoints,
    back: Option<Back>,
    ((by, reason), producer): ((String, String), &Producer),
    config: &Config,
    ctx: &Context,
) -> Result<Manifest, Error> {
    let name = format!("thalweg-{}-{:016x}", std::process::id(), RandomState::new().hash_one(ctx.now()));
    let epoch = topic.claim(back, &name, producer, ctx).await?;
    let manifest = exported.manifest(epoch, stands, ctx.now());
    let payload = tokio::task::block_in_place(|| model::pack(&exported.payload))?;
    let (chunks, manifest) = cut(manifest, &payload);
    let interactions = manifest.interactions as f64;
    let deed = Deed {
        actor: by,
        action: "import".to_owned(),
        subject: "checkpoints".to_owned(),
        version: Some(manifest.version),
        reason,
        evidence: [("interactions".to_owned(), interactions), ("bytes".to_owned(), manifest.bytes as f64)].into(),
    };
    let (key, value) = Chain::new(name).next(deed, ctx.now());
    let entry = Outgoing { partition: Some(0), key: key.into(), value: Some(value.into()), ..Outgoing::default() };
    producer.send_all(&config.topic(Topic::Audit), [entry]).await?;
    let bar = output::bar(u64::from(manifest.chunks), "writing chunks");
    let mut chunks = chunks.into_iter().peekable();
    while chunks.peek().is_some() {
        let group: Vec<Outgoing> = chunks.by_ref().take(GROUP).map(Outgoing::from).collect();
        let written = group.len() as u64;
        producer.send_all(topic.log.topic(), group).await?;
        bar.inc(written);
    }
    bar.finish_and_clear();
    producer.send_all(topic.log.topic(), [Outgoing::from(manifest_record(&manifest))]).await?;
    Ok(manifest)
}

struct Outcome {
    written: bool,
    leader: Option<Claim>,
    stands: Stands,
    json: bool,
}

fn tell(exported: &Exported, manifest: &Manifest, outcome: &Outcome) -> Result<(), Error> {
    let Outcome { written, leader, stands, json } = outcome;
    let (version, interactions) = (manifest.version, manifest.interactions);
    let was = exported.manifest.as_ref().map(|manifest| manifest.version);
    if *json {
        let superseded = leader.as_ref().map(|claim| &claim.trainer);
        return Ok(output::json(&json!({
            "written": written, "version": version, "exported": was, "interactions": interactions,
            "bytes": exported.payload.len(), "with_offsets": stands.kept, "superseded": superseded,
        }))?);
    }
    let done = if *written { "written" } else { "would be written" };
    let was = was.map_or_else(|| "a version".to_owned(), |was: VersionId| was.to_string());
    let offsets = if stands.kept { "with its offsets" } else { "without offsets" };
    output::line(format!("{done}: version {version}, which was {was}: {interactions} interactions, {offsets}"));
    if *written {
        output::note("scorers swap to it within seconds; a trainer that starts now goes on from it");
    }
    Ok(())
}

fn tell_pin(releases: &Releases, now: i64) {
    if let Some((place, word)) = releases.pin(now) {
        let (version, by, action) = (place.version, plain(&word.by), word.action);
        output::note(format!("{version} stays live, by a {action} of {by}, until `thalweg release unpin`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_where_one_of_them_is_of_this_life_of_the_topic() {
        let of = |logs: &[u32]| -> BTreeMap<i32, Through> {
            (0..).zip(logs).map(|(partition, log)| (partition, Through { log: *log, ..Through::NOTHING })).collect()
        };
        assert!(
            counts_here(&of(&[7, 7]), 7) && counts_here(&of(&[3, 7]), 7),
            "a partition may not have been read since"
        );
        assert!(!counts_here(&of(&[7, 7]), 8), "another cluster, or made again");
        assert!(!counts_here(&of(&[0, 0]), 8) && !counts_here(&of(&[7]), 0) && !counts_here(&of(&[0]), 0), "not known");
        assert!(counts_here(&of(&[]), 8), "it stood nowhere");
    }
}
