//! `events`: whatever an application sends is an interaction that every reader takes, or a dead letter.
#![no_main]

use std::sync::LazyLock;

use ingest::config::Limits;
use ingest::validator::{Origin, Validator};
use libfuzzer_sys::fuzz_target;
use schemas::{Interaction, Message, Written};

const NOW: i64 = 1_700_000_000_000;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let hour = std::time::Duration::from_hours(1);
    Validator::new(Limits { max_message_bytes: 65_536, max_items: 200, max_future: hour, nobody: vec!["null".into()] })
});

fuzz_target!(|bytes: &[u8]| {
    let origin = Origin { partition: 3, offset: 7, incarnation: 1, arrived_at: NOW };
    match VALIDATOR.judge(Some(bytes), origin, NOW) {
        Ok(interaction) => {
            let value = interaction.encode_to_vec();
            let written = Written { partition: origin.partition, at: NOW, by_broker: true };
            Interaction::read(Some(&value), written).expect("what ingest lets through, everybody reads");
        }
        Err(letter) => assert!(letter.detail.len() < 2_000, "a detail is short"),
    }
});
