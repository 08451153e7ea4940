//! A batch of records as its producer sent it: bytes that are checked, numbered and handed on, hardly ever looked into.
//!
//! The format is Kafka's "record batch", magic 2: <https://kafka.apache.org/documentation/#recordbatch>.

use std::io::{self, Read};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;

/// Bytes of a batch before its records.
const HEADER: usize = 61;
/// Bytes before those that its length counts.
const PROLOGUE: usize = 12;
const MAGIC: u8 = 2;

/// The checksum covers what follows it: not the offset and the leader's epoch, which are ours to write.
const COVERED: usize = 21;

const COMPRESSION: i16 = 0x07;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// Of a batch as much is unpacked at most to find a time in it: what the largest batch of Kafka's defaults (1 MiB)
/// unpacks to at 64-fold.
const MOST_UNPACKED: u64 = 64 << 20;

/// A batch that is whole.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    bytes: Bytes,
    pub(crate) base_offset: i64,
    pub(crate) last_offset_delta: i32,
    pub(crate) max_timestamp: i64,
    /// Below 0 where the producer is not idempotent.
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
}

impl Batch {
    /// The batches of a produce request, one after another.
    pub(crate) fn split(mut records: &[u8]) -> Result<Vec<Self>, ResponseError> {
        let mut batches = Vec::new();
        while !records.is_empty() {
            let (batch, rest) = Self::first(records)?;
            batches.push(batch);
            records = rest;
        }
        if batches.is_empty() { Err(ResponseError::InvalidRecord) } else { Ok(batches) }
    }

    fn first(records: &[u8]) -> Result<(Self, &[u8]), ResponseError> {
        if records.len() < HEADER {
            return Err(ResponseError::CorruptMessage);
        }
        if records[16] != MAGIC {
            return Err(ResponseError::UnsupportedForMessageFormat);
        }
        let length = usize::try_from(int(records, 8)).map_err(|_| ResponseError::CorruptMessage)? + PROLOGUE;
        if !(HEADER..=records.len()).contains(&length) {
            return Err(ResponseError::CorruptMessage);
        }
        let (bytes, rest) = records.split_at(length);
        if crc32c::crc32c(&bytes[COVERED..]) != int(bytes, 17).cast_unsigned() {
            return Err(ResponseError::CorruptMessage);
        }
        let (attributes, last_offset_delta) = (short(bytes, 21), int(bytes, 23));
        if attributes & TRANSACTIONAL != 0 {
            return Err(ResponseError::InvalidTxnState);
        }
        let (producer_id, base_sequence) = (long(bytes, 43), int(bytes, 53));
        let counted = last_offset_delta >= 0 && int(bytes, 57).checked_sub(1) == Some(last_offset_delta);
        let numbered = producer_id < 0 || base_sequence >= 0;
        if attributes & CONTROL != 0 || attributes & COMPRESSION > 4 || !counted || !numbered {
            return Err(ResponseError::InvalidRecord);
        }
        let batch = Self {
            // A copy: a slice of the request would keep all of it.
            bytes: Bytes::copy_from_slice(bytes),
            base_offset: long(bytes, 0),
            last_offset_delta,
            max_timestamp: long(bytes, 35),
            producer_id,
            producer_epoch: short(bytes, 51),
            base_sequence,
        };
        Ok((batch, rest))
    }

    /// The same batch at its place in a partition.
    pub(crate) fn at(self, offset: i64) -> Self {
        let mut bytes = BytesMut::from(self.bytes);
        (&mut bytes[..8]).put_i64(offset);
        // There is one leader, in its first term.
        (&mut bytes[12..16]).put_i32(0);
        Self { bytes: bytes.freeze(), base_offset: offset, ..self }
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// As it goes to a consumer.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Offset and time of the first record at `time` or later; of the whole batch where it cannot be looked into.
    pub(crate) fn first_since(&self, time: i64) -> (i64, i64) {
        let whole = (self.base_offset, self.max_timestamp);
        let base = long(&self.bytes, 27);
        let Ok(records) = self.unpacked() else { return whole };
        let deltas = Deltas { records: &records, left: self.last_offset_delta.saturating_add(1) };
        let found = (self.base_offset..).zip(deltas.map(|delta| base.saturating_add(delta)));
        found.into_iter().find(|(_, found)| *found >= time).unwrap_or(whole)
    }

    fn unpacked(&self) -> io::Result<Bytes> {
        let packed = self.bytes.slice(HEADER..);
        let unpack = |reader: &mut dyn Read| {
            let mut records = Vec::new();
            reader.take(MOST_UNPACKED).read_to_end(&mut records).map(|_| Bytes::from(records))
        };
        match short(&self.bytes, 21) & COMPRESSION {
            0 => Ok(packed),
            1 => unpack(&mut flate2::read::GzDecoder::new(&packed[..])),
            3 => unpack(&mut lz4_flex::frame::FrameDecoder::new(&packed[..])),
            4 => unpack(&mut zstd::stream::read::Decoder::new(&packed[..])?),
            _ => Err(io::ErrorKind::Unsupported.into()), // Snappy, in the framing of its Java library
        }
    }
}

/// How long after its batch's first time each record was written, in milliseconds; ends where the records make no
/// sense.
struct Deltas<'a> {
    records: &'a [u8],
    left: i32,
}

impl Iterator for Deltas<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1).filter(|left| *left >= 0)?;
        let length = usize::try_from(varint(&mut self.records)?).ok()?;
        let (mut record, rest) = self.records.split_at_checked(length)?;
        self.records = rest;
        record.try_get_i8().ok()?; // attributes, unused
        varint(&mut record)
    }
}

/// Kafka's numbers of variable length: seven bits a byte, the sign in the lowest bit.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

// Of a header, whose length was looked at before.

fn short(bytes: &[u8], at: usize) -> i16 {
    (&bytes[at..]).get_i16()
}

fn int(bytes: &[u8], at: usize) -> i32 {
    (&bytes[at..]).get_i32()
}

fn long(bytes: &[u8], at: usize) -> i64 {
    (&bytes[at..]).get_i64()
}

#[cfg(test)]
pub(crate) mod tests;
