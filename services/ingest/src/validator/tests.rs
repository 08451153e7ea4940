//! Every reason, and every boundary.

mod arbitrary;

use schemas::EventType;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const ORIGIN: Origin = Origin { partition: 3, offset: 918, incarnation: 7, arrived_at: 1_700_000_000_200 };
const GOOD: &str = r#"{"event_id":"01J9","type":"view","user_id":"u42","session_id":"s7","item_id":"i9",
    "ts":1700000000123,"value":19.9,"properties":{"surface":"home"}}"#;

fn validator() -> Validator {
    Validator::new(Limits {
        max_message_bytes: 4096,
        max_items: 3,
        max_future: std::time::Duration::from_secs(3600),
        nobody: vec!["undefined".into(), "null".into(), "(not set)".into()],
    })
}

fn judge(event: impl AsRef<[u8]>) -> Result<Interaction, DeadLetter> {
    validator().judge(Some(event.as_ref()), ORIGIN, NOW)
}

fn accepted(event: &str) -> Interaction {
    judge(event).unwrap_or_else(|letter| panic!("{event} was refused: {letter}"))
}

fn reason(event: impl AsRef<[u8]>) -> (Reason, String) {
    let letter = judge(event).expect_err("is refused");
    (letter.reason, letter.detail)
}

/// The good event with `field` replaced by `json`; an empty `json` leaves the field out.
fn with(field: &str, json: &str) -> String {
    let mut fields: Vec<(&str, &str)> =
        vec![("type", r#""view""#), ("user_id", r#""u1""#), ("item_id", r#""i1""#), ("ts", "1700000000000")];
    fields.retain(|(name, _)| *name != field);
    fields.push((field, json));
    let fields: Vec<String> =
        fields.iter().filter(|(_, json)| !json.is_empty()).map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn the_event_of_the_contract_becomes_an_interaction() {
    assert_eq!(
        accepted(GOOD),
        Interaction {
            user_id: "u42".into(),
            item_id: "i9".into(),
            kind: Kind::View.into(),
            ts: 1_700_000_000_123,
            session_id: "s7".into(),
            value: Some(19.9),
            shown: Vec::new(),
            event_id: "01J9".into(),
            source: Some(Source { partition: 3, offset: 918, topic: 0, incarnation: 7 }),
            arrived_at: 1_700_000_000_200,
        }
    );
}

#[test]
fn what_schemas_writes_is_accepted_whatever_its_type() {
    for kind in [
        EventType::Impression,
        EventType::View,
        EventType::Cart,
        EventType::Purchase,
        EventType::Like,
        EventType::Dislike,
        EventType::Undislike,
    ] {
        let event = schemas::Event {
            event_id: None,
            kind,
            user_id: "ü".into(),
            session_id: None,
            item_id: "a\"b".into(),
            ts: Timestamp(NOW),
            value: Some(2.0),
            items: vec!["i1".into()],
        };
        let interaction = accepted(&serde_json::to_string(&event).expect("encodes"));
        assert_eq!(interaction.kind(), Kind::from(kind));
        assert_eq!(interaction.item_id, "a\"b");
    }
}

#[test]
fn a_time_may_be_rfc_3339_with_any_offset() {
    assert_eq!(accepted(&with("ts", r#""2023-11-14T23:13:20.5+01:00""#)).ts, NOW + 500);
}

#[test]
fn null_is_the_same_as_absent_and_an_empty_optional_id_the_same_as_none() {
    for field in ["event_id", "session_id", "value", "items"] {
        accepted(&with(field, "null"));
    }
    assert_eq!(accepted(&with("session_id", r#""""#)).session_id, "");
    assert_eq!(reason(with("user_id", "null")).0, Reason::MissingField);
}

#[test]
fn unknown_fields_are_left_out_however_deep() {
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    accepted(&with("properties", &deep));
}

#[test]
fn an_impression_carries_what_was_shown_and_other_types_leave_items_out() {
    let shown = with("items", r#"["i2","i3"]"#).replace("view", "impression");
    assert_eq!(accepted(&shown).shown, ["i2", "i3"]);
    assert!(accepted(&with("items", r#"["i2"]"#)).shown.is_empty());
    accepted(&with("items", "7"));
}

#[test]
fn an_empty_value_is_a_dead_letter() {
    assert_eq!(reason("").0, Reason::Empty);
    assert_eq!(validator().judge(None, ORIGIN, NOW).expect_err("refused").reason, Reason::Empty);
}

#[test]
fn a_message_over_the_limit_is_a_dead_letter_and_one_at_the_limit_is_not() {
    let padded = |len: usize| format!("{}{}", with("value", "1"), " ".repeat(len - with("value", "1").len()));
    accepted(&padded(4096));
    assert_eq!(reason(padded(4097)), (Reason::TooLarge, "4097 bytes, the limit is 4096".into()));
}

#[test]
fn what_is_not_json_or_not_utf_8_is_a_dead_letter() {
    for event in ["not json", "{", "  ", r#"{"type":"view""#, "\u{feff}{}", "NaN", r#"{"a":1}{"a":2}"#, "[1,"] {
        assert_eq!(reason(event).0, Reason::NotJson, "{event}");
    }
    assert_eq!(reason(with("value", "1e999")).0, Reason::NotJson);
    assert_eq!(reason(b"{\"type\":\"vi\xffew\"}").0, Reason::NotJson);
    let twice = with("value", "1").replacen('{', r#"{"user_id":"u2","#, 1);
    assert_eq!(reason(twice).0, Reason::NotJson, "which of two users is meant, nobody knows");
}

#[test]
fn json_that_is_no_object_is_of_the_wrong_type() {
    for event in ["7", "\"view\"", "null", "[]", r#"["e","view","u","s","i",1700000000000,1,[]]"#] {
        assert_eq!(reason(event), (Reason::WrongType, "an event is a JSON object".into()), "{event}");
    }
}

#[test]
fn a_missing_or_empty_required_field_is_a_dead_letter_that_names_it() {
    for field in ["type", "user_id", "item_id", "ts"] {
        assert_eq!(reason(with(field, "")), (Reason::MissingField, format!("`{field}` is missing")));
        assert_eq!(reason(with(field, r#""""#)), (Reason::EmptyField, format!("`{field}` is empty")));
    }
    assert_eq!(reason("{}").0, Reason::MissingField);
}

#[test]
fn a_wrong_type_is_a_dead_letter_that_names_the_field_and_what_is_wanted() {
    for field in ["type", "user_id", "item_id", "event_id", "session_id", "ts", "value"] {
        for json in ["true", "{}", "[1]", r#"{"view":null}"#] {
            let (reason, detail) = reason(with(field, json));
            assert_eq!(reason, Reason::WrongType, "{field} = {json}");
            assert!(detail.starts_with(&format!("`{field}` is ")) && detail.ends_with("wanted"), "{detail}");
        }
    }
    for value in ["free", "1,234"] {
        let (reason, detail) = reason(with("value", &format!("\"{value}\"")));
        assert_eq!(reason, Reason::WrongType, "{value}");
        assert!(detail.contains(value) && detail.ends_with("wanted"), "{detail}");
    }
    for ts in ["1700000000000.5", r#""yesterday""#, r#""1.7e12""#, r#""2023-11-14""#] {
        assert_eq!(reason(with("ts", ts)).0, Reason::WrongType, "{ts}");
    }
    for items in ["7", "[true]", "[null]", "[[]]"] {
        let impression = with("items", items).replace("view", "impression");
        assert_eq!(reason(impression).0, Reason::WrongType, "{items}");
    }
}

#[test]
fn a_number_as_text_is_a_number_in_a_live_event_as_in_a_log_and_in_the_catalog() {
    assert_eq!(accepted(&with("ts", r#""1700000000123""#)).ts, 1_700_000_000_123);
    assert_eq!(accepted(&with("ts", r#"" 1700000000123 ""#)).ts, 1_700_000_000_123);
    assert_eq!(reason(with("ts", r#""1700000000""#)).0, Reason::TooOld, "seconds, and it says so");
    assert_eq!(reason(with("ts", r#""99999999999999999999""#)).0, Reason::InFuture);
    for (value, wanted) in [("19.90", Some(19.9)), ("19,90 EUR", Some(19.9)), ("", None), ("NaN", None)] {
        assert_eq!(accepted(&with("value", &format!("\"{value}\""))).value, wanted, "{value}");
    }
}

#[test]
fn an_unknown_type_is_a_dead_letter_that_lists_the_known_ones() {
    let (reason, detail) = reason(with("type", r#""stare""#));
    assert_eq!(reason, Reason::UnknownType);
    assert!(detail.contains("stare") && detail.contains("purchase"), "{detail}");
}

#[test]
fn live_events_take_the_words_for_types_that_recorded_logs_take() {
    for (word, kind) in [
        ("click", Kind::View),
        ("Purchase", Kind::Purchase),
        ("add_to_cart", Kind::Cart),
        ("fav", Kind::Like),
        ("Undislike", Kind::Undislike),
    ] {
        assert_eq!(accepted(&with("type", &format!("\"{word}\""))).kind(), kind, "{word}");
    }
}

#[test]
fn a_number_is_an_id_however_it_is_written_and_loses_no_digit() {
    for (number, id) in [
        ("7", "7"),
        ("7.0", "7"),
        ("0.7e1", "7"),
        ("-3", "-3"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("90071992547409930005", "90071992547409930005"),
        ("90071992547409930005.0", "90071992547409930005"),
        ("1.5", "1.5"),
    ] {
        let event = accepted(&with("user_id", number));
        assert_eq!(event.user_id, id);
        assert_eq!(accepted(&with("item_id", number)).item_id, id);
        assert_eq!(accepted(&with("event_id", number)).event_id, id);
    }
    assert_eq!(accepted(&with("user_id", "7")).user_id, accepted(&with("user_id", r#""7""#)).user_id);
    let shown = with("items", "[7, 8.0]").replace("view", "impression");
    assert_eq!(accepted(&shown).shown, ["7", "8"]);
    // Nothing is rounded: what would be is refused, and told to be written as a string.
    let long = with("items", "[90071992547409930005]").replace("view", "impression");
    assert_eq!(reason(long), (Reason::WrongType, "`items` is a number; a string is wanted".into()));
    assert_eq!(reason(with("user_id", "1e300")).0, Reason::WrongType);
}

#[test]
fn a_word_for_nobody_is_a_dead_letter_and_an_optional_id_of_that_kind_is_none() {
    for word in ["undefined", "NULL", " null ", "(not set)"] {
        for field in ["user_id", "item_id"] {
            let (reason, detail) = reason(with(field, &format!("\"{word}\"")));
            assert_eq!(reason, Reason::Nobody, "{word}");
            assert!(detail.starts_with(&format!("`{field}` is \"{word}\"")) && detail.contains("ingest.nobody"));
        }
        assert_eq!(accepted(&with("event_id", &format!("\"{word}\""))).event_id, "", "no repeats of one another");
        assert_eq!(accepted(&with("session_id", &format!("\"{word}\""))).session_id, "");
    }
    assert_eq!(reason(with("user_id", r#"" \t ""#)).0, Reason::EmptyField);
    assert_eq!(accepted(&with("user_id", r#""Nullmeier""#)).user_id, "Nullmeier");
}

#[test]
fn an_id_over_256_bytes_is_a_dead_letter_and_one_of_256_is_not() {
    // Bytes, not characters: "é" has two.
    let (longest, too_long) = (format!("\"{}\"", "é".repeat(128)), format!("\"{}x\"", "é".repeat(128)));
    for field in ["user_id", "item_id", "event_id", "session_id"] {
        accepted(&with(field, &longest));
        assert_eq!(
            reason(with(field, &too_long)),
            (Reason::IdTooLong, format!("`{field}` has 257 bytes, the limit is 256"))
        );
    }
    let impression = |id: &str| with("items", &format!("[{id}]")).replace("view", "impression");
    accepted(&impression(&longest));
    assert_eq!(reason(impression(&too_long)).0, Reason::IdTooLong);
    assert_eq!(reason(impression("\"\"")).0, Reason::EmptyField);
}

#[test]
fn an_impression_with_more_items_than_the_limit_is_a_dead_letter() {
    let impression = |items: &str| with("items", items).replace("view", "impression");
    accepted(&impression(r#"["a","b","c"]"#));
    assert_eq!(
        reason(impression(r#"["a","b","c","d"]"#)),
        (Reason::TooManyItems, "`items` has 4, the limit is 3".into())
    );
}

#[test]
fn a_time_over_the_limit_in_the_future_is_a_dead_letter() {
    accepted(&with("ts", &(NOW + 3_600_000).to_string()));
    accepted(&with("ts", "1.7e12")); // whole, however it is written
    for ts in [NOW + 3_600_001, i64::MAX] {
        assert_eq!(reason(with("ts", &ts.to_string())).0, Reason::InFuture, "{ts}");
    }
    assert_eq!(reason(with("ts", "18446744073709551615")).0, Reason::InFuture);
    assert_eq!(reason(with("ts", r#""9999-01-01T00:00:00Z""#)).0, Reason::InFuture);
}

#[test]
fn a_time_before_2000_is_a_dead_letter_that_knows_seconds_when_it_sees_them() {
    accepted(&with("ts", "946684800000"));
    for ts in ["946684799999", "0", "-1", "-9223372036854775808", r#""1999-12-31T23:59:59Z""#] {
        assert_eq!(reason(with("ts", ts)).0, Reason::TooOld, "{ts}");
    }
    let (reason, detail) = reason(with("ts", "1700000000"));
    assert_eq!(reason, Reason::TooOld);
    assert!(detail.contains("seconds"), "{detail}");
}

#[test]
fn a_detail_stays_short_however_long_the_mistake() {
    let (reason, detail) = reason(with("type", &format!("\"{}\"", "é".repeat(1000))));
    assert_eq!(reason, Reason::UnknownType);
    assert!(detail.len() <= MAX_DETAIL_BYTES + "…".len(), "{}", detail.len());
}
