//! What no rule may do, whatever comes: panic.

use proptest::prelude::*;

use super::*;

/// Any JSON value, the hostile ones among them: times beyond every calendar, huge numbers, control characters.
fn any_json() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-0",
        "-0.0",
        "1e308",
        "-1e308",
        "1e-400",
        "NaN",
        "1e999",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "253402300800000",
        "-62135596800001",
        "1700000000000.5",
        "\"\"",
        "\"\\u0000\"",
        "\"\\u001b]0;owned\\u0007\"",
        "\"\\ud800\"",
        "\"\\udfff\\ud800\"",
        "\"\\u202e\"",
        "\"+275760-09-13T00:00:00Z\"",
        "\"-009999-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:60Z\"",
        "[]",
        "{}",
        "[[[[1]]]]",
        "{\"a\":{\"b\":[]}}",
        "\"undefined\"",
        "\"view\"",
        "\"impression\"",
    ]);
    let text = any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string serialises"));
    let number = any::<f64>().prop_map(|number| format!("{number:e}"));
    let items = prop::collection::vec(any::<i64>().prop_map(|n| n.to_string()), 0..6);
    prop_oneof![
        4 => hostile.prop_map(str::to_owned),
        2 => text,
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => number,
        1 => items.prop_map(|items| format!("[{}]", items.join(","))),
    ]
}

fn holds_to_the_contract(bytes: &[u8], now: i64) {
    match validator().judge(Some(bytes), ORIGIN, now) {
        Ok(interaction) => {
            for id in [&interaction.user_id, &interaction.item_id] {
                assert!(!id.trim().is_empty() && id.len() <= MAX_ID_BYTES);
            }
            assert!(interaction.kind() != Kind::Unspecified && interaction.shown.len() <= 3);
            // What ingest writes, every reader reads.
            let written = schemas::Written { partition: ORIGIN.partition, at: ORIGIN.arrived_at, by_broker: true };
            let read = Interaction::read(Some(&schemas::Message::encode_to_vec(&interaction)), written);
            assert!(read.is_ok_and(|(read, _)| read.effective_ts() <= ORIGIN.arrived_at));
        }
        Err(letter) => assert!(!letter.detail.is_empty() && letter.detail.len() <= MAX_DETAIL_BYTES + "…".len()),
    }
}

proptest! {
    #[test]
    fn hostile_values_in_every_field_end_in_an_interaction_or_a_dead_letter(
        fields in prop::collection::vec((prop::sample::select(
            vec!["type", "user_id", "item_id", "ts", "event_id", "session_id", "value", "items", "properties"],
        ), any_json()), 0..10),
        now in any::<i64>(),
    ) {
        let mut event = with("", "");
        event.pop();
        for (name, json) in &fields {
            // A field given twice is refused before it is looked at.
            if !event.contains(&format!("\"{name}\":")) || fields.len() % 5 == 0 {
                event.push_str(&format!(",\"{name}\":{json}"));
            }
        }
        event.push('}');
        holds_to_the_contract(event.as_bytes(), NOW);
        let alone: Vec<String> = fields.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        holds_to_the_contract(format!("{{{}}}", alone.join(",")).as_bytes(), now.max(0));
    }

    #[test]
    fn arbitrary_bytes_end_in_a_dead_letter(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        holds_to_the_contract(&bytes, NOW);
    }
}

#[test]
fn no_bytes_make_the_validator_panic() {
    let validator = validator();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        // xorshift64: the same bytes in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let alphabet = br#"{}[]",:\u00eDtrufalsn0123456789.-+eE "user_id""item_id""type""ts""view""items""#;
    for round in 0..200_000 {
        let bytes: Vec<u8> = if round % 2 == 0 {
            // A good event with a few bytes changed.
            let mut bytes = GOOD.as_bytes().to_vec();
            for _ in 0..=random() % 4 {
                let at = random() as usize % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes
        } else {
            (0..random() % 80).map(|_| alphabet[random() as usize % alphabet.len()]).collect()
        };
        if let Ok(interaction) = validator.judge(Some(&bytes), ORIGIN, NOW) {
            assert!(!interaction.user_id.is_empty() && interaction.user_id.len() <= MAX_ID_BYTES);
            assert!(!interaction.item_id.is_empty() && interaction.kind() != Kind::Unspecified);
        }
    }
}
