//! Thalweg's contract: topics, records and Redis keys, and nothing that does I/O.
//!
//! Every topic name and every Redis key is spelled here and nowhere else. A change here is a change
//! to other people's programs; `golden/` holds the bytes they rely on.
#![forbid(unsafe_code)]

pub mod audit;
pub mod checkpoint;
pub mod control;
pub mod dead_letter;
pub mod erasure;
pub mod event;
#[cfg(test)]
mod golden;
pub mod hashed;
pub mod horizon;
mod ids;
pub mod interaction;
pub mod item;
pub mod keys;
mod literal;
pub mod mark;
pub mod position;
pub mod privacy;
pub mod profile;
pub mod signature;
pub mod slate;
pub mod topics;
pub mod vocabulary;

/// Generated from `proto/thalweg/v1/thalweg.proto`.
#[allow(clippy::all, missing_debug_implementations, missing_docs, unreachable_pub)] // generated: the proto has the docs
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/thalweg.v1.rs"));
}

pub use checkpoint::{Manifest, VersionId};
pub use control::{Release, Releases};
pub use dead_letter::{DeadLetter, Reason};
pub use erasure::{Erased, Erasure, Erasures};
pub use event::{Event, EventType, Timestamp};
pub use hashed::UserKey;
pub use horizon::{Horizon, Sight};
pub use ids::ids_in;
pub use interaction::Written;
pub use item::Item;
pub use keys::Keys;
pub use literal::literal;
pub use mark::{Gone, Mark};
pub use position::Position;
pub use privacy::{Secret, UserHash};
pub use profile::StoredProfile;
pub use prost::Message;
pub use proto::{Interaction, Kind, Profile, Seen, Source};
pub use slate::{Entry, Slate};
pub use topics::{Topic, Topics};

/// This release, as what it writes names it.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The longest id of a user, item, session or event, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Hashes an id to the 64-bit key under which tables know it (xxh3, seed 0).
#[must_use]
pub fn key_of(id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id.as_bytes())
}
