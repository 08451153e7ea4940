//! Faults of servers and of what lies on topics and in Redis.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use runtime::kafka::Outgoing;
use schemas::{EventType, Topic};
use tests::{Transaction, click};

use crate::fault::{Fault, Struck};
use crate::field::{Field, RED};

/// A pause of Redis that a scorer does not wait out: it turns red after two seconds.
const BEYOND_PATIENCE: Duration = Duration::from_secs(10);

/// How long Redis takes to load a key: some hundred of them take longer than anybody may take to turn red.
const PER_KEY: Duration = Duration::from_millis(40);
/// Keys that are nobody's, so that there are enough.
const FILLERS: &str = "for n = 1, 500 do redis.call('SET', 'filler:' .. n, string.rep('x', 200) .. n, 'EX', 300) end";

/// How long a fault lasts when nobody waits for a red light.
pub(crate) fn moment(chance: &mut ChaCha8Rng) -> Duration {
    Duration::from_millis(chance.random_range(300..6_000))
}

/// Waits until the services that cannot work say so, or only for a moment where there are none or other faults fall,
/// too.
async fn until_red(field: &Field, fault: Fault, alone: bool, chance: &mut ChaCha8Rng) -> Struck {
    let pause = moment(chance);
    let Some(whose) = fault.red(field.cluster).filter(|_| alone) else {
        tokio::time::sleep(pause).await;
        return Struck::default();
    };
    match field.turns_red(whose, Instant::now()).await {
        Ok(red) => {
            let late = (red > RED).then(|| format!("red only after {:.1} s", red.as_secs_f64()));
            Struck { red_within: Some(red), wrong: late.into_iter().collect() }
        }
        Err(green) => Struck { red_within: None, wrong: vec![green] },
    }
}

pub(crate) async fn broker(field: &Field, fault: Fault, chance: &mut ChaCha8Rng, alone: bool) -> Struck {
    let broker = field.world.broker();
    match fault {
        Fault::BrokerFrozen => broker.signal("STOP"),
        Fault::BrokerKilled => broker.signal("KILL"),
        _ => broker.go_away().await,
    }
    let struck = until_red(field, fault, alone, chance).await;
    match fault {
        Fault::BrokerFrozen => broker.signal("CONT"),
        _ => broker.come_back().await,
    }
    struck
}

pub(crate) async fn redis(field: &Field, fault: Fault, chance: &mut ChaCha8Rng, alone: bool) -> Struck {
    let (world, server) = (&field.world, field.world.server());
    let mut wrong = Vec::new();
    let mut tell = async |words: &[&str]| {
        // After an outage a client needs a moment to find Redis again, the campaign's own as well.
        for tries in (0..5).rev() {
            match world.client().command(words).await {
                Ok(_) => break,
                Err(error) if tries == 0 => wrong.push(format!("{}: {error}", words.join(" "))),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    };
    let mut struck = Struck::default();
    match fault {
        Fault::RedisFull => {
            tell(&["CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"]).await;
            struck = until_red(field, fault, alone, chance).await;
            tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
        }
        Fault::RedisReadOnly => {
            tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
            struck = until_red(field, fault, alone, chance).await;
            tell(&["REPLICAOF", "NO", "ONE"]).await;
        }
        Fault::RedisWithoutReplicas => {
            tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
            struck = until_red(field, fault, alone, chance).await;
            tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
        }
        Fault::RedisCannotSave => {
            // Redis refuses writes while it should save and cannot.
            tell(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes", "save", "3600 1"]).await;
            server.spoil_its_folder();
            tell(&["BGSAVE"]).await;
            struck = until_red(field, fault, alone, chance).await;
            server.mend_its_folder();
            tell(&["CONFIG", "SET", "save", "", "stop-writes-on-bgsave-error", "no"]).await;
        }
        Fault::RedisBusy => {
            tell(&["CONFIG", "SET", "busy-reply-threshold", "50"]).await;
            let client = world.client();
            let spin = async {
                // Answers only when it is killed: its own error is no finding.
                let _ = client.command(&["EVAL", "while true do end", "0"]).await;
            };
            let end = async {
                struck = until_red(field, fault, alone, chance).await;
                server.kill_its_script();
            };
            tokio::join!(spin, end);
        }
        Fault::RedisFrozen => {
            server.stop();
            struck = until_red(field, fault, alone, chance).await;
            server.go_on();
        }
        Fault::RedisSlow => {
            // A scorer waits for two seconds: some of these are slow answers, and some are none. Nobody can end a
            // pause, for that command waits, too.
            let random = Duration::from_millis(chance.random_range(500..6_000));
            let (pause, began) = (if alone { BEYOND_PATIENCE } else { random }, Instant::now());
            tell(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), "ALL"]).await;
            struck = until_red(field, fault, alone, chance).await;
            tokio::time::sleep(pause.saturating_sub(began.elapsed())).await;
        }
        Fault::RedisFlushed => tell(&["FLUSHALL"]).await,
        Fault::RedisLost => {
            server.kill();
            server.forget();
            struck = until_red(field, fault, alone, chance).await;
            if !server.come_back() {
                struck.wrong.push("redis-server does not start again".to_owned());
            }
        }
        Fault::RedisLoading => {
            tell(&["EVAL", FILLERS, "0"]).await;
            tell(&["SAVE"]).await;
            server.kill();
            if !server.come_back_loading(PER_KEY) {
                struck.wrong.push("redis-server does not start again".to_owned());
            }
            struck = until_red(field, fault, alone, chance).await;
            // Not slowly to its end: it is back with the same keys.
            server.kill();
            if !server.come_back() {
                struck.wrong.push("redis-server does not start again".to_owned());
            }
            server.forget();
        }
        _ => {
            tell(&["SAVE"]).await;
            tokio::time::sleep(moment(chance)).await;
            server.kill();
            struck = until_red(field, fault, alone, chance).await;
            if !server.come_back() {
                struck.wrong.push("redis-server does not start again".to_owned());
            }
            server.forget();
        }
    }
    struck.wrong.extend(wrong);
    struck
}

/// Events of users of its own in a transaction: until it ends, it hides from ingest what follows in their partitions.
pub(crate) async fn transaction(field: &Field, fault: Fault, chance: &mut ChaCha8Rng, alone: bool) -> Struck {
    let world = &field.world;
    let name = format!("transaction-{}", chance.random::<u32>());
    let open = Transaction::begin(world, &name).await;
    let user = |n| format!("{name}-{n}"); // some in every partition
    let event = |n| click(&user(n), "i00", EventType::View, world.ctx.now() + n, format!("{name}-{n}"));
    let sent = open.send(&(0..20).map(event).collect::<Vec<_>>()).await;
    if fault == Fault::TransactionAborted {
        tokio::time::sleep(moment(chance)).await;
        open.abort().await;
        return Struck::default();
    }
    let struck = until_red(field, fault, alone, chance).await;
    open.commit().await;
    field.also_sent.lock().await.extend(sent);
    struck
}

pub(crate) async fn records(field: &Field, fault: Fault, chance: &mut ChaCha8Rng) -> Struck {
    let world = &field.world;
    let noise =
        |chance: &mut ChaCha8Rng| (0..chance.random_range(1..400)).map(|_| chance.random()).collect::<Vec<u8>>();
    match fault {
        Fault::ForeignKeys => {
            let number = chance.random_range(0..1_000_000);
            let strange = format!("{}:stranger-{number}", world.redis.key_prefix);
            let keys = [
                world.keys.user(&format!("stranger-{number}")),
                world.keys.recs(&format!("stranger-{number}")),
                strange,
            ];
            // Redis may be away, too: then there is nothing foreign in it, which is no finding.
            for key in &keys {
                let _ = world.client().command(&["HSET", key, "field", "value"]).await;
            }
            for key in [world.keys.model(), world.keys.hot(None), world.keys.new_items(None)] {
                let _ = world.client().command(&["DEL", &key]).await;
                let _ = world.client().command(&["LPUSH", &key, "foreign"]).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            // A person takes them away again: what is foreign is nobody's to delete.
            for key in [world.keys.model(), world.keys.hot(None), world.keys.new_items(None)].iter().chain(&keys) {
                // Beside another fault Redis may refuse it for a while.
                for _ in 0..30 {
                    if world.client().command(&["DEL", key]).await.is_ok() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        Fault::RepeatedEvents => {
            let again = field.recent.lock().await.clone();
            world.send_again(&again).await;
        }
        _ => {
            let topic = match fault {
                Fault::BadEvents => Topic::Events,
                Fault::BadItems => Topic::Items,
                Fault::BadInteractions => Topic::Interactions,
                _ => Topic::Checkpoints,
            };
            let mut bad = Vec::new();
            for _ in 0..chance.random_range(1..20) {
                let key = match (topic, chance.random_range(0..3)) {
                    (Topic::Checkpoints, 0) => "4294967295-00000000/claim".into(),
                    (Topic::Checkpoints, 1) => format!("000001-{:08}/0000", chance.random_range(0..99_999_999)).into(),
                    _ => noise(chance).into(),
                };
                let absurd = br#"{"epoch":4294967295,"trainer":"a stranger","claimed_at":0}"#;
                let value = match chance.random_range(0..10) {
                    0 => None,
                    1 | 2 if topic == Topic::Checkpoints => Some(absurd.as_slice().into()),
                    _ => Some(noise(chance).into()),
                };
                bad.push(Outgoing { key, value, ..Outgoing::default() });
            }
            world.write(topic, bad).await;
        }
    }
    Struck::default()
}
