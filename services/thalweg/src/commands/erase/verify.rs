//! `thalweg erase --verify`: where a user's id still is, and until when.

use std::collections::BTreeMap;
use std::process::ExitCode;

use laboratory::output;
use model::{Model, Payload};
use runtime::Context;
use runtime::kafka::{Reader, Record, StartAt, admin};
use runtime::redis::Redis;
use schemas::checkpoint::PayloadKind;
use schemas::dead_letter::headers;
use schemas::vocabulary::number_as_id;
use schemas::{Erasure, Interaction, Message, Timestamp, Topic, ids_in, literal};
use serde::Serialize;
use serde_json::{Value, json};
use versions::{Step, Version};

use super::Args;
use crate::commands::checkpoints;
use crate::config::Config;
use crate::error::Error;

/// Records of one read.
const BATCH: usize = 2_000;
/// The topics that may name a user. `checkpoints` holds hashes alone, `items` no users.
const TOPICS: [Topic; 5] = [Topic::Events, Topic::Interactions, Topic::DeadLetters, Topic::Control, Topic::Audit];
/// How old a snapshot becomes that is kept to go back to, with the default of `trainer.retention.ages`.
const OLDEST_RUNG_MS: i64 = 21 * 12 * 3_600_000;

/// Somewhere the user was found.
#[derive(Debug, Serialize)]
struct Found {
    place: String,
    what: String,
    number: u64,
    /// Whether it goes by itself, or nobody can do without it.
    expected: bool,
    /// Until when, milliseconds since 1970, where that is known.
    until: Option<i64>,
}

pub(super) async fn run(args: &Args, word: Option<&Erasure>, config: &Config) -> Result<ExitCode, Error> {
    let mut found = in_redis(&args.user, config).await?;
    found.extend(in_model(args, config).await?);
    if let Some(word) = word {
        found.extend(before(&config.topic(Topic::Checkpoints), word, config).await?);
    }
    let mut challengers = Vec::new();
    if args.model.is_none() {
        for (_, topic) in checkpoints::challengers(config).await? {
            let others = found.len();
            found.extend(in_newest(&topic, args, config).await?);
            if let Some(word) = word {
                // Nobody knows how long, for its versions age only while it runs.
                found.extend(before(&topic, word, config).await?.map(|found| Found { until: None, ..found }));
            }
            challengers.extend((found.len() > others).then_some(topic));
        }
    }
    for topic in TOPICS {
        found.extend(on_topic(topic, &args.user, config).await?);
    }
    let unexpected = found.iter().any(|found| !found.expected);
    let state = match word {
        None => "not erased",
        Some(word) if word.lifted.is_some() => "lifted",
        Some(word) if word.done.is_some() => "erased",
        Some(_) => "being erased",
    };
    if args.json {
        output::json(&json!({"user": config.secret().hash(&args.user).to_string(), "state": state, "erasure": word,
            "found": found}))?;
    } else {
        output::line(format!("{} is {state}", config.secret().hash(&args.user)));
        let mut rows = vec![["where", "what", "number", "until"].map(str::to_owned).to_vec()];
        for Found { place, what, number, until, .. } in &found {
            let until = until.map_or_else(|| "unknown".to_owned(), |at| Timestamp(at).to_string());
            rows.push(vec![place.clone(), what.clone(), number.to_string(), until]);
        }
        if found.is_empty() {
            output::line("the id is found nowhere");
        } else {
            output::table(&rows);
        }
    }
    if !challengers.is_empty() {
        let advice =
            "a challenger forgets within seconds while it runs, and its older versions go with time; delete the";
        let ended = "topic of one that will not run again, or has become the trainer";
        output::note(format!("{}: {advice} {ended}", challengers.join(", ")));
    }
    Ok(if unexpected { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Lists and profile. All other keys are named after items, categories and groups.
async fn in_redis(user: &str, config: &Config) -> Result<Vec<Found>, Error> {
    let ctx = Context::new("thalweg");
    let redis = Redis::connect(&config.redis, &ctx).await?;
    let mut found = Vec::new();
    for key in [config.keys().recs(user), config.keys().user(user)] {
        if redis.exists(&key).await? {
            let ttl = redis.ttl(&key).await?.and_then(|ttl| i64::try_from(ttl.as_millis()).ok());
            let until = ttl.map(|ttl| ctx.now().saturating_add(ttl));
            found.push(Found { place: "redis".into(), what: key, number: 1, expected: false, until });
        }
    }
    Ok(found)
}

/// What a version knows of the user.
async fn in_model(args: &Args, config: &Config) -> Result<Vec<Found>, Error> {
    match &args.model {
        Some(path) => {
            let file = std::fs::read(path).map_err(Error::file(path))?;
            traces(&path.display().to_string(), &file, args, config)
        }
        None => in_newest(&config.topic(Topic::Checkpoints), args, config).await,
    }
}

/// What the newest version of a log knows of the user.
async fn in_newest(topic: &str, args: &Args, config: &Config) -> Result<Vec<Found>, Error> {
    let newest = checkpoints::assembled_of(topic, config, None, &Model::empty("flex")?).await?;
    let Some(model) = newest else { return Ok(Vec::new()) };
    let version = model.version().map(|version| version.to_string()).unwrap_or_default();
    let is_trainers = topic == config.topic(Topic::Checkpoints);
    let place = if is_trainers { format!("version {version}") } else { format!("{topic}, version {version}") };
    traces(&place, &model.export()?, args, config)
}

/// What a payload knows of the user.
fn traces(place: &str, file: &[u8], args: &Args, config: &Config) -> Result<Vec<Found>, Error> {
    let found = |what: &str, number: usize| Found {
        place: place.to_owned(),
        what: what.to_owned(),
        number: number as u64,
        expected: false,
        until: None,
    };
    Ok(match Payload::open(file)?.traces_of(&config.secret(), &args.user)? {
        Some((sessions, items)) => {
            let both = [found("sessions", sessions), found("items that the user alone chose", items)];
            both.into_iter().filter(|found| found.number > 0).collect()
        }
        None => vec![found("users hashed with another privacy.secret: cannot be told", 1)],
    })
}

/// Versions of a log that were made before the user was erased and are still there.
async fn before(topic: &str, word: &Erasure, config: &Config) -> Result<Option<Found>, Error> {
    let mut snapshots = BTreeMap::new();
    let walked = checkpoints::go_through_log(topic, config, true, |step| {
        if let Step::Whole(Version { manifest, .. }) = step
            && manifest.kind == PayloadKind::Snapshot
            && manifest.made_at < word.at
        {
            snapshots.insert(manifest.version, manifest.made_at);
        }
        Ok(true)
    })
    .await?;
    snapshots.retain(|version, _| !walked.deleted.contains(version));
    let Some(newest) = snapshots.values().max() else { return Ok(None) };
    Ok(Some(Found {
        place: topic.to_owned(),
        what: "snapshots from before the erasure, with hashes of users (--purge deletes them)".into(),
        number: snapshots.len() as u64,
        expected: true,
        until: Some(newest.saturating_add(OLDEST_RUNG_MS)),
    }))
}

/// Records that hold the id.
async fn on_topic(topic: Topic, user: &str, config: &Config) -> Result<Option<Found>, Error> {
    let (name, ctx) = (config.topic(topic), Context::new("thalweg"));
    let mut reader = Reader::open(&config.kafka, &name, StartAt::Beginning, &ctx).await?;
    let end = reader.end().await?;
    let (mut number, mut newest) = (0, None);
    while let Some(batch) = reader.replay(&end, BATCH).await? {
        for record in batch.records.iter().filter(|record| holds(topic, record, user)) {
            number += 1;
            newest = newest.max(Some(record.timestamp));
        }
    }
    let Some(newest) = newest else { return Ok(None) };
    // Unknown where the brokers do not tell, and where records are kept for ever or until they are compacted.
    let settings = admin::told_settings(&config.kafka, &name).await?;
    let retention = settings.get("retention.ms").and_then(|ms| ms.parse::<i64>().ok()).filter(|ms| *ms >= 0);
    let flows = topic.is_kept_for_a_time();
    let until = retention.filter(|_| flows).map(|ms| newest.saturating_add(ms));
    let what = format!("records of {}", topic.base_name());
    Ok(Some(Found { place: name, what, number, expected: flows, until }))
}

fn holds(topic: Topic, record: &Record, user: &str) -> bool {
    let value = record.value.as_deref().unwrap_or_default();
    record.key == user.as_bytes()
        || match topic {
            Topic::Events => is_of(value, user),
            Topic::Interactions => Interaction::decode(value).is_ok_and(|it| it.user_id == user),
            _ => names(value, user) || record.header(headers::DETAIL).is_some_and(|detail| names(detail, user)),
        }
}

/// Whether an event is of the user, as ingest reads it, or is broken and names them.
fn is_of(value: &[u8], user: &str) -> bool {
    let is_there = || value.windows(user.len().max(1)).any(|part| part == user.as_bytes());
    // A number may be written in another way, a text with escapes.
    let is_a_number = user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !is_a_number && !value.contains(&b'\\') && !is_there() {
        return false; // most are another's
    }
    let Ok(text) = std::str::from_utf8(value) else { return names(value, user) };
    match serde_json::from_str::<Value>(text) {
        Ok(event) => match event.get("user_id") {
            Some(Value::String(id)) => id == user,
            Some(Value::Number(id)) => {
                literal(text, "user_id").and_then(number_as_id).unwrap_or_else(|| id.to_string()) == user
            }
            _ => false,
        },
        Err(_) => names(value, user),
    }
}

/// Whether a text names the user: the id stands there, however it is spelt, and is no part of a longer word.
pub(super) fn names(text: &[u8], user: &str) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let id = user.as_bytes();
    let at = text.windows(id.len().max(1)).enumerate().filter(|(_, part)| *part == id).map(|(at, _)| at);
    at.into_iter().any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !is_word(before) && !is_word(text.get(at + id.len()))
    }) || ids_in(text).any(|id| id == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_as_a_whole_word_and_not_within_a_longer_one() {
        for text in ["u4", "{\"user_id\":\"u4\"}", "of u4, twice", "x:u4"] {
            assert!(names(text.as_bytes(), "u4"), "{text}");
        }
        for text in ["u42", "{\"user_id\":\"u42\"}", "tu4", "u-u4", "", "u"] {
            assert!(!names(text.as_bytes(), "u4"), "{text}");
        }
    }

    #[test]
    fn an_event_is_of_the_user_whom_it_names_however_the_id_is_written() {
        for event in [r#"{"user_id":"u4"}"#, r#"{"user_id":"u\u0034","x":1}"#] {
            assert!(is_of(event.as_bytes(), "u4"), "{event}");
        }
        for event in [r#"{"user_id":77}"#, r#"{"user_id":77.0}"#, r#"{"user_id":7.7e1}"#, r#"{"user_id":"77"}"#] {
            assert!(is_of(event.as_bytes(), "77"), "{event}");
        }
        let zoe = r#"{"user_id":"zo\u00eb"}"#.as_bytes();
        assert!(is_of(zoe, "zoë") && names(zoe, "zoë") && is_of(&zoe[..zoe.len() - 1], "zoë"));
        assert!(is_of(b"u4", "u4"), "it is broken and names the user");
        for event in [r#"{"user_id":"u42"}"#, r#"{"item_id":"u4","user_id":"u5"}"#, "u", ""] {
            assert!(!is_of(event.as_bytes(), "u4"), "{event}");
        }
    }
}
