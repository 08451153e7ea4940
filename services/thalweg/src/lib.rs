//! The operator's command, as a library: traffic to send, and the report of what came of it.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

pub mod cli;
mod closed_loop;
mod commands;
mod config;
mod demo;
mod error;
mod import;
mod probe;
pub mod report;
mod traffic;

pub use import::count as count_items;
