//! What becomes of a batch.

use std::time::Duration;

use runtime::kafka::Done;

use super::*;
use crate::config::Limits;
use crate::life::Life;
use schemas::dead_letter::headers;

const NOW: i64 = 1_700_000_000_000;

fn judge() -> Judge {
    let (max_future, nobody) = (Duration::from_secs(3600), vec!["undefined".into()]);
    let limits = Limits { max_message_bytes: 4096, max_items: 3, max_future, nobody };
    Judge::new(Validator::new(limits), "shop.events".into())
}

fn owning() -> Progress {
    let mut progress = Progress::new(10);
    progress.begin(2);
    progress
}

fn record(offset: i64, key: &str, value: impl Into<Bytes>) -> Record {
    Record {
        partition: 2,
        offset,
        timestamp: NOW + offset,
        by_broker: true,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Some(value.into()),
        headers: Vec::new(),
    }
}

fn view(event_id: &str) -> String {
    format!(r#"{{"event_id":"{event_id}","type":"view","user_id":"u1","item_id":"i1","ts":{NOW}}}"#)
}

#[test]
fn an_interaction_goes_to_the_partition_of_its_event_under_the_user_id() {
    let records = [record(7, "another key", view("a")), record(8, "", view("b"))];
    let verdict = judge().judge(&records, &mut owning(), NOW);
    assert!(verdict.dead_letters.is_empty());
    for (sent, offset) in verdict.interactions.iter().zip(7..) {
        assert_eq!((sent.partition, sent.key.as_ref()), (Some(2), b"u1".as_ref()));
        let interaction = Interaction::decode(sent.value.clone().expect("has a value")).expect("decodes");
        let source = interaction.source.expect("has a source");
        assert_eq!((source.partition, source.offset), (2, offset));
        assert_eq!(interaction.arrived_at, NOW + offset);
    }
}

#[test]
fn a_dead_letter_keeps_the_original_and_says_where_it_came_from() {
    let verdict = judge().judge(&[record(7, "k", "not json")], &mut owning(), NOW);
    let letter = &verdict.dead_letters[0];
    assert_eq!((letter.key.as_ref(), letter.value.as_deref()), (b"k".as_ref(), Some(b"not json".as_ref())));
    let header = |name: &str| {
        let (_, value) = letter.headers.iter().find(|(key, _)| *key == name).expect("is there");
        value.clone()
    };
    assert_eq!(header(headers::REASON).parse(), Ok(Reason::NotJson));
    assert_eq!(header(headers::TOPIC), "shop.events");
    assert_eq!((header(headers::PARTITION), header(headers::OFFSET)), ("2".into(), "7".into()));
    assert!(!header(headers::DETAIL).is_empty());
}

#[test]
fn the_same_event_id_twice_is_applied_once() {
    let records = [record(0, "u1", view("a")), record(1, "u1", view("a")), record(2, "u1", view("b"))];
    let mut progress = owning();
    let counts = judge().judge(&records, &mut progress, NOW).counts;
    assert_eq!((counts.interactions, counts.repeats), (2, 1));
    let counts = judge().judge(&[record(3, "u1", view("b"))], &mut progress, NOW).counts;
    assert_eq!((counts.interactions, counts.repeats), (0, 1), "in the next batch as well");
}

#[test]
fn a_batch_read_again_after_a_crash_is_not_written_twice() {
    let records =
        [record(0, "u1", view("")), record(1, "u1", "{}"), record(2, "u1", view("")), record(3, "u1", view(""))];
    let first = judge().judge(&records[..3], &mut owning(), NOW);

    let mut progress = owning();
    for sent in &first.interactions {
        let value = sent.value.clone().expect("has a value");
        progress.remember(2, &Interaction::decode(value).expect("decodes"));
    }
    let again = judge().judge(&records, &mut progress, NOW);
    assert_eq!((again.counts.already_done, again.counts.interactions), (3, 1));
    assert!(again.dead_letters.is_empty(), "it was written before the interactions were");
}

#[test]
fn a_record_handed_out_twice_in_one_run_is_written_once() {
    let records = [record(0, "u1", view("")), record(1, "u1", view("")), record(0, "u1", view(""))];
    let counts = judge().judge(&records, &mut owning(), NOW).counts;
    assert_eq!((counts.interactions, counts.already_done), (2, 1));
}

#[test]
fn records_of_a_partition_that_left_are_its_new_owners() {
    let mut progress = owning();
    progress.forget(2);
    let verdict = judge().judge(&[record(0, "u1", view("a")), record(1, "u1", "{}")], &mut progress, NOW);
    assert_eq!(verdict.counts, Counts::default());
    assert!(verdict.interactions.is_empty() && verdict.dead_letters.is_empty());
}

#[test]
fn every_record_is_counted_once() {
    let records = [record(0, "", view("a")), record(1, "", view("a")), record(2, "", "{}"), record(3, "", "")];
    let counts = judge().judge(&records, &mut owning(), NOW).counts;
    assert_eq!(counts.events(), 4);
    assert_eq!(counts.dead_letters, BTreeMap::from([(Reason::Empty, 1), (Reason::MissingField, 1)]));
}

#[test]
fn a_tombstone_is_a_dead_letter_without_a_value() {
    let tombstone = Record { value: None, ..record(0, "u1", "") };
    let verdict = judge().judge(&[tombstone], &mut owning(), NOW);
    assert_eq!(verdict.dead_letters[0].value, None);
}

#[test]
fn a_dead_letter_too_large_for_kafka_is_cut_and_says_so() {
    let huge = record(0, &"k".repeat(500_000), vec![b'x'; 1_000_000]);
    let verdict = judge().judge(&[huge], &mut owning(), NOW);
    let letter = &verdict.dead_letters[0];
    assert_eq!(letter.key.len() + letter.value.as_ref().map_or(0, Bytes::len), dead_letter::MAX_BYTES);
    assert!(letter.headers.contains(&(headers::CUT, "1500000".to_owned())));
}

#[test]
fn an_event_arrives_by_a_clock_that_its_sender_has_no_say_in() {
    let hour = 3_600_000;
    let arrived = |record: Record| {
        let verdict = judge().judge(&[record], &mut owning(), NOW);
        let value = verdict.interactions.first().expect("is accepted").value.clone().expect("has a value");
        Interaction::decode(value).expect("decodes").arrived_at
    };
    let stamped = |timestamp, by_broker| Record { timestamp, by_broker, ..record(7, "u1", view("")) };
    assert_eq!(arrived(stamped(NOW + hour, true)), NOW + hour, "the broker knows better than a clock that is behind");
    assert_eq!(arrived(stamped(NOW + hour, false)), NOW, "a sender does not");
    assert_eq!(arrived(stamped(NOW - hour, false)), NOW - hour, "what waited has waited");
    assert_eq!(arrived(stamped(-1, false)), NOW, "a record without a time arrives when it is read");
}

#[test]
fn a_clock_an_hour_ahead_on_ingests_machine_makes_no_event_later_than_the_broker_took_it() {
    let (hour, ahead) = (3_600_000, NOW + 3_600_000);
    let stamped = |ts: i64, by_broker| {
        let value = format!(r#"{{"type":"view","user_id":"u1","item_id":"i1","ts":{ts}}}"#);
        Record { by_broker, timestamp: NOW, ..record(7, "u1", value) }
    };
    for by_broker in [true, false] {
        for ts in [NOW - 10, NOW + hour - 1, NOW + 2 * hour - 1] {
            let verdict = judge().judge(&[stamped(ts, by_broker)], &mut owning(), ahead);
            let value = verdict.interactions.first().expect("is accepted").value.clone().expect("has a value");
            let interaction = Interaction::decode(value).expect("decodes");
            assert_eq!((interaction.arrived_at, interaction.effective_ts()), (NOW, ts.min(NOW)));
        }
    }
}

#[test]
fn a_life_is_numbered_by_when_the_broker_took_its_first_event_whatever_ingests_clock_says() {
    let numbered = |now, by_broker| {
        let mut progress = owning();
        progress.go_on(2, Life::New { after: 0, id: 8 }, Done::NOTHING);
        let records = [record(0, "u1", "no event"), record(5_000, "u1", view(""))];
        let verdict = judge().judge(&records.map(|record| Record { by_broker, ..record }), &mut progress, now);
        let value = verdict.interactions.first().expect("is accepted").value.clone().expect("has a value");
        let life = Interaction::decode(value).expect("decodes").source.expect("has a source").incarnation;
        let letter = verdict.dead_letters.first().expect("the first is no event");
        assert!(letter.headers.contains(&(headers::INCARNATION, life.to_string())), "{:?}", letter.headers);
        life
    };
    let of = |at: i64| schemas::position::incarnation(u32::try_from(at / 1_000).expect("is in this century"), 8);
    let days = 3 * 86_400_000;
    for now in [NOW - days, NOW, NOW + days] {
        assert_eq!(numbered(now, true), of(NOW), "two instances give the same number, which readers believe");
        assert_eq!(numbered(now, false), of(now), "a sender's time is no time of a life");
    }
}

#[test]
fn a_clock_an_hour_behind_on_ingests_machine_refuses_no_good_event() {
    let behind = NOW - 2 * 3_600_000;
    for by_broker in [true, false] {
        let good = Record { by_broker, ..record(7, "u1", view("")) };
        let verdict = judge().judge(&[good], &mut owning(), behind);
        assert_eq!((verdict.counts.interactions, verdict.dead_letters.len()), (1, 0));
    }
    // What was in the future when the broker took it is in the future still.
    let ahead = format!(r#"{{"type":"view","user_id":"u1","item_id":"i1","ts":{}}}"#, NOW + 3_600_000 + 1_000);
    let verdict = judge().judge(&[record(7, "u1", ahead)], &mut owning(), behind);
    assert_eq!(verdict.counts.dead_letters.get(&Reason::InFuture), Some(&1));
}

#[test]
fn events_of_an_erased_user_are_dropped_and_counted_and_leave_no_dead_letter_with_the_id() {
    let secret = schemas::Secret::new("of the installation");
    let (by, reason) = ("ann".to_owned(), "asked for it".to_owned());
    let mark = secret.mark().map(str::to_owned);
    let word = |lifted| {
        let (by, reason, secret) = (by.clone(), reason.clone(), mark.clone());
        schemas::Erasure { by, reason, at: NOW, purge: false, secret, done: None, lifted }
    };
    let judge_with = |lifted| {
        let (mut judge, mut erasures) = (judge(), schemas::Erasures::default());
        let value = serde_json::to_vec(&word(lifted)).expect("serialises");
        erasures.take(schemas::Erasure::key(secret.hash("u1")).as_bytes(), Some(&value)).expect("is taken");
        judge.leave_out(Erased::new(secret.clone(), std::sync::Arc::new(erasures)));
        judge
    };
    let bad = r#"{"type":"view","user_id":"u1","item_id":"i1"}"#;
    let other = view("d").replace("u1", "u2");
    let records = [
        record(7, "u1", view("a")),
        record(8, "by session", view("b")),
        record(9, "by session", bad),
        record(10, "u1", "not json"),
        record(11, "u2", other),
        record(12, "u2", "not json"),
    ];
    let verdict = judge_with(None).judge(&records, &mut owning(), NOW);
    assert_eq!((verdict.counts.erased, verdict.interactions.len(), verdict.dead_letters.len()), (4, 1, 1));
    assert_eq!(verdict.counts.events(), 6, "every record is counted (I6)");
    assert!(!format!("{verdict:?}").contains("u1"));
    for bad in [
        r#"{"user_id":"u1","item_id":"#,
        r#"{"user_id":"u2","user_id":"u1","type":"view"}"#,
        r#"{"session_id":"u1","type":"view","item_id":"i1"}"#,
        r#"{"user_id":"\u00751","type":"view"}"#,
    ] {
        let verdict = judge_with(None).judge(&[record(13, "by session", bad)], &mut owning(), NOW);
        assert_eq!((verdict.counts.erased, verdict.dead_letters.len()), (1, 0), "{bad}");
    }
    // After a lift the user may act again, and what arrived before is still of nobody.
    let verdict = judge_with(Some(NOW + 8)).judge(&records, &mut owning(), NOW);
    assert_eq!((verdict.counts.erased, verdict.interactions.len(), verdict.dead_letters.len()), (2, 1, 3));
}
