//! What a log says of its items.

use super::*;

/// Three rows of two items; the second row adds what the first leaves out, and says again what it does not.
fn parquet_catalog(folder: &tempfile::TempDir) -> PathBuf {
    let schema = "message log { required binary who (utf8); required binary what (utf8); optional binary name (utf8);
        optional binary code (utf8); optional binary maker (utf8); optional double cost; }";
    let schema = Arc::new(parse_message_type(schema).expect("schema"));
    let path = folder.path().join("catalog.parquet");
    let out = std::fs::File::create(&path).expect("creates");
    let mut writer = SerializedFileWriter::new(out, schema, Default::default()).expect("writer");
    let mut group = writer.next_row_group().expect("row group");
    let columns: [&[Option<&str>]; 5] = [
        &[Some("u1"), Some("u1"), Some("u2")],
        &[Some("i1"), Some("i1"), Some("i2")],
        &[Some("Blue shoe"), Some("Red shoe"), None],
        &[Some("shoes.running"), None, None],
        &[None, Some("Vera"), None],
    ];
    for (n, texts) in columns.into_iter().enumerate() {
        let mut column = group.next_column().expect("column").expect("one more");
        let there: Vec<ByteArray> = texts.iter().flatten().map(|text| ByteArray::from(*text)).collect();
        let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
        let levels = (n > 1).then_some(levels.as_slice());
        column.typed::<ByteArrayType>().write_batch(&there, levels, None).expect("writes");
        column.close().expect("closes");
    }
    let mut column = group.next_column().expect("column").expect("one more");
    column.typed::<DoubleType>().write_batch(&[79.0, 80.0], Some(&[1, 1, 0]), None).expect("writes");
    column.close().expect("closes");
    group.close().expect("closes");
    writer.close().expect("closes");
    path
}

#[test]
fn an_items_record_comes_with_its_first_event_and_again_when_a_row_adds_to_it() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = "who,what,name,code,maker,cost\n\
        u1,i1,Blue shoe,shoes.running,,79.0\nu1,i1,Red shoe,,Vera,80.0\nu2,i2,,, ,free\n";
    let jsonl = "\
{\"who\":\"u1\",\"what\":\"i1\",\"name\":\"Blue shoe\",\"code\":\"shoes.running\",\"maker\":null,\"cost\":79}
{\"who\":\"u1\",\"what\":\"i1\",\"name\":\"Red shoe\",\"maker\":\"Vera\",\"cost\":80.0}
{\"who\":\"u2\",\"what\":\"i2\",\"name\":\"\",\"cost\":[1]}\n";
    for path in
        [file(&folder, "a.csv", csv.as_bytes()), file(&folder, "a.jsonl", jsonl.as_bytes()), parquet_catalog(&folder)]
    {
        let log = open(&path, CATALOG).expect("opens");
        assert!(log.skipped.is_empty(), "{path:?}: {:?}", log.skipped);
        let records: Vec<_> = log.entries().map(|entry| entry.record).collect();
        assert_eq!((records.len(), &records[2]), (3, &None), "{path:?}");
        assert_eq!(records[0].as_ref().map(|first| first.brand.is_none()), Some(true), "{path:?}: known too early");
        let shoe = records[1].clone().expect("is known");
        assert_eq!(
            (shoe.item_id.as_str(), shoe.title.as_str(), shoe.price),
            ("i1", "Blue shoe", Some(79.0)),
            "{path:?}"
        );
        assert_eq!((shoe.categories.join(" "), shoe.brand.as_deref()), ("shoes shoes.running".into(), Some("Vera")));
        assert_eq!(log.records(), [shoe]);
    }
}

#[test]
fn content_that_cannot_be_read_is_missing_and_never_a_bad_row() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = b"who,what,name,code,maker,cost\nu1,i1,caf\xe9,...,Vera,-1\n";
    let log = open(&file(&folder, "a.csv", csv), CATALOG).expect("opens");
    assert!(log.skipped.is_empty() && log.len() == 1);
    let item = log.records().pop().expect("the brand is known");
    assert_eq!((item.title.as_str(), item.categories.len(), item.price), ("", 0, None));
    // What should be a number and is none is counted; nothing is no mistake.
    assert_eq!(log.unread, [(Unread::NegativePrice, 1)].into());
    let csv = b"who,what,name,code,maker,cost\nu1,i1,,,,free\nu1,i2,,,,\n,i3,,,,free\nu1,i4,,,,\"12,50\"\n";
    let log = open(&file(&folder, "b.csv", csv), CATALOG).expect("opens");
    assert_eq!(log.unread, [(Unread::BadPrice, 2)].into(), "a row that is no event does not count");
    assert!(log.len() == 3 && !log.has_records());
    // Nothing but null in a column is no mistake; a column that is not there is one.
    let json = file(&folder, "a.jsonl", b"{\"who\":\"u1\",\"what\":\"i1\",\"name\":null}\n");
    assert_eq!(open(&json, "user=who,item=what,title=name").expect("opens").records().len(), 0);
    let error = open(&json, "user=who,item=what,title=headline").expect_err("is wrong").to_string();
    assert!(error.contains("no column `headline` (for title)"), "{error}");
}

#[test]
fn the_catalog_is_what_the_events_that_are_kept_say_in_their_order() {
    let folder = tempfile::tempdir().expect("folder");
    let csv = "who,what,when,name,maker\n\
        u1,i2,1569888003,later,\nu1,i1,1569888001,old,\nu1,i1,1569888000,,\n,i1,1569888000,nobody's,\n\
        u1,i1,1569888002,new,Vera\n";
    let path = file(&folder, "a.csv", csv.as_bytes());
    let columns = "user=who,item=what,time=when,title=name,brand=maker";
    let records = |limit| {
        let log = Log::open(&path, &Options { limit, ..options(columns) }, |_| {}).expect("opens");
        log.entries().map(|entry| entry.record.map(|item| (item.title, item.brand))).collect::<Vec<_>>()
    };
    let old = |brand: Option<&str>| Some(("old".to_owned(), brand.map(str::to_owned)));
    assert_eq!(records(None), [None, old(None), old(Some("Vera")), Some(("later".to_owned(), None))]);
    assert_eq!(records(Some(2)), [None, old(None)]);
    assert_eq!(records(Some(1)), [None]);
}

#[test]
fn the_catalogs_columns_do_not_make_other_events() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(&folder, "clicks.csv", CLICKS.as_bytes());
    let ids =
        |columns: &str| open(&path, columns).expect("opens").events().map(|event| event.event_id).collect::<Vec<_>>();
    assert_eq!(ids(COLUMNS), ids(&format!("{COLUMNS},price=amount,category=kind")));
}
