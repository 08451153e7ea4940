//! Users who are forgotten, and users who are known by other keys than before.

use schemas::Secret;

use super::*;
use crate::version::payload::Payload;

const USER: &str = "u90";

/// A learner of a stream in which one user acts on after everybody else, and alone chose an item.
fn learner(secret: &Secret) -> Learner {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learner.set_secret(secret.clone());
    let mut stream = stream(400);
    for (n, item) in ["i3", "i4", "mine"].into_iter().enumerate() {
        let mut own = stream[stream.len() - 1].clone();
        let source = own.interaction.source.as_mut().expect("has a source");
        (own.offset, source.offset) = (own.offset + 1, source.offset + 1);
        (own.interaction.user_id, own.interaction.item_id) = (USER.to_owned(), item.to_owned());
        own.interaction.ts += 1_000 * (1 + n as i64);
        stream.push(own);
    }
    learn(&mut learner, &stream);
    learner
}

fn snapshot(learner: &mut Learner) -> Model {
    publish(learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1).0
}

#[test]
fn a_forgotten_user_is_in_no_history_no_session_no_example_and_in_the_next_version_which_is_whole() {
    for secret in [Secret::default(), Secret::new("of the installation")] {
        let (mut learner, user) = (learner(&secret), secret.key(USER));
        let before = snapshot(&mut learner);
        let (sessions, items) = before.knowledge().traces_of(user);
        assert!(sessions > 0 && items == 1, "{sessions} {items}");
        let (histories, examples) = (learner.histories.len(), learner.replay.len());
        learner.set_anchor(before.clone(), 8);
        learner.forget(&[user], |id| id == USER);
        assert_eq!(learner.histories.len(), histories - 1);
        assert!(learner.histories.as_of(USER, i64::MAX).is_empty());
        assert!(learner.replay.len() < examples);
        assert_eq!(learner.anchor.as_ref().map(|(anchor, _)| anchor.knowledge().traces_of(user)), Some((0, 0)));
        let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
        assert_eq!(frozen.kind(), PayloadKind::Snapshot, "no delta takes anything away");
        let after = snapshot(&mut learner);
        assert_eq!(after.knowledge().traces_of(user), (0, 0));
        assert_eq!(after.knowledge().interactions(), before.knowledge().interactions(), "sums stay");
        let sessions = |model: &Model| model.knowledge().sessions().len();
        assert_eq!(sessions(&after) + before.knowledge().traces_of(user).0, sessions(&before), "the others' stay");
        // A learner that goes on from it is as this one is.
        let restored = Learner::restore(settings(), &after).expect("restores");
        let numbers = |learner: &Learner| learner.knowledge.sessions().first();
        assert_eq!(numbers(&restored), numbers(&learner));
        let history = [Seen { key: key_of("i3"), kind: Kind::View, ts: 1_700_001_000_000 }];
        let bounds = settings().session_bounds();
        let neighbours = |learner: &Learner| learner.knowledge.sessions().neighbours(UserKey(1), &history, &bounds);
        assert_eq!(neighbours(&restored), neighbours(&learner), "also what is indexed by item");
    }
}

#[test]
fn with_another_secret_sessions_begin_anew_and_with_the_same_they_go_on() {
    let secret = Secret::new("of the installation");
    let model = snapshot(&mut learner(&secret));
    let sessions = |learner: &Learner| learner.knowledge.sessions().len();
    let restored = |secret: &Secret| {
        let mut learner = Learner::restore(settings(), &model).expect("restores");
        (learner.set_secret(secret.clone()), learner)
    };
    let (anew, same) = restored(&secret);
    assert!(!anew && sessions(&same) == model.knowledge().sessions().len() && sessions(&same) > 0);
    for other in [Secret::default(), Secret::new("of another installation")] {
        let (anew, mut learner) = restored(&other);
        assert!(anew && sessions(&learner) == 0);
        assert_eq!(learner.freeze(PayloadKind::Delta).expect("freezes").kind(), PayloadKind::Snapshot);
        assert_eq!(snapshot(&mut learner).knowledge().users_known_by(), other.mark());
    }
    assert_eq!(model.user(&secret, USER), secret.key(USER));
    assert_eq!(
        model.user(&Secret::default(), USER),
        UserKey::NOBODY,
        "a scorer without the secret takes nobody for another"
    );
    assert!(model.knows_users_by(&secret) && !model.knows_users_by(&Secret::default()));
    let file = model.export().expect("exports");
    let traces = |secret: &Secret| Payload::open(&file).expect("opens").traces_of(secret, USER).expect("is readable");
    assert!(traces(&secret).is_some_and(|(sessions, items)| sessions > 0 && items == 1));
    assert_eq!(traces(&Secret::default()), None, "whom it names cannot be told");
}

#[test]
fn a_version_made_without_a_secret_says_nothing_of_one_and_is_read_by_who_has_one() {
    let mut learner = learner(&Secret::default());
    let payload = learner.freeze(PayloadKind::Snapshot).expect("freezes").encode().expect("encodes");
    assert!(!String::from_utf8_lossy(&payload).contains("\"users\""), "as every release has written it");
    let model = snapshot(&mut learner);
    let secret = Secret::new("new");
    assert_eq!(model.user(&secret, USER), UserKey::of(USER), "by the keys that it has");
}
