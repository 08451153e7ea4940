//! What a shop's records say, one by one, and put together.

use serde_json::json;

use super::*;
use crate::{DeadLetter, Reason};

/// A record as it would be read alone.
fn taken(key: &str, value: &serde_json::Value) -> (Option<Change>, Option<DeadLetter>) {
    let reading = read(key.as_bytes(), Some(value.to_string().as_bytes()));
    let letter = reading.letter();
    let (change, fault) = Fold::default().take(reading);
    (change, letter.or(fault))
}

/// The item that a record without a fault lists.
fn listed(key: &str, value: &serde_json::Value) -> Item {
    let (change, letter) = taken(key, value);
    assert_eq!(letter, None, "{value}");
    change.and_then(|(_, item)| item).unwrap_or_else(|| panic!("{value} lists"))
}

fn reasons(key: &str, value: &[u8]) -> Vec<Reason> {
    read(key.as_bytes(), Some(value)).faults.into_iter().map(|fault| fault.reason).collect()
}

#[test]
fn an_item_needs_only_its_key() {
    for value in [json!({"item_id": "i9"}), json!({}), json!({"item_id": null})] {
        let item = listed("i9", &value);
        assert!(item.available && item.categories.is_empty() && item.item_id == "i9");
    }
    assert_eq!(listed("9", &json!({"item_id": 9})).item_id, "9");
}

#[test]
fn an_empty_value_and_a_tombstone_delist() {
    for value in [None, Some(&b""[..])] {
        let (change, fault) = Fold::default().take(read(b"i9", value));
        assert_eq!((change, fault), (Some(("i9".into(), None)), None));
    }
}

#[test]
fn a_null_title_says_nothing_and_a_sold_out_item_is_sold_out() {
    let item = listed("c01", &json!({"item_id": "c01", "title": null, "available": false}));
    assert!(!item.available && item.title.is_empty());
}

#[test]
fn null_is_absent_in_every_field() {
    let item = listed(
        "c02",
        &json!({"item_id": "c02", "title": "Grey hat", "categories": null, "brand": null, "price": null,
        "published_at": null, "available": null, "attributes": null, "update": null}),
    );
    let wanted = listed("c02", &json!({"title": "Grey hat"}));
    assert_eq!(item, wanted);
}

#[test]
fn a_price_may_be_text() {
    for price in [json!("79.00"), json!(" 79 "), json!("79,00"), json!("79.00 EUR"), json!(["79.00"]), json!(79)] {
        let item = listed("c03", &json!({"item_id": "c03", "categories": ["shoes"], "price": price}));
        assert_eq!((item.price, &*item.categories), (Some(79.0), &["shoes".to_owned()][..]), "{price}");
    }
}

#[test]
fn a_date_may_be_text_without_a_time_and_is_midnight_utc() {
    let item = listed("c05", &json!({"item_id": "c05", "published_at": "2026-11-03"}));
    assert_eq!(item.published_at, Some(Timestamp(1_793_664_000_000)));
}

#[test]
fn one_category_may_be_text_and_names_may_be_numbers() {
    let item = listed("c06", &json!({"categories": "shoes", "brand": 7, "title": 2049}));
    assert_eq!((&*item.categories, item.brand.as_deref(), &*item.title), (&["shoes".into()][..], Some("7"), "2049"));
}

#[test]
fn a_category_given_twice_is_one_and_an_empty_one_is_none() {
    let item = listed("c08", &json!({"categories": ["shoes", " shoes ", "", " ", null, "\u{200b}", "hats", 7]}));
    assert_eq!(item.categories, ["shoes", "hats", "7"]);
}

#[test]
fn a_date_before_or_after_all_time_is_the_nearest_there_is_and_told() {
    for (date, near) in [(i64::MIN, date::EARLIEST), (i64::MAX, date::LATEST)] {
        let (change, letter) = taken("c07", &json!({"published_at": date}));
        let item = change.and_then(|(_, item)| item).expect("is listed");
        assert_eq!((item.published_at, letter.map(|l| l.reason)), (Some(Timestamp(near)), Some(Reason::OutOfRange)));
    }
    assert_eq!(reasons("c07", br#"{"published_at":1e300}"#), [Reason::OutOfRange]);
    assert_eq!(reasons("c07", br#"{"published_at":18446744073709551615}"#), [Reason::OutOfRange]);
}

#[test]
fn a_price_below_0_is_none_and_told() {
    let (change, letter) = taken("i9", &json!({"title": "Red shoe", "price": -0.01}));
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((item.price, letter.expect("is told").reason), (None, Reason::OutOfRange));
    assert_eq!(listed("i9", &json!({"price": 0})).price, Some(0.0), "what is free is free");
}

#[test]
fn a_field_that_is_unclear_is_left_out_and_told_and_the_rest_is_taken() {
    let value = json!({"title": "Red shoe", "price": "cheap", "published_at": "soon", "brand": {"name": "Vera"},
        "categories": ["shoes", {"id": 7}], "available": "perhaps"});
    let (change, letter) = taken("i9", &value);
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((&*item.title, item.price, item.published_at, item.brand), ("Red shoe", None, None, None));
    assert!(item.available && item.categories == ["shoes"]);
    let letter = letter.expect("is told");
    assert_eq!(letter.reason, Reason::WrongType);
    for field in ["price: ", "published_at: ", "brand: ", "categories: ", "available: "] {
        assert!(letter.detail.contains(field), "{field}: {}", letter.detail);
    }
}

#[test]
fn sold_out_binds_whatever_else_is_wrong_in_the_record() {
    for value in [
        r#"{"item_id":"c04","price":"79.00","available":false}"#,
        r#"{"item_id":"c04","price":"cheap","available":false}"#,
        r#"{"item_id":"c04","published_at":"","available":false}"#,
        r#"{"item_id":"c04","title":["a","b"],"categories":{"a":1},"available":"no"}"#,
        r#"{"item_id":"c04","title":7,"available":0}"#,
        r#"{"item_id":"other","available":false}"#,
        r#"{"item_id":{"id":"c04"},"available":false}"#,
        r#"{"item_id":"c04","update":"perhaps","available":false}"#,
        r#"{"item_id":"c04","available":false,"title":"cut o"#,
        r#"{"item_id":"c04","price":NaN,"available":false}"#,
        r#"{"item_id":"c04","price":1e999,"available":false}"#,
        r#"{'item_id': 'c04', 'available': False}"#,
        r#""{\"item_id\":\"c04\",\"available\":false}""#,
        r#"[{"item_id":"c04","available":false}]"#,
        "\u{feff}{\"item_id\":\"c04\",\"available\":\"out of stock\"}",
    ] {
        let mut fold = Fold::default();
        fold.take(read(b"c04", Some(br#"{"title":"Red boot","categories":["shoes"]}"#)));
        let (change, _) = fold.take(read(b"c04", Some(value.as_bytes())));
        let (id, item) = change.unwrap_or_else(|| panic!("{value} is taken"));
        assert!(id == "c04" && item.is_none_or(|item| !item.available), "{value}");
        // And for whoever finds only this record, compacted.
        let (change, _) = Fold::default().take(read(b"c04", Some(value.as_bytes())));
        assert!(change.is_some_and(|(id, item)| id == "c04" && item.is_none_or(|item| !item.available)), "{value}");
    }
    let invalid = b"{\"item_id\":\"c04\",\"title\":\"Sch\xf6n\",\"available\":false}";
    assert!(matches!(read(b"c04", Some(invalid)).says, Says::Whole(Fields { available: Some(false), .. })));
}

#[test]
fn a_record_that_cannot_be_read_says_why_and_what_was_known_holds() {
    for (key, value, reason) in [
        ("i9", "nonsense", Reason::NotJson),
        ("i9", "{\"title\":\"cut o", Reason::NotJson),
        ("i9", "[1,2]", Reason::WrongType),
        ("i9", "null", Reason::WrongType),
        ("i9", "\"i9\"", Reason::WrongType),
        ("i8", r#"{"item_id":"i9"}"#, Reason::KeyMismatch),
        ("i9#stock", r#"{"item_id":"i9","available":true}"#, Reason::KeyMismatch),
        ("", r#"{"item_id":"i9"}"#, Reason::EmptyField),
        (&"i".repeat(257), "{}", Reason::IdTooLong),
    ] {
        let reading = read(key.as_bytes(), Some(value.as_bytes()));
        let letter = reading.letter().expect("is told");
        assert_eq!((reading.says.clone(), letter.reason), (Says::Nothing, reason), "{key}: {value}");
        assert!(!letter.detail.is_empty() && !letter.detail.contains(char::is_control), "{}", letter.detail);
        assert_eq!(Fold::default().take(reading).0, None);
    }
    assert_eq!(reasons("\u{1b}", b"\x1b[2J"), [Reason::NotJson]);
    assert_eq!(read(b"\xff", None).faults.len(), 1);
}

#[test]
fn a_number_as_the_id_of_an_item_is_the_key_that_it_spells_and_loses_no_digit() {
    for (key, id) in [
        ("7", "7"),
        ("7", "7.0"),
        ("7", "0.7e1"),
        ("7.5", "7.5"),
        ("90071992547409930005", "90071992547409930005"),
        ("90071992547409930005", "90071992547409930005.0"),
    ] {
        let reading = read(key.as_bytes(), Some(format!("{{\"title\":\"Hat\",\"item_id\":{id}}}").as_bytes()));
        assert!(reading.faults.is_empty() && matches!(reading.says, Says::Whole(_)), "{key} {id}: {reading:?}");
    }
    for (key, id) in [("8", "7.0"), ("90071992547409930006", "90071992547409930005"), ("7.0", "7.0")] {
        let value = format!("{{\"item_id\":{id}}}");
        assert_eq!(reasons(key, value.as_bytes()), [Reason::KeyMismatch], "{key} {id}");
    }
    let (change, _) = taken("i9", &json!({"categories": [7.0, 8]}));
    assert_eq!(change.and_then(|(_, item)| item).expect("is listed").categories, ["7", "8"]);
}

#[test]
fn a_title_that_is_no_utf_8_is_left_out_and_the_rest_is_taken() {
    let reading = read(b"i9", Some(b"{\"title\":\"Sch\xf6n\",\"categories\":[\"shoes\"],\"price\":7}"));
    assert_eq!(reading.faults.len(), 1);
    let (change, _) = Fold::default().take(reading);
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((&*item.title, &*item.categories, item.price), ("", &["shoes".to_owned()][..], Some(7.0)));
}

#[test]
fn names_and_categories_are_bounded_and_what_is_beyond_is_told() {
    let many: Vec<String> = (0..50_000).map(|n| format!("c{n}")).collect();
    let long = "x".repeat(2_000);
    let value = json!({"categories": many, "brand": long, "title": "ü".repeat(2_000)});
    let (change, letter) = taken("i9", &value);
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((item.categories.len(), item.brand, item.title.len()), (MAX_CATEGORIES, None, MAX_TITLE_BYTES));
    assert!(letter.is_some_and(|l| l.reason == Reason::TooLong && l.detail.contains("categories: ")));
    assert_eq!(reasons("i9", json!({"categories": many}).to_string().as_bytes()), [Reason::TooMany]);
    assert_eq!(reasons("i9", json!({"categories": ["a", long]}).to_string().as_bytes()), [Reason::TooLong]);
}

/// What holds of `i9` after these records, each with its key; `None` delists.
fn folded(log: &[(&str, serde_json::Value)]) -> Option<Item> {
    let mut fold = Fold::default();
    let mut held = None;
    for (key, value) in log {
        let value = (!value.is_null()).then(|| value.to_string());
        let (change, _) = fold.take(read(key.as_bytes(), value.as_ref().map(String::as_bytes)));
        if let Some((id, item)) = change.filter(|(id, _)| id == "i9") {
            assert_eq!(id, "i9");
            held = item;
        }
    }
    held
}

/// What compaction leaves of a log: the last record of each key.
fn compacted(log: &[(&'static str, serde_json::Value)]) -> Vec<(&'static str, serde_json::Value)> {
    let is_last = |(n, (key, _)): &(usize, &(&str, _))| log[n + 1..].iter().all(|(later, _)| later != key);
    log.iter().enumerate().filter(is_last).map(|(_, record)| record.clone()).collect()
}

#[test]
fn an_update_under_a_key_of_its_own_changes_some_fields_and_survives_compaction() {
    let whole = ("i9", json!({"item_id": "i9", "title": "Red shoe", "categories": ["shoes"], "price": 79}));
    let part = |part: &'static str, mut value: serde_json::Value| {
        value["update"] = true.into();
        value["item_id"] = "i9".into();
        (part, value)
    };
    let (sold_out, back) = (("i9#stock", json!({"available": false})), ("i9#stock", json!({"available": true})));
    let [sold_out, back] = [sold_out, back].map(|(key, value)| part(key, value));
    let cheaper = part("i9#price", json!({"price": 9.0}));
    let renamed = ("i9", json!({"item_id": "i9", "title": "Scarlet shoe", "categories": ["shoes"]}));
    for (log, wanted) in [
        (vec![whole.clone(), sold_out.clone()], Some(("Red shoe", Some(79.0), false))),
        (vec![whole.clone(), sold_out.clone(), back.clone()], Some(("Red shoe", Some(79.0), true))),
        (vec![sold_out.clone(), whole.clone()], Some(("Red shoe", Some(79.0), false))),
        (vec![whole.clone(), cheaper.clone(), sold_out.clone(), back], Some(("Red shoe", Some(9.0), true))),
        // What the shop's system writes each night says nothing of the stock: that still holds.
        (vec![whole.clone(), sold_out.clone(), renamed], Some(("Scarlet shoe", None, false))),
        (vec![cheaper.clone(), whole.clone()], Some(("Red shoe", Some(79.0), true))),
        (vec![whole.clone(), sold_out.clone(), ("i9#stock", json!(null))], Some(("Red shoe", Some(79.0), true))),
        (vec![whole, sold_out.clone(), ("i9", json!(null))], None),
        (vec![sold_out], None),
        (vec![cheaper], None),
    ] {
        for log in [compacted(&log), log] {
            let item = folded(&log);
            let held = item.as_ref().map(|item| (&*item.title, item.price, item.available));
            assert_eq!(held, wanted, "{log:?}");
        }
    }
}

#[test]
fn a_whole_record_takes_the_place_of_the_one_before() {
    let whole = json!({"item_id": "c08", "title": "White shoe", "categories": ["shoes"]});
    let mut fold = Fold::default();
    fold.take(read(b"c08", Some(whole.to_string().as_bytes())));
    let (change, _) = fold.take(read(b"c08", Some(br#"{"item_id":"c08","price":9.0}"#)));
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((item.price, item.title, item.categories.len()), (Some(9.0), String::new(), 0));
}

#[test]
fn an_update_under_the_items_own_key_changes_what_is_known_and_is_told() {
    let mut fold = Fold::default();
    fold.take(read(b"i9", Some(br#"{"title":"Red shoe","categories":["shoes"]}"#)));
    let (change, fault) = fold.take(read(b"i9", Some(br#"{"item_id":"i9","price":9.0,"update":true}"#)));
    let item = change.and_then(|(_, item)| item).expect("is listed");
    assert_eq!((&*item.title, item.price, item.categories.len()), ("Red shoe", Some(9.0), 1));
    assert!(fault.is_some_and(|fault| fault.reason == Reason::UpdateKey && fault.detail.contains("compaction")));
    let (change, fault) = Fold::default().take(read(b"i9", Some(br#"{"price":9.0,"update":true}"#)));
    assert!(change.is_none() && fault.is_some_and(|fault| fault.reason == Reason::UpdateKey));
}

#[test]
fn the_parts_of_an_item_are_bounded() {
    let mut fold = Fold::default();
    for n in 0..=MAX_PARTS {
        let (_, fault) = fold.take(read(format!("i9#p{n}").as_bytes(), Some(br#"{"update":true,"price":1}"#)));
        assert_eq!(fault.is_some_and(|fault| fault.reason == Reason::TooMany), n == MAX_PARTS);
    }
}

#[test]
fn an_id_may_hold_the_mark_of_parts() {
    let item = listed("shoe#7", &json!({"item_id": "shoe#7"}));
    assert_eq!(item.item_id, "shoe#7");
    let reading = read(b"shoe#7#stock", Some(br#"{"item_id":"shoe#7","update":true,"available":false}"#));
    assert!(reading.item_id == "shoe#7" && matches!(reading.says, Says::Part(part, _) if part == "stock"));
}

mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    /// Text that looks a little like a record.
    fn like_json() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("[".to_owned()),
            Just("]".to_owned()),
            Just(":".to_owned()),
            Just(",".to_owned()),
            Just("\"available\"".to_owned()),
            Just("\"published_at\"".to_owned()),
            Just("\"categories\"".to_owned()),
            Just("\"price\"".to_owned()),
            Just("\"update\":true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            Just("'".to_owned()),
            Just("\\".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| n.to_string()),
            "\"\\PC{0,12}\"",
        ];
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn whatever_bytes_a_record_of_the_catalog_has_it_is_read_or_told(
            records in prop::collection::vec((
                prop_oneof![prop::collection::vec(any::<u8>(), 0..300), Just(b"i9".to_vec()), Just(b"i9#p".to_vec())],
                prop::option::of(prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..300),
                    like_json().prop_map(String::into_bytes),
                ]),
            ), 0..8),
        ) {
            let mut fold = Fold::default();
            for (key, value) in records {
                let reading = read(&key, value.as_deref());
                prop_assert!(reading.says != Says::Nothing || !reading.faults.is_empty());
                let (change, _) = fold.take(reading);
                if let Some(item) = change.and_then(|(_, item)| item) {
                    prop_assert!(item.price.is_none_or(|price| price.is_finite() && price >= 0.0));
                    prop_assert!(item.published_at.is_none_or(|at| (date::EARLIEST..=date::LATEST).contains(&at.0)));
                    prop_assert!(item.categories.len() <= MAX_CATEGORIES && item.title.len() <= MAX_TITLE_BYTES);
                    prop_assert!(item.categories.iter().all(|name| !name.is_empty() && name.len() <= MAX_NAME_BYTES));
                }
            }
        }

        #[test]
        fn any_text_is_a_number_or_none_and_a_date_or_none(text in "\\PC{0,24}") {
            prop_assert!(number(&text).is_none_or(f64::is_finite));
            let _ = (date::of_text(&text), truth(&text));
        }
    }
}
