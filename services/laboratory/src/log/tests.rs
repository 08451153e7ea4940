//! What a recorded log promises, on small files made here and on the real ones where they are present.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

use super::*;

/// Out of order, with one bad row of each kind.
const CLICKS: &str = "\
who,what,when,visit,kind,amount
u2,i1,2019-10-01 00:00:02 UTC,s2,view,
u1,i1,2019-10-01 00:00:01 UTC,s1,view,10.5
u1,i2,2019-10-01 00:00:02 UTC,,purchase,2
,i2,2019-10-01 00:00:02 UTC,,view,
u1,,2019-10-01 00:00:02 UTC,,view,
u1,i2,,,view,
u1,i2,yesterday,,view,
u1,i2,2019-10-01 00:00:02 UTC,,,
u1,i2,2019-10-01 00:00:02 UTC,,teleport,
u1,i2,2019-10-01 00:00:02 UTC,,view,much
u1,i2,2019-10-01 00:00:02 UTC,,purchase,-2
u1,i2
u3,i3,2019-10-01 00:00:00 UTC,s3,addtocart,5
";
const COLUMNS: &str = "user=who,item=what,time=when,session=visit,type=kind,value=amount";

fn options(columns: &str) -> Options {
    Options::new(columns.parse().expect("columns"))
}

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("writes");
    path
}

fn open(path: &Path, columns: &str) -> Result<Log, LogError> {
    Log::open(path, &options(columns), |_| {})
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("writes")
}

#[test]
fn events_come_in_time_order_and_every_bad_row_is_counted_by_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let log = open(&file(&folder, "clicks.csv", CLICKS.as_bytes()), COLUMNS).expect("opens");
    let seen: Vec<_> = log.events().map(|e| (e.user_id, e.item_id, e.kind, e.value, e.session_id)).collect();
    let s = |text: &str| text.to_owned();
    assert_eq!(
        seen,
        [
            (s("u3"), s("i3"), EventType::Cart, Some(5.0), Some(s("s3"))),
            (s("u1"), s("i1"), EventType::View, Some(10.5), Some(s("s1"))),
            (s("u2"), s("i1"), EventType::View, None, Some(s("s2"))),
            (s("u1"), s("i2"), EventType::Purchase, Some(2.0), None),
        ]
    );
    assert_eq!(log.rows, 13);
    let every = [
        Skip::Malformed,
        Skip::MissingUser,
        Skip::MissingItem,
        Skip::MissingTime,
        Skip::MissingType,
        Skip::BadTime,
        Skip::UnknownType,
        Skip::BadValue,
        Skip::Cancelled,
    ];
    assert_eq!(log.skipped, every.map(|reason| (reason, 1)).into());
    assert_eq!(log.span(), Some((1_569_888_000_000, 1_569_888_002_000)));
}

#[test]
fn the_limit_keeps_the_first_in_time_not_in_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(&folder, "clicks.csv", CLICKS.as_bytes());
    let log = Log::open(&path, &Options { limit: Some(2), ..options(COLUMNS) }, |_| {}).expect("opens");
    assert_eq!(log.events().map(|event| event.user_id).collect::<Vec<_>>(), ["u3", "u1"]);
    assert_eq!((log.users(), log.items(), log.rows), (2, 2, 13));
}

#[test]
fn rows_without_a_time_keep_their_order_a_second_apart() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = file(&folder, "a.csv", b"who,what\nu2,i2\nu1,\nu1,i1\n");
    let json = file(
        &folder,
        "a.jsonl",
        b"{\"who\":\"u2\",\"what\":\"i2\"}\n{\"who\":\"u1\"}\n{\"who\":\"u1\",\"what\":\"i1\"}\n",
    );
    for path in [csv, json, parquet_file(&folder)] {
        let log = open(&path, "user=who,item=what").expect("opens");
        let seen: Vec<_> = log.events().map(|event| (event.user_id, event.ts.0 % 86_400_000)).collect();
        let third = ("u2".to_owned(), 3_000);
        let expected = match seen.len() {
            2 => vec![("u2".to_owned(), 1_000), ("u1".to_owned(), 3_000)],
            _ => vec![("u1".to_owned(), 1_000), ("u1".to_owned(), 2_000), third],
        };
        assert_eq!(seen, expected, "{path:?}");
    }
}

#[test]
fn a_log_reads_the_same_in_every_format_and_compression() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = "who,what,when,amount\nu1,i1,1569888000,10.5\nu1,i2,1569888001,\nu2,\"i,3\",1569888001,1.0\n";
    let jsonl = "\
{\"who\":\"u1\",\"what\":\"i1\",\"when\":1569888000,\"amount\":10.5}\n\n\
{\"who\":\"u1\",\"what\":\"i2\",\"when\":1569888001,\"amount\":null}\n\
{\"who\":\"u2\",\"what\":\"i,3\",\"when\":\"2019-10-01T00:00:01Z\",\"amount\":1.0}";
    let zst = zstd::encode_all(jsonl.as_bytes(), 3).expect("compresses");
    let paths = [
        file(&folder, "a.csv", csv.as_bytes()),
        file(&folder, "a.tsv", csv.replace("\"i,3\"", "@").replace(',', "\t").replace('@', "i,3").as_bytes()),
        file(&folder, "a.csv.gz", &gz(csv.as_bytes())),
        file(&folder, "named-wrongly.csv", &gz(format!("\u{feff}\n{csv}").as_bytes())),
        file(&folder, "a.jsonl", jsonl.as_bytes()),
        file(&folder, "a.jsonl.zst", &zst),
        parquet_file(&folder),
    ];
    let read = |path: &PathBuf| {
        let log = open(path, "user=who,item=what,time=when,value=amount").expect("opens");
        assert!(log.skipped.keys().all(|reason| *reason == Skip::Blank), "{path:?}: {:?}", log.skipped);
        log.events().map(|event| Event { event_id: None, ..event }).collect::<Vec<_>>()
    };
    let first = read(&paths[0]);
    assert_eq!(first.len(), 3);
    for path in &paths[1..] {
        assert_eq!(read(path), first, "{path:?}");
    }
}

/// The same three rows; times are microseconds by type, a column of no interest stands between.
fn parquet_file(folder: &tempfile::TempDir) -> PathBuf {
    let schema = "message log {
        required binary who (utf8); required int64 noise; required binary what (utf8);
        required int64 when (timestamp_micros); optional double amount; }";
    let schema = Arc::new(parse_message_type(schema).expect("schema"));
    let path = folder.path().join("a.parquet");
    let out = std::fs::File::create(&path).expect("creates");
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(out, schema, properties).expect("writer");
    let mut group = writer.next_row_group().expect("row group");
    let texts = |texts: [&str; 3]| texts.map(ByteArray::from);
    let times = [1_569_888_000_000_000, 1_569_888_001_000_000, 1_569_888_001_000_999];
    for at in 0..5 {
        let mut column = group.next_column().expect("column").expect("one more");
        match at {
            0 => column.typed::<ByteArrayType>().write_batch(&texts(["u1", "u1", "u2"]), None, None),
            1 => column.typed::<Int64Type>().write_batch(&[7, 8, 9], None, None),
            2 => column.typed::<ByteArrayType>().write_batch(&texts(["i1", "i2", "i,3"]), None, None),
            3 => column.typed::<Int64Type>().write_batch(&times, None, None),
            _ => column.typed::<DoubleType>().write_batch(&[10.5, 1.0], Some(&[1, 0, 1]), None),
        }
        .expect("writes");
        column.close().expect("closes");
    }
    group.close().expect("closes");
    writer.close().expect("closes");
    path
}

#[test]
fn an_event_id_names_file_columns_and_row_so_that_a_replay_is_idempotent() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(&folder, "clicks.csv", CLICKS.as_bytes());
    let ids = |columns: &str| {
        let log = open(&path, columns).expect("opens");
        log.into_events().map(|event| event.event_id.expect("has one")).collect::<Vec<_>>()
    };
    assert_eq!(ids(COLUMNS), ids(COLUMNS));
    assert!(ids(COLUMNS)[0].starts_with("clicks.") && ids(COLUMNS)[0].ends_with("/13"), "{}", ids(COLUMNS)[0]);
    assert_ne!(ids(COLUMNS)[0], ids("user=visit,item=what,time=when")[0]);
}

#[test]
fn a_log_that_cannot_be_used_says_what_to_change() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = file(&folder, "clicks.csv", CLICKS.as_bytes());
    let error = |path: &Path, columns: &str| open(path, columns).expect_err("fails").to_string();

    let unknown = error(&csv, "user=customer,item=what,time=when");
    assert!(
        unknown.contains("no column `customer` (for user); it has: who, what, when, visit, kind, amount"),
        "{unknown}"
    );
    let json = file(&folder, "a.jsonl", b"{\"who\":\"u1\",\"at\":{\"day\":\"2019-10-01\"}}\n");
    assert!(error(&json, "user=who,item=what,time=at.day").contains("it has: at, who"));
    assert!(error(&parquet_file(&folder), "user=who,item=x,time=when").contains("it has: who, noise, what"));
    assert!(error(&csv, "user=who,item=what,time=visit").contains("no usable row among 13"));
    assert!(error(&file(&folder, "empty.csv", b"\n\n"), COLUMNS).contains("is empty"));
    assert!(error(&folder.path().join("nowhere"), COLUMNS).contains("cannot open the log"));
    let whole = gz(CLICKS.repeat(100).as_bytes());
    assert!(error(&file(&folder, "cut.csv.gz", &whole[..whole.len() - 9]), COLUMNS).contains("cannot read the log"));
}

#[test]
fn a_quotation_mark_that_is_not_closed_costs_one_row_at_most_and_no_tail() {
    let folder = tempfile::tempdir().expect("folder");
    // The tail may be longer or shorter than the longest row.
    for rows in [100_000, 3] {
        for (first, events) in [("u1,\"i1,1569888000", rows + 1), ("u1,\"i1", rows)] {
            let text = format!("who,what,when\n{first}\n{}", "u1,i1,1569888000\n".repeat(rows));
            let log = open(&file(&folder, "a.csv", text.as_bytes()), "user=who,item=what,time=when").expect("opens");
            assert_eq!((log.len(), log.rows), (events, rows as u64 + 1));
            assert_eq!(log.skipped.values().sum::<u64>() + log.len() as u64, log.rows);
        }
    }
    let error = open(&file(&folder, "a.csv", b"\"who,what\nu1,i1\n"), "user=who,item=what").expect_err("fails");
    assert!(error.to_string().contains("close its quotation marks"), "{error}");
}

#[test]
fn a_line_beyond_the_bound_is_a_bad_row_in_every_text() {
    let folder = tempfile::tempdir().expect("folder");
    let two = BTreeMap::from([(Skip::Malformed, 2)]);
    let long = "x".repeat(3 * source::ROW_BYTES);
    let row = |user: &str| format!("{{\"who\":\"{user}\",\"what\":\"i1\"}}\n");
    let json = [row("u1"), row(&long), row("u2"), format!(" {}", row(&long))].concat();
    let csv = format!("who,what\nu1,i1\n{long},i1\nu2,i1\n{long}");
    for (name, text) in [("a.jsonl", json), ("a.csv", csv)] {
        let log = open(&file(&folder, name, text.as_bytes()), "user=who,item=what").expect("opens");
        assert_eq!(log.events().map(|event| event.user_id).collect::<Vec<_>>(), ["u1", "u2"], "{name}");
        assert_eq!((log.rows, &log.skipped), (4, &two), "{name}");
    }
}

const CATALOG: &str = "user=who,item=what,title=name,category=code,brand=maker,price=cost";

/// The folder of real logs: `THALWEG_DATA`, or where a checkout of the team has it.
fn real(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("THALWEG_DATA").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.is_file() {
        eprintln!("skipped: {name} is not here; set THALWEG_DATA to the folder that has it");
        return None;
    }
    Some(path)
}

#[test]
fn the_real_news_clicks_load_in_seconds() {
    let Some(path) = real("globo-clicks-10-days.csv.gz") else { return };
    let begun = Instant::now();
    let mut told = 0;
    let options = options("user=session_id,item=click_article_id,time=click_timestamp");
    let log = Log::open(&path, &options, |progress| {
        assert!((0.0..=1.0).contains(&progress.share));
        told += 1;
    })
    .expect("opens");
    eprintln!("{} rows, {} users, {} items in {:?}", log.rows, log.users(), log.items(), begun.elapsed());
    assert_eq!((log.rows, log.len(), told), (2_049_488, 2_049_488, 2_049_488 / 16_384));
    assert!(log.skipped.is_empty());
    assert!(log.events().zip(log.events().skip(1)).take(200_000).all(|(a, b)| a.ts <= b.ts));
}

#[test]
fn the_real_order_lines_keep_purchases_of_known_customers() {
    let Some(path) = real("online-retail.csv.gz") else { return };
    let options = Options {
        default_type: EventType::Purchase,
        ..options("user=CustomerID,item=StockCode,time=InvoiceDate,session=InvoiceNo,value=Quantity")
    };
    let log = Log::open(&path, &options, |_| {}).expect("opens");
    assert_eq!((log.rows, log.len()), (541_909, 397_924));
    assert_eq!(log.skipped.values().sum::<u64>() + log.len() as u64, log.rows);
    assert_eq!(log.skipped.keys().copied().collect::<Vec<_>>(), [Skip::MissingUser, Skip::Cancelled]);
    assert!(log.events().take(1_000).all(|event| event.kind == EventType::Purchase));
}

#[test]
fn the_real_shop_log_has_its_three_types() {
    let Some(path) = real("rees46-2h50.csv.gz") else { return };
    let columns = "user=user_id,item=product_id,time=event_time,session=user_session,type=event_type,value=price";
    let log = open(&path, columns).expect("opens");
    let counts = [EventType::View, EventType::Cart, EventType::Purchase]
        .map(|kind| log.events().filter(|event| event.kind == kind).count());
    // The file is cut off in the middle of its last row, a view.
    assert_eq!((log.rows, log.skipped), (17_435, BTreeMap::from([(Skip::Malformed, 1)])));
    assert_eq!(counts, [17_055, 165, 214]);
}

mod arbitrary;
mod cases;
mod catalog;
mod forms;
