//! Watches the loop from outside: the checkpoints topic, the services' figures, once a second.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Reader, StartAt};
use runtime::telemetry::{MetricsHandle, scrape};
use schemas::checkpoint::{Part, PayloadKind, parse_key};
use schemas::{Manifest, Topic, Topics};
use scorer::metrics::{FRESHNESS, VERSIONS_SWAPPED};

use super::services::Services;
use crate::error::Error;
use crate::report::{Freshness, Point, Prequential};

/// Every manifest seen so far.
#[derive(Clone, Default)]
pub(super) struct Manifests(Arc<Mutex<Vec<Manifest>>>);

impl Manifests {
    /// Follows the topic until the context drains.
    pub(super) async fn follow(self, kafka: Kafka, ctx: Context) -> Result<(), Error> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints);
        let mut reader = Reader::open(&kafka, &topic, StartAt::Beginning, &ctx).await?;
        while let Some(batch) = reader.next_batch(64, Duration::from_secs(1)).await? {
            for record in batch.records {
                if let (Ok((_, Part::Manifest)), Some(value)) = (parse_key(&record.key), &record.value) {
                    self.lock().push(serde_json::from_slice(value)?);
                }
            }
        }
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<Manifest> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Payload sizes of one kind.
pub(super) fn sizes(manifests: &[Manifest], kind: PayloadKind) -> Vec<u64> {
    manifests.iter().filter(|manifest| manifest.kind == kind).map(|manifest| manifest.bytes).collect()
}

/// Quality figures as the report has them.
pub(super) fn prequential(quality: &std::collections::BTreeMap<String, schemas::checkpoint::Quality>) -> Prequential {
    let of = |name: &str| quality.get(name).copied().unwrap_or_default();
    Prequential { model: of("model"), popularity: of("popularity"), covisitation: of("covisitation") }
}

/// Percentiles in milliseconds; `None` while nothing was recorded.
pub(super) fn freshness(histogram: &Histogram<u64>) -> Option<Freshness> {
    #[allow(clippy::cast_precision_loss)] // microseconds
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    (!histogram.is_empty()).then(|| Freshness { p50: at(0.5), p99: at(0.99), p999: at(0.999) })
}

/// Takes a point a second.
pub(super) struct Sampler {
    started: Instant,
    metrics: MetricsHandle,
    manifests: Manifests,
    last_freshness: Histogram<u64>,
    last: (f64, u64, usize),
    pub(super) points: Vec<Point>,
}

impl Sampler {
    pub(super) fn new(metrics: MetricsHandle, manifests: Manifests, services: &Services) -> Self {
        let last_freshness = services.scorer.latency(FRESHNESS).snapshot();
        Self { started: Instant::now(), metrics, manifests, last_freshness, last: (0.0, 0, 0), points: Vec::new() }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small figures
    pub(super) fn sample(&mut self, services: &Services, sent: u64, hit_rate: Option<f64>) -> &Point {
        let at = self.started.elapsed().as_secs_f64();
        let (last_at, last_sent, last_versions) = self.last;
        let manifests = self.manifests.all();
        let now = services.scorer.latency(FRESHNESS).snapshot();
        let mut since = now.clone();
        // Counts only grow, so the difference is what was recorded since the last point.
        if since.subtract(&self.last_freshness).is_err() {
            since.clear();
        }
        let page = self.metrics.render();
        // NaN is unknown, which is not 0.
        let lag = ["ingest", "trainer", "scorer"]
            .map(|name| (name.to_owned(), scrape(&page, &format!("{name}_lag_messages"))))
            .into_iter()
            .filter(|(_, lag)| lag.is_finite())
            .map(|(name, lag)| (name, lag.max(0.0) as u64));
        let point = Point {
            at,
            events_per_second: (sent - last_sent) as f64 / (at - last_at).max(1e-3),
            lag: lag.collect(),
            freshness_ms: freshness(&since),
            served_hit_rate_20: hit_rate,
            prequential: manifests.last().filter(|m| !m.quality.is_empty()).map(|m| prequential(&m.quality)),
            versions_published: manifests.len() as u64,
            versions_swapped: scrape(&page, VERSIONS_SWAPPED) as u64,
            delta_bytes: sizes(&manifests[last_versions.min(manifests.len())..], PayloadKind::Delta).iter().sum(),
        };
        self.last = (at, sent, manifests.len());
        self.last_freshness = now;
        self.points.push(point);
        &self.points[self.points.len() - 1]
    }
}
