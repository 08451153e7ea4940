//! What a prequential run came to: everything that is printed, drawn, and held against floors.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::breakdown::Parts;
use super::cold_start::YoungItems;
use super::figures::{Figures, Measured};
use super::guard::Guarded;
use super::interval::{self, Interval};
use super::judge::Window;
use super::listing::Listing;
use super::methods::{ByMethod, PRODUCT};
use super::peak_memory_bytes;
use super::prequential::Run;
use super::stream::Stream;

/// The figures of a run. Its names are those of the JSON, which are a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Evaluation {
    /// Rows read, usable or not.
    pub(crate) rows: u64,
    /// Rows that gave no event, by reason.
    pub(crate) skipped_rows: BTreeMap<String, u64>,
    pub(crate) users: usize,
    /// Items met in the stream.
    pub(crate) items: usize,
    pub(crate) seed: u64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// Without the first 20 % of the stream.
    pub(crate) after_20_percent: ByMethod<Measured>,
    pub(crate) overall: ByMethod<Measured>,
    pub(crate) windows: Vec<Window>,
    pub(crate) differences: Differences,
    pub(crate) breakdown: Parts,
    pub(crate) young_items: YoungItems,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) catalog: Option<CatalogUsed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate: Option<Guarded>,
}

/// What learning costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) interactions: u64,
    pub(crate) interactions_per_second: f64,
    pub(crate) wall_seconds: f64,
    /// Where the system tells.
    pub(crate) peak_memory_bytes: Option<u64>,
}

impl Cost {
    /// Learned a second; 0 where it was too fast to tell.
    pub(crate) fn rate(&self) -> f64 {
        Some(self.interactions_per_second).filter(|rate| rate.is_finite()).unwrap_or_default()
    }
}

/// The product's lead over each baseline, and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Differences {
    #[serde(flatten)]
    pub(crate) baselines: ByMethod<Lead>,
    method: &'static str,
}

/// Differences in per cent; nothing where there are too few tests for an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Lead {
    pub(crate) hr_20: Option<Interval>,
    pub(crate) mrr_20: Option<Interval>,
}

/// What the product was given of the log's catalog.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CatalogUsed {
    pub(crate) mode: Listing,
    pub(crate) records: u64,
    /// What rows say about their items and cannot be read, by reason.
    pub(crate) unread: BTreeMap<String, u64>,
}

impl Evaluation {
    /// Of a run over `stream` that took `wall`.
    #[allow(clippy::cast_precision_loss)] // a count
    pub(crate) fn of(run: &Run, wall: Duration, stream: &Stream, listing: Listing, seed: u64) -> Self {
        let Run { judged, interactions, records, busy, gate } = run;
        let lead = |(name, hr, mrr): (_, &interval::Paired, &interval::Paired)| {
            (name, Lead { hr_20: hr.percent(), mrr_20: mrr.percent() })
        };
        Self {
            rows: stream.rows,
            skipped_rows: stream.skipped.clone(),
            users: stream.users,
            items: judged.known,
            seed,
            cost: Cost {
                interactions: *interactions,
                interactions_per_second: *interactions as f64 / busy.as_secs_f64(),
                wall_seconds: wall.as_secs_f64(),
                peak_memory_bytes: peak_memory_bytes(),
            },
            after_20_percent: judged.after().map(|(name, tally)| (name, tally.measured(judged.known))).collect(),
            overall: judged.overall().map(|(name, tally)| (name, tally.measured(judged.known))).collect(),
            windows: judged.windows.clone(),
            differences: Differences { baselines: judged.differences().map(lead).collect(), method: interval::METHOD },
            breakdown: judged.breakdown.parts(),
            young_items: YoungItems::of(&judged.young()),
            gate: gate.clone(),
            catalog: stream.has_catalog.then(|| CatalogUsed {
                mode: listing,
                records: *records,
                unread: stream.unread.clone(),
            }),
        }
    }

    /// The product's figures, without the first 20 % of the stream; zeros without a run.
    pub(crate) fn product(&self) -> Figures {
        self.after_20_percent.get(PRODUCT).map(|measured| measured.figures).unwrap_or_default()
    }
}
