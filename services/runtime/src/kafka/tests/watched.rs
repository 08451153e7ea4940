//! What a watch sees of readers.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_readers_of_one_topic_the_one_that_stands_still_shows_and_the_other_hides_it_not() {
    let (_cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, (0..10).map(|n| record(0, &format!("u{n}"), "v"))).await.expect("acknowledged");
    let open = async || Reader::open(&config, TOPIC, StartAt::Beginning, &ctx).await.expect("the topic is there");
    let [mut one, mut other] = [open().await, open().await];
    let watch = Watch::start(&config, &ctx).expect("settings are good");
    for reader in [&one, &other] {
        watch.follow(reader.stream(), Expected { topic: TOPIC, caught_up: None, gauges: None });
    }
    let end = one.end().await.expect("Kafka answers");
    let all_of = async |reader: &mut Reader| {
        while reader.replay(&end, 7).await.expect("readable").is_some() {}
        // Whoever comes back for more has applied what was handed out.
        reader.next_batch(1, Duration::from_millis(10)).await.expect("readable");
    };
    let becomes = async |wanted: bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let told = ctx.readiness().into_iter().find(|(name, _)| *name == "progress").map(|(_, state)| state);
            match told {
                Some(state) if state.is_ok() == wanted => return state.err().unwrap_or_default(),
                told => assert!(Instant::now() < deadline, "{told:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    all_of(&mut one).await;
    let told = becomes(false).await;
    assert!(told.contains("10 records of interactions could be read"), "{told}");
    all_of(&mut other).await;
    becomes(true).await;
    ctx.drain();
}
