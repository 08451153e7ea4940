//! The frame every service stands in: configuration, tasks, Kafka, Redis, telemetry.
//!
//! A service is one function, `run(Config, Context) -> Result<(), Error>`; [`App`] turns it into a
//! binary. This crate knows no record type and nothing of the model.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

pub mod admin;
pub mod app;
mod caught_up;
pub mod config;
pub mod context;
mod footprint;
pub mod http;
pub mod kafka;
pub mod latency;
mod lock;
mod progress;
pub mod redis;
pub mod telemetry;

pub use app::App;
pub use config::{Frame, Validate};
pub use context::{Busy, Context, Outage, Pulse, TaskError, Thread, chain};
pub use footprint::{allowed as allowed_memory, resident as resident_memory};
pub use latency::Latency;
pub use lock::lock;
