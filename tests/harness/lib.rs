//! What the end-to-end tests stand on: servers, the real binaries as children, readers of what they write, traffic.
//!
//! | environment | what it changes |
//! |---|---|
//! | `KAFKA_BROKERS` | a Kafka that runs already, instead of the embedded broker |
//! | `REDIS_URL` | a Redis that runs already, instead of a child of each test |
//! | `THALWEG_TEST_BINARIES` | a folder with the services, instead of building them |
//! | `THALWEG_LONG_TESTS=1` | outages last the whole 30 s of the promise, not 8 |
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "waits for conditions and measures")]

mod altered;
mod binaries;
mod children;
mod given;
mod groups;
mod http;
mod lists;
mod oracle;
mod outgoing;
mod own_broker;
mod redis_server;
mod sent;
mod service;
mod tail;
mod traffic;
mod transaction;
mod turns;
mod waiting;
mod world;

pub use binaries::{Name, binary};
pub use given::kafka_is_given;
pub use groups::{Group, Member};
pub use lists::{naming, none_names, shown};
pub use oracle::{Findings, Oracle};
pub use own_broker::{Hung, OwnBroker};
pub use redis_server::RedisServer;
pub use sent::{Sent, ingested_once, learned_once, profile, served, served_once, sightings, slate_through};
pub use service::Service;
pub use tail::{Tail, interactions, latest_manifest, manifests, newest_snapshot};
pub use traffic::{Traffic, click};
pub use transaction::Transaction;
pub use waiting::{SOON, eventually, outage};
pub use world::{PARTITIONS, Servers, World};
