//! The packed value of `user:{user}`: a fixed header that a Redis script can compare, then a Protobuf message.
//!
//! ```text
//! 0        1          9        13            21       25               33
//! ┌────────┬──────────┬────────┬─────────────┬────────┬────────────────┬──────────────────┐
//! │ format │ checksum │ source │ source      │ source │ source offset  │ Profile          │
//! │ 2      │ XXH3     │ topic  │ incarnation │ part.  │ applied last   │ (Protobuf)       │
//! │ u8     │ u64 BE   │ u32 BE │ u64 BE      │ u32 BE │ u64 BE         │                  │
//! └────────┴──────────┴────────┴─────────────┴────────┴────────────────┴──────────────────┘
//! ```
//! The checksum is of all that follows it. So the header names the value, and who writes says which value it saw:
//! nobody overwrites what somebody else has written since. Values of before, whose header is partition and offset
//! alone, are read.
//!
//! Formats to come keep the first nine bytes, so that a release that cannot read them knows what they are and leaves
//! them alone. A field of the message that may be lost leaves the format as it is: an older release passes over it, and
//! writes the profile without. One that must not be lost raises the format.

use bytes::{Buf, BufMut};
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

use crate::RELEASE;
use crate::proto::{Profile, Source};

/// Bytes before the Protobuf message: what tells one value from another.
pub const HEADER_BYTES: usize = 33;
/// The first byte. Values of before begin with the highest byte of a partition's number, which is 0.
const FORMAT: u8 = 2;
/// Where the checksum ends and what it is of begins.
const CHECKED: usize = 9;
/// Bytes before the message in a value of before.
const OLD_HEADER_BYTES: usize = 12;

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
    #[error("a stored profile has {0} bytes, fewer than its header")]
    Short(usize),
    /// Longer than any that we write.
    #[error("it is longer than any stored profile")]
    Long,
    /// The first byte is none of ours.
    #[error("no stored profile begins with the byte {0}")]
    Format(u8),
    /// A later release wrote it.
    #[error("it is a profile of format {0}, and this release, {RELEASE}, reads up to {FORMAT}")]
    Later(u8),
    /// The bytes are not those that were written.
    #[error("a stored profile has another checksum than its bytes")]
    Checksum,
    /// The message behind the header does not decode.
    #[error("a stored profile does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
}

impl StoredProfile {
    /// Packs header and message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.profile.encoded_len());
        out.put_u8(FORMAT);
        out.put_u64(0);
        out.put_u32(self.source.topic);
        out.put_u64(self.source.incarnation);
        out.put_u32(self.source.partition.cast_unsigned());
        out.put_u64(self.source.offset.cast_unsigned());
        self.profile.encode_raw(&mut out);
        let checksum = xxh3_64(&out[CHECKED..]);
        out[1..CHECKED].copy_from_slice(&checksum.to_be_bytes());
        out
    }

    /// Unpacks what [`Self::encode`] packed, or what it packed before it had a checksum.
    ///
    /// # Errors
    /// When the bytes are too short, are others than were written, or are no `Profile`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        match bytes.first().copied() {
            Some(0) if bytes.len() >= OLD_HEADER_BYTES => Self::decode_old(bytes),
            Some(FORMAT) if bytes.len() >= HEADER_BYTES => Self::decode_checked(bytes),
            Some(0 | FORMAT) | None => Err(ProfileError::Short(bytes.len())),
            Some(format) if format > FORMAT && is_whole(bytes) => Err(ProfileError::Later(format)),
            Some(format) => Err(ProfileError::Format(format)),
        }
    }

    fn decode_checked(bytes: &[u8]) -> Result<Self, ProfileError> {
        if !is_whole(bytes) {
            return Err(ProfileError::Checksum);
        }
        let mut rest = &bytes[CHECKED..];
        let (topic, incarnation) = (rest.get_u32(), rest.get_u64());
        let (partition, offset) = (rest.get_u32().cast_signed(), rest.get_u64().cast_signed());
        Ok(Self { source: Source { partition, offset, topic, incarnation }, profile: Profile::decode(rest)? })
    }

    fn decode_old(mut bytes: &[u8]) -> Result<Self, ProfileError> {
        let (partition, offset) = (bytes.get_u32().cast_signed(), bytes.get_u64().cast_signed());
        Ok(Self { source: Source { partition, offset, ..Source::default() }, profile: Profile::decode(bytes)? })
    }

    /// What tells this value from any other: the first bytes of the value.
    #[must_use]
    pub fn header(value: &[u8]) -> &[u8] {
        &value[..value.len().min(HEADER_BYTES)]
    }

    /// Where the user's events were applied through: of each partition the last, that of the last of all first.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.source).chain(&self.profile.elsewhere)
    }
}

/// Whether what follows the checksum is what it was of: so in every format since the second.
fn is_whole(bytes: &[u8]) -> bool {
    let checksum = bytes.get(1..CHECKED).and_then(|eight| eight.first_chunk());
    checksum.is_some_and(|checksum| u64::from_be_bytes(*checksum) == xxh3_64(&bytes[CHECKED..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored() -> StoredProfile {
        StoredProfile {
            source: Source { partition: 3, offset: 918_273, topic: 1, incarnation: 5 },
            profile: Profile { last_ts: 7, ..Profile::default() },
        }
    }

    #[test]
    fn a_profile_survives_packing_and_its_header_is_big_endian() {
        let bytes = stored().encode();
        let source = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 14, 3, 1];
        assert_eq!((bytes[0], &bytes[CHECKED..HEADER_BYTES]), (FORMAT, &source[..]));
        assert_eq!(StoredProfile::decode(&bytes).expect("decodes"), stored());
    }

    #[test]
    fn a_profile_of_before_there_was_a_checksum_is_read() {
        let mut old = vec![0, 0, 0, 3, 0, 0, 0, 0, 0, 14, 3, 1];
        stored().profile.encode_raw(&mut old);
        let read = StoredProfile::decode(&old).expect("decodes");
        assert_eq!(read.source, Source { partition: 3, offset: 918_273, ..Source::default() });
        assert_eq!(read.profile, stored().profile);
    }

    #[test]
    fn a_profile_of_a_later_format_is_told_from_bytes_that_are_nobodys() {
        let mut later = stored().encode();
        later[0] = FORMAT + 1;
        let error = StoredProfile::decode(&later).expect_err("is refused");
        assert!(matches!(error, ProfileError::Later(3)), "{error}");
        assert!(error.to_string().contains("format 3") && error.to_string().contains(RELEASE), "{error}");
        later[CHECKED] ^= 1;
        let error = StoredProfile::decode(&later).expect_err("is refused");
        assert!(matches!(error, ProfileError::Format(3)), "{error}");
        assert!(matches!(StoredProfile::decode(&[FORMAT + 1]), Err(ProfileError::Format(3))));
    }

    #[test]
    fn a_field_of_a_later_release_in_a_profile_or_an_interaction_is_passed_over() {
        let later = [0xA2, 0x06, 0x02, b'h', b'i']; // field 100: two bytes
        let mut bytes = [stored().encode(), later.to_vec()].concat();
        let checksum = xxh3_64(&bytes[CHECKED..]);
        bytes[1..CHECKED].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(StoredProfile::decode(&bytes).expect("decodes"), stored());
        let interaction = crate::Interaction { user_id: "u".into(), ts: 7, ..Default::default() };
        let bytes = [interaction.encode_to_vec(), later.to_vec()].concat();
        assert_eq!(crate::Interaction::decode(&bytes[..]).expect("decodes"), interaction);
    }

    #[test]
    fn a_profile_that_is_cut_or_of_which_a_byte_changed_is_refused() {
        let bytes = stored().encode();
        for cut in 0..bytes.len() {
            assert!(StoredProfile::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for changed in 1..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[changed] ^= 1;
            assert!(StoredProfile::decode(&bytes).is_err(), "changed at {changed}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_as_a_stored_profile_are_read_or_refused_and_never_panic(
            start in 0_u8..4, bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = StoredProfile::decode(&bytes);
            let bytes = [&[start][..], &bytes].concat();
            if let Ok(stored) = StoredProfile::decode(&bytes) {
                prop_assert_eq!(StoredProfile::decode(&stored.encode()).expect("decodes"), stored);
            }
            let _ = (crate::Mark::decode(&bytes), crate::Slate::decode(&bytes));
        }
    }
}
