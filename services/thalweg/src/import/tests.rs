//! Files of items as shops have them.

use schemas::Timestamp;

use super::*;

fn import(text: &[u8]) -> Import {
    let mut import = Import::default();
    import.read(std::io::Cursor::new(text.to_vec())).expect("is read");
    import
}

fn refused(text: &[u8]) -> String {
    Import::default().read(std::io::Cursor::new(text.to_vec())).expect_err("is refused")
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

#[test]
fn a_merchants_table_is_read_with_any_delimiter_and_compression() {
    let table = "id,title,description,brand,price,availability,product_type,published at\n\
        i9,Blue & running shoe,\"of cloth, blue\",Vera,79.00 EUR,out of stock,Apparel > Shoes,2026-11-03\n";
    for delimiter in [",", ";", "\t", "|"] {
        let text = table.replace(',', delimiter).replace(&format!("cloth{delimiter} blue"), "cloth, blue");
        assert_eq!(import(text.as_bytes()).items, [shoe()], "{delimiter:?}");
    }
    let with_mark = format!("\u{feff}{table}");
    assert_eq!(import(with_mark.as_bytes()).items, [shoe()]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, table.as_bytes()).expect("writes");
    assert_eq!(import(&gz.finish().expect("ends")).items, [shoe()]);
    assert_eq!(import(&zstd::encode_all(table.as_bytes(), 1).expect("encodes")).items, [shoe()]);
}

#[test]
fn json_is_read_by_lines_and_as_an_array() {
    let object = r#"{"item_id":"i9","title":"Blue & running shoe","categories":["Apparel","Shoes"],"brand":"Vera",
        "price":"79.00","available":0,"published_at":"2026-11-03"}"#;
    for text in [format!("{object}\n{object}"), format!(" [{object},\n{object}]")] {
        assert_eq!(import(text.as_bytes()).items, [shoe(), shoe()], "{text}");
    }
    assert!(refused(b"[{\"id\":1},{\"id\":").contains("EOF"));
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
        let import = import(text.as_bytes());
        assert_eq!((import.items, import.rows, import.fields.len()), (vec![shoe()], 1, 0), "{text}");
    }
    assert!(refused(b"<html><body></body></html>").contains("no item"));
    assert!(refused(b"<rss><item><id>1</id>").contains("breaks off"));
    let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><rss><item><id>1</id><title>&b;</title></item></rss>";
    assert_eq!(import(bomb).items[0].title, "");
}

#[test]
fn what_is_left_out_is_counted_with_an_example() {
    let text = "id,title,price\n1,Hat,cheap\n,Nobody's,7\n2,Shoe\n3,Boot,dear\n";
    let import = import(text.as_bytes());
    assert_eq!((import.rows, import.items.len()), (4, 2));
    assert_eq!(import.left_out.values().map(|(count, _)| count).sum::<u64>(), 2);
    let (count, example) = &import.fields["price (wrong_type)"];
    assert!(*count == 2 && example.contains("cheap"), "{example}");
    assert!(import.left_out["no id"].1.contains("Nobody's"));
    assert!(refused(b"name,price\nHat,7\n").contains("no column is the item's id"));
    assert!(refused(b"P\0K\0").contains("UTF-8"));
    assert_eq!(refused(b" \n"), "it is empty");
}

#[test]
fn a_row_longer_than_1_mib_is_named_and_left_out_and_those_around_it_are_read() {
    let long = "a, \"b\" <i>c</i>\n".repeat(70_000);
    let table = format!("id,title\n1,Hat\n2,\"{}\"\n3,Boot\n4\n", long.replace('"', "\"\""));
    let object = |id: u32, title: &str| serde_json::json!({"id": id, "title": title}).to_string();
    let objects = [object(1, "Hat"), object(2, &long), object(3, "Boot")];
    let entry = |id: u32, title: &str| format!("<item><id>{id}</id><title>{title}</title></item>");
    let feed = |long: &str| format!("<rss>{}{}{}</rss>", entry(1, "Hat"), entry(2, long), entry(3, "Boot"));
    let (tags, many) = (format!("<![CDATA[{long}]]>"), "</title><tag>x</tag><title>".repeat(50_000));
    let lines = &import(table.as_bytes()).left_out["a row with another number of fields than the header"].1;
    assert_eq!(lines, "line 70005, 1 of 2", "lines of what is left out count");
    for (text, place) in [
        (table, "line 3"),
        (format!("id,title\n1,Hat\n2,{}\n3,Boot\n", "x".repeat(2 << 20)), "line 3"),
        (objects.join("\n"), "row 2"),
        (format!("[{}]", objects.join(",\n")), "row 2"),
        (feed(&"x".repeat(2 << 20)), "item 2"),
        (feed(&tags), "item 2"),
        (feed(&many), "item 2"),
    ] {
        let import = import(text.as_bytes());
        let ids: Vec<&str> = import.items.iter().map(|item| &*item.item_id).collect();
        assert_eq!((ids.len(), ids.first(), ids.last()), (2, Some(&"1"), Some(&"3")), "{text:.40}");
        assert_eq!(import.left_out["a row longer than 1 MiB"], (1, place.to_owned()));
    }
    assert!(refused(format!("id,{}\n1,Hat\n", "x".repeat(2 << 20)).as_bytes()).contains("its header"));
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
            let mut import = Import::default();
            let _ = import.read(std::io::Cursor::new(text));
            assert!(import.items.iter().all(|item| !item.item_id.is_empty()));
        }
    }
}
