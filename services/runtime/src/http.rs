//! A port that serves HTTP: it listens, routes, keeps to its bounds, and drains. The admin port is its first user.
//!
//! Strangers may reach a port, so everything has a bound (I7): connections, the head of a request, and how long one may
//! take. At the bound of connections the oldest goes: whoever holds all of them open keeps nobody out who asks quickly.
#![allow(clippy::disallowed_methods, reason = "the port holds its task, and is closed by who holds the port")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Pause after a connection could not be accepted: no file descriptor is left, perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// What a port bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; at the bound the oldest is dropped.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// Bytes of it; hyper takes nothing below 8 KiB.
    pub head_bytes: usize,
    /// How long a connection may last: it serves one request, and a slow reader is left.
    pub whole: Duration,
}

/// An open port; closed when dropped, with whatever is under way.
#[derive(Debug)]
pub struct Port {
    addr: SocketAddr,
    draining: CancellationToken,
    server: JoinHandle<()>,
}

impl Port {
    /// Opens `listen` (`host:port`; port 0 takes a free one) and serves `routes` within `limits`. Connections that are
    /// dropped at the bound are counted as the metric `dropped`. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn open(
        listen: &str,
        routes: Router,
        limits: Limits,
        dropped: impl Into<String>,
    ) -> std::io::Result<Self> {
        let dropped = dropped.into();
        counter!(dropped.clone()).increment(0);
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let draining = CancellationToken::new();
        let server = tokio::spawn(serve(listener, routes, limits, dropped, draining.clone()));
        Ok(Self { addr, draining, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more connections, and waits until the requests under way are answered: no longer than a connection may
    /// last. One that has asked for nothing yet is closed at once.
    pub async fn drain(mut self) {
        self.draining.cancel();
        let _ = (&mut self.server).await; // it fails only with the tokio runtime
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Accepts until it drains, then waits for what is under way.
async fn serve(listener: TcpListener, routes: Router, limits: Limits, dropped: String, draining: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = draining.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "the port takes no connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        by_age.retain(|connection| !connection.is_finished());
        if by_age.len() >= limits.connections
            && let Some(oldest) = by_age.pop_front()
        {
            oldest.abort();
            counter!(dropped.clone()).increment(1);
        }
        by_age.push_back(connections.spawn(answer(stream, routes.clone(), limits, draining.clone())));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers one request. Its errors are the client's leaving or being too slow: there is nobody to tell.
async fn answer(stream: TcpStream, routes: Router, limits: Limits, draining: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(limits.head_bytes).keep_alive(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let answered = async {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = draining.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    };
    let _ = tokio::time::timeout(limits.whole, answered).await;
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMITS: Limits =
        Limits { connections: 4, head: Duration::from_secs(5), head_bytes: 16 << 10, whole: Duration::from_secs(15) };
    const SLOW: Duration = Duration::from_millis(200);

    async fn open() -> Port {
        let slow = get(|| async {
            tokio::time::sleep(SLOW).await;
            "late\n"
        });
        let routes = Router::new().route("/readyz", get(|| async { "ok\n" })).route("/slow", slow);
        Port::open("127.0.0.1:0", routes, LIMITS, "test_dropped_total").await.expect("a free port")
    }

    async fn ask(port: &Port, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(port.addr()).await.expect("the port is open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream
    }

    #[tokio::test]
    async fn a_head_that_comes_drop_by_drop_is_cut_off() {
        let port = open().await;
        let mut slow = TcpStream::connect(port.addr()).await.expect("the port is open");
        slow.write_all(b"GET /readyz HTTP/1.1\r\nhost: test\r\nx: ").await.expect("it reads");
        let began = Instant::now();
        let _ = slow.read_to_end(&mut Vec::new()).await;
        let took = began.elapsed();
        assert!((LIMITS.head / 2..LIMITS.whole).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn a_head_beyond_its_bound_is_refused() {
        let port = open().await;
        let mut large = TcpStream::connect(port.addr()).await.expect("the port is open");
        let head = format!("GET /readyz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(4 * LIMITS.head_bytes));
        let _ = large.write_all(head.as_bytes()).await; // it may be cut off in the middle
        let mut answer = Vec::new();
        let _ = large.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    #[tokio::test]
    async fn a_port_that_drains_answers_what_is_under_way_and_waits_for_nobody_who_asks_nothing() {
        let port = open().await;
        let addr = port.addr();
        let _idle = TcpStream::connect(addr).await.expect("the port is open");
        let mut under_way = ask(&port, "/slow").await;
        tokio::time::sleep(SLOW / 4).await; // it was read by then
        let drained = tokio::time::timeout(LIMITS.head / 2, port.drain()).await;
        assert!(drained.is_ok(), "an idle connection holds nothing up");
        let mut answer = String::new();
        under_way.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late\n"), "{answer}");
        assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
    }
}
