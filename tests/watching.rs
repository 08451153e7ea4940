//! What a service says of itself when something hangs, stands still or grows.

use std::time::{Duration, Instant};

use runtime::kafka::{Outgoing, Reader, StartAt};
use schemas::{EventType, Topic};
use tests::{
    Name, SOON, Sent, Servers, Traffic, Transaction, World, click, eventually, ingested_once, learned_once, served_once,
};

use crate::outages::turns_red;

/// What is promised of `/readyz`.
const RED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_with_its_sockets_open_turns_every_service_red_within_15_s_and_lag_is_unknown_not_0() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(23, world.ctx.now());
    let mut services = world.start_all().await;
    let mut sent = world.send(&traffic.take(500)).await;
    for service in &mut services {
        service.ready().await;
    }
    served_once(&world, &sent).await;
    let gauges = ["ingest_lag_messages", "trainer_lag_messages", "scorer_lag_messages"];
    for (service, gauge) in services.iter().zip(gauges) {
        eventually(&format!("{gauge} is known and 0"), SOON, async || {
            let lag = service.metric(gauge).await?;
            if lag.abs() < 0.5 { Ok(()) } else { Err(lag.to_string()) } // NaN is not
        })
        .await;
    }

    let hung = world.broker().hang();
    let began = Instant::now();
    for (service, gauge) in services.iter_mut().zip(gauges) {
        turns_red(service, "kafka").await;
        assert!(began.elapsed() <= RED_WITHIN, "{gauge}: red after {:?}", began.elapsed());
        assert!(service.metric(gauge).await.expect("it answers").is_nan(), "{gauge} is unknown, not 0");
    }
    drop(hung);

    for service in &mut services {
        service.ready().await;
    }
    sent.extend(world.send(&traffic.take(300)).await);
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_transaction_counts_as_lag_to_the_end_of_the_log_and_turns_readyz_red_within_15_s() {
    if std::env::var("KAFKA_BROKERS").is_ok_and(|brokers| !brokers.is_empty()) {
        hanging_transaction().await;
    } else {
        println!("not tested here: the embedded broker has no transactions; KAFKA_BROKERS names one that does");
    }
}

async fn hanging_transaction() {
    let world = World::new().await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut traffic = Traffic::new(25, world.ctx.now());
    let mut sent = world.send(&traffic.take(100)).await;
    ingest.ready().await;
    ingested_once(&world, &sent).await;

    let open = Transaction::begin(&world, "hanging").await;
    // Every partition has some, so that it hides what comes after in each.
    sent.extend(open.send(&traffic.take(200)).await);
    let began = Instant::now();
    sent.extend(world.send(&traffic.take(300)).await);
    eventually("what the transaction hides is lag", SOON, async || {
        let lag = ingest.metric("ingest_lag_messages").await?;
        if (lag - 500.0).abs() < 0.5 { Ok(()) } else { Err(format!("{lag} messages")) }
    })
    .await;
    turns_red(&mut ingest, "progress").await;
    assert!(began.elapsed() <= RED_WITHIN, "red after {:?}", began.elapsed());
    let why = ingest.missing().await.expect("it answers");
    assert!(why["progress"].contains("a transaction that another producer left open holds back"), "{why:?}");
    let seconds = ingest.metric("ingest_lag_seconds").await.expect("it answers");
    assert!((5.0..60.0).contains(&seconds), "{seconds} s since the oldest hidden record was written");

    open.commit().await;
    ingest.ready().await;
    ingested_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_an_outage_cuts_off_says_what_is_left_ends_with_code_0_and_loses_nothing() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(26, world.ctx.now());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[("frame.grace", "3s")]).await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;

    world.server().stop();
    sent.extend(world.send(&traffic.take(200)).await);
    turns_red(&mut scorer, "redis").await;
    let status = scorer.terminate().await;
    let log = scorer.log();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("uncommitted"), "it says what is left: {log}");

    world.server().go_on();
    let _scorer = world.start(Name::Scorer, &[]).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn added_partitions_are_read_within_ten_seconds_by_every_service() {
    let world = World::new().await;
    let mut services = world.start_all().await;
    let mut sent = world.send(&Traffic::new(24, world.ctx.now()).take(300)).await;
    for service in &mut services {
        service.ready().await;
    }
    served_once(&world, &sent).await;

    for _ in 0..2 {
        world.operate(&["topics", "partitions", "6"]).await; // the second time it has nothing to do
    }
    world.operate(&["topics", "apply"]).await; // takes more than it asks for
    let began = Instant::now();
    for partition in [4, 5] {
        let user = format!("newcomer-{partition}");
        let event = click(&user, "i00", EventType::View, world.ctx.now(), format!("new-{partition}"));
        let value = Some(serde_json::to_vec(&event).expect("an event is JSON").into());
        let record = Outgoing { partition: Some(partition), key: user.into(), value, ..Outgoing::default() };
        let written = world.write(Topic::Events, vec![record]).await;
        sent.push(Sent { event, partition, offset: written[0].1 });
    }
    served_once(&world, &sent).await;
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(10), "served after {took:?}");
    learned_once(&world, &sent).await;
    for service in &mut services {
        service.ready().await;
    }
}

/// What the image and compose say: text, for no test may need Docker.
#[test]
fn the_admin_port_is_on_the_loopback_interface_in_the_image_too_and_compose_opens_it_by_a_setting() {
    let (image, compose) = (include_str!("../infra/Dockerfile"), include_str!("../infra/compose.yaml"));
    let listen = image.lines().find_map(|line| line.strip_prefix("ENV THALWEG__FRAME__ADMIN__LISTEN="));
    assert_eq!(listen, Some("127.0.0.1:9100"));
    assert!(compose.contains("THALWEG__FRAME__ADMIN__LISTEN: 0.0.0.0:9100"), "Prometheus comes from another container");
    for defaults in [include_str!("../services/ingest/config.toml"), include_str!("../services/trainer/config.toml")] {
        assert!(defaults.contains("\nlisten = \"127.0.0.1:"), "{defaults}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trainers_group_has_a_member_while_it_runs() {
    let world = World::new().await;
    let group = format!("{}{}", world.kafka.topic_prefix, Name::Trainer);
    let read = [Topic::Interactions, Topic::Items].map(|topic| world.topics.name(topic));
    let attended = |clients: usize| {
        let (world, group, read) = (&world, &group, &read);
        async move {
            eventually("the trainers are members, and are given what they read", SOON, async || {
                let found = world.group(group).await?;
                let all = read.iter().all(|topic| found.members.iter().any(|member| member.has(topic)));
                let good = found.state == "Stable" && found.members.len() == clients && all;
                if good { Ok(found) } else { Err(format!("{found:?}")) }
            })
            .await
        }
    };
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut traffic = Traffic::new(61, world.ctx.now());
    world.list(&Traffic::catalog()).await;
    let mut trainer = world.start(Name::Trainer, &[]).await;
    let found = attended(1).await;
    let member = &found.members[0];
    assert!(member.client_id.starts_with("trainer-") && !member.host.is_empty(), "{member:?}");

    // It commits what it learned and judged, and what it reads is lost to nobody.
    let mut sent = world.send(&traffic.take(300)).await;
    let settled = async |sent: &[Sent]| {
        learned_once(&world, sent).await;
        for topic in &read {
            let reader = Reader::open_as(&world.kafka, &group, topic, StartAt::Beginning, &world.ctx).await;
            let reader = reader.expect("the topic opens");
            eventually("the group stands where the topic ends", SOON, async || {
                let (committed, end) = (reader.committed().await, reader.end().await);
                let committed = committed.map_err(|error| error.to_string())?;
                let mut end = end.map_err(|error| error.to_string())?;
                end.retain(|_, end| end.0 > 0);
                if committed == end { Ok(()) } else { Err(format!("{committed:?} of {end:?}")) }
            })
            .await;
        }
    };
    settled(&sent).await;

    // One takes over: it is the only member when the other has left, and commits for both topics.
    let mut next = world.start(Name::Trainer, &[]).await;
    assert!(!trainer.end().await.success(), "the one before ends");
    attended(1).await;
    sent.extend(world.send(&traffic.take(100)).await);
    settled(&sent).await;

    assert!(next.terminate().await.success(), "a clean shutdown");
    eventually("the group is empty", SOON, async || {
        let found = world.group(&group).await?;
        if found.state == "Empty" && found.members.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}
