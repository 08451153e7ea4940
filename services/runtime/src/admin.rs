//! The admin port: `/livez`, `/readyz` and `/metrics`, for orchestrators and Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tracing::info;

use crate::context::Context;
use crate::footprint;
use crate::http::{Limits, Port};
use crate::telemetry::MetricsHandle;

/// At the bound of connections the oldest goes: whoever holds all of them open keeps no probe out, which is done in
/// milliseconds.
const LIMITS: Limits =
    Limits { connections: 64, head: Duration::from_secs(5), head_bytes: 16 << 10, whole: Duration::from_secs(15) };
/// The commit this was built from, if whoever built it said so.
const COMMIT: &str = match option_env!("THALWEG_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}; free the port or change frame.admin.listen")]
pub struct AdminError {
    listen: String,
    source: std::io::Error,
}

/// Opens the admin port; an empty `listen` opens none. It answers until it is drained or dropped, through the drain of
/// the service: `/readyz` tells of that.
///
/// # Errors
/// The address cannot be bound.
pub async fn open(listen: &str, ctx: &Context, metrics: MetricsHandle) -> Result<Option<Port>, AdminError> {
    if listen.is_empty() {
        return Ok(None);
    }
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .with_state((ctx.clone(), metrics));
    let dropped = format!("{}_admin_dropped_connections_total", ctx.name());
    let port = Port::open(listen, routes, LIMITS, dropped).await;
    let port = port.map_err(|source| AdminError { listen: listen.to_owned(), source })?;
    info!(service = ctx.name(), addr = %port.addr(), "admin port open");
    Ok(Some(port))
}

type Shared = (Context, MetricsHandle);

/// Whether a restart may help: a loop or thread is stuck.
async fn livez(State((ctx, _)): State<Shared>) -> impl IntoResponse {
    let stalled = ctx.stalled();
    if stalled.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {}\n", stalled.join("; ")))
}

async fn readyz(State((ctx, _)): State<Shared>) -> impl IntoResponse {
    let (ready, body) = readiness(&ctx);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}

async fn page(State((ctx, metrics)): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics_page(&ctx, &metrics))
}

/// What is missing, by condition, and why; empty when traffic may come.
fn missing(ctx: &Context) -> BTreeMap<&'static str, String> {
    let conditions = ctx.readiness();
    let mut missing: BTreeMap<&str, String> =
        conditions.iter().filter_map(|(name, state)| Some((*name, state.as_ref().err()?.clone()))).collect();
    if ctx.draining() {
        missing.insert("running", "the service is draining".into());
    } else if conditions.is_empty() {
        missing.insert("running", "the service is starting".into());
    }
    missing
}

/// Whether traffic may come, and the body of `/readyz`.
fn readiness(ctx: &Context) -> (bool, String) {
    let missing = missing(ctx);
    let ready = missing.is_empty();
    let mut body = serde_json::json!({ "ready": ready, "missing": missing });
    let notes = ctx.notes();
    if !notes.is_empty() {
        body["notes"] = serde_json::json!(notes);
    }
    (ready, format!("{body}\n"))
}

/// Every metric of the process, every latency of the service, and how it is, as a Prometheus page.
#[must_use]
pub fn metrics_page(ctx: &Context, metrics: &MetricsHandle) -> String {
    let mut page = metrics.render();
    for (name, latency) in ctx.latencies() {
        latency.render(name, &mut page);
    }
    states(ctx, &mut page);
    footprint::render(&mut page);
    page
}

/// What `/readyz` and `/livez` say, as gauges, and which build this is.
fn states(ctx: &Context, page: &mut String) {
    let (name, missing) = (ctx.name(), missing(ctx));
    let _ = writeln!(page, "# HELP {name}_ready Whether /readyz is green.\n# TYPE {name}_ready gauge");
    let _ = writeln!(page, "{name}_ready {}", u8::from(missing.is_empty()));
    let _ = writeln!(page, "# HELP {name}_live Whether /livez is green.\n# TYPE {name}_live gauge");
    let _ = writeln!(page, "{name}_live {}", u8::from(ctx.stalled().is_empty()));
    let _ = writeln!(page, "# HELP {name}_condition Conditions of readiness: 1 holds.\n# TYPE {name}_condition gauge");
    for (condition, state) in ctx.readiness() {
        let _ = writeln!(page, "{name}_condition{{condition=\"{condition}\"}} {}", u8::from(state.is_ok()));
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("{name}_build_info{{version=\"{version}\",commit=\"{COMMIT}\"}} 1");
    let _ = writeln!(page, "# TYPE {name}_build_info gauge\n{build}");
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::telemetry::install_metrics;

    async fn fetch(addr: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.expect("the port is open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let ctx = Context::new("test");
        let port = listening(&ctx).await;
        ctx.set("kafka", Ok(()));
        ctx.set("model", Err("no version is live yet".into()));
        let answer = fetch(port.addr(), "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains(r#"{"missing":{"model":"no version is live yet"},"ready":false}"#), "{answer}");
        ctx.set("model", Ok(()));
        assert!(fetch(port.addr(), "/readyz").await.starts_with("HTTP/1.1 200"));
        ctx.drain();
        assert!(fetch(port.addr(), "/readyz").await.contains("draining"));
        assert!(fetch(port.addr(), "/livez").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_note_is_shown_and_makes_nobody_unready() {
        let ctx = Context::new("test");
        let port = listening(&ctx).await;
        ctx.set("kafka", Ok(()));
        ctx.note("standing-by", Some("another leads".into()));
        let answer = fetch(port.addr(), "/readyz").await;
        let body = r#"{"missing":{},"notes":{"standing-by":"another leads"},"ready":true}"#;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(body), "{answer}");
        ctx.note("standing-by", None);
        assert!(!fetch(port.addr(), "/readyz").await.contains("notes"));
    }

    #[tokio::test]
    async fn latencies_are_on_the_metrics_page() {
        let ctx = Context::new("test");
        ctx.latency("test_step").record(Duration::from_millis(4));
        let port = listening(&ctx).await;
        assert!(fetch(port.addr(), "/metrics").await.contains("test_step_seconds_count 1"));
    }

    async fn listening(ctx: &Context) -> Port {
        super::open("127.0.0.1:0", ctx, install_metrics()).await.expect("a free port").expect("not empty")
    }

    #[tokio::test]
    async fn readiness_liveness_build_and_footprint_are_gauges() {
        let ctx = Context::new("test");
        ctx.set("kafka", Ok(()));
        ctx.set("model", Err("no version is live yet".into()));
        let page = fetch(listening(&ctx).await.addr(), "/metrics").await;
        for line in [
            "test_ready 0",
            "test_live 1",
            "test_condition{condition=\"kafka\"} 1",
            "test_condition{condition=\"model\"} 0",
            &format!("test_build_info{{version=\"{}\",commit=\"{COMMIT}\"}} 1", env!("CARGO_PKG_VERSION")),
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[tokio::test]
    async fn livez_is_red_and_names_the_thread_that_is_stuck_beyond_frame_stall() {
        let ctx = Context::with_limits("test", Duration::from_secs(1), Duration::from_millis(20));
        let port = listening(&ctx).await;
        let pulse = ctx.pulse("learner");
        let busy = pulse.work("a step");
        tokio::time::sleep(Duration::from_millis(60)).await;
        let answer = fetch(port.addr(), "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("learner"), "{answer}");
        drop(busy);
        assert!(fetch(port.addr(), "/livez").await.starts_with("HTTP/1.1 200"));
    }

    /// Reads until the other side closes; how long that took.
    async fn closed_after(stream: &mut TcpStream) -> Duration {
        let began = std::time::Instant::now();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        began.elapsed()
    }

    #[tokio::test]
    async fn connections_that_are_held_open_keep_no_probe_out() {
        let ctx = Context::new("crowded");
        ctx.set("kafka", Ok(()));
        let port = listening(&ctx).await;
        let mut held = Vec::new();
        for _ in 0..3 * LIMITS.connections {
            held.push(TcpStream::connect(port.addr()).await.expect("the port is open"));
        }
        assert!(fetch(port.addr(), "/readyz").await.starts_with("HTTP/1.1 200"));
        let first = tokio::time::timeout(LIMITS.head / 2, closed_after(&mut held[0])).await;
        assert!(first.is_ok(), "the oldest was let go");
        let page = fetch(port.addr(), "/metrics").await;
        let dropped = crate::telemetry::scrape(&page, "crowded_admin_dropped_connections_total");
        assert!(dropped >= 2.0 * LIMITS.connections as f64, "{dropped}");
    }

    #[tokio::test]
    async fn a_port_in_use_says_what_to_change() {
        let ctx = Context::new("test");
        let first = listening(&ctx).await;
        let second = open(&first.addr().to_string(), &ctx, install_metrics()).await;
        assert!(second.expect_err("it is in use").to_string().contains("frame.admin.listen"));
    }
}
