//! Whatever bytes a file holds, no reader of logs panics, and every row is accounted for.

use proptest::prelude::*;

use super::*;

/// Reads `bytes` in every way.
fn check(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(&folder, "log", bytes);
    for (columns, no_header) in [("user=u,item=i,time=t,type=k,title=n,price=p", false), ("user=1,item=2,time=3", true)]
    {
        match Log::open(&path, &Options { no_header, ..options(columns) }, |_| {}) {
            Ok(log) => {
                assert_eq!(log.skipped.values().sum::<u64>() + log.len() as u64, log.rows);
                assert_eq!(log.events().count(), log.len());
                assert!(
                    log.remarks
                        .iter()
                        .chain(log.examples.values().map(|e| &e.text))
                        .all(|t| !t.contains(char::is_control))
                );
            }
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
        }
    }
}

/// Pieces of which logs are made, and what breaks them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"u,i,t,k,n,p",
        b"u\ti\tt",
        b"\n",
        b"\r\n",
        b"\r",
        b",",
        b"\"",
        b"\"\"",
        b"\\\"",
        b"\\",
        b"::",
        b";",
        b"u1",
        b"NULL",
        b"\0",
        b"\xff",
        b"1700000000",
        b"20231114",
        b"10/11/2023",
        b"9999-12-31",
        b"99999999999999999999",
        b"1e400",
        b"-1",
        b"{\"u\":\"u1\",\"i\":7.0,\"t\":1700000000}",
        b"{\"u\":",
        b"[",
        b"]",
        b"}",
        b"NaN",
        b"view",
        b"#",
        b"sep=;",
        b"\x1e",
        b"2023-11-14 22:13:20 +0530",
        b"\xef\xbb\xbf",
    ];
    prop_oneof![
        9 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_panic_no_reader(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    #[test]
    fn what_logs_are_made_of_in_any_order_panics_no_reader(pieces in proptest::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        check(&text);
        check(&[&b"u,i,t,k,n,p\n"[..], &text].concat());
        check(&gz(&text));
        check(&zstd::encode_all(text.as_slice(), 1).expect("compresses"));
    }

    #[test]
    fn damaged_parquet_panics_no_reader(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = std::fs::read(parquet_file(&folder)).expect("reads");
        let length = bytes.len();
        bytes[at.index(length)] = byte;
        check(&bytes);
        check(&bytes[..cut.index(length)]);
    }

    #[test]
    fn any_text_is_a_time_or_none(text in "\\PC{0,40}", number in any::<i64>()) {
        let _ = time::read(&text);
        let _ = time::read(&number.to_string());
        let _ = time::swapped(number);
        let _ = time::as_digits(number);
    }

    #[test]
    fn times_of_numbers_and_names_in_any_order_are_times_or_none(text in "[0-9]{1,4}[-/. ]([0-9]{1,2}|Nov|tuesday)[-/., ][0-9]{1,4}[ T]?[0-9:.,]{0,14} ?(AM|pm|Z|UTC|\\+[0-9:]{0,5}|\\[UTC\\])?") {
        let _ = time::read(&text);
    }
}
