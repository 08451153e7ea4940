//! The admin port: `/livez`, `/readyz` and `/metrics`, for orchestrators and Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::context::Context;
use crate::telemetry::MetricsHandle;

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
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(page))
            .with_state((ctx.clone(), metrics));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                error!(%error, "the admin port closed; restart the service to have it back");
            }
        });
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

type Shared = (Context, MetricsHandle);

async fn readyz(State((ctx, _)): State<Shared>) -> impl IntoResponse {
    let (ready, body) = readiness(&ctx);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}

async fn page(State((ctx, metrics)): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics_page(&ctx, &metrics))
}

/// Whether traffic may come, and the body of `/readyz`: what is missing and why.
fn readiness(ctx: &Context) -> (bool, String) {
    let conditions = ctx.readiness();
    let mut missing: BTreeMap<&str, String> =
        conditions.iter().filter_map(|(name, state)| Some((*name, state.as_ref().err()?.clone()))).collect();
    if ctx.draining() {
        missing.insert("running", "the service is draining".into());
    } else if conditions.is_empty() {
        missing.insert("running", "the service is starting".into());
    }
    let ready = missing.is_empty();
    let body = serde_json::json!({ "ready": ready, "missing": missing });
    (ready, format!("{body}\n"))
}

/// Every metric of the process and every latency of the service, as a Prometheus page.
#[must_use]
pub fn metrics_page(ctx: &Context, metrics: &MetricsHandle) -> String {
    let mut page = metrics.render();
    for (name, latency) in ctx.latencies() {
        latency.render(name, &mut page);
    }
    page
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

    #[tokio::test]
    async fn a_port_in_use_says_what_to_change() {
        let ctx = Context::new("test");
        let first = Port::open("127.0.0.1:0", &ctx, install_metrics()).await.expect("a free port").expect("not empty");
        let second = Port::open(&first.addr().to_string(), &ctx, install_metrics()).await;
        assert!(second.expect_err("it is in use").to_string().contains("frame.admin.listen"));
    }
}
