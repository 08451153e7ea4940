//! Kinds of trouble that people's logs have, each on a small log made here.

use super::*;

/// Reads `text` with more options.
fn read(text: &[u8], columns: &str, set: impl FnOnce(&mut Options)) -> Result<Log, String> {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(&folder, "log", text);
    let mut options = options(columns);
    set(&mut options);
    let log = Log::open(&path, &options, |_| {}).map_err(|error| error.to_string())?;
    assert_eq!(log.skipped.values().sum::<u64>() + log.len() as u64, log.rows, "every row is accounted for");
    assert_eq!(log.examples.keys().collect::<Vec<_>>(), log.skipped.keys().collect::<Vec<_>>(), "each has an example");
    Ok(log)
}

fn plain(text: &str, columns: &str) -> Result<Log, String> {
    read(text.as_bytes(), columns, |_| {})
}

/// A hundred rows of `row(n)` below `header`.
fn hundred(header: &str, row: impl Fn(usize) -> String) -> String {
    std::iter::once(header.to_owned()).chain((0..100).map(row)).collect::<Vec<_>>().join("\n")
}

fn times(log: &Log) -> Vec<String> {
    let mut times: Vec<String> = log.events().map(|event| event.ts.to_string()).collect();
    times.dedup();
    times
}

#[test]
fn every_word_for_nothing_is_nothing_in_every_column_and_further_ones_can_be_named() {
    for word in ["NULL", "null", "\\N", "NaN", "nan", "None", "NA", "undefined", "<NA>", "n/a", "(not set)", "NaT"] {
        let text = format!(
            "u,i,t,s,k,v,n\nu1,i1,1,s,view,1,x\n{word},i1,1,,view,,\nu1,{word},1,,view,,\nu1,i1,{word},,view,,\n\
            u1,i1,1,,{word},,\nu2,i2,1,{word},view,{word},{word}\n"
        );
        let log = plain(&text, "user=u,item=i,time=t,session=s,type=k,value=v,title=n").expect("opens");
        let expected = [Skip::MissingUser, Skip::MissingItem, Skip::MissingTime, Skip::MissingType];
        assert_eq!(log.skipped, expected.map(|reason| (reason, 1)).into(), "{word}");
        let last = log.events().last().expect("has some");
        assert_eq!((last.session_id, last.value, log.records().len()), (None, None, 1), "{word}");
        assert_eq!(log.examples[&Skip::MissingUser].to_string(), format!("row 2: `{word}`"));
    }
    let text = hundred("u,i", |n| if n % 3 == 0 { "-,i1".to_owned() } else { format!("u{n},i1") });
    let log = plain(&text, "user=u,item=i").expect("opens");
    assert!(log.len() == 100 && log.remarks.iter().any(|it| it.contains("34 of 100") && it.contains("--null '-'")));
    let log = read(text.as_bytes(), "user=u,item=i", |o| o.nothing = Nothing::new(&["-".into()])).expect("opens");
    assert_eq!((log.len(), log.skipped[&Skip::MissingUser]), (66, 34));
}

#[test]
fn a_log_without_a_header_is_refused_and_read_when_it_is_said() {
    let numbers = "1,2023-11-14T22:13:20.123Z,214500005,0\n2,2023-11-14T22:14:20.123Z,214500006,0\n";
    for columns in ["user=session,item=item,time=time", "user=1,item=214500005,time=2023-11-14T22:13:20.123Z"] {
        let why = plain(numbers, columns).expect_err("is refused");
        assert!(why.contains("no header") && why.contains("--no-header") && why.contains("user=1,item=2"), "{why}");
    }
    for text in [numbers.to_owned(), numbers.replace(',', "::"), numbers.replace(',', "\t"), numbers.replace(',', " ")]
    {
        let log = read(text.as_bytes(), "user=1,item=3,time=2", |o| o.no_header = true).expect("opens");
        assert_eq!((log.rows, log.len(), log.items()), (2, 2, 2), "{text}");
    }
    for column in ["0", "5", "user"] {
        let columns = format!("user={column},item=3");
        let why = read(numbers.as_bytes(), &columns, |o| o.no_header = true).expect_err("is refused");
        assert!(why.contains("from 1 to 4") && why.contains("--delimiter"), "{why}");
    }
    // A header of numbers is one.
    assert_eq!(plain("0,1\nu1,i1\n", "user=0,item=1").expect("opens").len(), 1);
}

#[test]
fn what_separates_columns_is_told_by_the_columns_that_are_asked_for() {
    for (header, row) in [
        ("sep=;\nu;i;t", "u1;i1;1"),
        ("# exported by shop, 2023\nu,i,t", "u1,i1,1"),
        ("#u,i,t", "u1,i1,1"),
        ("#Fields: u i t", "u1 i1 1"),
        ("Orders\n\nu,i,t", "u1,i1,1"),
        ("u::i::t", "u1::i1::1"),
        ("u\u{1}i\u{1}t", "u1\u{1}i1\u{1}1"),
        ("u   i   t", " u1   i1   1 "),
        ("u;i;\"a, b, c, d\";t", "u1;i1;x;1"),
        ("u|i|t|a,b,c,d,e", "u1|i1|1|x"),
    ] {
        let log = plain(&format!("{header}\n{row}\n{row}\n"), "user=u,item=i,time=t").expect(header);
        assert_eq!((log.rows, log.len(), log.items()), (2, 2, 1), "{header}");
    }
    let log = read(b"u%i\nu1%i1\n", "user=u,item=i", |o| o.delimiter = "%".parse().ok()).expect("opens");
    assert_eq!(log.len(), 1);
}

#[test]
fn a_delimiter_at_the_end_is_no_column_and_one_too_many_is_told() {
    for text in ["u,i\nu1,i1,\nu2,i2,\n", "u,i,\nu1,i1,\nu2,i2\n", "u,i\nu1,i1,,,\nu2,i2, \n"] {
        assert_eq!(plain(text, "user=u,item=i").expect("opens").len(), 2, "{text}");
    }
    let log = plain("u,i,n\nu1,i1,Cup, blue\nu1,i1,Cup\nu1\n", "user=u,item=i").expect("opens");
    assert_eq!((log.len(), log.skipped[&Skip::Malformed]), (1, 2));
    assert!(log.examples[&Skip::Malformed].text.contains("4 fields where the header has 3"));
    let why = plain("u,i\nu1,i1,x\n", "user=u,item=i").expect_err("is refused");
    assert!(why.contains("3 fields where the header has 2"), "{why}");
}

#[test]
fn a_name_that_is_there_twice_is_refused_where_it_is_asked_for() {
    let text = "id,u,id\n1,u1,i1\n";
    assert!(plain(text, "user=u,item=id").expect_err("is refused").contains("two columns of the name `id`"));
    assert_eq!(plain("x,u,i,x\n1,u1,i1,2\n", "user=u,item=i").expect("opens").len(), 1);
    let json = "{\"u\":\"u1\",\"i\":1,\"i\":2}\n";
    assert!(plain(json, "user=u,item=i").expect_err("is refused").contains("`i` is there twice"));
}

#[test]
fn dates_written_as_numbers_are_read_as_what_they_are() {
    for (format, first) in [
        ("202311{d}", "2023-11-10T00:00:00Z"),
        ("202311{d}22", "2023-11-10T22:00:00Z"),
        ("202311{d}2213", "2023-11-10T22:13:00Z"),
        ("202311{d}221320", "2023-11-10T22:13:20Z"),
        ("202311{d}221320500", "2023-11-10T22:13:20.5Z"),
    ] {
        let text = hundred("u,i,t", |n| format!("u{n},i,{}", format.replace("{d}", &(10 + n % 20).to_string())));
        let log = plain(&text, "user=u,item=i,time=t").expect("opens");
        assert_eq!((times(&log)[0].as_str(), times(&log).len(), log.len()), (first, 20, 100), "{format}");
    }
    // Epoch seconds of 2033 look like dates now and then.
    let text = hundred("u,i,t", |n| format!("u{n},i,{}", 2_023_111_400 + 7 * n));
    assert!(times(&plain(&text, "user=u,item=i,time=t").expect("opens"))[0].starts_with("2034-02"));
}

#[test]
fn the_column_tells_which_of_day_and_month_stands_first() {
    let days = |first: &str| hundred("u,i,t", |n| format!("u{n},i,{}", first.replace('D', &(1 + n % 28).to_string())));
    let day_first = plain(&days("D/11/2023 22:13"), "user=u,item=i,time=t").expect("opens");
    assert_eq!((times(&day_first).len(), times(&day_first)[0].as_str()), (28, "2023-11-01T22:13:00Z"));
    let month_first = plain(&days("11/D/2023 22:13"), "user=u,item=i,time=t").expect("opens");
    assert_eq!(times(&month_first), times(&day_first));
    let dashes = plain(&days("D-11-2023 22:13"), "user=u,item=i,time=t").expect("opens");
    assert_eq!(times(&dashes), times(&day_first));
    let unsure = plain("u,i,t\nu,i,10/11/2023\n", "user=u,item=i,time=t").expect("opens");
    assert!(unsure.remarks.iter().any(|it| it.contains("the month first") && it.contains("--time-format")));
    let told = read(b"u,i,t\nu,i,10/11/2023\n", "user=u,item=i,time=t", |o| o.time_format = "%d/%m/%Y".parse().ok());
    assert_eq!(times(&told.expect("opens")), ["2023-11-10T00:00:00Z"]);
}

#[test]
fn a_row_without_a_real_date_is_left_out_and_told() {
    for none in ["0", "9999-12-31", "1900-01-01", "1970-01-01T00:00:00Z", "253402214400", "-62135596800", "0001-01-01"]
    {
        let text = hundred("u,i,t,n", |n| {
            let time = if n == 0 { none.to_owned() } else { (1_700_000_000 + n).to_string() };
            format!("u{n},i,{time},first")
        });
        let log = plain(&text, "user=u,item=i,time=t,title=n").expect("opens");
        assert_eq!((log.len(), log.skipped[&Skip::NoRealTime]), (99, 1), "{none}");
        assert_eq!(log.examples[&Skip::NoRealTime].row, 1, "{none}");
        assert!(log.entries().next().is_some_and(|entry| entry.record.is_some()), "{none}: its title is known");
    }
    // Where nearly all are so they count something else, and their order counts.
    let text = hundred("u,i,t", |n| format!("u{n},i,{n}"));
    assert_eq!(plain(&text, "user=u,item=i,time=t").expect("opens").len(), 100);
}

#[test]
fn times_that_many_events_share_are_told() {
    let text = hundred("u,i,t", |n| format!("u{n},i,2023-11-{}", 10 + n % 4));
    let log = plain(&text, "user=u,item=i,time=t").expect("opens");
    assert!(log.remarks.iter().any(|it| it.contains("100 events share 4 times")), "{:?}", log.remarks);
}

#[test]
fn ids_that_are_numbers_are_the_same_however_they_are_written() {
    let json = "{\"u\":1,\"i\":90071992547409930005}\n{\"u\":1.0,\"i\":90071992547409930006}\n{\"u\":1e0,\"i\":7}\n\
        {\"u\":\"1\",\"i\":7.0}\n";
    let log = plain(json, "user=u,item=i").expect("opens");
    assert_eq!((log.len(), log.users(), log.items()), (4, 1, 3));
    let log = plain("u,i\n7,i1\n7.0,i2\n7.5,i2\n", "user=u,item=i").expect("opens");
    assert_eq!((log.users(), log.items()), (2, 2));
    let text = hundred("u,i", |n| format!("u{n},1.7000{}E+12", n % 10));
    let log = plain(&text, "user=u,item=i").expect("opens");
    assert!(log.remarks.iter().any(|it| it.contains("10 items look like numbers that a spreadsheet has rounded")));
    let long = "x".repeat(schemas::MAX_ID_BYTES + 1);
    let log = plain(&format!("u,i\n{long},i\nu,i\n"), "user=u,item=i").expect("opens");
    assert_eq!(log.skipped, [(Skip::LongId, 1)].into());
}

#[test]
fn json_that_is_not_an_event_a_line_is_named() {
    for (text, part) in [
        ("{\n  \"u\": 1,\n  \"i\": 2\n}\n", "over several lines"),
        ("[{\"u\": 1, \"i\": 2}]", "JSON array"),
        ("{'u': 1, 'i': 2}\n", "Python"),
        ("{\"u\":1,\"i\":2}{\"u\":1,\"i\":3}\n", "follows the object"),
        ("{\"s\":1,\"events\":[{\"i\":2}]}\n", "del(.events) + .events[]"),
        ("{\"u\":1,\"i\":[1,2]}\n", "del(.i) + .i[]"),
        ("{\"u\":1,\"j\":2}\n", "has no column `i` (for item); it has: j, u"),
    ] {
        let columns = if text.contains("\"s\"") { "user=s,item=i" } else { "user=u,item=i" };
        let why = plain(text, columns).expect_err(text);
        assert!(why.contains(part) && !why.contains(char::is_control), "{text}: {why}");
    }
    let why = plain("{\"s\":1,\"e\":[{\"i\":2}]}\n", "user=s,item=e.i").expect_err("is refused");
    assert!(why.contains("del(.e) + .e[]"), "{why}");
    let log =
        plain("{\"u\":1,\"i\":2,\"v\":NaN}\n{\"u\":1,\"i\":2,\"v\":-Infinity}\n", "user=u,item=i").expect("opens");
    assert_eq!(log.len(), 2);
    // One bad line among good ones is a row left out, the first one, too.
    for text in ["i\":1}\n{\"u\":1,\"i\":2}\n", "{\"u\":1,\"i\n{\"u\":1,\"i\":2}\n"] {
        assert_eq!(plain(text, "user=u,item=i").expect("opens").skipped, [(Skip::Malformed, 1)].into());
    }
}

#[test]
fn types_are_read_in_the_words_of_shops_and_unknown_ones_are_told() {
    let log = plain("u,i,k\nu,i,clicks\nu,i,carts\nu,i,orders\nu,i,Purchase\n", "user=u,item=i,type=k").expect("opens");
    assert_eq!(log.len(), 4);
    let why = plain("u,i,k\nu,i,17\nu,i,teleport\n", "user=u,item=i,type=k").expect_err("is refused");
    assert!(why.contains("`17`, `teleport`") && why.contains("view, cart, purchase"), "{why}");
    let log = plain("u,i,k\nu,i,view\nu,i,teleport\n", "user=u,item=i,type=k").expect("opens");
    assert!(log.remarks.iter().any(|it| it.contains("`teleport`") && it.contains("view, cart")));
}

#[test]
fn no_message_about_a_log_holds_a_control_character_or_is_long() {
    let steer = "\u{1b}]0;hello\u{7}\u{1b}[31m\u{9b}";
    let many: String = (0..200_000).map(|n| format!("c{n},")).collect();
    for (text, columns) in [
        (format!("{steer}user{steer},i\nu,i\n"), "user=u,item=i"),
        (format!("{steer}{{\"u\":1\n"), "user=u,item=i"),
        (format!("{{\"{steer}\":1}}\n"), "user=u,item=i"),
        (format!("u,i,t\nu,i,{steer}\n"), "user=u,item=i,time=t"),
        (format!("u,i,k\nu,i,{steer}\n"), "user=u,item=i,type=k"),
        (format!("u,i\nu,{steer},{steer}\n"), "user=u,item=i"),
        (many, "user=u,item=i"),
        (format!("{{\"u\":1,\"{steer}\":[{{\"i\":1}}]}}"), "user=u,item=i"),
    ] {
        let why = plain(&text, columns).expect_err("is refused");
        assert!(!why.contains(char::is_control) && why.len() < 1_000, "{why:?}");
    }
    for bytes in [&b"caf\xe9,i\nu,i\n"[..], b"u,i\ncaf\xe9\x1b,i\n", b"PK\x03\x04\x1b[31m", b"\xff\xfeu\0,\0i\0\n\0"] {
        let why = read(bytes, "user=u,item=i", |_| {}).expect_err("is refused");
        assert!(!why.contains(char::is_control) && why.len() < 1_000, "{why:?}");
    }
}

#[test]
fn zstd_with_a_skippable_frame_first_is_read_and_what_cannot_be_unpacked_says_what_to_do() {
    let text = hundred("u,i", |n| format!("u{n},i"));
    let frame = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..]].concat();
    let packed = zstd::encode_all(text.as_bytes(), 3).expect("compresses");
    for bytes in [[frame.clone(), packed.clone()].concat(), [packed.clone(), frame].concat()] {
        assert_eq!(read(&bytes, "user=u,item=i", |_| {}).expect("opens").len(), 100);
    }
    let cut = read(&packed[..packed.len() - 5], "user=u,item=i", |_| {}).expect_err("is refused");
    assert!(cut.contains("cut off"), "{cut}");
    let behind = read(&[&packed[..], b"tail"].concat(), "user=u,item=i", |_| {}).expect_err("is refused");
    assert!(behind.contains("follows the end") && behind.contains("zstd -d"), "{behind}");
    let mut wide = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    wide.window_log(28).expect("is possible");
    wide.write_all(text.as_bytes()).expect("writes");
    let why = read(&wide.finish().expect("is whole"), "user=u,item=i", |_| {}).expect_err("is refused");
    assert!(why.contains("--long=31"), "{why}");
    let twice = read(&gz(&gz(text.as_bytes())), "user=u,item=i", |_| {}).expect_err("is refused");
    assert!(twice.contains("packed twice"), "{twice}");
    assert!(read(b"u,i\n", "user=u,item=i", |_| {}).expect_err("is refused").contains("has no row"));
}

#[test]
fn parquet_of_another_shape_is_refused_by_name_and_decimal_ids_keep_their_digits() {
    let folder = tempfile::tempdir().expect("folder");
    let made = |schema: &str, fill: &dyn Fn(&mut SerializedFileWriter<std::fs::File>)| {
        let path = folder.path().join("a.parquet");
        let schema = Arc::new(parse_message_type(schema).expect("schema"));
        let out = std::fs::File::create(&path).expect("creates");
        let mut writer = SerializedFileWriter::new(out, schema, Default::default()).expect("writer");
        fill(&mut writer);
        writer.close().expect("closes");
        path
    };
    for (schema, part) in [
        (
            "message log { required binary u (utf8); required binary u (utf8); required binary i (utf8); }",
            "two columns",
        ),
        (
            "message log { required binary u (utf8); required group i (LIST) { repeated group list { optional int64 element; } } }",
            "explode",
        ),
        ("message log { required binary u (utf8); repeated binary i (utf8); }", "explode"),
        (
            "message log { required binary u (utf8); required binary j (utf8); }",
            "has no column `i` (for item); it has: u, j",
        ),
        ("message log { required binary u (utf8); required binary i (utf8); }", "has no row"),
    ] {
        let why = open(&made(schema, &|_| {}), "user=u,item=i").expect_err(schema).to_string();
        assert!(why.contains(part), "{schema}: {why}");
    }
    let schema = "message log { required binary u (utf8); required binary i (utf8); required int32 t (time_millis); }";
    let why = open(&made(schema, &|_| {}), "user=u,item=i,time=t").expect_err("is refused").to_string();
    assert!(why.contains("time of the day"), "{why}");

    // Ids as decimal(38,0), which differ in the last of 20 digits, and as sixteen bytes.
    let schema =
        "message log { required fixed_len_byte_array(16) u; required fixed_len_byte_array(16) i (decimal(38,0)); }";
    let path = made(schema, &|writer| {
        let mut group = writer.next_row_group().expect("row group");
        for column in 0..2 {
            let value = |n: u128| {
                let id: u128 =
                    if column == 0 { 0xffff_0000_0000_0000_0000_0000_0000_0000 } else { 90_071_992_547_409_930_000 };
                ::parquet::data_type::FixedLenByteArray::from((id + n).to_be_bytes().to_vec())
            };
            let mut column = group.next_column().expect("column").expect("one more");
            let values: Vec<_> = (0..15).map(value).collect();
            column
                .typed::<::parquet::data_type::FixedLenByteArrayType>()
                .write_batch(&values, None, None)
                .expect("writes");
            column.close().expect("closes");
        }
        group.close().expect("closes");
    });
    let log = open(&path, "user=u,item=i").expect("opens");
    assert_eq!((log.users(), log.items()), (15, 15));
    let first = log.events().next().expect("has some");
    assert_eq!(
        (first.user_id.as_str(), first.item_id.as_str()),
        ("ffff0000-0000-0000-0000-000000000000", "90071992547409930000")
    );
}
