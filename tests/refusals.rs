//! What cannot work is refused at the start, with what to change.

use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitStatus;

use runtime::kafka::admin::{self, TopicSpec};
use schemas::{Topic, Topics};
use tests::{Name, SOON, World, binary};

const SERVICES: [Name; 3] = [Name::Ingest, Name::Trainer, Name::Scorer];

/// Starts a service that must end by itself; how it ended and what it said.
async fn refused(world: &World, name: Name, settings: &[(&str, &str)]) -> (ExitStatus, String) {
    let mut service = world.spawn(name, settings);
    let status = service.end().await;
    let log = service.log();
    assert!(!status.success(), "{name} is refused: {log}");
    assert!(!log.contains("panicked"), "{name} says what to change, it does not panic: {log}");
    (status, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_with_fewer_partitions_than_events_are_refused_at_once_with_what_to_change() {
    let world = World::new().await;
    let prefix = format!("{}uneven.", world.kafka.topic_prefix);
    let topics = Topics::new(&prefix);
    let spec = |topic: Topic| TopicSpec {
        name: topics.name(topic),
        partitions: if topic == Topic::Interactions { 3 } else { topic.partitions(4) },
        may_grow: false,
        copies: None,
        settings: Vec::new(),
    };
    let specs: Vec<TopicSpec> = Topic::ALL.into_iter().map(spec).collect();
    admin::apply(&world.kafka, &specs).await.expect("the topics are made");

    for name in SERVICES {
        let (_, log) = refused(&world, name, &[("kafka.topic_prefix", &prefix)]).await;
        for said in
            [&*topics.name(Topic::Events), &*topics.name(Topic::Interactions), "4 and 3 partitions", "as many or more"]
        {
            assert!(log.contains(said), "{name} says `{said}`: {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_configuration_key_is_refused_at_once_with_what_to_change() {
    let world = World::new().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let here = listener.local_addr().expect("it has an address").to_string();

    for name in SERVICES {
        let (unknown, wrong) = (format!("{name}.no_such_key"), "frame.grace");
        let redis = format!("redis://{here}/0");
        let settings = [("kafka.brokers", &*here), ("redis.url", &redis), (&unknown, "1"), (wrong, "soon")];
        let (status, log) = refused(&world, name, &settings).await;
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains(&unknown) && log.contains("known here"), "{name} names it and what is known: {log}");
        assert!(log.contains(wrong), "{name} lists every problem at once: {log}");
    }
    assert!(listener.accept().is_err(), "nothing connects before the configuration is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_broker_at_start_is_refused_with_what_to_change() {
    let world = World::new().await;
    // Bound and never accepting would hang; a port that was free a moment ago refuses.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let nobody = nobody.expect("a free port").to_string();
    let refusal = async |name| {
        let (_, log) = refused(&world, name, &[("kafka.brokers", &nobody)]).await;
        assert!(log.contains(&format!("no Kafka broker answers at {nobody}")), "{name}: {log}");
        assert!(log.contains("set kafka.brokers"), "{name} says what to change: {log}");
    };
    tokio::join!(refusal(SERVICES[0]), refusal(SERVICES[1]), refusal(SERVICES[2]));

    let log = tempfile::Builder::new().suffix(".csv").tempfile().expect("a temporary file");
    std::fs::write(log.path(), "user,item\nu1,i1\n").expect("it is written");
    let mut replay = tokio::process::Command::new(binary(Name::Thalweg));
    replay.arg("replay").arg(log.path()).args(["--columns", "user=user,item=item", "--brokers", &nobody]);
    let output =
        tokio::time::timeout(SOON, replay.kill_on_drop(true).output()).await.expect("it does not wait for one");
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("no Kafka broker answers at {nobody}")) && said.contains("--brokers"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
