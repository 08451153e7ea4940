//! A learner that is held against a version that somebody else's learner made.

use super::*;

/// Of these interactions, how many `learner` tests with the version as well.
fn tested(learner: &mut Learner, batch: &[Positioned]) -> usize {
    let mut both = 0;
    learner.observe_with(batch, |tested| both += usize::from(tested.anchor.is_some()));
    both
}

#[test]
fn what_a_version_has_learned_already_is_no_test_of_it() {
    let stream = stream(600);
    let mut other = Learner::new(settings()).expect("flex opens");
    learn(&mut other, &stream[..400]);
    let empty = Model::empty("flex").expect("flex opens");
    let (live, _) = publish(&mut other, &empty, PayloadKind::Snapshot, 1);

    let mut learner = Learner::new(settings()).expect("flex opens");
    learner.set_anchor(live, 1);
    assert_eq!(tested(&mut learner, &stream[..400]), 0, "it knows the answers");
    let positive = stream[400..].iter().filter(|new| new.interaction.kind().is_positive()).count();
    assert_eq!(tested(&mut learner, &stream[400..]), positive, "these are new to both");

    // A version of its own, as the gate keeps one, is older than all that comes: nothing is left out.
    let (own, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    learner.set_anchor(own, 1);
    let later: Vec<Positioned> = stream_from(600, 100);
    let positive = later.iter().filter(|new| new.interaction.kind().is_positive()).count();
    assert_eq!(tested(&mut learner, &later), positive);
}

/// So many interactions from this offset on.
fn stream_from(offset: i64, count: i64) -> Vec<Positioned> {
    stream(offset + count).split_off(usize::try_from(offset).expect("it is not negative"))
}
