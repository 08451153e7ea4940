//! What happens at a bound, where only the whole chain shows it.

use std::time::Duration;

use schemas::{EventType, StoredProfile};
use tests::{Name, Traffic, World, click, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_that_holds_two_users_reads_the_others_from_redis_and_forgets_nothing() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let scorer = world.start(Name::Scorer, &[("scorer.users", "2"), ("scorer.max_batch", "2")]).await;
    let now = world.ctx.now();
    let sent = world.send(&Traffic::new(31, now - 100_000).with_users(12).take(240)).await;
    // Every event in its user's profile, whoever acted in between.
    served_once(&world, &sent).await;
    let held = scorer.metric("scorer_users_entries").await.expect("tells");
    assert!((1.0..=2.0).contains(&held), "holds {held}");
}

/// Puts ARGV[2] in the place of ARGV[1], if that is what lies there.
const EXCHANGE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_somebody_else_writes_without_end_is_read_again_after_eight_tries_and_loses_nothing() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let scorer = world.start(Name::Scorer, &[]).await;
    let at = |n: i64| click("fought-for", &format!("i{n}"), EventType::View, world.ctx.now(), format!("e{n}"));
    let mut sent = world.send(&[at(0)]).await;
    served_once(&world, &sent).await;
    let (mut wrote, mut went_back, mut n) = (0, 0.0, 0);
    // Whoever is between another's look and write makes that refuse; a scorer that wins once has applied the event, and
    // the next one is fought for.
    while went_back < 1.0 {
        n += 1;
        assert!(n < 200, "a scorer wins each time, or never gives up: it was written {wrote} times in between");
        sent.extend(world.send(&[at(n)]).await);
        let fight = tokio::time::Instant::now() + Duration::from_millis(500);
        while tokio::time::Instant::now() < fight {
            let others = (0..4).map(|_| exchange(&world, "fought-for"));
            wrote += futures_util::future::join_all(others).await.into_iter().sum::<i64>();
        }
        went_back = scorer.metric("scorer_went_back_total").await.expect("it answers");
    }
    let refused = scorer.metric("scorer_slates_refused_total").await.expect("it answers");
    assert!(refused >= 8.0, "{refused} refused");
    served_once(&world, &sent).await;
}

/// Writes another user's profile, with the same content, as another instance might between our look and our write.
async fn exchange(world: &World, user: &str) -> i64 {
    let key = world.keys.user(user);
    let read = world.client().get_many(std::slice::from_ref(&key)).await.expect("Redis answers");
    let lies = read.into_iter().flatten().flatten().next().expect("there is one");
    let mut stored = StoredProfile::decode(&lies).expect("it is one");
    stored.profile.first_ts += 1;
    let call = (vec![key], vec![lies, stored.encode()]);
    let script = runtime::redis::Script::new(EXCHANGE);
    let answers = world.client().eval_many(&script, vec![call]).await.expect("Redis answers");
    answers.into_iter().map(|answer| answer.expect("a string lies there")).sum()
}
