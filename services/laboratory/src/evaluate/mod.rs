//! Evaluation on recorded logs, without Kafka, by the code that trainer and scorer run.

pub mod ader;
mod blocks;
pub(crate) mod breakdown;
pub(crate) mod cold_start;
mod damage;
pub(crate) mod evaluation;
pub(crate) mod figures;
mod floor;
mod guard;
pub(crate) mod interval;
mod items;
pub(crate) mod judge;
mod leak;
pub(crate) mod listing;
pub(crate) mod methods;
pub mod prequential;
pub(crate) mod stream;
pub(crate) mod sum;

use std::path::{Path, PathBuf};

use model::Settings;

use crate::error::Error;
use crate::output;
use crate::trainer_config::TrainerConfig;

/// What the learner starts from, and how the outcome is printed.
#[derive(clap::Args, Debug, Clone)]
pub struct Common {
    /// Settings of the learner: a TOML file with a section [model], such as the trainer's config.toml.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Seed of initial weights and negative sampling; the same seed gives the same figures [default: from the
    /// settings].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Interactions in a micro-batch; the trainer itself takes all that have arrived, up to 256.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub micro_batch: u16,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What becomes of an evaluation's figures.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Verdict {
    /// End with an error if a figure of Thalweg is below this many per cent; may be given several times. The figures of
    /// `prequential` are those after the first 20 % of the stream: hr_10, hr_20, first_time_hr_20, mrr_10, mrr_20,
    /// ndcg_20, recall_20, precision_20, f1_20, coverage_20, new_share_20. Those of `ader` are means over the blocks:
    /// recall_10, recall_20, mrr_10, mrr_20.
    #[arg(long = "floor", value_name = "FIGURE=PERCENT")]
    pub(crate) floors: Vec<floor::Floor>,
    /// Write a page with plots.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}

impl Common {
    /// The trainer's defaults, the file, the environment, the seed: what a trainer told the same would learn with.
    ///
    /// # Errors
    /// With every problem of the file, the environment and the seed.
    pub fn settings(&self, trainer: &TrainerConfig) -> Result<Settings, Error> {
        let seed = self.seed.map(|seed| ("model.seed", seed.to_string()));
        let given: Vec<_> = seed.into_iter().collect();
        (trainer.load)(self.settings.as_deref(), &given, true).map_err(Error::Settings)
    }

    pub(crate) fn micro_batch(&self) -> usize {
        usize::from(self.micro_batch)
    }
}

/// Fewer tests say little.
const FEW_TESTS: u64 = 1_000;

/// Sees to it that nobody takes an evaluation without tests for a bad one, and one with few for a good one.
///
/// # Errors
/// When nothing was tested; `why` says what to look at.
pub(crate) fn weigh(tests: u64, why: &str) -> Result<(), Error> {
    if tests == 0 {
        return Err(Error::Other(format!("nothing was tested: {why}")));
    }
    if tests < FEW_TESTS {
        output::note(format!("warning: {tests} tests, fewer than {FEW_TESTS}: the figures mean little"));
    }
    Ok(())
}

/// Writes a report's page.
pub(crate) fn write_page(path: &Path, page: &str) -> Result<(), Error> {
    std::fs::write(path, page).map_err(Error::file(path))
}

/// Prints figures as JSON, its names in alphabetical order.
pub(crate) fn print_json(figures: &impl serde::Serialize) -> Result<(), Error> {
    output::json(&serde_json::to_value(figures)?)
}

/// The most memory that this process ever held, in bytes; `None` where the system does not tell.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kilobytes.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1_024)
}

/// A share of 0 to 1 in per cent, to four decimals: more would only be noise.
pub(crate) fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

#[cfg(test)]
mod tests;
