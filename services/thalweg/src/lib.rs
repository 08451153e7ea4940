//! The operator's command, as a library: traffic to send, and the report of what came of it.

pub mod cli;
mod closed_loop;
mod commands;
mod config;
mod demo;
mod error;
mod evaluate;
mod import;
pub mod log;
mod output;
mod probe;
mod recorded;
pub mod redis_server;
pub mod report;
pub mod shop;
mod shown;
mod traffic;
mod trainer_config;
mod tune;
