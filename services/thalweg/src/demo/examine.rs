//! Examines what the loop left behind, on the topics and in Redis, and fills the report.

use laboratory::shop::BAD_USERS;
use runtime::redis::Redis;
use runtime::telemetry::scrape;
use schemas::checkpoint::PayloadKind;
use schemas::{Keys, Slate, StoredProfile, Topic};
use scorer::metrics::{FRESHNESS, MODEL_FRESHNESS, VERSIONS_SWAPPED};

use super::source::Traffic;
use super::stage::Stage;
use super::tally::{self, Tally};
use super::watch;
use crate::error::Error;
use crate::report::{self, Report, Sizes, SlateItem, UserSlate};

/// Users whose bytes in Redis are weighed.
const WEIGHED: usize = 200;
/// Users whose slates are shown.
const SHOWN: usize = 5;

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts
pub(super) async fn fill(report: &mut Report, stage: &Stage, traffic: &Traffic) -> Result<(), Error> {
    let Stage { servers, services, manifests, probe, .. } = stage;
    let page = &stage.metrics.render();
    let tally = tally::count(&servers.kafka).await?;
    report.interactions = tally.interactions;
    report.dead_letters = tally.dead_letters;
    report.dead_letters_by_reason.clone_from(&tally.dead_letters_by_reason);
    report.duplicates_dropped = scrape(page, ingest::metrics::REPEATED_EVENTS) as u64;
    report.left_out = scrape(page, trainer::metrics::LEFT_OUT) as u64;
    report.lost = report.events_sent.saturating_sub(report.outcomes());
    // What ingest says that it dropped as a repeat must have been one.
    if report.duplicates_dropped > traffic.repeats {
        report.problems.push(format!(
            "{} records were dropped as repeats, but only {} of those sent were repeats",
            report.duplicates_dropped, traffic.repeats
        ));
    }
    report.events_per_second = report.events_sent as f64 / report.seconds.max(1e-9);

    let fresh = services.scorer.latency(FRESHNESS).snapshot();
    let model_fresh = services.scorer.latency(MODEL_FRESHNESS).snapshot();
    report.freshness_ms = watch::freshness(&fresh).unwrap_or_default();
    report.freshness_distribution = report::buckets(&fresh);
    if let Some(figures) = watch::freshness(&model_fresh) {
        report.model_freshness_ms = report::ModelFreshness { p50: figures.p50, p99: figures.p99 };
    }
    report.model_freshness_distribution = report::buckets(&model_fresh);

    let manifests = manifests.all();
    report.versions_published = manifests.len() as u64;
    report.versions_swapped = scrape(page, VERSIONS_SWAPPED) as u64;
    report.delta_bytes = Sizes::of(watch::sizes(&manifests, PayloadKind::Delta));
    report.snapshot_bytes = Sizes::of(watch::sizes(&manifests, PayloadKind::Snapshot));
    if let Some(last) = manifests.last() {
        report.prequential = watch::prequential(&last.quality_overall);
    }
    report.served_tested = probe.tested;
    report.served_hit_rate_20 = probe.hits as f64 / probe.tested.max(1) as f64;
    report.served_popularity_hit_rate_20 = Some(probe.popularity_hits as f64 / probe.tested.max(1) as f64);
    slates(report, stage, &tally, traffic).await
}

/// Checks every user's slate against the log, weighs some and shows a few.
#[allow(clippy::cast_precision_loss)] // bytes
async fn slates(report: &mut Report, stage: &Stage, tally: &Tally, traffic: &Traffic) -> Result<(), Error> {
    let (redis, keys, events) = (&stage.redis, stage.keys(), stage.topics().name(Topic::Events));
    let mut users: Vec<&String> = tally.last_source.keys().collect();
    users.sort_unstable();
    let mut outdated = 0_u64;
    for some in users.chunks(1_000) {
        let wanted: Vec<String> = some.iter().map(|user| keys.recs(user)).collect();
        for (user, value) in some.iter().zip(redis.get_many(&wanted).await?) {
            match value.ok().flatten().and_then(|value| Slate::decode(&value).ok()) {
                None => report.slates_missing += 1,
                Some(slate) => {
                    report.users += 1;
                    let (partition, offset) = tally.last_source[*user];
                    outdated += u64::from(slate.source != Slate::source_of(&events, partition, offset));
                }
            }
        }
    }
    if outdated > 0 {
        report.problems.push(format!("{outdated} slates were not made through their user's last event"));
    }
    let step = (users.len() / WEIGHED).max(1);
    let weighed: Vec<&&String> = users.iter().step_by(step).take(WEIGHED).collect();
    let mut bytes = 0;
    for user in &weighed {
        bytes += redis.memory(&keys.recs(user)).await? + redis.memory(&keys.user(user)).await?;
    }
    report.redis_bytes_per_user = bytes as f64 / weighed.len().max(1) as f64;
    // Whoever sends the broken events says little of the lists.
    users.retain(|user| !user.starts_with(BAD_USERS));
    for user in users.iter().step_by((users.len() / SHOWN).max(1)).take(SHOWN) {
        report.slates.extend(shown(user, &keys, redis, traffic).await?);
    }
    Ok(())
}

async fn shown(user: &str, keys: &Keys, redis: &Redis, traffic: &Traffic) -> Result<Option<UserSlate>, Error> {
    let values = redis.get_many(&[keys.recs(user), keys.user(user)]).await?;
    let [Ok(Some(slate)), profile] = values.as_slice() else { return Ok(None) };
    let slate = Slate::decode(slate)?;
    let read = |id: &String| traffic.title(id).unwrap_or_else(|| id.clone());
    let recent = profile
        .as_ref()
        .ok()
        .and_then(Option::as_deref)
        .and_then(|bytes| StoredProfile::decode(bytes).ok())
        .map(|stored| stored.profile.recent.iter().rev().map(|seen| read(&seen.item_id)).collect::<Vec<_>>());
    let mut recent: Vec<String> = recent.unwrap_or_default();
    recent.dedup();
    recent.truncate(5);
    let items = slate.items.iter().map(|entry| SlateItem {
        title: traffic.title(&entry.id),
        id: entry.id.clone(),
        score: entry.score,
        from: entry.from.clone(),
        because: entry.because.iter().map(read).collect(),
    });
    Ok(Some(UserSlate {
        user: user.to_owned(),
        recent,
        model: slate.model,
        source: slate.source,
        items: items.collect(),
    }))
}

/// The machine and its servers, in words.
pub(super) fn machine(servers: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?.to_owned();
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    format!("{}, {cores} cores; {servers}", processor.unwrap_or_else(|| "unknown processor".into()))
}
