//! Who is erased, until when, and what receipts say.

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn erasure() -> Erasure {
    let (by, reason) = ("ann".to_owned(), "asked for it".to_owned());
    Erasure { by, reason, at: NOW, purge: false, secret: None, done: None, lifted: None }
}

fn value(erasure: &Erasure) -> Vec<u8> {
    serde_json::to_vec(erasure).expect("serialises")
}

fn erased(secret: &Secret, records: &[(UserHash, Erasure)]) -> Erased {
    let mut erasures = Erasures::default();
    for (user, erasure) in records {
        assert_eq!(erasures.take(Erasure::key(*user).as_bytes(), Some(&value(erasure))), Ok(true));
    }
    Erased::new(secret.clone(), Arc::new(erasures))
}

#[test]
fn what_an_erased_user_did_counts_no_more_and_after_a_lift_only_what_comes_later() {
    let secret = Secret::new("one");
    let marked = Erasure { secret: secret.mark().map(str::to_owned), ..erasure() };
    let stands = erased(&secret, &[(secret.hash("u42"), marked.clone())]);
    assert!(stands.covers("u42", NOW - 1) && stands.covers("u42", NOW + 1) && stands.is_erased("u42"));
    assert!(!stands.is_erased("u43") && !Erased::default().is_erased("u42"));
    let lifted = Erasure { lifted: Some(NOW + 9), ..marked };
    let lifted = erased(&secret, &[(secret.hash("u42"), lifted)]);
    assert!(lifted.covers("u42", NOW + 9) && !lifted.covers("u42", NOW + 10) && !lifted.is_erased("u42"));
    assert_eq!((lifted.keys(NOW + 9).count(), lifted.keys(NOW + 10).count()), (1, 0), "nothing old returns");
    assert_eq!(lifted.wanting().count(), 0);
}

#[test]
fn an_erasure_from_before_there_was_a_secret_still_stands_and_one_by_another_secret_is_told() {
    let (secret, other) = (Secret::new("one"), Secret::new("another"));
    let by_other = Erasure { secret: other.mark().map(str::to_owned), ..erasure() };
    let both = erased(&secret, &[(Secret::default().hash("u1"), erasure()), (other.hash("u2"), by_other)]);
    assert!(both.is_erased("u1") && !both.is_erased("u2"));
    assert_eq!((both.unknown(), both.wanting().count()), (1, 1), "nobody vouches for whom they cannot find");
}

#[test]
fn a_record_is_taken_back_and_what_cannot_be_is_refused() {
    let (mut erasures, key) = (Erasures::default(), Erasure::key(Secret::default().hash("u42")));
    let mut take = |key: &str, value: Option<&[u8]>| erasures.take(key.as_bytes(), value);
    assert_eq!(take("release", Some(b"{}")), Ok(false));
    assert_eq!(take(&key, Some(&value(&erasure()))), Ok(true));
    assert_eq!(take(&key, Some(&value(&erasure()))), Ok(false), "the same again");
    assert_eq!(take(&key, None), Ok(true));
    assert!(take("erase:u42", Some(&value(&erasure()))).is_err_and(|why| why.contains("no user")));
    for bad in [
        Erasure { by: String::new(), ..erasure() },
        Erasure { reason: "x".repeat(MAX_TEXT + 1), ..erasure() },
        Erasure { reason: "\u{1b}[2J".into(), ..erasure() },
        Erasure { at: i64::MAX, ..erasure() },
        Erasure { lifted: Some(i64::MIN), ..erasure() },
        Erasure { secret: Some("x".into()), ..erasure() },
    ] {
        assert!(take(&key, Some(&value(&bad))).is_err(), "{bad:?}");
    }
    assert!(take(&key, Some(b"{")).is_err() && take(&key, Some(&[b' '; 5_000])).is_err());
    assert!(erasures.is_empty());
}

#[test]
fn at_the_bound_one_user_more_is_refused_and_those_erased_stay_so() {
    let (mut erasures, good) = (Erasures::default(), value(&erasure()));
    let key = |n: usize| Erasure::key(Secret::default().hash(&n.to_string()));
    for n in 0..MAX_USERS {
        erasures.take(key(n).as_bytes(), Some(&good)).expect("there is room");
    }
    assert!(erasures.take(key(MAX_USERS).as_bytes(), Some(&good)).is_err());
    let done = value(&Erasure { done: Some(NOW), ..erasure() });
    assert_eq!((erasures.take(key(0).as_bytes(), Some(&done)), erasures.len()), (Ok(true), MAX_USERS));
}

#[test]
fn every_partition_is_answered_for_once_and_again_by_who_takes_it_over() {
    let erased = erased(&Secret::default(), &[(Secret::default().hash("u42"), erasure())]);
    let (mut given, user) = (Given::default(), Secret::default().hash("u42"));
    let mut partitions = |ours: &[i32]| {
        given.due(&erased, ours).into_iter().map(|(of, named)| (of == user, named.len())).collect::<Vec<_>>()
    };
    assert_eq!(partitions(&[]), []);
    assert_eq!(partitions(&[0, 1]), [(true, 2)]);
    assert_eq!(partitions(&[0, 1]), []);
    assert_eq!(partitions(&[1, 2]), [(true, 1)]);
    let many: Vec<i32> = (0..123).collect();
    assert_eq!(partitions(&many), [(true, 50), (true, 50), (true, 20)], "no record is too long");
    assert!(given.due(&Erased::default(), &many).is_empty());
}

#[test]
fn an_erasure_is_answered_for_that_comes_between_two_questions_for_the_same_partitions() {
    let users = ["u1", "u2"].map(|user| (Secret::default().hash(user), erasure()));
    let (first, both) = (erased(&Secret::default(), &users[..1]), erased(&Secret::default(), &users));
    let mut given = Given::default();
    assert_eq!(given.due(&first, &[0]).len(), 1);
    assert_eq!(given.due(&first, &[0]).len(), 0);
    let due = given.due(&both, &[0]);
    assert_eq!(due.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [users[1].0]);
    assert_eq!(Given::default().due(&both, &[0]).len(), 2, "who forgets what was given gives it again");
}

#[test]
fn an_erasure_is_done_when_every_partition_and_a_trainer_answered_since_it_began() {
    let user = Secret::default().hash("u42").to_string();
    let entry = |actor: &str, action: &str, partitions: &[i32]| Entry {
        writer: "w".into(),
        seq: 1,
        prev: String::new(),
        at: NOW,
        actor: actor.into(),
        action: action.into(),
        subject: user.clone(),
        version: (actor == "trainer").then_some(crate::VersionId { epoch: 1, sequence: 2 }),
        reason: String::new(),
        evidence: partitions.iter().map(|n| (format!("partition {n}"), 1.0)).collect(),
    };
    let mut receipts = Receipts::default();
    let mut take = |entries: &[Entry]| {
        entries.iter().for_each(|entry| receipts.take(entry, &user));
        receipts.missing(2, 3)
    };
    take(&[entry("ingest", ERASED, &[0, 1]), entry("ann", BEGUN, &[])]);
    assert_eq!(
        take(&[entry("ingest", ERASED, &[1])]),
        ["ingest for 1 partitions of events", "scorer for 3 partitions of interactions", "trainer"]
    );
    take(&[entry("ingest", ERASED, &[0]), entry("scorer", ERASED, &[0, 1, 2]), entry("trainer", ERASED, &[])]);
    let other = Entry { subject: "another".into(), ..entry("ann", BEGUN, &[]) };
    assert_eq!(take(&[other]), [""; 0]);
}
