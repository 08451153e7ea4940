//! Finds out whether a request can be decoded before it is.
//!
//! `kafka-protocol` makes room for as many elements as a list says it has, before it reads the first: four bytes from
//! anybody would ask for more memory than there is, which ends the process. So a request is read twice. At first every
//! number that is larger than what is left to read is taken for what is left and one: a list of so many is refused
//! where the bytes end, and none that is really there is touched, for each element takes a byte at least. What becomes
//! of numbers that are no lengths does not matter, for the first reading is forgotten.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Numbers of variable length below it are always believed: they may be the tag of a field.
const SMALL: u64 = 1 << 14;

/// Bits of a number of variable length at most.
const LONGEST_NUMBER: u32 = 35;

/// Decodes a request.
pub(crate) fn decode<R: Decodable>(body: Bytes, version: i16) -> Result<R, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string().trim_end().to_owned();
    // One type for both: each decoder is compiled once.
    let read = |rest: Bytes, wary: bool| R::decode(&mut Probe { rest, wary, number: 0, shift: 0 }, version);
    read(body.clone(), true).map_err(|error| told(&error))?;
    read(body, false).map_err(|error| told(&error))
}

/// Bytes of a request.
#[derive(Debug)]
struct Probe {
    rest: Bytes,
    /// Whether this is the first reading.
    wary: bool,
    /// The number of variable length that is being read.
    number: u64,
    shift: u32,
}

impl Buf for Probe {
    fn remaining(&self) -> usize {
        self.rest.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.rest.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
    }

    /// Lengths and lists of the older versions.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let number = self.rest.try_get_i32()?;
        if !self.wary {
            return Ok(number);
        }
        Ok(number.min(i32::try_from(self.remaining() + 1).unwrap_or(i32::MAX)))
    }

    /// Lengths and lists of the newer versions: seven bits a byte, 1 more than the length.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.rest.try_get_u8()?;
        if !self.wary {
            return Ok(byte);
        }
        self.number |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        let (number, available) = (self.number, self.remaining());
        let too_large = number >= SMALL && number - 1 > available as u64;
        let last = byte < 0x80;
        if last {
            (self.number, self.shift) = (0, 0);
        }
        // The decoder stops after five bytes, whether the number does or not.
        if (last && too_large) || (!last && self.shift >= LONGEST_NUMBER) {
            return Err(TryGetError { requested: usize::try_from(number).unwrap_or(usize::MAX), available });
        }
        Ok(byte)
    }
}

impl ByteBuf for Probe {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.rest.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.rest.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};

    use super::*;

    /// A question for topics: a list of the older kind.
    fn old(count: i32, names: &[&str]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i32(count);
        for name in names {
            bytes.put_i16(i16::try_from(name.len()).expect("short"));
            bytes.put_slice(name.as_bytes());
        }
        bytes.freeze()
    }

    #[test]
    fn a_list_that_is_there_is_read_and_one_that_is_not_costs_nothing() {
        let asked: MetadataRequest = decode(old(2, &["events", "slates"]), 1).expect("both are there");
        assert_eq!(asked.topics.map(|topics| topics.len()), Some(2));
        let asked: MetadataRequest = decode(old(-1, &[]), 1).expect("all are meant");
        assert_eq!(asked.topics, None);
        for count in [3, 1 << 20, i32::MAX, -2] {
            decode::<MetadataRequest>(old(count, &["events", "slates"]), 1).expect_err("is a lie");
            decode::<MetadataRequest>(old(count, &[]), 1).expect_err("nothing is there");
        }
    }

    #[test]
    fn a_list_of_the_newer_kind_is_not_believed_either() {
        for count in [
            &[0xff, 0xff, 0xff, 0xff, 0x0f][..],
            &[0x80, 0x80, 0x80, 0x80, 0x08],
            &[0xff, 0xff, 0x7f],
            &[0xff; 6],
            &[4],
        ] {
            let body = [count, &[0; 17]].concat();
            decode::<MetadataRequest>(body.into(), 12).expect_err("is a lie");
        }
        let all = Bytes::from_static(&[0, 0, 0, 0]);
        assert_eq!(decode::<MetadataRequest>(all, 12).expect("all are meant").topics, None);
    }

    #[test]
    fn other_numbers_keep_their_value_however_large() {
        let mut bytes = BytesMut::new();
        for number in [-1, i32::MAX, 1, 50 << 20] {
            bytes.put_i32(number);
        }
        bytes.put_i8(-1);
        bytes.put_i32(0);
        let asked: FetchRequest = decode(bytes.freeze(), 4).expect("is whole");
        assert_eq!((asked.max_wait_ms, asked.max_bytes, asked.isolation_level), (i32::MAX, 50 << 20, -1));
    }

    #[test]
    fn records_of_a_megabyte_pass() {
        let records = vec![0x99; 1 << 20];
        let mut bytes = BytesMut::new();
        bytes.put_slice(&[0, 0xff, 0xff, 0, 0, 0x75, 0x30, 2, 2, b'e', 2, 0, 0, 0, 0]);
        bytes.put_slice(&[0x81, 0x80, 0x40]); // 2²⁰ + 1
        bytes.put_slice(&records);
        bytes.put_slice(&[0, 0, 0]);
        let sent: ProduceRequest = decode(bytes.freeze(), 9).expect("is whole");
        assert_eq!(sent.topic_data[0].partition_data[0].records.as_deref(), Some(&records[..]));
    }
}
