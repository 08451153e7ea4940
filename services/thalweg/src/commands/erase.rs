//! `thalweg erase`: forgets a user, has every service do so, and says what stays.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use laboratory::output;
use runtime::Context;
use runtime::kafka::{Outgoing, Producer, Reader, StartAt, admin};
use runtime::redis::Redis;
use schemas::audit::{Chain, Entry};
use schemas::erasure::{BEGUN, DONE, LIFTED, MAX_TEXT, MAX_USERS, Receipts};
use schemas::{Erasure, Erasures, MAX_ID_BYTES, Topic, Topics, UserHash};
use serde_json::json;
use versions::{Control, erase};

use super::said::said;
use crate::config::Config;
use crate::error::Error;

/// Records of `audit` of one read.
const BATCH: usize = 500;
/// Longest wait for one.
const WAIT: Duration = Duration::from_millis(200);
/// A lifted erasure stays for so long at least: until nothing is left from before it, on topics or in versions.
const LIFTED_STAYS: Duration = Duration::from_secs(30 * 86_400);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user's id.
    user: String,
    /// Why; it is kept for ever, so leave the id out.
    #[arg(long)]
    reason: Option<String>,
    /// Who decides [default: $USER].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Delete older versions of the model at once, but for those that a decision names.
    #[arg(long, conflicts_with_all = ["lift", "verify"])]
    purge: bool,
    /// End the erasure: the user may act again, and nothing old returns.
    #[arg(long, conflicts_with = "verify")]
    lift: bool,
    /// Look for the id and list where it still is, and until when; exits with code 1 if it is where it should not be.
    #[arg(long, conflicts_with_all = ["reason", "by", "dry_run"])]
    verify: bool,
    /// With --verify: look in this exported version instead of the newest.
    #[arg(long, value_name = "FILE", requires = "verify")]
    model: Option<PathBuf>,
    /// How long to wait for the services.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is written with, and what was there.
struct Desk {
    user: UserHash,
    erasures: Arc<Erasures>,
    producer: Producer,
    topics: Topics,
    chain: Chain,
    ctx: Context,
}

impl Desk {
    async fn write(&mut self, word: &Erasure, action: &str, evidence: BTreeMap<String, f64>) -> Result<(), Error> {
        let at = self.ctx.now();
        erase(self.user, word, (action, at), evidence, &mut self.chain, (&self.producer, &self.topics)).await?;
        Ok(())
    }
}

pub(crate) async fn run(args: Args, config: &Config) -> Result<ExitCode, Error> {
    if args.user.is_empty() || args.user.len() > MAX_ID_BYTES {
        return Err(Error::Other(format!("a user id has between 1 and {MAX_ID_BYTES} bytes")));
    }
    let (ctx, secret) = (Context::new("thalweg"), config.secret());
    if secret.mark().is_none() {
        output::note("privacy.secret is not set: whoever has a list of user ids can tell whom a hash of one names");
    }
    let user = secret.hash(&args.user);
    let control = Control::open(&config.kafka, "refused", &ctx).await?;
    let erasures = control.map(|control| Arc::clone(&control.erasures().borrow())).unwrap_or_default();
    if args.verify {
        return verify::run(&args, erasures.get(user), config).await;
    }
    let topics = Topics::new(&config.kafka.topic_prefix);
    let producer = Producer::connect(&config.kafka, &ctx)?;
    let chain = Chain::new(format!("thalweg-{}-{:x}", std::process::id(), ctx.now()));
    let mut desk = Desk { user, erasures, producer, topics, chain, ctx };
    let (by, reason) = words(&args)?;
    let before = desk.erasures.get(user).cloned();
    if args.lift {
        return lift(before, (by, reason), &args, &mut desk).await;
    }
    let mark = secret.mark().map(str::to_owned);
    let word = Erasure { by, reason, at: desk.ctx.now(), purge: args.purge, secret: mark, done: None, lifted: None };
    let under_way = before.filter(|word| word.done.is_none() && word.lifted.is_none() && word.purge >= args.purge);
    if under_way.is_none() && desk.erasures.get(user).is_none() && desk.erasures.len() >= MAX_USERS {
        return Err(Error::Other(format!(
            "{MAX_USERS} users are erased, and there may not be more: lift those who send nothing any more; 30 days \
             later the next erasure takes their place"
        )));
    }
    if args.dry_run {
        return written(&word, false, &args, user);
    }
    let goes_on = under_way.is_some();
    let word = under_way.unwrap_or(word);
    if goes_on {
        output::note("this erasure was begun before; waiting for the services that have not answered");
    } else {
        clear(&mut desk, config).await?;
        desk.write(&word, BEGUN, BTreeMap::new()).await?;
    }
    // At once, and again when no scorer can write them any more.
    let redis = Redis::connect(&config.redis, &desk.ctx).await?;
    let keys = [config.keys().recs(&args.user), config.keys().user(&args.user)];
    let mut deleted = redis.delete(&keys).await?;
    let (receipts, missing) = receipts(&desk, args.timeout, config).await?;
    deleted += redis.delete(&keys).await?;
    if missing.is_empty() {
        let word = Erasure { done: Some(desk.ctx.now()), ..word.clone() };
        desk.write(&word, DONE, BTreeMap::from([("keys deleted".to_owned(), deleted as f64)])).await?;
    }
    let version = receipts.trainer.map(|version| version.to_string());
    if args.json {
        output::json(
            &json!({"user": user.to_string(), "written": true, "done": missing.is_empty(), "missing": missing,
            "version": version, "keys_deleted": deleted, "erasure": word}),
        )?;
    } else if missing.is_empty() {
        let version = version.unwrap_or_default();
        output::line(format!("erased {user}: the model is without the user from version {version} on"));
    } else {
        output::line(format!("{user} is being erased; no answer yet: {}", missing.join(", ")));
    }
    if !missing.is_empty() {
        output::note("see that these services run and have the same privacy.secret, and run the command again");
        return Ok(ExitCode::FAILURE);
    }
    output::note("sums that the user's events were part of stay as they are: counts, pairs of items, trained weights");
    output::note("topics keep the events within their retention: `thalweg erase USER --verify` lists them");
    Ok(ExitCode::SUCCESS)
}

/// Who decides and why, neither of which names the user: both are kept for ever.
fn words(args: &Args) -> Result<(String, String), Error> {
    let (by, reason) = said(args.reason.as_ref(), args.by.as_ref(), "say why by --reason; it is kept", MAX_TEXT)?;
    for (option, text) in [("--reason", &reason), ("--by", &by)] {
        if verify::names(text.as_bytes(), &args.user) {
            return Err(Error::Other(format!("{option} names the user, and is kept for ever: leave the id out")));
        }
    }
    Ok((by, reason))
}

async fn lift(
    before: Option<Erasure>,
    (by, reason): (String, String),
    args: &Args,
    desk: &mut Desk,
) -> Result<ExitCode, Error> {
    let Some(before) = before.filter(|before| before.lifted.is_none()) else {
        output::note("the user is not erased; nothing was written");
        return Ok(ExitCode::SUCCESS);
    };
    if before.done.is_none() {
        let advice = "this erasure is not done: run `thalweg erase` for the user again, and lift it then";
        return Err(Error::Other(advice.to_owned()));
    }
    let word = Erasure { by, reason, lifted: Some(desk.ctx.now()), ..before };
    if !args.dry_run {
        desk.write(&word, LIFTED, BTreeMap::new()).await?;
    }
    written(&word, !args.dry_run, args, desk.user)
}

fn written(word: &Erasure, written: bool, args: &Args, user: UserHash) -> Result<ExitCode, Error> {
    if args.json {
        output::json(&json!({"user": user.to_string(), "written": written, "erasure": word}))?;
    } else {
        let (done, what) =
            (if written { "written" } else { "would be written" }, if args.lift { "lift" } else { "erase" });
        output::line(format!("{done}: {what} {user}, by {}: {}", word.by, word.reason));
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes records away that were lifted so long ago that nothing is left from before.
async fn clear(desk: &mut Desk, config: &Config) -> Result<(), Error> {
    let stays = i64::try_from(LIFTED_STAYS.max(2 * config.topics.retention).as_millis()).unwrap_or(i64::MAX);
    let least = desk.ctx.now().saturating_sub(stays);
    let old = desk.erasures.iter().filter(|(_, word)| word.lifted.is_some_and(|lifted| lifted < least));
    let records: Vec<Outgoing> = old
        .map(|(user, _)| Outgoing { partition: Some(0), key: Erasure::key(user).into(), ..Outgoing::default() })
        .collect();
    desk.producer.send_all(&desk.topics.name(Topic::Control), records).await?;
    Ok(())
}

/// Waits for every receipt; those that came, and what is missing.
async fn receipts(desk: &Desk, timeout: Duration, config: &Config) -> Result<(Receipts, Vec<String>), Error> {
    let began = Instant::now();
    let partitions = async |topic| {
        let ends = admin::ends(&config.kafka, &config.topic(topic)).await;
        ends.map(|ends| ends.ends.len())
    };
    let (events, interactions) = (partitions(Topic::Events).await?, partitions(Topic::Interactions).await?);
    let (mut receipts, user) = (Receipts::default(), desk.user.to_string());
    let mut reader = Reader::open(&config.kafka, &config.topic(Topic::Audit), StartAt::Beginning, &desk.ctx).await?;
    let bar = output::spinner();
    let mut caught_up = false;
    loop {
        let Some(followed) = reader.follow(BATCH, WAIT).await? else { break };
        caught_up |= followed.caught_up;
        for record in followed.batch.records {
            // What is no record of the audit is found by `thalweg audit verify`.
            if let Some(entry) = record.value.as_deref().and_then(|value| Entry::read(value).ok()) {
                receipts.take(&entry, &user);
            }
        }
        let missing = receipts.missing(events, interactions);
        if (caught_up && missing.is_empty()) || began.elapsed() >= timeout {
            break;
        }
        bar.set_message(format!("waiting for {}", missing.join(", ")));
    }
    bar.finish_and_clear();
    let missing = receipts.missing(events, interactions);
    Ok((receipts, missing))
}
