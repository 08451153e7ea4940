//! `checkpoints`, as a trainer that starts reads them: see [`fuzz::lines`]. It goes on from a version or from none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime::kafka::Record;
use schemas::checkpoint::CHUNK_CHECKSUM;

fuzz_target!(|bytes: &[u8]| {
    let record = |(offset, (key, value, checksum)): (i64, fuzz::Line<'_>)| Record {
        partition: 0,
        offset,
        timestamp: 0,
        by_broker: false,
        key: key.to_vec().into(),
        value,
        headers: checksum.map(|checksum| (CHUNK_CHECKSUM.to_owned(), checksum.into())).into_iter().collect(),
    };
    let records: Vec<Record> = (0..).zip(fuzz::lines(bytes)).map(record).collect();
    let version = trainer::restored(&records).expect("the processor opens");
    assert_eq!(
        version,
        trainer::restored(&records).expect("the processor opens"),
        "the same records, the same version"
    );
});
