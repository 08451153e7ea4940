//! Members that come, go, and fall silent.

use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn text(text: &str) -> StrBytes {
    text.to_owned().into()
}

fn join(group: &mut Group, id: &str, now: Instant) {
    let protocol = Protocol::default().with_name("sticky".into()).with_metadata(Bytes::from(id.to_owned()));
    let request = JoinGroupRequest::default()
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocols(vec![protocol]);
    group.join(id, request, Client::default(), now);
    group.tick(now);
}

fn heartbeat(group: &mut Group, id: &str, now: Instant) -> Result<(), ResponseError> {
    let generation = group.generation;
    group.heartbeat(&HeartbeatRequest::default().with_member_id(text(id)).with_generation_id(generation), now)
}

fn sync(group: &mut Group, id: &str, given: &[&str], now: Instant) -> Result<Option<Bytes>, ResponseError> {
    let given = given.iter().map(|id| {
        SyncGroupRequestAssignment::default().with_member_id(text(id)).with_assignment(Bytes::from(format!("for {id}")))
    });
    let request = SyncGroupRequest::default()
        .with_member_id(text(id))
        .with_generation_id(group.generation)
        .with_assignments(given.collect());
    group.sync(&request, now)
}

/// A group of `a` and `b` with assignments; `a` leads.
fn stable(now: Instant) -> Group {
    let mut group = Group::default();
    join(&mut group, "a", now);
    join(&mut group, "b", now);
    group.tick(now + FIRST_ROUND);
    sync(&mut group, "a", &["a", "b"], now).expect("syncs");
    group
}

#[test]
fn those_who_start_together_share_the_first_round() {
    let now = Instant::now();
    let mut group = Group::default();
    join(&mut group, "a", now);
    join(&mut group, "b", now);
    assert_eq!(group.generation, 0, "it waits for more");
    group.tick(now + FIRST_ROUND);
    assert_eq!((group.generation, group.leader.as_str(), group.protocol.as_str()), (1, "a", "sticky"));
    assert_eq!(sync(&mut group, "b", &[], now), Ok(None), "the leader has not spoken");
    assert_eq!(sync(&mut group, "a", &["a", "b"], now), Ok(Some("for a".into())));
    assert_eq!(sync(&mut group, "b", &[], now), Ok(Some("for b".into())));
}

#[test]
fn a_newcomer_makes_the_others_join_again() {
    let now = Instant::now();
    let mut group = stable(now);
    join(&mut group, "c", now);
    assert_eq!(heartbeat(&mut group, "a", now), Err(ResponseError::RebalanceInProgress));
    join(&mut group, "a", now);
    assert_eq!((group.generation, group.state()), (1, "PreparingRebalance"), "b is missing");
    join(&mut group, "b", now);
    assert_eq!((group.generation, group.state()), (2, "CompletingRebalance"));
}

#[test]
fn a_killed_member_is_waited_for_until_its_session_is_over() {
    let now = Instant::now();
    let mut group = stable(now);
    join(&mut group, "c", now + SECOND);
    join(&mut group, "a", now + SECOND);
    group.tick(now + 9 * SECOND);
    assert_eq!(group.generation, 1);
    group.tick(now + 11 * SECOND);
    assert_eq!(group.generation, 2);
    assert!(!group.members.contains_key("b"));
}

#[test]
fn a_group_whose_members_were_all_killed_again_and_again_still_gets_an_assignment() {
    let mut now = Instant::now();
    let mut group = Group::default();
    for id in ["a", "b", "c", "d", "e"] {
        join(&mut group, id, now);
        now += 2 * SECOND;
        group.tick(now);
    }
    now += 11 * SECOND;
    group.tick(now);
    // Whoever joined and was killed while waiting is dropped one session after the round ended.
    now += 11 * SECOND;
    group.tick(now);
    join(&mut group, "f", now);
    group.tick(now + FIRST_ROUND);
    let leader = group.leader.clone();
    assert_eq!(leader, "f");
    assert_eq!(sync(&mut group, "f", &["f"], now), Ok(Some("for f".into())));
}

#[test]
fn a_silent_leader_does_not_keep_the_others_waiting() {
    let now = Instant::now();
    let mut group = Group::default();
    join(&mut group, "a", now);
    join(&mut group, "b", now);
    group.tick(now + FIRST_ROUND);
    heartbeat(&mut group, "b", now + 9 * SECOND).expect("b lives");
    assert_eq!(sync(&mut group, "b", &[], now + 11 * SECOND), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn who_leaves_is_not_waited_for() {
    let now = Instant::now();
    let mut group = stable(now);
    group.leave("a", now).expect("leaves");
    join(&mut group, "b", now);
    assert_eq!((group.generation, group.leader.as_str()), (2, "b"));
    group.leave("b", now).expect("leaves");
    group.tick(now);
    assert_eq!(group.state(), "Empty");
    assert_eq!(group.may_commit("", -1, now), Ok(()), "an empty group may be committed to from outside");
}

#[test]
fn who_missed_a_round_may_not_commit() {
    let now = Instant::now();
    let mut group = stable(now);
    assert_eq!(group.may_commit("a", 1, now), Ok(()));
    assert_eq!(group.may_commit("a", 0, now), Err(ResponseError::IllegalGeneration));
    assert_eq!(group.may_commit("x", 1, now), Err(ResponseError::UnknownMemberId));
    assert_eq!(group.may_commit("", -1, now), Err(ResponseError::UnknownMemberId));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_members_do_the_leader_is_one_of_them_and_a_group_left_alone_empties(
        steps in proptest::collection::vec((0_u8..5, 0_usize..4, 0_u32..15), 0..60),
    ) {
        let ids = ["a", "b", "c", "d"];
        let mut now = Instant::now();
        let mut group = Group::default();
        for (what, who, seconds) in steps {
            let (id, before) = (ids[who], group.generation);
            // Whether it is allowed to is the group's to say.
            match what {
                0 => join(&mut group, id, now),
                1 => {
                    let _ = group.leave(id, now);
                }
                2 => {
                    let _ = heartbeat(&mut group, id, now);
                }
                3 => {
                    let _ = sync(&mut group, id, &ids, now);
                }
                _ => {
                    now += seconds * SECOND;
                    group.tick(now);
                }
            }
            prop_assert!(group.generation >= before, "generations only grow");
            let shared = matches!(group.state(), "Stable" | "CompletingRebalance");
            prop_assert!(!shared || group.members.contains_key(&group.leader), "{} leads {:?}", group.leader, group.state());
            prop_assert_eq!(group.may_commit("", -1, now).is_ok(), group.members.is_empty(), "from outside");
        }
        for _ in 0..4 {
            now += 61 * SECOND;
            group.tick(now);
        }
        prop_assert_eq!(group.state(), "Empty");
    }
}
