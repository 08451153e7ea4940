//! Versions of the model on the topic `checkpoints`: keys, manifests and claims.
//!
//! A version is a run of chunk records `VERSION/0000`, `VERSION/0001`, … followed by one manifest
//! `VERSION/manifest`; before its manifest it does not exist (I4). A trainer that starts writes
//! `VERSION/claim` with a new epoch; records of lower epochs behind it are ignored by everyone (I9).

mod contest;
mod guarded;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::control::Place;
use crate::position::Position;

pub use contest::{Contest, Interval};
pub use guarded::{Guarded, GuardedUser, MAX_GUARDED};
pub use read::{
    EPOCH_REACH, FIRST_REACH, LAST, MAX_CHUNKS, MAX_OFFSET, MAX_PAYLOAD_BYTES, TIMES, is_time, parse_key, shown,
};

/// The most bytes of one chunk's value: with key and headers well under Kafka's stock limit of 1 MB.
pub const CHUNK_BYTES: usize = 900_000;

/// Header of a chunk: the BLAKE3 hash of its value, hexadecimal.
pub const CHUNK_CHECKSUM: &str = "blake3";

/// A version's name: the trainer's epoch and a count within it. Text order is age order up to epoch 999999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct VersionId {
    /// The epoch of its trainer.
    pub epoch: u32,
    /// Counts up from 1 within the epoch; 0 is the claim.
    pub sequence: u32,
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}-{:08}", self.epoch, self.sequence)
    }
}

impl FromStr for VersionId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (epoch, sequence) = text.split_once('-')?;
            Some(Self { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parse().ok_or_else(|| format!("`{}` is no version; one looks like 000003-00000120", shown(text)))
    }
}

impl Serialize for VersionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a record on `checkpoints` is, read from its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A new trainer's claim to be the only one.
    Claim,
    /// The n-th piece of a payload, from 0.
    Chunk(u32),
    /// The record that makes a version exist.
    Manifest,
}

/// Spells a record's key.
#[must_use]
pub fn key(version: VersionId, part: Part) -> String {
    match part {
        Part::Claim => format!("{version}/claim"),
        Part::Chunk(n) => format!("{version}/{n:04}"),
        Part::Manifest => format!("{version}/manifest"),
    }
}

/// Value of a claim record (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The epoch claimed.
    pub epoch: u32,
    /// Tells two trainers apart that claim the same epoch: the first on the log has it.
    pub trainer: String,
    /// When, milliseconds since 1970.
    pub claimed_at: i64,
    /// The trainer begins with nothing, because it was told to: what it publishes may know less than what is live.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}

/// Whether a payload is whole or only what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// Everything.
    Snapshot,
    /// What changed since `parent`.
    Delta,
}

/// Where the model stands in one partition of `interactions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Through {
    /// The next offset of `interactions` to train on.
    pub next: i64,
    /// The offset on `events` of the last interaction applied; -1 before the first.
    pub source: i64,
    /// The life of `events` in which `source` counts; 0 before there were incarnations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incarnation: u64,
    /// The source topic in which `source` counts; 0 is `events`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub topic: u32,
    /// The life of `interactions` in which `next` counts ([`crate::position::life_of`]); 0 where it is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub log: u32,
}

impl Through {
    /// Before the first interaction.
    pub const NOTHING: Self = Self { next: 0, source: -1, incarnation: 0, topic: 0, log: 0 };

    /// The place of the last interaction applied.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { incarnation: self.incarnation, offset: self.source }
    }
}

/// A field that versions of before do not have is left out where it says nothing.
fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Prequential quality of one method.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Quality {
    /// Share of interactions whose item was among the first 20, 0 to 1.
    pub hr20: f64,
    /// Mean reciprocal rank within the first 20.
    pub mrr20: f64,
    /// Interactions tested.
    pub tested: u64,
    /// The share among the first 20 of those that chose what their user had not chosen before.
    #[serde(default)]
    pub first_time_hr20: f64,
    /// How many of the tested did.
    #[serde(default)]
    pub first_time_tested: u64,
}

/// Value of a manifest record (JSON): makes a version exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub v: u32,
    /// The version's name.
    pub version: VersionId,
    /// Whole or delta.
    pub kind: PayloadKind,
    /// What a delta builds on.
    pub parent: Option<VersionId>,
    /// How many chunks carry the payload.
    pub chunks: u32,
    /// The payload's length.
    pub bytes: u64,
    /// BLAKE3 of the whole payload, hexadecimal.
    pub checksum: String,
    /// Where the model stands, by partition of `interactions`.
    pub through: BTreeMap<i32, Through>,
    /// Interactions ever applied (tested, counted, remembered; all trained on, but for those left out under overload):
    /// with `through` it shows that offsets and weights agree.
    pub interactions: u64,
    /// Items that it knows: one that knows none makes no lists. `None` before releases said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Event time of the newest interaction.
    pub event_ts: i64,
    /// When the version was made, milliseconds since 1970.
    pub made_at: i64,
    /// When the interactions new in this version had arrived in Kafka: `(milliseconds since 1970, count)`,
    /// bounded; from it a scorer knows how old an interaction is when it goes live.
    #[serde(default)]
    pub arrivals: Vec<(i64, u32)>,
    /// Prequential quality over the sliding window, by method: `model`, `popularity`, `covisitation`.
    #[serde(default)]
    pub quality: BTreeMap<String, Quality>,
    /// The same since this trainer started.
    #[serde(default)]
    pub quality_overall: BTreeMap<String, Quality>,
    /// The release that wrote it ([`crate::RELEASE`]); empty before releases said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// What lies before these places is not trained on, by partition of `interactions`: versions that were rolled back
    /// knew it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub untrained: BTreeMap<i32, Through>,
    /// The newest version that was good when this one was made, and where it begins; `None` while none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Place>,
    /// The gate's evidence that the learner had become worse; an alarm is raised at `trainer.gate.threshold`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evidence: f64,
    /// From whom nothing was learned lately; `None` where the trainer bounds nobody's pace, and before releases said
    /// so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<Guarded>,
    /// Of a challenger: how it does beside the version that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<Contest>,
}

impl Manifest {
    /// The format's version. A release that adds a field leaves it, and older ones pass over the field; one that
    /// changes what a field or the payload means raises it, and older ones refuse the version.
    pub const V: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_spelled() {
        let version = VersionId { epoch: 3, sequence: 120 };
        for part in [Part::Claim, Part::Chunk(7), Part::Manifest] {
            assert_eq!(parse_key(key(version, part).as_bytes()), Ok((version, part)));
        }
        assert_eq!(key(version, Part::Chunk(7)), "000003-00000120/0007");
        assert!(parse_key(b"nonsense").is_err() && parse_key(b"\xff/manifest").is_err());
    }
}
