//! Payloads travel packed by zstd. A frame of it begins as no safetensors file can, so whoever reads tells by the first
//! bytes.

use std::borrow::Cow;
use std::io::Read;

use schemas::checkpoint::MAX_PAYLOAD_BYTES;

use crate::error::Error;

/// 300 MB a second; the levels above take much longer and gain little: most of a payload is keys and rows, which look
/// random.
const LEVEL: i32 = 3;

/// What a frame begins with. As the length of a header it would be far beyond any that is read.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The most that unpacking makes of a byte. Real payloads double; what is all zeros, a shop that knows nothing, makes
/// forty.
const MOST_OF_A_BYTE: u64 = 200;

/// Packs a payload; one that would shrink by more than a reader believes stays as it is.
///
/// # Errors
/// When zstd cannot.
pub fn pack(payload: &[u8]) -> Result<Vec<u8>, Error> {
    let packed = zstd::bulk::compress(payload, LEVEL).map_err(Error::Packed)?;
    let believed = payload.len() as u64 <= packed.len() as u64 * MOST_OF_A_BYTE;
    Ok(if believed { packed } else { payload.to_vec() })
}

/// The payload as it was before it was packed; what is not packed is given back.
///
/// # Errors
/// When the frame is damaged, or holds more than it is worth.
pub fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if !bytes.starts_with(&MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    let most = (bytes.len() as u64).saturating_mul(MOST_OF_A_BYTE).min(MAX_PAYLOAD_BYTES);
    let mut payload = Vec::new();
    let frame = zstd::stream::read::Decoder::with_buffer(bytes).map_err(Error::Packed)?.single_frame();
    frame.take(most + 1).read_to_end(&mut payload).map_err(Error::Packed)?;
    if payload.len() as u64 > most {
        return Err(Error::Packed(std::io::Error::other(format!("it would make more than {most} bytes"))));
    }
    Ok(Cow::Owned(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_what_was_not_stays() {
        let keys = |n: u32| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes();
        let payload: Vec<u8> = (0..100_000).flat_map(keys).collect();
        let packed = pack(&payload).expect("packs");
        assert!(packed.len() * 3 < payload.len() * 2, "{}", packed.len());
        assert_eq!(unpack(&packed).expect("unpacks"), payload);
        assert_eq!(unpack(&payload).expect("is none"), payload);
    }

    #[test]
    fn a_damaged_frame_and_one_that_makes_more_than_it_is_worth_are_refused() {
        let packed = pack(&(0..10_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).expect("packs");
        unpack(&packed[..packed.len() / 2]).expect_err("is cut");
        let zeros = vec![0; 64 << 20];
        let bomb = zstd::bulk::compress(&zeros, LEVEL).expect("packs");
        assert!(unpack(&bomb).expect_err("is refused").to_string().contains("more than"));
        assert_eq!(pack(&zeros).expect("packs"), zeros, "nobody would believe it");
    }
}
