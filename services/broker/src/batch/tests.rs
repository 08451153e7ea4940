//! Batches that are whole, and such as are not.

use std::io::Write;

use super::*;

/// How a batch is packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packed {
    Not,
    Gzip,
    Lz4,
    Zstd,
}

/// A batch as a producer sends it: record `n` was written at `times[n]`.
pub(crate) fn sent(producer: (i64, i16, i32), times: &[i64], packed: Packed) -> BytesMut {
    let mut records = BytesMut::new();
    for (delta, time) in times.iter().enumerate() {
        let mut record = BytesMut::new();
        record.put_i8(0);
        put_varint(&mut record, time - times[0]);
        put_varint(&mut record, i64::try_from(delta).expect("few"));
        put_varint(&mut record, -1); // no key
        put_varint(&mut record, 5);
        record.put_slice(b"value");
        put_varint(&mut record, 0); // no headers
        put_varint(&mut records, i64::try_from(record.len()).expect("small"));
        records.put_slice(&record);
    }
    let (codec, records) = pack(&records, packed);
    let mut bytes = BytesMut::new();
    bytes.put_i64(0);
    bytes.put_i32(i32::try_from(HEADER - PROLOGUE + records.len()).expect("small"));
    bytes.put_i32(-1);
    bytes.put_u8(MAGIC);
    bytes.put_u32(0);
    bytes.put_i16(codec);
    bytes.put_i32(i32::try_from(times.len()).expect("few") - 1);
    bytes.put_i64(times[0]);
    bytes.put_i64(times.iter().copied().max().expect("at least one"));
    bytes.put_i64(producer.0);
    bytes.put_i16(producer.1);
    bytes.put_i32(producer.2);
    bytes.put_i32(i32::try_from(times.len()).expect("few"));
    bytes.put_slice(&records);
    sign(&mut bytes);
    bytes
}

fn sign(bytes: &mut BytesMut) {
    let sum = crc32c::crc32c(&bytes[COVERED..]);
    (&mut bytes[17..21]).put_u32(sum);
}

fn pack(records: &[u8], packed: Packed) -> (i16, Vec<u8>) {
    match packed {
        Packed::Not => (0, records.to_vec()),
        Packed::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(records).expect("packs");
            (1, packer.finish().expect("packs"))
        }
        Packed::Lz4 => {
            let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            packer.write_all(records).expect("packs");
            (3, packer.finish().expect("packs"))
        }
        Packed::Zstd => (4, zstd::encode_all(records, 1).expect("packs")),
    }
}

fn put_varint(bytes: &mut BytesMut, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        bytes.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.put_u8(left as u8);
}

fn refused(bytes: &[u8]) -> ResponseError {
    Batch::split(bytes).expect_err("is refused")
}

#[test]
fn a_batch_is_told_by_its_header_and_goes_on_unchanged_but_for_its_place() {
    let bytes = sent((7, 3, 40), &[1000, 1200, 1100], Packed::Not);
    let two = [&bytes[..], &sent((7, 3, 43), &[1300], Packed::Not)].concat();
    let batches = Batch::split(&two).expect("both are whole");
    let [first, second] = &batches[..] else { panic!("two were sent, {} found", batches.len()) };
    assert_eq!((first.producer_id, first.producer_epoch, first.base_sequence), (7, 3, 40));
    assert_eq!((first.last_offset_delta, first.max_timestamp, second.base_sequence), (2, 1200, 43));
    let placed = first.clone().at(90);
    assert_eq!((placed.base_offset, placed.last_offset()), (90, 92));
    assert_eq!((&placed.bytes()[..8], &placed.bytes()[16..]), (&90_i64.to_be_bytes()[..], &bytes[16..]));
}

#[test]
fn a_batch_that_is_cut_or_changed_on_its_way_is_corrupt() {
    let whole = sent((-1, -1, -1), &[1000, 1001], Packed::Not);
    for end in 1..whole.len() {
        assert_eq!(refused(&whole[..end]), ResponseError::CorruptMessage, "cut after {end} bytes");
    }
    for at in (8..12).chain(17..whole.len()) {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        assert_eq!(refused(&changed), ResponseError::CorruptMessage, "byte {at} was changed");
    }
}

#[test]
fn a_batch_that_is_no_batch_of_records_is_refused_although_its_checksum_is_right() {
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = sent((7, 0, 0), &[1000, 1001], Packed::Not);
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        sign(&mut batch);
        batch
    };
    assert_eq!(refused(&[]), ResponseError::InvalidRecord);
    assert_eq!(refused(&with(16, &[1])), ResponseError::UnsupportedForMessageFormat);
    assert_eq!(refused(&with(22, &[0x10])), ResponseError::InvalidTxnState, "transactions are not there");
    assert_eq!(refused(&with(22, &[0x20])), ResponseError::InvalidRecord, "only brokers write control batches");
    assert_eq!(refused(&with(22, &[0x05])), ResponseError::InvalidRecord, "there is no fifth compression");
    assert_eq!(refused(&with(23, &9_i32.to_be_bytes())), ResponseError::InvalidRecord, "two records, not ten");
    assert_eq!(refused(&with(23, &i32::MIN.to_be_bytes())), ResponseError::InvalidRecord);
    assert_eq!(refused(&with(57, &i32::MIN.to_be_bytes())), ResponseError::InvalidRecord);
    assert_eq!(refused(&with(53, &(-1_i32).to_be_bytes())), ResponseError::InvalidRecord);
}

#[test]
fn a_time_is_found_within_a_batch_however_it_is_packed() {
    for packed in [Packed::Not, Packed::Gzip, Packed::Lz4, Packed::Zstd] {
        let bytes = sent((-1, -1, -1), &[1000, 1100, 1050, 1200], packed);
        let batch = Batch::split(&bytes).expect("is whole").remove(0).at(50);
        let found = [900, 1001, 1101].map(|time| batch.first_since(time));
        assert_eq!(found, [(50, 1000), (51, 1100), (53, 1200)], "{packed:?}");
    }
}

#[test]
fn a_batch_that_cannot_be_looked_into_is_found_as_a_whole() {
    let mut bytes = sent((-1, -1, -1), &[1000, 1100], Packed::Not);
    bytes[22] = 2;
    sign(&mut bytes);
    let batch = Batch::split(&bytes).expect("is whole").remove(0).at(50);
    assert_eq!(batch.first_since(1050), (50, 1100), "Snappy");
    bytes[22] = 0;
    bytes[HEADER..].fill(0xff);
    sign(&mut bytes);
    let batch = Batch::split(&bytes).expect("its header is right").remove(0).at(50);
    assert_eq!(batch.first_since(1050), (50, 1100), "no records");
}
