//! Bad input for the demo and for tests: one raw value for every reason of a dead letter, and repeats.

use schemas::{MAX_ID_BYTES, Reason};

/// What ingest is set to; bad events go just over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLimits {
    /// The largest value of an event, in bytes.
    pub message_bytes: usize,
    /// The most items of an impression.
    pub items: usize,
    /// How far ahead of the clock an event may be, in milliseconds.
    pub future_ms: i64,
}

/// What should become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A dead letter.
    DeadLetter(Reason),
    /// An interaction: what follows repeats it.
    Applied,
    /// Dropped: its `event_id` came before.
    Repeat,
}

/// A record for the topic `events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEvent {
    /// The record's key.
    pub key: String,
    /// The record's value.
    pub value: Vec<u8>,
    /// What should become of it.
    pub fate: Fate,
}

/// What the ids of users begin with whose events are bad.
pub const BAD_USERS: &str = "bad";

/// Endless bad input: every reason in turn, then a good event and its repeat, and so on. The same `seed`,
/// `now` (milliseconds since 1970) and limits give the same bytes.
pub fn bad_events(seed: u64, now: i64, limits: BadLimits) -> impl Iterator<Item = BadEvent> + Send {
    (0u64..).flat_map(move |round| {
        let key = format!("{BAD_USERS}{}", (seed.wrapping_mul(31).wrapping_add(round)) % 97);
        let refused = Reason::OF_EVENTS.into_iter().map({
            let key = key.clone();
            move |reason| BadEvent {
                value: value(reason, &key, round, now, limits),
                key: key.clone(),
                fate: Fate::DeadLetter(reason),
            }
        });
        let id = format!("bad{seed}.{now:x}/{round}");
        let good = format!(r#"{{"event_id":"{id}","type":"view","user_id":"{key}","item_id":"i{round}","ts":{now}}}"#);
        let repeat = [Fate::Applied, Fate::Repeat].map(|fate| BadEvent {
            key: key.clone(),
            value: good.clone().into_bytes(),
            fate,
        });
        refused.chain(repeat).collect::<Vec<_>>()
    })
}

/// A value that deserves `reason`; the round picks among several ways.
fn value(reason: Reason, user: &str, round: u64, now: i64, limits: BadLimits) -> Vec<u8> {
    let pick = |ways: &[String]| ways[round as usize % ways.len()].clone().into_bytes();
    let event = |kind: &str, user: &str, item: &str, ts: &str| {
        format!(r#"{{"type":{kind},"user_id":{user},"item_id":{item},"ts":{ts}}}"#)
    };
    let (user, item, time) = (format!("\"{user}\""), "\"i1\"".to_owned(), now.to_string());
    let long = format!("\"{}\"", "x".repeat(MAX_ID_BYTES + 1));
    match reason {
        Reason::Empty => Vec::new(),
        Reason::TooLarge => {
            let padding = "x".repeat(limits.message_bytes + 1);
            format!(r#"{{"type":"view","user_id":{user},"item_id":{item},"ts":{time},"note":"{padding}"}}"#)
                .into_bytes()
        }
        Reason::NotJson if round % 3 == 2 => vec![0xff, 0xfe, 0x00, 0x80],
        Reason::NotJson => pick(&["view;u1;i1".to_owned(), r#"{"type":"view","user_id""#.to_owned()]),
        Reason::MissingField => pick(&[
            format!(r#"{{"type":"view","user_id":{user},"ts":{time}}}"#),
            format!(r#"{{"type":"view","item_id":{item},"ts":{time}}}"#),
            format!(r#"{{"type":"view","user_id":{user},"item_id":{item}}}"#),
            format!(r#"{{"user_id":{user},"item_id":{item},"ts":{time}}}"#),
        ]),
        Reason::Nobody => {
            pick(&[event("\"view\"", "\"undefined\"", &item, &time), event("\"view\"", &user, "\"null\"", &time)])
        }
        Reason::EmptyField => pick(&[event("\"view\"", "\"\"", &item, &time), event("\"view\"", &user, "\"\"", &time)]),
        Reason::WrongType => pick(&[
            event("\"view\"", "true", &item, &time),
            event("\"view\"", &user, "[\"i1\"]", &time),
            event("\"view\"", &user, &item, "\"yesterday\""),
            event("7", &user, &item, &time),
        ]),
        Reason::UnknownType => pick(&[event("\"teleport\"", &user, &item, &time)]),
        Reason::IdTooLong => pick(&[event("\"view\"", &long, &item, &time), event("\"view\"", &user, &long, &time)]),
        Reason::TooManyItems => {
            let items: Vec<_> = (0..=limits.items).map(|n| format!("\"i{n}\"")).collect();
            let items = items.join(",");
            format!(r#"{{"type":"impression","user_id":{user},"item_id":{item},"ts":{time},"items":[{items}]}}"#)
                .into_bytes()
        }
        // A day beyond the limit, so that a slow run does not make it good.
        Reason::InFuture => {
            pick(&[event("\"view\"", &user, &item, &(now + limits.future_ms + 86_400_000).to_string())])
        }
        Reason::KeyMismatch | Reason::TooMany | Reason::TooLong | Reason::OutOfRange | Reason::UpdateKey => {
            unreachable!("no event is refused for what is wrong with an item")
        }
        Reason::TooOld => {
            pick(&[event("\"view\"", &user, &item, "0"), event("\"view\"", &user, &item, "\"1999-12-31T23:59:59Z\"")])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reason, a good event and its repeat.
    const ROUND: usize = Reason::OF_EVENTS.len() + 2;
    const LIMITS: BadLimits = BadLimits { message_bytes: 1_000, items: 10, future_ms: 60_000 };

    #[test]
    fn every_reason_occurs_and_a_repeat_follows_what_it_repeats() {
        let events: Vec<_> = bad_events(7, 1_700_000_000_000, LIMITS).take(2 * ROUND).collect();
        for reason in Reason::OF_EVENTS {
            assert_eq!(events.iter().filter(|event| event.fate == Fate::DeadLetter(reason)).count(), 2, "{reason}");
        }
        assert_eq!((events[ROUND - 2].fate, events[ROUND - 1].fate), (Fate::Applied, Fate::Repeat));
        assert_eq!(
            (&events[ROUND - 2].key, &events[ROUND - 2].value),
            (&events[ROUND - 1].key, &events[ROUND - 1].value)
        );
        assert_ne!(events[ROUND - 2].value, events[2 * ROUND - 2].value);
        assert!(serde_json::from_slice::<schemas::Event>(&events[ROUND - 2].value).is_ok());
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let take = || bad_events(3, 5, LIMITS).take(40).collect::<Vec<_>>();
        assert_eq!(take(), take());
    }
}
