use schemas::{EventType, Source, proto};

use super::*;
use crate::traffic::click;

fn sent(number: i64) -> Sent {
    let event = click("u1", &format!("i{number}"), EventType::View, 1_000 + number, format!("e{number}"));
    Sent { event, partition: 0, offset: number }
}

fn interaction(number: i64) -> (i32, Interaction) {
    let Sent { event, partition, offset } = sent(number);
    let source = Source { partition, offset, ..Source::default() };
    let interaction = Interaction {
        user_id: event.user_id,
        item_id: event.item_id,
        kind: Kind::View.into(),
        ts: event.ts.0,
        event_id: event.event_id.unwrap_or_default(),
        source: Some(source),
        ..Interaction::default()
    };
    (partition, interaction)
}

fn all(numbers: &[i64]) -> Vec<(i32, Interaction)> {
    numbers.iter().map(|number| interaction(*number)).collect()
}

#[test]
fn one_lost_and_one_doubled_do_not_cancel_out() {
    let oracle = Oracle::of(&[sent(0), sent(1), sent(2)]);
    assert!(oracle.interactions(&all(&[0, 1, 2])).is_clean());
    assert!(oracle.interactions(&all(&[0, 1, 1, 0, 2])).is_clean(), "a repetition is dropped by its source");
    let mut doubled = all(&[0, 2]);
    doubled.push(interaction(2));
    let source = doubled[2].1.source.as_mut().expect("it has a source");
    source.offset = 3; // the same event, as if it were another one
    let findings = oracle.interactions(&doubled);
    assert_eq!(findings.lost, BTreeSet::from(["e1".to_owned()]));
    assert_eq!(findings.doubled, BTreeSet::from(["e2".to_owned()]));
}

#[test]
fn another_content_and_what_nobody_sent_are_wrong() {
    let oracle = Oracle::of(&[sent(0), sent(1)]);
    let mut records = all(&[0, 1, 7]);
    records[1].1.item_id = "other".to_owned();
    assert_eq!(oracle.interactions(&records).wrong.len(), 2);
}

#[test]
fn a_profile_with_the_right_sum_and_the_wrong_content_is_wrong() {
    let oracle = Oracle::of(&[sent(0), sent(1)]);
    let seen = |number: i64| proto::Seen { item_id: format!("i{number}"), kind: Kind::View.into(), ts: 1_000 + number };
    let mut stored = StoredProfile::default();
    stored.profile.counts = vec![0, 0, 2];
    stored.profile.recent = vec![seen(0), seen(1)];
    assert!(oracle.profile("u1", &stored).is_clean());
    stored.profile.recent = vec![seen(0), seen(0)];
    assert_eq!(oracle.profile("u1", &stored).wrong.len(), 1);
    stored.profile.counts = vec![0, 0, 1];
    assert_eq!(oracle.profile("u1", &stored).wrong.len(), 2);
}

#[test]
fn a_version_that_counts_one_item_for_another_is_wrong() {
    let oracle = Oracle::of(&[sent(0), sent(1)]);
    let counted = |items: &[(&str, u32)]| items.iter().map(|(item, n)| ((*item).to_owned(), *n)).collect();
    assert!(oracle.sightings(&counted(&[("i0", 1), ("i1", 1)])).is_clean());
    assert_eq!(oracle.sightings(&counted(&[("i0", 2)])).wrong.len(), 2);
}

#[test]
fn an_empty_list_by_a_version_and_an_item_that_is_there_twice_are_wrong() {
    let all: Vec<Sent> = (0..30).map(sent).collect();
    let oracle = Oracle::of(&all);
    let entry = |id: &str| schemas::Entry { id: id.to_owned(), score: 1.0, from: String::new(), because: vec![] };
    let slate = |model: &str, ids: &[&str]| Slate {
        v: Slate::V,
        model: model.to_owned(),
        source: Slate::source_of("events", 0, 29),
        event_ts: 0,
        made_at: 0,
        items: ids.iter().map(|id| entry(id)).collect(),
    };
    let wrong = |oracle: &Oracle, slate: &Slate| oracle.slate("u1", slate, "events").wrong.len();
    assert_eq!(wrong(&oracle, &slate("000001-00000001", &["i1", "i2"])), 0);
    assert_eq!(wrong(&oracle, &slate("000001-00000001", &[])), 1);
    assert_eq!(wrong(&oracle, &slate(Slate::NO_MODEL, &[])), 0, "nothing was learned yet");
    assert_eq!(wrong(&oracle, &slate(Slate::NO_MODEL, &["i1", "i1"])), 1);
    let few = Oracle::of(&[sent(29)]);
    assert_eq!(wrong(&few, &slate("000001-00000001", &[])), 0, "it is the user's own");
}
#[test]
fn what_a_list_shows_was_sent_is_there_once_and_is_something_for_whoever_chose() {
    let all: Vec<Sent> = (0..30).map(sent).collect();
    let oracle = Oracle::of(&all);
    let entry = |id: &str| schemas::Entry { id: id.to_owned(), score: 1.0, from: String::new(), because: vec![] };
    let slate = |ids: &[&str]| Slate {
        v: Slate::V,
        model: Slate::NO_MODEL.to_owned(),
        source: String::new(),
        event_ts: 0,
        made_at: 0,
        items: ids.iter().map(|id| entry(id)).collect(),
    };
    let wrong = |user, ids: &[&str]| oracle.shows("a list", user, &slate(ids)).wrong.len();
    assert_eq!(wrong(Some("u1"), &["i1", "i2"]), 0);
    assert_eq!(wrong(None, &["i1", "i1", "i99"]), 2);
    assert_eq!((wrong(Some("u1"), &[]), wrong(None, &[])), (1, 1));
    assert_eq!(wrong(Some("who chose nothing"), &[]), 0);
}

#[test]
fn a_list_may_be_made_through_the_last_event_of_either_partition_where_some_were_added() {
    let before = sent(0);
    let after = Sent { partition: 4, offset: 0, ..sent(1) };
    let oracle = Oracle::of(&[before, sent(2), after]);
    let made_through = |partition, offset| {
        let source = Slate::source_of("events", partition, offset);
        let slate =
            Slate { v: Slate::V, model: Slate::NO_MODEL.to_owned(), source, event_ts: 0, made_at: 0, items: vec![] };
        oracle.slate("u1", &slate, "events").wrong.len()
    };
    assert_eq!((made_through(0, 2), made_through(4, 0)), (0, 0));
    assert_eq!(made_through(0, 0), 1, "it is not the last");
}
