//! Puts the records of `checkpoints` together to versions again.
//!
//! Pure: records in, verdicts out. A version exists only when its manifest is there and every checksum holds (I4).
//! Records of a superseded trainer are ignored by everyone (I9). Anybody may have written what is read here. Whatever
//! it is, it leads to a verdict, and no more is held than there is [`room`] for, of [`MAX_PENDING`] versions.

use bytes::Bytes;
use schemas::checkpoint::{
    CHUNK_BYTES, Claim, EPOCH_REACH, FIRST_REACH, LAST, MAX_PAYLOAD_BYTES, Manifest, Part, VersionId, parse_key,
};

/// Versions of which chunks are held and no manifest came yet. A trainer writes one after the other; what a killed one
/// or a stranger left in between must not tear it.
pub const MAX_PENDING: usize = 16;

/// What a record on `checkpoints` led to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one at a time, and its reader takes it apart at once
pub enum Outcome {
    /// Nothing yet: a chunk was kept, or the record was deleted since.
    Nothing,
    /// A version is whole.
    Whole(Manifest, Vec<u8>),
    /// A version is torn, truncated or bit-flipped; it must not be used.
    Refused {
        /// Which one; `None` when not even its key is readable.
        version: Option<VersionId>,
        /// Why.
        reason: String,
    },
    /// A trainer claimed an epoch.
    Claimed(Claim),
    /// A record of a superseded trainer.
    Stale(VersionId),
}

/// What may be held in any case, of all the memory that there is.
const LEAST_ROOM: u64 = 64 << 20;

/// How many bytes without a manifest a process may hold that may take so much memory: a quarter, for a model is made of
/// a version beside the one that is live, and each takes more than its payload. So strangers' chunks never kill it, and
/// what is refused could not have gone live.
pub(crate) fn room(memory: Option<u64>) -> u64 {
    memory.map_or(MAX_PAYLOAD_BYTES, |memory| (memory / 4).clamp(LEAST_ROOM, MAX_PAYLOAD_BYTES))
}

/// Puts records together, in log order.
#[derive(Debug)]
pub struct Assembler {
    /// The highest epoch claimed. Where none was yet, because the log begins in its middle: that of the first whole
    /// version.
    epoch: u32,
    claim: Option<Claim>,
    /// Those whose last chunk came longest ago stand first.
    pending: Vec<Pending>,
    /// Bytes that all of them may hold.
    most: u64,
}

/// A version without its manifest.
#[derive(Debug)]
struct Pending {
    version: VersionId,
    chunks: u32,
    payload: Vec<u8>,
    hash: blake3::Hasher,
    /// Why it cannot become whole any more; then nothing of it is held.
    fault: Option<String>,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::holding(MAX_PAYLOAD_BYTES)
    }
}

impl Assembler {
    /// Holds at most so many bytes that have no manifest yet.
    #[must_use]
    pub fn holding(most: u64) -> Self {
        Self { epoch: 0, claim: None, pending: Vec::new(), most }
    }

    /// The same, and all else as it is.
    #[must_use]
    pub fn at_most(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// Bytes that it may hold without a manifest.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Begins behind a claim, in the middle of the log.
    #[must_use]
    pub fn behind(claim: Claim) -> Self {
        Self { epoch: claim.epoch, claim: Some(claim), ..Self::default() }
    }

    /// The highest epoch that counts so far.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Who claimed it, where that was read.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// The highest epoch that a claim may name.
    #[must_use]
    pub fn reach(&self) -> u32 {
        if self.epoch == 0 { FIRST_REACH } else { self.epoch.saturating_add(EPOCH_REACH).min(LAST) }
    }

    /// Bytes held without a manifest.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.pending.iter().map(|pending| pending.payload.len() as u64).sum()
    }

    /// Takes the next record; `value` is `None` for a deleted one, `checksum` the header's.
    pub fn push(&mut self, record_key: &[u8], value: Option<Bytes>, checksum: Option<&[u8]>) -> Outcome {
        let (version, part) = match parse_key(record_key) {
            Ok(parsed) => parsed,
            Err(reason) => return Outcome::Refused { version: None, reason },
        };
        let Some(value) = value else { return Outcome::Nothing };
        if version.epoch < self.epoch {
            return Outcome::Stale(version); // I9
        }
        if part == Part::Claim {
            return self.take_claim(version, &value);
        }
        if self.epoch > 0 && version.epoch > self.epoch || version.epoch > self.reach() {
            let reason = format!("nobody claimed its epoch; the last one claimed is {}", self.epoch);
            return Outcome::Refused { version: Some(version), reason };
        }
        match part {
            Part::Chunk(n) => self.chunk(version, n, &value, checksum),
            _ => self.manifest(version, &value, checksum),
        }
    }

    fn take_claim(&mut self, version: VersionId, value: &[u8]) -> Outcome {
        let claim = match Claim::read(version, value) {
            Ok(claim) => claim,
            Err(reason) => return Outcome::Refused { version: Some(version), reason },
        };
        if version.epoch == self.epoch {
            return Outcome::Stale(version); // two trainers may claim the same epoch: the first on the log has it
        }
        if version.epoch > self.reach() {
            let reason = format!("its claim is out of reach: after epoch {} the last is {}", self.epoch, self.reach());
            return Outcome::Refused { version: Some(version), reason };
        }
        self.epoch = version.epoch;
        self.claim = Some(claim.clone());
        self.pending.clear();
        Outcome::Claimed(claim)
    }

    fn chunk(&mut self, version: VersionId, n: u32, value: &[u8], checksum: Option<&[u8]>) -> Outcome {
        let mut pending = self.take(version).unwrap_or_else(|| Pending::new(version));
        pending.take(n, value, checksum);
        let mut dropped = None;
        while self.pending.len() >= MAX_PENDING || self.held() + pending.payload.len() as u64 > self.most {
            if self.pending.is_empty() {
                let most = self.most;
                pending
                    .spoil(format!("it is larger than {most} bytes; give the process four times the version's memory"));
                break;
            }
            dropped = Some(self.pending.remove(0).version);
        }
        self.pending.push(pending);
        dropped.map_or(Outcome::Nothing, |version| Outcome::Refused {
            version: Some(version),
            reason: "its chunks were let go to make room for others: no manifest came".to_owned(),
        })
    }

    fn take(&mut self, version: VersionId) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.version == version)?;
        Some(self.pending.remove(at))
    }

    fn manifest(&mut self, version: VersionId, value: &[u8], checksum: Option<&[u8]>) -> Outcome {
        let refused = |reason: String| Outcome::Refused { version: Some(version), reason };
        if checksum != Some(blake3::hash(value).to_hex().as_bytes()) {
            return refused("its manifest does not have the checksum of its header".into());
        }
        let pending = self.take(version).unwrap_or_else(|| Pending::new(version));
        let manifest = match Manifest::read(version, value) {
            Ok(manifest) => manifest,
            Err(reason) => return refused(reason),
        };
        let Pending { chunks, payload, hash, fault, .. } = pending;
        if let Some(fault) = fault {
            return refused(fault);
        }
        if chunks != manifest.chunks {
            return refused(format!("{chunks} of its {} chunks are there", manifest.chunks));
        }
        if payload.len() as u64 != manifest.bytes {
            return refused(format!("it has {} of {} bytes", payload.len(), manifest.bytes));
        }
        if hash.finalize().to_hex().as_str() != manifest.checksum {
            return refused("it does not have the checksum of its manifest".into());
        }
        self.epoch = version.epoch;
        self.pending.retain(|pending| pending.version > version); // a trainer that goes on leaves none unfinished
        Outcome::Whole(manifest, payload)
    }
}

impl Pending {
    fn new(version: VersionId) -> Self {
        Self { version, chunks: 0, payload: Vec::new(), hash: blake3::Hasher::new(), fault: None }
    }

    /// Takes the next chunk: they come in their order.
    fn take(&mut self, n: u32, value: &[u8], checksum: Option<&[u8]>) {
        if self.fault.is_some() {
            return;
        }
        if n != self.chunks {
            let next = self.chunks;
            self.spoil(if n > next { format!("chunk {next} is missing") } else { format!("chunk {n} came twice") });
        } else if checksum != Some(blake3::hash(value).to_hex().as_bytes()) {
            self.spoil(format!("chunk {n} does not have the checksum of its header"));
        } else if value.is_empty() || value.len() > CHUNK_BYTES {
            self.spoil(format!("chunk {n} has {} bytes", value.len()));
        } else {
            self.payload.extend_from_slice(value); // copied: the record is a slice of a whole batch's memory
            self.hash.update(value);
            self.chunks += 1;
        }
    }

    fn spoil(&mut self, fault: String) {
        self.payload = Vec::new();
        self.fault = Some(fault);
    }
}

#[cfg(test)]
mod tests;
