//! The admin port: `/livez`, `/readyz` and `/metrics`, for orchestrators and Prometheus.
//!
//! Strangers may reach it, so everything has a bound (I7): connections, the head of a request, and how long one may take.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tracing::{debug, info};

use crate::context::Context;
use crate::footprint;
use crate::telemetry::MetricsHandle;

/// Connections at once. At the bound the oldest goes: whoever holds all of them open keeps no probe out, which is done in
/// milliseconds.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// Bytes of it; hyper takes nothing below 8 KiB.
const HEAD_BYTES: usize = 16 << 10;
/// How long a connection may last: it serves one request, and a slow reader is left.
const WHOLE: Duration = Duration::from_secs(15);
/// The commit this was built from, if whoever built it said so.
const COMMIT: &str = match option_env!("THALWEG_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
/// Pause after a connection could not be accepted: no file descriptor is left, perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}; free the port or change frame.admin.listen")]
pub struct AdminError {
    listen: String,
    source: std::io::Error,
}

/// An open admin port; closed when dropped.
#[derive(Debug)]
pub struct Port {
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl Port {
    /// Opens the port; an empty `listen` opens none.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn open(listen: &str, ctx: &Context, metrics: MetricsHandle) -> Result<Option<Self>, AdminError> {
        if listen.is_empty() {
            return Ok(None);
        }
        let refused = |source| AdminError { listen: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        info!(service = ctx.name(), %addr, "admin port open");
        let routes = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(page))
            .with_state((ctx.clone(), metrics));
        let server = tokio::spawn(serve(listener, routes, dropped_name(ctx)));
        Ok(Some(Self { addr, server }))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn dropped_name(ctx: &Context) -> String {
    let name = format!("{}_admin_dropped_connections_total", ctx.name());
    counter!(name.clone()).increment(0);
    name
}

/// Accepts for ever.
async fn serve(listener: TcpListener, routes: Router, dropped: String) {
    let mut connections = JoinSet::new();
    let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "the admin port takes no connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        by_age.retain(|connection| !connection.is_finished());
        if by_age.len() >= CONNECTIONS
            && let Some(oldest) = by_age.pop_front()
        {
            oldest.abort();
            counter!(dropped.clone()).increment(1);
        }
        by_age.push_back(connections.spawn(answer(stream, routes.clone())));
    }
}

/// Answers one request. Its errors are the client's leaving or being too slow: there is nobody to tell.
async fn answer(stream: TcpStream, routes: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES).keep_alive(false);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let _ = tokio::time::timeout(WHOLE, connection).await;
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
    let body = serde_json::json!({ "ready": ready, "missing": missing });
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
    use super::*;
    use crate::telemetry::install_metrics;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn fetch(addr: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(addr).await.expect("the port is open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let ctx = Context::new("test");
        let port = Port::open("127.0.0.1:0", &ctx, install_metrics()).await.expect("a free port").expect("not empty");
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
    async fn latencies_are_on_the_metrics_page() {
        let ctx = Context::new("test");
        ctx.latency("test_step").record(Duration::from_millis(4));
        let port = Port::open("127.0.0.1:0", &ctx, install_metrics()).await.expect("a free port").expect("not empty");
        assert!(fetch(port.addr(), "/metrics").await.contains("test_step_seconds_count 1"));
    }

    async fn open(ctx: &Context) -> Port {
        Port::open("127.0.0.1:0", ctx, install_metrics()).await.expect("a free port").expect("not empty")
    }

    #[tokio::test]
    async fn readiness_liveness_build_and_footprint_are_gauges() {
        let ctx = Context::new("test");
        ctx.set("kafka", Ok(()));
        ctx.set("model", Err("no version is live yet".into()));
        let page = fetch(open(&ctx).await.addr(), "/metrics").await;
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
        let port = open(&ctx).await;
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
    async fn a_head_that_comes_drop_by_drop_is_cut_off() {
        let port = open(&Context::new("test")).await;
        let mut slow = TcpStream::connect(port.addr()).await.expect("the port is open");
        slow.write_all(b"GET /readyz HTTP/1.1\r\nhost: test\r\nx: ").await.expect("it reads");
        let took = closed_after(&mut slow).await;
        assert!((HEAD / 2..WHOLE).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn a_head_beyond_its_bound_is_refused() {
        let port = open(&Context::new("test")).await;
        let mut large = TcpStream::connect(port.addr()).await.expect("the port is open");
        let head = format!("GET /readyz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(4 * HEAD_BYTES));
        let _ = large.write_all(head.as_bytes()).await; // it may be cut off in the middle
        let mut answer = Vec::new();
        let _ = large.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    #[tokio::test]
    async fn connections_that_are_held_open_keep_no_probe_out() {
        let ctx = Context::new("crowded");
        ctx.set("kafka", Ok(()));
        let port = open(&ctx).await;
        let mut held = Vec::new();
        for _ in 0..3 * CONNECTIONS {
            held.push(TcpStream::connect(port.addr()).await.expect("the port is open"));
        }
        assert!(fetch(port.addr(), "/readyz").await.starts_with("HTTP/1.1 200"));
        let first = tokio::time::timeout(HEAD / 2, closed_after(&mut held[0])).await;
        assert!(first.is_ok(), "the oldest was let go");
        let page = fetch(port.addr(), "/metrics").await;
        let dropped = crate::telemetry::scrape(&page, "crowded_admin_dropped_connections_total");
        assert!(dropped >= 2.0 * CONNECTIONS as f64, "{dropped}");
    }

    #[tokio::test]
    async fn a_port_in_use_says_what_to_change() {
        let ctx = Context::new("test");
        let first = Port::open("127.0.0.1:0", &ctx, install_metrics()).await.expect("a free port").expect("not empty");
        let second = Port::open(&first.addr().to_string(), &ctx, install_metrics()).await;
        assert!(second.expect_err("it is in use").to_string().contains("frame.admin.listen"));
    }
}
