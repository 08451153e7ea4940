//! The one place that learns: tests, trains and publishes checkpoints.
//!
//! Reads every partition of `interactions` and the whole of `items`; writes versions of the model to `checkpoints`. A
//! version carries the offsets trained through ([`restore`]), so no crash can set weights and offsets at odds: whatever
//! was read but is in no version is read again, and whatever is in one is dropped by its source offset (I2).
//!
//! Its decisions are pure: when a version is due ([`schedule`]), what may be deleted ([`ledger`]), what is remembered
//! and what is trained on ([`histories`]), which version to continue from ([`restore`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

mod bookmarks;
mod catalog;
pub mod config;
pub mod error;
mod histories;
mod intake;
mod leadership;
mod learning;
mod ledger;
mod load_shedding;
pub mod metrics;
mod publisher;
mod restore;
mod schedule;
#[cfg(test)]
mod testing;
mod trainer;
mod unpublished;

use runtime::Context;
use tracing::info;

pub use config::Config;
pub use error::Error;

/// The embedded `config.toml`, and behind it the model's `settings.toml`.
pub const DEFAULTS: &str = concat!(include_str!("../config.toml"), include_str!("../../model/settings.toml"));

/// Runs until drained, or until another trainer claims a higher epoch (I9).
///
/// # Errors
/// What waiting does not mend; the text says what to change.
pub async fn run(config: Config, ctx: Context) -> Result<(), Error> {
    metrics::describe();
    ctx.set("caught-up", Err("reading the newest version back".to_owned()));
    ctx.set("model", Err("no version of this epoch is published yet".to_owned()));
    ctx.finish(serve(&config, &ctx).await)
}

async fn serve(config: &Config, ctx: &Context) -> Result<(), Error> {
    match trainer::Trainer::start(config, ctx).await? {
        Some(trainer) => trainer.run().await,
        None => {
            info!("asked to end before training began");
            Ok(())
        }
    }
}
