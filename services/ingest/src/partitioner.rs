//! Where clients' default partitioners put a key: two applications with different ones split a user, though both key
//! their events rightly. Pure, but for the counter and the warning.
//!
//! librdkafka (C, Go, Python, .NET, and others) takes CRC32 of the key, Kafka's own clients take murmur2.

use ::metrics::counter;
use tracing::warn;

use crate::metrics::MISPLACED;

/// Whose default put a key where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// Kafka's Java client, and librdkafka with `partitioner=murmur2_random`.
    Murmur2,
    /// librdkafka's default, `consistent_random`.
    Crc32,
    /// Either: nothing is to be learned from it.
    Both,
    /// None of them: another partitioner, or a partition was added since.
    Neither,
}

impl Placed {
    /// Labels of the metric.
    pub(crate) const NAMES: [&str; 3] = ["murmur2", "crc32", "other"];

    /// Who puts `key` into `partition` of `count`.
    pub(crate) fn by(key: &[u8], partition: i32, count: usize) -> Self {
        let (Ok(count @ 1..), Ok(partition)) = (u32::try_from(count), u32::try_from(partition)) else {
            return Self::Both;
        };
        let java = (murmur2(key) & 0x7fff_ffff) % count == partition;
        let librdkafka = crc32(key) % count == partition;
        match (java, librdkafka) {
            (true, true) => Self::Both,
            (true, false) => Self::Murmur2,
            (false, true) => Self::Crc32,
            (false, false) => Self::Neither,
        }
    }
}

/// Who puts the events of this instance where they lie.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    murmur2: u64,
    crc32: u64,
    told: bool,
}

impl Placement {
    /// Counts keyed records, `(key, partition)`, of a topic with `count` partitions.
    pub(crate) fn place<'a>(&mut self, records: impl Iterator<Item = (&'a [u8], i32)>, count: usize) {
        let strays = self.strays(records, count);
        for (partitioner, records) in Placed::NAMES.into_iter().zip(strays).filter(|(_, records)| *records > 0) {
            counter!(MISPLACED, "partitioner" => partitioner).increment(records);
            if !std::mem::replace(&mut self.told, true) {
                warn!(
                    records,
                    partitioner,
                    "applications place keys by different partitioners, so a user's events may lie on two partitions: set \
                     partitioner=murmur2_random in clients of librdkafka (ingest_misplaced_total goes on counting)"
                );
            }
        }
    }

    /// How many lie elsewhere than the partitioner of most would have put them, by [`Placed::NAMES`].
    fn strays<'a>(&mut self, records: impl Iterator<Item = (&'a [u8], i32)>, count: usize) -> [u64; 3] {
        let (mut murmur2, mut crc32, mut other) = (0, 0, 0);
        for (key, partition) in records {
            match Placed::by(key, partition, count) {
                Placed::Murmur2 => murmur2 += 1,
                Placed::Crc32 => crc32 += 1,
                Placed::Neither => other += 1,
                Placed::Both => {}
            }
        }
        self.murmur2 += murmur2;
        self.crc32 += crc32;
        if self.murmur2 >= self.crc32 { [0, crc32, other] } else { [murmur2, 0, other] }
    }
}

/// Kafka's murmur2 (32 bits, seed 0x9747b28c).
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// CRC-32 as in zip and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_that_of_kafkas_clients() {
        // From Kafka's own UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn crc32_is_that_of_everyone() {
        assert_eq!((crc32(b"123456789"), crc32(b"")), (0xcbf4_3926, 0));
    }

    #[test]
    fn two_applications_with_different_partitioners_are_noticed() {
        let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
        let java = |key: &str| ((murmur2(key.as_bytes()) & 0x7fff_ffff) % 4).cast_signed();
        let c = |key: &str| (crc32(key.as_bytes()) % 4).cast_signed();
        let mut placement = Placement::default();
        assert_eq!(placement.strays(keys.iter().map(|key| (key.as_bytes(), java(key))), 4), [0, 0, 0]);
        let [_, crc32, other] = placement.strays(keys[..40].iter().map(|key| (key.as_bytes(), c(key))), 4);
        assert!(crc32 > 20 && other == 0, "{crc32}");
        let mut alone = Placement::default();
        assert_eq!(alone.strays(keys.iter().map(|key| (key.as_bytes(), c(key))), 4), [0, 0, 0], "one default is none");
    }
}
