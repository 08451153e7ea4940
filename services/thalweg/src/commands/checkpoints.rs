//! `thalweg checkpoints`: what versions there are, what is in one, and one as a file that Python opens, and back.

mod file;
mod import;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use laboratory::output;
use laboratory::shown;
use model::{Model, Payload, unpack};
use runtime::Context;
use runtime::kafka::admin;
use schemas::checkpoint::{Part, PayloadKind, VersionId};
use schemas::signature::Distrust;
use schemas::{Manifest, Timestamp, Topic, Topics};
use serde_json::json;
use versions::{Log, Step, Version, signing};

use crate::config::Config;
use crate::error::Error;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Lists the versions on the topic since the second-newest snapshot, oldest first, and the refused ones. HR@20
    /// covers the newest `model.quality_window` choices tested since the trainer started.
    #[command(after_help = "Example: thalweg checkpoints list --all --json")]
    List {
        /// Read the whole topic, including older versions that are still on it.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows one version: its manifest and its tensors.
    #[command(after_help = "Example: thalweg checkpoints show latest")]
    Show {
        /// A version such as 000003-00000120, or `latest`.
        version: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Publishes an exported version as the newest: a backup, or a model of another cluster. Scorers swap to it, and
    /// the next trainer goes on from it.
    #[command(after_help = "Example: thalweg checkpoints import model.safetensors --reason \"disk lost\" --yes")]
    Import(import::Args),
    /// Writes one complete version as a safetensors file, with its deltas applied. With a key (--sign-key), a signature
    /// goes beside it, to FILE.sig.
    #[command(after_help = "Example: thalweg checkpoints export latest model.safetensors")]
    Export {
        /// A version such as 000003-00000120, or `latest`.
        version: String,
        /// The file to write.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks an exported file by the signature beside it, FILE.sig, and the keys that kafka.trust names.
    #[command(after_help = "Example: thalweg checkpoints verify model.safetensors")]
    Verify {
        /// The exported file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Records of one read.
const BATCH: usize = 64;

/// Refused records that are listed: somebody else may have written any number.
const LISTED: u64 = 1_000;

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    match what {
        What::List { all, json } => list(config, all, json).await,
        What::Show { version, json } => show(config, &version, json).await,
        What::Export { version, file, json } => export(config, &version, &file, json).await,
        What::Import(args) => import::run(args, config).await,
        What::Verify { file, json } => verify(config, &file, json),
    }
}

/// What there was on the way through the topic.
pub(super) struct Walked {
    /// The versions that were deleted since: Kafka keeps their records until it compacts the topic.
    pub(super) deleted: BTreeSet<VersionId>,
    /// Whether it went through from the beginning.
    pub(super) whole: bool,
}

/// Goes through the topic, whole or from the newest snapshot but one on, if its place is known: trainers and scorers
/// begin there, too. `each` is told every step and says whether to go on.
pub(super) async fn go_through(
    config: &Config,
    whole: bool,
    each: impl FnMut(Step) -> Result<bool, Error>,
) -> Result<Walked, Error> {
    go_through_log(&config.topic(Topic::Checkpoints), config, whole, each).await
}

/// The same for a challenger's topic.
pub(super) async fn go_through_log(
    topic: &str,
    config: &Config,
    whole: bool,
    mut each: impl FnMut(Step) -> Result<bool, Error>,
) -> Result<Walked, Error> {
    let ctx = Context::new("thalweg");
    let mut log = if whole {
        Log::open_whole_named(topic, &config.kafka, &ctx).await?
    } else {
        Log::open_named(topic, &config.kafka, &ctx).await?
    };
    let (whole, start, mut walk) = (log.is_whole(), log.start(), log.walk());
    let end = log.reader.end().await?;
    let records = end.values().map(|end| end.0).sum::<i64>().saturating_sub(start);
    let bar = output::bar(u64::try_from(records).unwrap_or(0), "reading checkpoints");
    let mut deleted = BTreeSet::new();
    while let Some(batch) = log.reader.replay(&end, BATCH).await? {
        for record in batch.records {
            bar.set_position(record.offset.saturating_sub(start).unsigned_abs());
            let step = walk.take(&record);
            if let Step::Deleted(version, Part::Manifest) = step {
                deleted.insert(version);
            }
            if !each(step)? {
                bar.finish_and_clear();
                return Ok(Walked { deleted, whole });
            }
        }
    }
    bar.finish_and_clear();
    Ok(Walked { deleted, whole })
}

/// Every challenger that has a topic: its name, and the topic's.
pub(super) async fn challengers(config: &Config) -> Result<Vec<(String, String)>, Error> {
    let topics = Topics::new(&config.kafka.topic_prefix);
    let all = admin::names(&config.kafka).await?.into_iter();
    Ok(all.filter_map(|topic| Some((topics.challenger_of(&topic)?.to_owned(), topic))).collect())
}

async fn list(config: &Config, all: bool, json: bool) -> Result<(), Error> {
    let (mut found, mut refused, mut deleted) = (Vec::new(), 0_u64, BTreeSet::new());
    for all in [all, true] {
        (found, refused) = (Vec::new(), 0);
        let mut versions = 0_u64;
        let walked = go_through(config, all, |step| {
            match step {
                Step::Whole(Version { manifest, .. }) => {
                    versions += 1;
                    let json = json!({"state": "whole", "manifest": manifest});
                    found.push((Some(manifest.version), row(&manifest), json));
                }
                Step::Refused { version, reason, .. } => {
                    refused += 1;
                    if refused > LISTED {
                        return Ok(true);
                    }
                    let name = version.map_or_else(|| "?".to_owned(), |version| version.to_string());
                    let json = json!({"state": "refused", "version": name, "reason": reason});
                    let dashes = ["-"; 6].map(str::to_owned);
                    let row = [vec![name], dashes.to_vec(), vec![format!("refused: {reason}")]].concat();
                    found.push((version, row, json));
                }
                Step::Kept | Step::Deleted(..) | Step::Claimed(_) | Step::Stale(_) => {}
            }
            Ok(true)
        })
        .await?;
        deleted = walked.deleted;
        if walked.whole {
            break;
        }
        if versions > 0 {
            output::note("from the newest snapshot but one on; --all reads the whole topic".to_owned());
            break;
        }
    }
    if refused > LISTED {
        output::note(format!("{} more refused records are not listed", refused - LISTED));
    }
    found.retain(|(version, ..)| version.is_none_or(|version| !deleted.contains(&version)));
    if json {
        return Ok(output::json(&found.into_iter().map(|(_, _, json)| json).collect::<Vec<_>>())?);
    }
    let heading = ["version", "kind", "bytes", "interactions", "made at", "HR@20", "tested", ""];
    let rows = found.into_iter().map(|(_, row, _)| row);
    output::table(&std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>());
    Ok(())
}

/// The learner's recent hit rate, and of how many tests it is.
pub(super) fn tested(manifest: &Manifest) -> (String, u64) {
    let tested = manifest.quality.get("model").filter(|quality| quality.tested > 0);
    tested.map_or(("-".to_owned(), 0), |q| (format!("{:.2} %", q.hr20 * 100.0), q.tested))
}

fn row(manifest: &Manifest) -> Vec<String> {
    let kind = match manifest.kind {
        PayloadKind::Snapshot => "snapshot",
        PayloadKind::Delta => "delta",
    };
    let (hr, tested) = tested(manifest);
    vec![
        manifest.version.to_string(),
        kind.to_owned(),
        manifest.bytes.to_string(),
        manifest.interactions.to_string(),
        Timestamp(manifest.made_at).to_string(),
        hr,
        tested.to_string(),
        String::new(),
    ]
}

/// Whether `version` is the one asked for; `latest` is settled at the end of the topic.
pub(super) fn wanted(asked: &str) -> Result<Option<VersionId>, Error> {
    if asked == "latest" {
        return Ok(None);
    }
    asked.parse().map(Some).map_err(Error::Other)
}

async fn show(config: &Config, asked: &str, json: bool) -> Result<(), Error> {
    let wanted = wanted(asked)?;
    let mut found: Option<Version> = None;
    for whole in [false, true] {
        let walked = go_through(config, whole, |step| {
            if let Step::Whole(version) = step
                && wanted.is_none_or(|wanted| version.manifest.version == wanted)
            {
                found = Some(version);
                return Ok(wanted.is_none());
            }
            Ok(true)
        })
        .await?;
        if found.is_some() || walked.whole {
            break;
        }
    }
    let Version { manifest, payload, .. } = found.ok_or_else(|| missing(asked))?;
    let tensors = Payload::open(&unpack(&payload)?)?.describe();
    if json {
        let tensors: Vec<_> = tensors.iter().map(|(n, t, s)| json!({"name": n, "type": t, "shape": s})).collect();
        return Ok(output::json(&json!({"manifest": manifest, "tensors": tensors}))?);
    }
    output::json(&manifest)?;
    let rows: Vec<Vec<String>> = tensors.into_iter().map(|(n, t, s)| vec![n, t, format!("{s:?}")]).collect();
    output::table(&rows);
    Ok(())
}

/// Adds versions up on top of `empty`, to the one that is wanted or else to the newest; `None` where it is not on the
/// topic. What does not fit is left out, and said.
pub(super) async fn assembled(
    config: &Config,
    wanted: Option<VersionId>,
    empty: &Model,
) -> Result<Option<Model>, Error> {
    assembled_of(&config.topic(Topic::Checkpoints), config, wanted, empty).await
}

/// The same for a challenger's topic.
pub(super) async fn assembled_of(
    topic: &str,
    config: &Config,
    wanted: Option<VersionId>,
    empty: &Model,
) -> Result<Option<Model>, Error> {
    for whole in [false, true] {
        let (mut model, mut reached) = (empty.clone(), false);
        let walked = go_through_log(topic, config, whole, |step| {
            if let Step::Whole(Version { manifest, payload, .. }) = step {
                match model.apply(&manifest, &payload) {
                    Ok(next) => model = next,
                    Err(error) => {
                        let why = runtime::chain(&error);
                        output::note(format!("version {} left out: {}", manifest.version, shown::plain(&why)));
                    }
                }
                reached = wanted.map_or(model.version().is_some(), |version| model.version() == Some(version));
                return Ok(wanted.is_none() || !reached);
            }
            Ok(true)
        })
        .await?;
        if reached {
            return Ok(Some(model));
        }
        if walked.whole {
            break;
        }
    }
    Ok(None)
}

async fn export(config: &Config, asked: &str, file: &Path, json: bool) -> Result<(), Error> {
    let model = assembled(config, wanted(asked)?, &Model::empty("flex")?).await?;
    let model = model.ok_or_else(|| missing(asked))?;
    let version = model.version().ok_or_else(|| missing(asked))?;
    let payload = model.export()?;
    // A key that cannot be used is said before anything is written.
    let signer = if config.operator.sign_key.0.is_empty() { None } else { config.signer()? };
    let beside = signing::beside(file);
    // The signature of an older export must not lie beside this one.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file(&beside)(error)),
        _ => {}
    }
    std::fs::write(file, &payload).map_err(Error::file(file))?;
    if let Some(signer) = &signer {
        std::fs::write(&beside, signing::sign_file(&payload, signer)).map_err(Error::file(&beside))?;
    }
    let key = signer.map(|signer| signer.public().id());
    if json {
        let done = json!({"version": version, "bytes": payload.len(), "file": file, "signed_by": key});
        return Ok(output::json(&done)?);
    }
    let signed = key.map_or_else(String::new, |key| format!(", signed by {key} in {}", beside.display()));
    output::line(format!("version {version}: {} bytes in {}{signed}", payload.len(), file.display()));
    Ok(())
}

/// Whether an exported file is believed.
fn verify(config: &Config, file: &Path, json: bool) -> Result<(), Error> {
    let trust = signing::trust(&config.kafka);
    if !trust.is_on() {
        let advice = "name the public key that signed it (`thalweg keys show`)";
        return Err(Error::Other(format!("nothing to check it by: kafka.trust names no key; {advice}")));
    }
    let bytes = std::fs::read(file).map_err(Error::file(file))?;
    if !file::believed(file, &bytes, &trust)? {
        return Err(file::disbelief(file, Distrust::Unsigned));
    }
    if json {
        return Ok(output::json(&json!({"file": file, "bytes": bytes.len(), "believed": true}))?);
    }
    output::line(format!("{}: {} bytes, signed by a trusted key", file.display(), bytes.len()));
    Ok(())
}

pub(super) fn missing(asked: &str) -> Error {
    Error::Other(format!("version {asked} is not on the topic; `thalweg checkpoints list --all` shows those that are"))
}
