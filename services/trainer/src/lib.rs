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

mod anchor;
mod bookmarks;
mod catalog;
pub mod challenger;
pub mod config;
pub mod error;
mod foreign;
pub mod gate;
mod histories;
mod intake;
mod leadership;
mod learning;
mod ledger;
mod load_shedding;
pub mod metrics;
mod publisher;
mod restore;
pub mod retention;
mod schedule;
mod standing_by;
mod survey;
#[cfg(test)]
mod testing;
mod trainer;
mod unpublished;

use runtime::Context;
use runtime::kafka::Watch;
use tracing::{info, warn};

pub use config::Config;
use config::{Role, WhenSuperseded};
pub use error::Error;
use standing_by::Since;
pub use survey::restored;
use trainer::{Carried, End, Trainer};
use versions::signing;

/// The embedded `config.toml`, and behind it the model's `settings.toml`.
pub const DEFAULTS: &str = concat!(include_str!("../config.toml"), include_str!("../../model/settings.toml"));

/// Runs until drained, or, with `when_superseded = "end"`, until another trainer claims a higher epoch (I9).
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
    signing::tell(&config.kafka);
    let watch = Watch::start(&config.kafka, ctx)?;
    // A challenger that is promoted is the trainer from then on.
    let mut config = config.clone();
    let stands_by = config.trainer.when_superseded == WhenSuperseded::StandBy;
    let mut waits = stands_by.then_some(Since::Start);
    let mut carried = Carried::default();
    loop {
        if config.trainer.role == Role::Challenger {
            let Some(promoted) = challenger::is_promoted(&config, ctx).await? else { return Ok(()) };
            if promoted {
                warn!(name = config.trainer.name, "this challenger was promoted before: it is the trainer");
                config.trainer.role = Role::Trainer;
            }
        }
        if let Some(since) = waits {
            if !standing_by::wait(&config, since, ctx).await? {
                return Ok(());
            }
            ctx.started(); // what is missing where we take over is waited for: nobody else leads
        }
        let Some(trainer) = Trainer::start(&config, carried, &watch, ctx).await? else {
            if ctx.draining() {
                info!("asked to end before training began");
                return Ok(());
            }
            (waits, carried) = (stands_by.then_some(Since::Claim), Carried::default());
            continue;
        };
        ctx.started();
        match trainer.run().await? {
            End::Drained => return Ok(()),
            // Weights and offsets agree in versions alone, so the way back to one is a start.
            End::RolledBack(so_far) => {
                (waits, carried) = (None, so_far);
                ctx.set("model", Err("going back to an older version".to_owned()));
            }
            End::Refused(so_far, why) => {
                (waits, carried) = (None, so_far);
                ctx.set("model", Err(format!("going back to the newest version, for the next was refused: {why}")));
            }
            End::Superseded => (waits, carried) = (Some(Since::Claim), Carried::default()),
            End::Promoted(promotion) => {
                config.trainer.role = Role::Trainer;
                (waits, carried) = (None, Carried { promotion: Some(promotion), ..Carried::default() });
                ctx.set("model", Err("becoming the trainer".to_owned()));
            }
        }
    }
}
