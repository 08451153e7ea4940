//! Logs on stderr, and the metrics of this process as a Prometheus page.
#![allow(clippy::disallowed_methods, reason = "the thread lives as long as the process and can only fold")]

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, Validate};

/// How often sampled histograms are folded, so that they stay bounded even if nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Renders the metrics of this process.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    prometheus: PrometheusHandle,
}

impl MetricsHandle {
    /// The Prometheus page of everything counted so far.
    #[must_use]
    pub fn render(&self) -> String {
        self.prometheus.run_upkeep();
        self.prometheus.render()
    }
}

/// Makes `metrics::counter!` and the like count; the first call installs, later ones give the same page.
pub fn install_metrics() -> MetricsHandle {
    static HANDLE: OnceLock<MetricsHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let prometheus = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; the metrics page stays empty");
            }
            let upkeep = prometheus.clone();
            let fold = move || {
                loop {
                    std::thread::sleep(UPKEEP);
                    upkeep.run_upkeep();
                }
            };
            // Lives as long as the process, like the recorder itself.
            if let Err(error) = std::thread::Builder::new().name("metrics-upkeep".into()).spawn(fold) {
                tracing::warn!(%error, "sampled histograms are folded only when scraped");
            }
            MetricsHandle { prometheus }
        })
        .clone()
}

/// The sum of a metric over its label sets in a Prometheus page; 0 if it is not there.
#[must_use]
pub fn scrape(text: &str, name: &str) -> f64 {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.split_whitespace().next()?.parse::<f64>().ok()
        })
        .sum()
}

/// Starts the log: text on a terminal, one JSON object a line elsewhere. The first call counts.
pub fn init_tracing(log: &Log) {
    let filter = filter(&log.level).unwrap_or_else(|_| EnvFilter::new("info")); // `Frame::problems` refused it already
    let text = match log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost; to say so on the same stderr would panic.
    let builder = builder.log_internal_errors(false);
    let started = if text {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

impl Validate for Log {
    fn problems(&self) -> Vec<String> {
        match filter(&self.level) {
            Ok(_) => Vec::new(),
            Err(error) => vec![format!("frame.log.level: {error}; write a level such as \"info\"")],
        }
    }
}

/// Parses a level or filter.
fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(level).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_scraped_over_its_labels() {
        let page = "# TYPE ingest_records_total counter\n\
            ingest_records_total{topic=\"a\",reason=\"x}y\"} 3\n\
            ingest_records_total{topic=\"b\"} 4.5\n\
            ingest_records_total_other 100\n\
            ingest_lag 7\n";
        assert!((scrape(page, "ingest_records_total") - 7.5).abs() < 1e-9);
        assert!((scrape(page, "ingest_lag") - 7.0).abs() < 1e-9);
        assert!(scrape(page, "absent").abs() < 1e-9);
    }

    #[test]
    fn what_is_counted_is_on_the_page() {
        let page = install_metrics();
        metrics::counter!("telemetry_test_total").increment(2);
        assert!(scrape(&install_metrics().render(), "telemetry_test_total") >= 2.0);
        assert!(scrape(&page.render(), "telemetry_test_total") >= 2.0);
    }

    #[test]
    fn a_level_that_is_no_level_is_refused() {
        assert!(filter("info,ingest=debug").is_ok());
        assert!(filter("loud=shout").is_err());
    }
}
