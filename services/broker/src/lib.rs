//! The servers that the demo, the tests and the benchmarks bring along: an embedded Kafka-compatible broker, and a real
//! `redis-server` as a child ([`RedisServer`]).
//!
//! The broker runs in this process, on its own threads, on a free loopback port, with everything in memory and nothing
//! ever deleted unless a client says so: it is for minutes, not for production. Bytes of the protocol become values and
//! back in `kafka-protocol`; what they do is here, one file for each concern, from `listener.rs` by way of `routes.rs`,
//! which lists the requests that are answered, to the records (`log.rs`), topics (`topics.rs`) and groups (`group.rs`).
//!
//! What it cannot do: transactions; retention and compaction, for settings of topics are kept and told but not obeyed;
//! more than one broker or copy; the consumer groups of KIP-848 and share groups; encryption, passwords and ACLs;
//! topics that make themselves. A committed offset outlives its topic.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

mod admin;
mod batch;
mod group;
mod groups;
mod listener;
mod listing;
mod log;
mod metadata;
mod offsets;
mod port;
mod probe;
mod records;
mod redis_server;
mod routes;
mod settings;
mod topics;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::{fmt, io};

use tokio::runtime::Runtime;

use listener::Listening;
pub use port::free_port;
pub use redis_server::RedisServer;
use routes::Engine;

/// Two threads: a slow request does not stop the others, and the demo has two cores for everything.
const THREADS: usize = 2;

/// Why the broker is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be opened.
    #[error(
        "the embedded broker cannot listen on {addr}: {source}; end the program that holds the port, \
         or allow connections to the loopback interface"
    )]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its threads cannot be started.
    #[error("the embedded broker cannot start its threads: {0}; raise the limit on processes (`ulimit -u`)")]
    Threads(io::Error),
}

/// A broker that hangs; it goes on when this is dropped.
#[derive(Debug)]
pub struct Hung {
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Drop for Hung {
    fn drop(&mut self) {
        let (over, bell) = &*self.gate;
        *over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
    }
}

/// A running broker. Dropping it stops it and forgets its topics.
pub struct Broker {
    addr: SocketAddr,
    engine: Arc<Engine>,
    listening: Mutex<Option<Listening>>,
    /// Taken by `Drop` only: a runtime may not be dropped where blocking is not allowed.
    runtime: Option<Runtime>,
}

impl Broker {
    /// Starts a broker on a free loopback port. Blocks for some milliseconds; may be called from async code.
    pub fn start() -> Result<Self, Error> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, addr) = port::listen().and_then(opened).map_err(|source| Error::Listen { addr: any, source })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        let engine = Arc::new(Engine::new(addr));
        let listening = Listening::start(&runtime, listener, Arc::clone(&engine))
            .map_err(|source| Error::Listen { addr, source })?;
        Ok(Self { addr, engine, listening: Mutex::new(Some(listening)), runtime: Some(runtime) })
    }

    /// Where it listens; the same after [`Broker::come_back`].
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The value of `bootstrap.servers`.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.addr.to_string()
    }

    /// Closes the port and every connection, and keeps topics, records and group offsets.
    ///
    /// A request that was read already is carried out whole and its answer is lost: what a client sees when a network
    /// fails.
    pub fn go_away(&self) {
        if let Some(listening) = self.listening().take() {
            listening.stop();
        }
    }

    /// Opens the port again after [`Broker::go_away`]; does nothing when it is open.
    pub fn come_back(&self) -> Result<(), Error> {
        let mut listening = self.listening();
        if let (None, Some(runtime)) = (&*listening, &self.runtime) {
            let addr = self.addr;
            let (listener, addr) =
                TcpListener::bind(addr).and_then(opened).map_err(|source| Error::Listen { addr, source })?;
            let back = Listening::start(runtime, listener, Arc::clone(&self.engine))
                .map_err(|source| Error::Listen { addr, source })?;
            *listening = Some(back);
        }
        Ok(())
    }

    /// Keeps the port and every connection open and answers nothing, as a broker whose process is stopped, until the
    /// guard is dropped. [`Broker::go_away`] would wait for it.
    #[must_use]
    pub fn hang(&self) -> Hung {
        let hung = Hung { gate: Arc::default() };
        if let Some(runtime) = &self.runtime {
            let (began, begun) = mpsc::sync_channel(THREADS);
            for _ in 0..THREADS {
                // One for each thread: none is left to read a socket.
                let (gate, began) = (Arc::clone(&hung.gate), began.clone());
                runtime.spawn(async move {
                    let _ = began.send(()); // who hung us waits for it
                    let (over, bell) = &*gate;
                    let held = over.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(bell.wait_while(held, |over| !*over));
                });
            }
            for _ in 0..THREADS {
                let _ = begun.recv(); // fails only when the runtime is going down
            }
        }
        hung
    }

    /// Whether the port is open.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listening().is_some()
    }

    /// Stops it for good; the same as dropping it.
    pub fn stop(self) {
        drop(self);
    }

    fn listening(&self) -> MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.go_away();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addr", &self.addr).field("listening", &self.is_listening()).finish()
    }
}

fn opened(listener: TcpListener) -> io::Result<(TcpListener, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

#[cfg(test)]
mod tests;
