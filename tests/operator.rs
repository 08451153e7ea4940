//! The operator's command on servers with work on them, and the demo from its start to its report.

use std::io::Write;
use std::process::Stdio;

use bytes::Bytes;
use runtime::kafka::Outgoing;
use schemas::dead_letter::headers;
use schemas::{Entry, Slate, Topic};
use serde_json::Value;
use tests::{Name, SOON, Tail, Traffic, World, binary, eventually, interactions, learned_once, served_once};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_commands_show_what_the_services_made() {
    let world = World::new().await;
    world.operate(&["topics", "check"]).await;
    let [_ingest, _trainer, _scorer] = world.start_all().await;
    let sent = world.flow(&Traffic::new(17, world.ctx.now()).take(900), 300).await;
    let last = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    let json = |text: String| serde_json::from_str::<Value>(&text).expect("it is JSON");

    let user = &sent[0].event.user_id;
    let slate = json(world.operate(&["recs", user, "--json"]).await);
    assert_eq!(slate["v"], 1);
    assert!(slate["items"].as_array().is_some_and(|items| !items.is_empty()), "{slate}");
    assert!(world.operate(&["recs", user]).await.contains(slate["items"][0]["id"].as_str().expect("an id")));
    let explained = json(world.operate(&["recs", user, "--explain", "--json"]).await);
    let features = explained["items"][0]["features"].as_array().expect("features");
    assert!(features.len() > 40 && features.iter().all(|feature| feature["name"].is_string()), "{explained}");

    let version = last.version.to_string();
    assert!(world.operate(&["checkpoints", "list", "--json"]).await.contains(&version));
    assert!(world.operate(&["checkpoints", "show", &version]).await.contains("items.row"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.safetensors");
    world.operate(&["checkpoints", "export", &version, file.to_str().expect("UTF-8")]).await;
    let bytes = std::fs::read(&file).expect("it was written");
    // The head of a safetensors file: its length in eight bytes, then JSON.
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().expect("eight"))).expect("it fits");
    let head: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("its head is JSON");
    assert!(head["items.row"]["shape"][0].as_u64().is_some_and(|items| items > 0), "{head}");
}

/// A log of sessions that walk round a shelf, a row a second, and two bad rows.
fn recorded(rows: usize) -> tempfile::NamedTempFile {
    let mut log = tempfile::Builder::new().suffix(".csv").tempfile().expect("a temporary file");
    writeln!(log, "session,article,at\n,i1,1760000000\ns1,i1,yesterday").expect("it is written");
    for n in 0..rows {
        writeln!(log, "s{},i{},{}", n / 5, (n + n / 5) % 40, 1_760_000_000 + n).expect("it is written");
    }
    log
}
const COLUMNS: &str = "user=session,item=article,time=at";

/// Runs a demo on servers of its own to its good end; its report, and the page beside it.
async fn demo(options: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("r.json");
    let mut demo = tokio::process::Command::new(binary(Name::Thalweg));
    demo.arg("demo").args(options).arg("--report").arg(&report);
    demo.env_remove("KAFKA_BROKERS").env_remove("REDIS_URL").stdin(Stdio::null());
    let output = demo.kill_on_drop(true).output().await.expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    let page = std::fs::read_to_string(report.with_extension("html")).expect("the page is there");
    let report = serde_json::from_slice(&std::fs::read(&report).expect("it is there")).expect("it is JSON");
    (report, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_log_is_replayed_and_its_bad_rows_are_told() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let log = recorded(500);
    let file = log.path().to_str().expect("UTF-8");
    let told = world.operate(&["replay", file, "--columns", COLUMNS, "--rate", "max", "--json"]).await;
    let told: Value = serde_json::from_str(&told).expect("it is JSON");
    assert_eq!((&told["rows"], &told["sent"]), (&502.into(), &500.into()), "{told}");
    assert_eq!(told["skipped"].as_object().map(serde_json::Map::len), Some(2), "one bad row of each: {told}");
    let mut tail = Tail::open(&world, Topic::Interactions).await;
    eventually("every row is an interaction, in the order of its session", SOON, async || {
        let found = interactions(tail.read().await);
        if found.len() < 500 {
            return Err(format!("{} interactions", found.len()));
        }
        let of_one: Vec<&str> =
            found.iter().filter(|(_, i)| i.user_id == "s7").map(|(_, i)| i.item_id.as_str()).collect();
        assert_eq!((found.len(), of_one), (500, vec!["i2", "i3", "i4", "i5", "i6"]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_writes_to_items_only_when_it_is_asked_to() {
    let world = World::new().await;
    let log = recorded(100);
    let file = log.path().to_str().expect("UTF-8");
    let columns = format!("{COLUMNS},title=article");
    let mut items = Tail::open(&world, Topic::Items).await;
    for (options, listed) in [(&[][..], 0), (&["--with-catalog"], 40)] {
        let all = [&["replay", file, "--columns", &columns, "--json"][..], options].concat();
        let told: Value = serde_json::from_str(&world.operate(&all).await).expect("it is JSON");
        assert_eq!((&told["sent"], &told["items"]), (&100.into(), &listed.into()), "{told}");
        assert_eq!(items.read().await.len(), listed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_topic_or_redis_holds_steers_no_terminal_and_json_stays_json() {
    let world = World::new().await;
    let hostile = "i\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}2J\u{202e}\r\nfake";
    let header = |name: &'static str| (name, hostile.to_owned());
    let letter = Outgoing {
        key: Bytes::from(hostile),
        value: Some(Bytes::from(hostile)),
        headers: [headers::REASON, headers::DETAIL, headers::TOPIC].into_iter().map(header).collect(),
        ..Outgoing::default()
    };
    world.write(Topic::DeadLetters, vec![letter]).await;
    let entry = Entry { id: hostile.into(), score: 0.5, from: hostile.into(), because: vec![hostile.into()] };
    let slate =
        Slate { v: 1, model: hostile.into(), source: hostile.into(), event_ts: 0, made_at: 0, items: vec![entry] };
    let value = serde_json::to_vec(&slate).expect("serialises");
    world.client().set_many(vec![(world.keys.recs(hostile), value, SOON)]).await.expect("Redis takes it");
    for (words, is_json) in [
        (&["dead-letters", "list"][..], false),
        (&["dead-letters", "list", "--json"], true),
        (&["recs", hostile], false),
        (&["recs", hostile, "--json"], true),
    ] {
        let said = world.operate(words).await;
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(said.contains("fake") && !said.contains(steers), "{said:?}");
        if is_json {
            let json: Value = serde_json::from_str(&said).expect("it is JSON");
            let held = if json["key"].is_null() { &json["items"][0]["id"] } else { &json["key"] };
            assert_eq!(held, hostile);
        } else {
            assert!(!said.lines().any(|line| line.starts_with("fake")), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_of_a_recorded_log_closes_the_loop() {
    let _turn = World::new().await;
    let log = recorded(2_000);
    let file = log.path().to_str().expect("UTF-8");
    let (report, _) = demo(&["--log", file, "--columns", COLUMNS, "--limit", "1500", "--rate", "200"]).await;
    let count = |name: &str| report[name].as_u64().expect("it is a count");
    assert_eq!((count("events_sent"), count("interactions"), count("lost")), (1_500, 1_500, 0), "{report}");
    assert_eq!(report["skipped_rows"].as_object().map(serde_json::Map::len), Some(2), "{report}");
    // Sessions walk on by one: what comes next is known once the shelf was walked round.
    assert!(report["prequential"]["model"]["hr20"].as_f64() > report["prequential"]["popularity"]["hr20"].as_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_closes_the_loop_and_writes_its_report() {
    let _turn = World::new().await; // for its turn on the cores: the demo has servers of its own
    let (report, page) = demo(&["--seconds", "12", "--rate", "200"]).await;
    assert!(page.contains("<svg") && !page.contains("<script src"), "it has plots and needs no other file");
    assert_eq!((&report["closed"], &report["lost"]), (&true.into(), &0.into()));
    let count = |name: &str| report[name].as_u64().expect("it is a count");
    let outcomes = count("interactions") + count("dead_letters") + count("duplicates_dropped");
    assert!(
        count("events_sent") >= 2_400 && count("events_sent") == outcomes,
        "every record is one of these: {report}"
    );
    for figure in [
        "interactions",
        "dead_letters",
        "duplicates_dropped",
        "events_per_second",
        "versions_published",
        "versions_swapped",
        "served_hit_rate_20",
        "redis_bytes_per_user",
    ] {
        assert!(report[figure].as_f64().is_some_and(|x| x > 0.0), "{figure} is {}", report[figure]);
    }
    for (figure, part) in [("freshness_ms", "p999"), ("model_freshness_ms", "p99")] {
        assert!(report[figure][part].as_f64().is_some_and(|x| x > 0.0), "{figure} is {}", report[figure]);
    }
    for method in ["model", "popularity", "covisitation"] {
        assert!(report["prequential"][method]["hr20"].is_number(), "{method}: {}", report["prequential"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_demo_takes_its_redis_with_it() {
    let _turn = World::new().await;
    let mut demo = tokio::process::Command::new(binary(Name::Thalweg));
    demo.args(["demo", "--seconds", "60"]).env_remove("KAFKA_BROKERS").env_remove("REDIS_URL");
    let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let demo = demo.as_mut().expect("it runs");
    let mut said = BufReader::new(demo.stderr.take().expect("it is piped")).lines();
    let address = async {
        loop {
            let line = said.next_line().await.expect("it is text").expect("it says where Redis is");
            if let Some((_, rest)) = line.split_once("redis://") {
                break rest.split('/').next().expect("the host").to_owned();
            }
        }
    };
    let address = tokio::time::timeout(SOON, address).await.expect("it starts soon");
    // Lists are there, so everything is at work.
    eventually("the demo writes lists", SOON, async || {
        let asked = async {
            let mut redis = TcpStream::connect(&address).await?;
            redis.write_all(b"DBSIZE\r\n").await?;
            BufReader::new(redis).lines().next_line().await
        };
        let keys = asked.await.map_err(|error| error.to_string())?.unwrap_or_default();
        if keys.trim_start_matches(':').parse().unwrap_or(0) > 20 { Ok(()) } else { Err(format!("{keys} keys")) }
    })
    .await;

    let pid = demo.id().expect("it runs").to_string();
    let sent = tokio::process::Command::new("sh").args(["-c", &format!("kill -s TERM {pid}")]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let status = tokio::time::timeout(SOON, demo.wait()).await.expect("it ends soon").expect("it can be waited for");
    assert_eq!(status.code(), Some(143));
    assert!(TcpStream::connect(&address).await.is_err(), "its Redis has ended");
}
