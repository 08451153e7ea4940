//! Files of items as shops have them.

use std::io::Write;

use schemas::{Item, Timestamp};

use super::*;

fn open(text: &[u8], options: &Options) -> Result<Import, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file opens");
    file.write_all(text).expect("there is room");
    Import::open(file.path(), options).map_err(|error| error.to_string())
}

fn import(text: impl AsRef<[u8]>) -> Import {
    open(text.as_ref(), &Options::default()).expect("is read")
}

fn refused(text: impl AsRef<[u8]>) -> String {
    open(text.as_ref(), &Options::default()).expect_err("is refused")
}

fn items(import: &Import) -> Vec<Item> {
    import.entries.iter().map(|entry| entry.fields.clone().item(entry.item_id.clone())).collect()
}

fn ids(import: &Import) -> Vec<&str> {
    import.entries.iter().map(|entry| &*entry.item_id).collect()
}

/// Every line as written is an item or is counted.
fn assert_all_counted(import: &Import, lines: u64) {
    let left_out: u64 = import.left_out.values().map(|(count, _)| count).sum();
    assert_eq!((import.rows, import.entries.len() as u64 + left_out), (lines, lines), "{:?}", import.left_out);
}

/// The item that every file below has.
fn shoe() -> Item {
    Item {
        item_id: "i9".into(),
        title: "Blue & running shoe".into(),
        categories: vec!["Apparel".into(), "Shoes".into()],
        brand: Some("Vera".into()),
        price: Some(79.0),
        published_at: Some(Timestamp(1_793_664_000_000)),
        available: false,
        attributes: BTreeMap::new(),
    }
}

/// A frame of zstd that holds four bytes of nothing, as pzstd writes first.
const SKIPPABLE: [u8; 12] = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_merchants_table_is_read_with_any_delimiter_and_compression() {
    let table = "id,title,description,brand,price,availability,product_type,published at\n\
        i9,Blue & running shoe,\"of cloth, blue\",Vera,79.00 EUR,out of stock,Apparel > Shoes,2026-11-03\n";
    for delimiter in [",", ";", "\t", "|"] {
        let text = table.replace(',', delimiter).replace(&format!("cloth{delimiter} blue"), "cloth, blue");
        assert_eq!(items(&import(text)), [shoe()], "{delimiter:?}");
    }
    let with_mark = format!("\u{feff}{table}");
    assert_eq!(items(&import(with_mark)), [shoe()]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(table.as_bytes()).expect("writes");
    let gz = gz.finish().expect("ends");
    let zst = zstd::encode_all(table.as_bytes(), 1).expect("encodes");
    for packed in [gz.clone(), [gz, vec![0; 700]].concat(), zst.clone(), [&SKIPPABLE[..], &zst].concat()] {
        assert_eq!(items(&import(packed)), [shoe()]);
    }
}

#[test]
fn json_is_read_by_lines_and_as_an_array() {
    let object = r#"{"item_id":"i9","title":"Blue & running shoe","categories":["Apparel","Shoes"],"brand":"Vera",
        "price":"79.00","available":0,"published_at":"2026-11-03"}"#;
    for text in [format!("{object}\n{object}"), format!(" [{object},\n{object}]")] {
        assert_eq!(items(&import(&text)), [shoe(), shoe()], "{text}");
    }
    assert!(refused("[{\"id\":1},{\"id\":").contains("breaks off behind row 1"));
}

#[test]
fn a_feed_is_read_as_rss_and_as_atom() {
    let rss = "<?xml version=\"1.0\"?><rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>Shop</title>\
        <item><g:id>i9</g:id><title>Blue &amp; running shoe</title><g:brand>Vera</g:brand><g:price>79.00 EUR</g:price>\
        <g:shipping><g:price>4.90 EUR</g:price></g:shipping><g:availability>out_of_stock</g:availability>\
        <g:product_type><![CDATA[Apparel > Shoes]]></g:product_type>\
        <pubDate>Tue, 03 Nov 2026 00:00:00 GMT</pubDate></item></channel></rss>";
    let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>i9</id><title>Blue &#38; running shoe</title>\
        <category term=\"Apparel\"/><category term=\"Shoes\"/><brand>Vera</brand><price>79</price>\
        <availability>sold out</availability><published>2026-11-03T00:00:00Z</published></entry></feed>";
    for text in [rss, atom] {
        let import = import(text);
        assert_eq!((items(&import), import.rows, import.fields.len()), (vec![shoe()], 1, 0), "{text}");
    }
    assert!(refused(b"<html><body></body></html>").contains("no item"));
    assert!(refused(b"<rss><item><id>1</id>").contains("breaks off"));
    let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><rss><item><id>1</id><title>&b;</title></item></rss>";
    assert_eq!(items(&import(bomb))[0].title, "");
}

#[test]
fn what_is_left_out_is_counted_with_an_example() {
    let import = import("id,title,price\n1,Hat,cheap\n,Nobody's,7\n2,Shoe\n\n3,Boot,dear\n");
    assert_eq!(ids(&import), ["1", "3"]);
    assert_all_counted(&import, 5);
    let (count, example) = &import.fields["price (wrong_type)"];
    assert!(*count == 2 && example.contains("cheap"), "{example}");
    assert!(import.left_out["no id"].1.starts_with("row 2: ") && import.left_out["no id"].1.contains("Nobody's"));
    assert_eq!(import.left_out["malformed row"], (1, "row 3: 2 fields where the header has 3, in `2,Shoe`".into()));
    assert_eq!(import.left_out["blank line"].0, 1);
    for (text, what) in [
        (&b"name,price\nHat,7\n"[..], "no column that is the item's id"),
        (b"PK\x03\x04shop.csv", "zip archive: unpack it"),
        (b"\xff\xfei\0d\0", "UTF-16"),
        (b"PAR1", "Parquet: write it as CSV"),
        (b" \n", "is empty"),
    ] {
        let said = refused(text);
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn a_row_longer_than_1_mib_is_named_and_left_out_and_those_around_it_are_read() {
    let long = "x".repeat(2 << 20);
    let object = |id: u32, title: &str| serde_json::json!({"id": id, "title": title}).to_string();
    let objects = [object(1, "Hat"), object(2, &long), object(3, "Boot")];
    let entry = |id: u32, title: &str| format!("<item><id>{id}</id><title>{title}</title></item>");
    let feed = |long: &str| format!("<rss>{}{}{}</rss>", entry(1, "Hat"), entry(2, long), entry(3, "Boot"));
    let markup = "a <i>c</i>\n".repeat(200_000);
    let (tags, many) = (format!("<![CDATA[{markup}]]>"), "</title><tag>x</tag><title>".repeat(50_000));
    for text in [
        format!("id,title\n1,Hat\n2,{long}\n3,Boot\n"),
        objects.join("\n"),
        format!("[{}]", objects.join(",\n")),
        feed(&long),
        feed(&tags),
        feed(&many),
    ] {
        let import = import(&text);
        assert_eq!(ids(&import), ["1", "3"], "{text:.40}");
        assert_eq!(import.left_out["malformed row"], (1, "row 2: longer than 1 MiB".to_owned()));
    }
}

#[test]
fn ids_beyond_64_bits_stay_apart_and_a_number_is_one_id_however_it_is_written() {
    let apart =
        import("{\"id\":123456789012345678901}\n{\"id\":123456789012345678902}\n{\"id\":12345678901234567890.0}");
    assert_eq!(ids(&apart), ["123456789012345678901", "123456789012345678902", "12345678901234567890"]);
    assert_eq!(ids(&import("[{\"id\":7.0},{\"id\":7},{\"id\":0.7e1}]")), ["7"; 3]);
    assert_eq!(ids(&import("id,title\n7.0,a\n7,b\n")), ["7"; 2]);
    let feed = "<rss><item><id>7.0</id></item><item><id>7.5</id></item></rss>";
    assert_eq!(ids(&import(feed)), ["7", "7.5"]);
    let rounded = import("id,title\n1.23457E+12,a\n");
    assert!(rounded.remarks[0].contains("a spreadsheet has rounded"), "{:?}", rounded.remarks);
}

#[test]
fn words_for_nothing_are_no_items_and_no_titles() {
    let words = ["NULL", "\\N", "undefined", "NaN", "None", ""];
    let table = words.map(|word| format!("{word},a\n")).concat();
    let objects = words.map(|word| serde_json::json!({"id": word}).to_string() + "\n").concat();
    for (text, rest) in
        [(format!("id,title\n{table}i9,NULL\n"), 7), (format!("{objects}{{\"id\":\"i9\",\"title\":\"NULL\"}}"), 7)]
    {
        let import = import(&text);
        assert_eq!((ids(&import), items(&import)[0].title.as_str()), (vec!["i9"], ""), "{text}");
        assert_all_counted(&import, rest);
    }
    let named = |words: &[&str]| Options {
        nothing: Nothing::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()),
        ..Options::default()
    };
    assert_eq!(open(b"id\n-\ni9\n", &named(&["-"])).expect("is read").entries.len(), 1);
    assert_eq!(open(b"id\nNone\n", &named(&[""])).expect("is read").entries.len(), 1, "an item of that name");
}

#[test]
fn a_quotation_mark_that_is_text_swallows_no_item() {
    let lines = "1\t\"Heroes\n2\ta\n3\tc\" x\n4\tb\n";
    let import_of = import(format!("id\ttitle\n{lines}"));
    assert_eq!(ids(&import_of), ["1", "2", "3", "4"]);
    assert_all_counted(&import_of, 4);
    let spark = import("id,title\n1,\"say \\\"hi\\\", she said\"\n2,b\n");
    assert_eq!((items(&spark)[0].title.as_str(), spark.entries.len()), ("say \"hi\", she said", 2));
    let over = import("id,title\n1,\"of two\nlines\"\n2,b\n");
    assert_eq!((items(&over)[0].title.as_str(), over.rows), ("of two\nlines", 2), "rightly quoted, it is one row");
}

#[test]
fn what_is_no_json_is_left_out_and_the_lines_around_it_are_read() {
    let text = "{\"id\":1,\"x\":NaN}\n{\"id\":2,\"t\":\"a\n{\"id\":3}\n{\"id\":4,\"id\":5}\n7\n{\"id\":6}";
    let lines = import(text);
    assert_eq!(ids(&lines), ["1", "3", "6"]);
    assert_all_counted(&lines, 6);
    let array = import("[{\"id\":1,\"x\":NaN},{\"id\":2,\"x\":oops},\n{\"id\":3}]");
    assert_eq!(ids(&array), ["1", "3"]);
    assert_all_counted(&array, 3);
}

#[test]
fn a_header_is_found_below_other_lines_and_two_columns_of_one_name_are_refused() {
    for text in ["sep=;\nid;title\n1;Hat\n", "# of today\nid,title\n1,Hat\n", "#id,title\n1,Hat\n"] {
        assert_eq!(items(&import(text))[0].title, "Hat", "{text}");
    }
    assert_eq!(import("# of today\nid,title\n1,Hat\n").remarks.len(), 1);
    assert!(refused("id,id\n1,2\n").contains("two columns of the name `id`, the 1. and the 2."));
    assert_eq!(ids(&import("id,x,x\n1,2,3\n")), ["1"], "what nobody asked for harms nobody");
}

#[test]
fn columns_are_named_where_there_is_no_header_or_another_name() {
    let options = |columns: &str, no_header, delimiter: Option<&str>| Options {
        columns: columns.parse().expect("columns"),
        form: Form { no_header, delimiter: delimiter.map(|text| text.parse().expect("a delimiter")) },
        ..Options::default()
    };
    let hat = |import: Import| {
        let item = items(&import).remove(0);
        assert_eq!((&*item.item_id, &*item.title, item.price, import.rows), ("9", "Hat", Some(7.5), 1));
    };
    let no_header = refused("9,Hat,7.50\n");
    assert!(no_header.contains("--no-header") && no_header.contains("--columns item_id=1"), "{no_header}");
    hat(open(b"9,Hat,7.50\n", &options("item_id=1,title=2,price=3", true, None)).expect("is read"));
    hat(open(b"9::Hat::7.50\n", &options("item_id=1,title=2,price=3", true, Some("::"))).expect("is read"));
    hat(open(b"Article,title,RRP\n9,Hat,7.50\n", &options("item_id=article,price=RRP", false, None)).expect("is read"));
    let missing = open(b"id,title\n9,Hat\n", &options("price=RRP", false, None)).expect_err("is refused");
    assert!(missing.contains("no column `rrp` (for price)"), "{missing}");
    let nameless = open(b"9,Hat\n", &options("title=2", true, None)).expect_err("is refused");
    assert!(nameless.contains("--columns item_id=1"), "{nameless}");
    for wrong in ["id=1", "price", "price=", "price=1,price=2"] {
        assert!(wrong.parse::<Columns>().is_err(), "{wrong}");
    }
}

#[test]
fn a_file_of_stock_alone_wipes_no_title_and_is_written_as_updates_of_single_fields() {
    let stock = import("id,availability,price\n1,out of stock,\n2,in stock,7\n");
    let refused = stock.records(Meant::Catalog).expect_err("is refused").to_string();
    assert!(refused.contains("--update") && refused.contains("--replace"), "{refused}");
    assert_eq!(stock.records(Meant::Replacement).expect("as told").len(), 2);
    let mut fold = schemas::item::Fold::default();
    let mut take = |key: &[u8], value: &[u8]| {
        let reading = schemas::item::read(key, Some(value));
        assert!(reading.faults.is_empty(), "{:?}", reading.faults);
        let (change, fault) = fold.take(reading);
        assert!(fault.is_none(), "{fault:?}");
        change.and_then(|(_, item)| item)
    };
    take(b"1", br#"{"item_id":"1","title":"Hat","categories":["hats"],"price":5}"#);
    let mut write = |text: &str| {
        let mut item = None;
        for record in import(text).records(Meant::Update).expect("are written") {
            item = take(&record.key, record.value.as_deref().unwrap_or_default());
        }
        item
    };
    let item = write("id,availability,price\n1,out of stock,\n").expect("it is listed");
    assert_eq!((&*item.title, item.categories.len(), item.price, item.available), ("Hat", 1, Some(5.0), false));
    let item = write("id,price\n1,7\n").expect("it is listed");
    assert_eq!((&*item.title, item.price, item.available), ("Hat", Some(7.0), false), "each says what it says");
}

#[test]
fn whatever_bytes_a_file_has_it_is_read_or_refused() {
    let bytes = b"<>{}[]\"',:&;\n\\/ idtem=1\xff\x00";
    let mut state = 7_u64;
    for start in ["", "<", "{", "[", "id,title\n", "<rss><item>", "{\"id\":1,"] {
        for length in 0..200 {
            let mut text = start.as_bytes().to_vec();
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(bytes[(state >> 33) as usize % bytes.len()]);
            }
            if let Ok(import) = open(&text, &Options::default()) {
                assert_all_counted(&import, import.rows);
                assert!(import.entries.iter().all(|entry| !entry.item_id.is_empty()));
            }
        }
    }
}

#[test]
fn whatever_trouble_the_logs_of_people_show_their_items_are_read_and_counted_or_refused_in_a_sentence() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let folder = std::env::var_os("THALWEG_CASES").map_or(beside, std::path::PathBuf::from).join("logs");
    let Ok(kinds) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no cases here; set THALWEG_CASES to the folder that has them");
        return;
    };
    let options = Options { columns: "item_id=item".parse().expect("columns"), ..Options::default() };
    for path in kinds.flatten().flat_map(|kind| std::fs::read_dir(kind.path()).into_iter().flatten()).flatten() {
        match Import::open(&path.path(), &options) {
            Ok(import) => {
                assert_all_counted(&import, import.rows);
                let distinct: std::collections::BTreeSet<&str> = ids(&import).into_iter().collect();
                assert!(distinct.len() <= 15, "{:?} has 15 items: {distinct:?}", path.path());
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.len() > 20 && !said.contains(char::is_control), "{:?}: {said:?}", path.path());
            }
        }
    }
}
