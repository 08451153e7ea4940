//! The packed value of `user:{user}`: a fixed header that a Redis script can compare, then a Protobuf message.
//!
//! ```text
//! 0        4                12
//! ┌────────┬────────────────┬──────────────────┐
//! │ source │ source offset  │ Profile          │
//! │ part.  │ applied last   │ (Protobuf)       │
//! │ u32 BE │ u64 BE         │                  │
//! └────────┴────────────────┴──────────────────┘
//! ```
//! The header is what keeps an old owner of a partition from overwriting a newer slate.

use bytes::{Buf, BufMut};
use prost::Message;

use crate::proto::{Profile, Source};

/// Bytes before the Protobuf message.
pub const HEADER_BYTES: usize = 12;

/// A user's feature cache with the position on `events` that it has applied last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredProfile {
    /// Position of the event applied last.
    pub source: Source,
    /// What is remembered.
    pub profile: Profile,
}

/// Bytes under `user:{user}` that are not a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Shorter than the header.
    #[error("a stored profile has {0} bytes, fewer than its header's {HEADER_BYTES}")]
    Short(usize),
    /// The message behind the header does not decode.
    #[error("a stored profile does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
}

impl StoredProfile {
    /// Packs header and message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.profile.encoded_len());
        out.put_u32(self.source.partition.cast_unsigned());
        out.put_u64(self.source.offset.cast_unsigned());
        self.profile.encode_raw(&mut out);
        out
    }

    /// Unpacks what [`Self::encode`] packed.
    ///
    /// # Errors
    /// When the bytes are too short or are no `Profile`.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, ProfileError> {
        if bytes.len() < HEADER_BYTES {
            return Err(ProfileError::Short(bytes.len()));
        }
        let partition = bytes.get_u32().cast_signed();
        let offset = bytes.get_u64().cast_signed();
        Ok(Self { source: Source { partition, offset, ..Source::default() }, profile: Profile::decode(bytes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_survives_packing_and_its_header_is_big_endian() {
        let stored = StoredProfile {
            source: Source { partition: 3, offset: 918_273, ..Source::default() },
            profile: Profile { last_ts: 7, ..Profile::default() },
        };
        let bytes = stored.encode();
        assert_eq!(&bytes[..HEADER_BYTES], [0, 0, 0, 3, 0, 0, 0, 0, 0, 14, 3, 1]);
        assert_eq!(StoredProfile::decode(&bytes).expect("decodes"), stored);
        assert!(StoredProfile::decode(&bytes[..5]).is_err());
    }
}
