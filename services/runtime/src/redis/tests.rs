//! Against a real `redis-server`.

use broker::RedisServer;

use super::*;
use crate::context::Outage;

fn config(server: &RedisServer) -> config::Redis {
    config::Redis { url: server.url(), key_prefix: String::new() }
}

async fn connect(server: &RedisServer) -> Redis {
    let (ctx, config) = (Context::new("test"), config(server));
    ctx.retry("redis", || Redis::connect(&config, &ctx)).await.expect("it starts")
}

#[test]
fn a_password_is_never_shown() {
    assert_eq!(redacted("redis://me:hunter2@h:6379/0"), "redis://me:***@h:6379/0");
    assert_eq!(redacted("redis://:p@ss@h:6379"), "redis://:***@h:6379");
    assert_eq!(redacted("redis://h:6379"), "redis://h:6379");
    assert_eq!(redacted("hunter2"), "***");
    let problem = check_url("http://me:hunter2@h").expect_err("not a Redis URL");
    assert!(!problem.contains("hunter2"), "{problem}");
    assert!(check_url("rediss://me:hunter2@h").expect_err("no TLS here").contains("TLS"));
}

#[tokio::test]
async fn an_unreachable_redis_says_what_to_change() {
    let config = config::Redis { url: "redis://:hunter2@127.0.0.1:1/0".into(), key_prefix: String::new() };
    let error = Redis::connect(&config, &Context::new("test")).await.expect_err("nothing listens there");
    let line = crate::context::chain(&error);
    assert!(line.contains("start one or set redis.url") && !line.contains("hunter2"), "{line}");
    assert!(error.is_outage());
}

#[tokio::test]
async fn of_a_value_that_somebody_made_huge_only_the_head_is_read() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    redis.command(&["SETRANGE", "huge", "1000000", "x"]).await.expect("written");
    redis.command(&["SET", "small", "ab"]).await.expect("written");
    redis.command(&["LPUSH", "list", "theirs"]).await.expect("written");
    let keys: Vec<String> = ["huge", "small", "none", "list"].map(str::to_owned).into();
    let heads = redis.heads(&keys, 100).await.expect("read");
    assert_eq!(heads[0].as_ref().map(Vec::len), Ok(100));
    assert_eq!((heads[1].as_deref(), heads[2].as_deref()), (Ok(&b"ab"[..]), Ok(&b""[..])));
    assert!(heads[3].is_err(), "a list is no value");
}

#[tokio::test]
async fn what_is_written_in_many_pipelines_is_read_back() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let keys: Vec<String> = (0..1500).map(|i| format!("k:{i}")).collect();
    let entries = keys.iter().map(|key| (key.clone(), key.clone().into_bytes(), Duration::from_secs(60))).collect();
    assert!(redis.set_many(entries).await.expect("written").iter().all(Result::is_ok));
    let values = redis.get_many(&keys).await.expect("read");
    assert!(values.iter().zip(&keys).all(|(value, key)| *value == Ok(Some(key.clone().into_bytes()))));
    assert_eq!(redis.get_many(&["absent".into()]).await.expect("read"), [Ok(None)]);
    assert!(redis.ttl("k:0").await.expect("read").is_some_and(|ttl| ttl <= Duration::from_secs(60)));
    assert!(redis.exists("k:1").await.expect("read"));
    assert!(redis.memory("k:1").await.expect("read") > 0);
    assert_eq!(redis.keys("k:*", 700).await.expect("read").len(), 700);
    assert_eq!(redis.keys("k:*", 9999).await.expect("read").len(), 1500);
    assert_eq!(redis.delete(&keys).await.expect("deleted"), 1500);
}

#[tokio::test]
async fn a_hash_keeps_its_fields_and_its_time_to_live() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let fields = vec![("version".to_owned(), "1.2".to_owned()), ("at".to_owned(), "7".to_owned())];
    redis.hset("model", fields, Duration::ZERO).await.expect("written").expect("a hash");
    assert_eq!(redis.hgetall("model").await.expect("read").expect("a hash")["version"], "1.2");
    assert_eq!(redis.ttl("model").await.expect("read"), None);
    let fields = vec![("at".into(), "8".into())];
    redis.hset("model", fields, Duration::from_secs(9)).await.expect("written").expect("a hash");
    assert_eq!(redis.hgetall("model").await.expect("read").expect("a hash").len(), 2);
    assert!(redis.ttl("model").await.expect("read").is_some());
}

#[tokio::test]
async fn a_script_is_loaded_when_redis_forgot_it() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let script = Script::new("redis.call('SET', KEYS[1], ARGV[1]) return tonumber(ARGV[1])");
    let calls = |n: i64| (0..n).map(|i| (vec![format!("s:{i}")], vec![i.to_string().into_bytes()])).collect();
    assert_eq!(redis.eval_many(&script, calls(600)).await.expect("run"), (0..600).map(Ok).collect::<Vec<_>>());
    redis.command(&["SCRIPT", "FLUSH"]).await.expect("forgotten");
    assert_eq!(redis.eval_many(&script, calls(3)).await.expect("run"), [Ok(0), Ok(1), Ok(2)]);
    let broken = Script::new("return redis.call('NOSUCH')");
    let error = redis.eval_many(&broken, calls(1)).await.expect_err("no such command");
    assert!(error.is_outage(), "{error}");
}

#[tokio::test]
async fn one_key_of_another_type_neither_loses_nor_repeats_the_others_of_its_pipeline() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    redis.command(&["LPUSH", "k:1", "theirs"]).await.expect("written");
    let keys: Vec<String> = (0..3).map(|i| format!("k:{i}")).collect();
    let entries = || keys.iter().map(|key| (key.clone(), b"ours".to_vec(), Duration::from_secs(60))).collect();
    let written = redis.set_many(entries()).await.expect("answered");
    assert_eq!(written.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let read = redis.get_many(&keys).await.expect("answered");
    assert_eq!((&read[0], &read[2]), (&Ok(Some(b"ours".to_vec())), &Ok(Some(b"ours".to_vec()))));
    assert!(read[1].as_ref().expect_err("a list").to_string().starts_with("WRONGTYPE"));
    let count = Script::new("redis.call('INCR', KEYS[2]) return redis.call('STRLEN', KEYS[1])");
    let calls = keys.iter().map(|key| (vec![key.clone(), "runs".to_owned()], Vec::new())).collect();
    assert_eq!(redis.eval_many(&count, calls).await.expect("answered").iter().filter(|a| a.is_ok()).count(), 2);
    assert_eq!(redis.get_many(&["runs".into()]).await.expect("answered"), [Ok(Some(b"3".to_vec()))], "each ran once");
    let fields = vec![("version".to_owned(), "1".to_owned())];
    assert!(redis.hset("k:1", fields, Duration::ZERO).await.expect("answered").is_err());
    assert!(redis.hgetall("k:1").await.expect("answered").is_err());
    assert_eq!(redis.delete(&keys).await.expect("answered"), 2);
    assert!(redis.exists("k:1").await.expect("answered"), "what is somebody else's is not deleted");
}

#[tokio::test]
async fn a_key_that_is_no_text_is_found_by_a_scan_and_ends_nothing() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let script = Script::new("redis.call('SET', 'user:{\\255\\254}', 'x') redis.call('SET', 'user:{a}', 'y') return 1");
    redis.eval_many(&script, vec![(Vec::new(), Vec::new())]).await.expect("run");
    let (_, mut page) = redis.scan("user:{*}", 0, 100).await.expect("a page");
    page.sort();
    assert_eq!(page, [b"user:{a}".to_vec(), b"user:{\xff\xfe}".to_vec()]);
    assert_eq!(redis.keys("user:{*}", 10).await.expect("read"), ["user:{a}"]);
}

#[tokio::test]
async fn a_redis_that_is_full_or_a_replica_or_asks_for_a_password_is_an_outage_in_its_own_words() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let entry = || vec![("k".to_owned(), vec![0; 64], Duration::ZERO)];
    redis.set_many(entry()).await.expect("the script is known");
    for (spoil, mend, said) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..], "OOM"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
    ] {
        redis.command(spoil).await.expect("spoiled");
        let error = redis.set_many(entry()).await.expect_err("refused");
        assert!(error.is_outage() && !error.is_silence() && error.to_string().contains(said), "{error}");
        redis.command(mend).await.expect("mended");
        redis.set_many(entry()).await.expect("written");
    }
    redis.command(&["CONFIG", "SET", "requirepass", "secret"]).await.expect("set");
    let (ctx, config) = (Context::new("test"), config(&server));
    let error = Redis::connect(&config, &ctx).await.expect_err("it asks for a password");
    assert!(error.is_outage() && error.to_string().contains("NOAUTH"), "{error}");
    let waiting = tokio::spawn(async move { Redis::connect_patiently(&config, &ctx).await.map(|_| ()) });
    redis.command(&["CONFIG", "SET", "requirepass", ""]).await.expect("set");
    waiting.await.expect("no panic").expect("connected once it may");
}

#[tokio::test]
async fn an_outage_is_an_error_and_ends_by_itself() {
    let Some(server) = RedisServer::for_test().await else { return };
    let redis = connect(&server).await;
    let port = server.port();
    drop(server);
    let error = redis.ping().await.expect_err("it is gone");
    assert!(error.is_outage(), "{error}");
    let _server = RedisServer::start_on(port).await.expect("it starts again");
    let ctx = Context::new("test");
    ctx.retry("redis", || redis.ping()).await.expect("it is back");
    assert!(ctx.is_ready());
}
