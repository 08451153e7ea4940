//! What came of a demo or a replay: the figures, as JSON, on the terminal and as one page with plots.

mod distribution;
mod page;
mod terminal;

use std::collections::BTreeMap;

use laboratory::report::spell;
use schemas::checkpoint::Quality;
use serde::{Deserialize, Serialize};

pub use distribution::{Bucket, buckets};
pub use page::html;
pub use terminal::{live, terminal};

/// The figures of one run. Serialises to the JSON of `--report`; its keys are a contract.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Where the traffic came from: `synthetic shop, seed 7`, or a log's name.
    pub source: String,
    /// On what it ran: processor, cores, broker.
    pub machine: String,
    /// When it ended, milliseconds since 1970.
    pub made_at: i64,
    /// How long it ran.
    pub seconds: f64,
    /// How far sending was behind its pace, in seconds: the machine could not keep it.
    pub behind_seconds: f64,
    /// In a closed loop, how many lists were waited for in vain; else nothing.
    pub unanswered: Option<u64>,
    /// Whether events became slates by way of a trained model, with nothing lost. See [`Report::judge`].
    pub closed: bool,
    /// Why the loop did not close; empty when it did.
    pub problems: Vec<String>,

    /// Records produced to `events`, bad ones included.
    pub events_sent: u64,
    /// Records that arrived on `interactions`.
    pub interactions: u64,
    /// Records that arrived on `dead-letters`.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<String, u64>,
    /// Records dropped because their `event_id` came before.
    pub duplicates_dropped: u64,
    /// Records sent that are none of the above.
    pub lost: u64,
    /// Interactions that were tested, counted, paired and remembered, but not shown to encoder and ranker: they came
    /// under overload.
    pub left_out: u64,
    /// Rows of a recorded log that gave no event, by reason.
    pub skipped_rows: BTreeMap<String, u64>,
    /// Sent per second, over the whole run.
    pub events_per_second: f64,

    /// From an event's arrival in Kafka to its slate readable in Redis.
    pub freshness_ms: Freshness,
    /// From an interaction's arrival in Kafka to a model that learned from it being served.
    pub model_freshness_ms: ModelFreshness,
    /// [`Report::freshness_ms`] as a distribution.
    pub freshness_distribution: Vec<Bucket>,
    /// [`Report::model_freshness_ms`] as a distribution.
    pub model_freshness_distribution: Vec<Bucket>,

    /// Versions whose manifest is on `checkpoints`.
    pub versions_published: u64,
    /// Versions that went live in a scorer.
    pub versions_swapped: u64,
    /// Payload sizes of the deltas.
    pub delta_bytes: Sizes,
    /// Payload sizes of the snapshots.
    pub snapshot_bytes: Sizes,

    /// Share of events whose item was in the slate that lay in Redis when the event was sent, 0 to 1.
    pub served_hit_rate_20: f64,
    /// How many events that share is of.
    pub served_tested: u64,
    /// What the 20 most popular items of a sliding window would have had on the same events.
    pub served_popularity_hit_rate_20: Option<f64>,
    /// Tested before trained on, since the trainer began.
    pub prequential: Prequential,

    /// Mean bytes that Redis holds for a user: slate, profile and overhead.
    pub redis_bytes_per_user: f64,
    /// Users with a slate.
    pub users: u64,
    /// Users that acted and have no slate.
    pub slates_missing: u64,

    /// The run over time, oldest first.
    pub series: Vec<Point>,
    /// A few users' slates.
    pub slates: Vec<UserSlate>,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Freshness {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelFreshness {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Prequential quality by method.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Prequential {
    /// The model.
    pub model: Quality,
    /// Decayed popularity.
    pub popularity: Quality,
    /// Decayed co-visitation.
    pub covisitation: Quality,
}

impl Prequential {
    /// The methods by name, the model first.
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, Quality); 3] {
        [("model", self.model), ("co-visitation", self.covisitation), ("popularity", self.popularity)]
    }
}

/// Sizes of payloads in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// How many.
    pub count: u64,
    /// All together.
    pub total: u64,
    /// The median.
    pub p50: u64,
    /// The largest.
    pub max: u64,
}

impl Sizes {
    /// Sums up `sizes`.
    #[must_use]
    pub fn of(mut sizes: Vec<u64>) -> Self {
        sizes.sort_unstable();
        let p50 = sizes.get(sizes.len() / 2).copied().unwrap_or_default();
        let max = sizes.last().copied().unwrap_or_default();
        Self { count: sizes.len() as u64, total: sizes.iter().sum(), p50, max }
    }
}

/// One moment of the run; what was not known then is `None` and leaves a gap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Seconds since the start.
    pub at: f64,
    /// Sent per second since the point before.
    pub events_per_second: f64,
    /// Messages behind, by service.
    pub lag: BTreeMap<String, u64>,
    /// Freshness of the slates written since the point before.
    pub freshness_ms: Option<Freshness>,
    /// Served hit rate over a recent window, 0 to 1.
    pub served_hit_rate_20: Option<f64>,
    /// Prequential quality as the newest version states it.
    pub prequential: Option<Prequential>,
    /// Versions so far.
    pub versions_published: u64,
    /// Swaps so far.
    pub versions_swapped: u64,
    /// Bytes of the deltas published since the point before.
    pub delta_bytes: u64,
}

/// A user's slate with what the user did last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserSlate {
    /// Whose.
    pub user: String,
    /// The items acted on last, newest first, as people read them.
    pub recent: Vec<String>,
    /// The version that made the slate.
    pub model: String,
    /// The event it was made through.
    pub source: String,
    /// Best first.
    pub items: Vec<SlateItem>,
}

/// One item of a slate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlateItem {
    /// Its id.
    pub id: String,
    /// Its title, if the catalog has one.
    pub title: Option<String>,
    /// Comparable within one slate only.
    pub score: f32,
    /// The candidate source that argued most for it.
    pub from: String,
    /// Items of the user's history that explain it, as people read them.
    pub because: Vec<String>,
}

impl Report {
    /// Records that came to rest: as an interaction, a dead letter or a repeat.
    #[must_use]
    pub const fn outcomes(&self) -> u64 {
        self.interactions + self.dead_letters + self.duplicates_dropped
    }

    /// Sets [`Report::closed`] and adds to [`Report::problems`] whatever the figures say against it.
    pub fn judge(&mut self) {
        let none = |count: u64, problem: &str| (count == 0).then(|| problem.to_owned());
        let some = |count: u64, problem: &str| (count > 0).then(|| format!("{} {problem}", spell::count(count)));
        // A record that counts twice would hide one that is lost.
        let surplus = self.outcomes().saturating_sub(self.events_sent);
        let found = [
            none(self.events_sent, "no event was sent"),
            none(self.interactions, "no event became an interaction"),
            some(self.lost, "records were lost: neither applied, nor dead-lettered, nor dropped as repeats"),
            some(surplus, "outcomes more than records sent: one counts twice or is not ours, and may hide a loss"),
            none(self.versions_published, "the trainer published no version"),
            none(self.versions_swapped, "no version was swapped in by a scorer"),
            none(self.users, "no user has a slate in Redis"),
            some(self.slates_missing, "users acted and have no slate in Redis"),
        ];
        self.problems.extend(found.into_iter().flatten());
        self.closed = self.problems.is_empty();
    }

    /// The verdict in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.closed {
            let (sent, swapped) = (spell::count(self.events_sent), spell::count(self.versions_swapped));
            format!(
                "The loop closed: {sent} events in, nothing lost, {swapped} model versions swapped in under traffic."
            )
        } else {
            format!("The loop did not close: {}.", self.problems.join("; "))
        }
    }
}

#[cfg(test)]
mod tests;
