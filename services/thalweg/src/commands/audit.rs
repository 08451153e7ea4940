//! `thalweg audit`: what was done to releases and by whom, and whether the record of it is whole.

use std::process::ExitCode;

use clap::Subcommand;
use laboratory::output;
use laboratory::shown::plain;
use runtime::Context;
use runtime::kafka::{Reader, StartAt};
use schemas::audit::{Entry, REFUSED, Verifier};
use schemas::erasure::ERASED;
use schemas::signature::{Distrust, SIGNATURE};
use schemas::{Timestamp, Topic};
use serde_json::json;
use versions::signing;

use crate::config::Config;
use crate::error::Error;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Lists what was done, oldest first.
    #[command(after_help = "Example: thalweg audit show --limit 20")]
    Show {
        /// Only the newest N records.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks each writer's chain of records, and its signatures where kafka.trust names keys; exits with code 1 if a
    /// record is changed, missing, out of order, or signed by nobody who is trusted, and names it.
    #[command(after_help = "Example: thalweg audit verify")]
    Verify {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// The services that have no key.
const KEYLESS: [&str; 2] = ["ingest", "scorer"];
/// Records of one read.
const BATCH: usize = 500;

pub(crate) async fn run(what: What, config: &Config) -> Result<ExitCode, Error> {
    match what {
        What::Show { limit, json } => show(config, limit, json, |_| true).await,
        What::Verify { json } => verify(config, json).await,
    }
}

/// Every record of the topic, in order: its offset, and what it says or what is wrong with it.
async fn walked(config: &Config) -> Result<Vec<(i64, Result<Entry, String>, Option<String>)>, Error> {
    let ctx = Context::new("thalweg");
    let (topic, trust) = (config.topic(Topic::Audit), signing::trust(&config.kafka));
    let mut reader = Reader::open(&config.kafka, &topic, StartAt::Beginning, &ctx).await?;
    let end = reader.end().await?;
    let (mut verifier, mut found, mut is_signed) = (Verifier::default(), Vec::new(), false);
    while let Some(batch) = reader.replay(&end, BATCH).await? {
        for record in batch.records {
            let value = record.value.as_deref().unwrap_or_default();
            let header = record.header(SIGNATURE).map(|header| &header[..]);
            let believed = match trust.check(&topic, &record.key, value, header) {
                // From before there were signatures, or by who has no key.
                Err(Distrust::Unsigned) if !is_signed || is_keyless(value) => Ok(()),
                believed => believed,
            };
            is_signed |= trust.is_on() && header.is_some() && believed.is_ok();
            if let Err(why) = believed {
                // It is no part of its writer's chain: the next true record goes on from the one before it.
                let entry = Entry::read(value).map_err(|reason| plain(&reason).to_string());
                let name = entry.map_or_else(|reason| reason, |e| format!("record {} of {}", e.seq, plain(&e.writer)));
                let wrong = format!("{name} is {}: {why}", why.as_str());
                found.push((record.offset, Err(wrong.clone()), Some(wrong)));
                continue;
            }
            match verifier.take(&record.key, record.value.as_deref()) {
                Ok((entry, wrong)) => found.push((record.offset, Ok(entry), wrong)),
                Err(reason) => found.push((record.offset, Err(reason.clone()), Some(reason))),
            }
        }
    }
    Ok(found)
}

/// Whether it is a receipt of ingest or a scorer, or what a scorer refused: they have no key, and decide nothing.
fn is_keyless(value: &[u8]) -> bool {
    let says = |entry: &Entry| [ERASED, REFUSED].contains(&entry.action.as_str());
    Entry::read(value).is_ok_and(|entry| says(&entry) && KEYLESS.contains(&entry.actor.as_str()))
}

/// Lists the records that `wanted` takes.
pub(super) async fn show(
    config: &Config,
    limit: Option<usize>,
    json: bool,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<ExitCode, Error> {
    let mut entries: Vec<Entry> = walked(config).await?.into_iter().filter_map(|(_, entry, _)| entry.ok()).collect();
    entries.retain(wanted);
    let entries = &entries[entries.len().saturating_sub(limit.unwrap_or(usize::MAX))..];
    if json {
        output::json(&entries)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["at", "who", "what", "version", "reason"].map(str::to_owned).to_vec()];
    for Entry { at, actor, action, subject, version, reason, .. } in entries {
        let version = version.map(|version| version.to_string()).unwrap_or_default();
        let what = if subject == "release" { action.clone() } else { format!("{action} {subject}") };
        rows.push(vec![Timestamp(*at).to_string(), actor.clone(), what, version, reason.clone()]);
    }
    output::table(&rows);
    Ok(ExitCode::SUCCESS)
}

async fn verify(config: &Config, json: bool) -> Result<ExitCode, Error> {
    let walked = walked(config).await?;
    let faults: Vec<(i64, &String)> =
        walked.iter().filter_map(|(offset, _, wrong)| Some((*offset, wrong.as_ref()?))).collect();
    if json {
        let faults: Vec<_> = faults.iter().map(|(offset, wrong)| json!({"offset": offset, "fault": wrong})).collect();
        output::json(&json!({"records": walked.len(), "faults": faults}))?;
    } else {
        for (offset, wrong) in &faults {
            output::line(format!("offset {offset}: {wrong}"));
        }
        output::line(format!("{} records, {} faults", walked.len(), faults.len()));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
