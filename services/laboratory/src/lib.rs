//! The laboratory: recorded logs, evaluation and tuning on them, the synthetic shop, plots and pages.
//!
//! It learns and ranks by the code that trainer and scorer run, and sees neither Kafka nor Redis nor any service.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "measures how long learning and asking take")]

mod error;
pub mod evaluate;
pub mod log;
pub mod output;
mod recorded;
pub mod report;
pub mod shop;
pub mod shown;
mod trainer_config;
pub mod tune;

pub use error::Error;
pub use recorded::LogArgs;
pub use trainer_config::{Load, TrainerConfig};
