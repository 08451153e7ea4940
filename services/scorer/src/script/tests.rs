//! Against a real `redis-server`, where the binary is there.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use runtime::Context;
use runtime::redis::Redis;
use schemas::{Source, StoredProfile};

use super::*;
use crate::profile::unknown;

/// A Redis of its own in a temporary folder; ends with the test.
struct Server {
    child: Child,
    redis: Redis,
    _folder: tempfile::TempDir,
}

impl Server {
    /// `None`, with the reason printed, where no `redis-server` is installed.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: redis-server does not start ({error}); install it to run this test");
                return None;
            }
        };
        let config = runtime::config::Redis { url: format!("redis://127.0.0.1:{port}/0"), key_prefix: String::new() };
        let ctx = Context::new("test");
        let redis = ctx.retry("redis", || Redis::connect(&config, &ctx)).await.expect("it answers");
        Some(Self { child, redis, _folder: folder })
    }

    /// Writes `slate` as made through `partition` and `offset`; whether it was taken.
    async fn write(&self, partition: i32, offset: i64, slate: &str) -> bool {
        let stored = StoredProfile { source: Source { partition, offset, ..Source::default() }, ..unknown() };
        let fitted = Fitted { profile: stored.encode(), slate: slate.into(), trimmed: false };
        let minute = Duration::from_secs(60);
        let call = call(&Keys::default(), "u1", fitted, 2 * minute, minute);
        let answers = self.redis.eval_many(&write(), vec![call]).await.expect("the script runs");
        assert_eq!(answers.len(), 1);
        answers[0] == Ok(1)
    }

    /// What lies there: the source of the profile and the slate.
    async fn read(&self) -> (Source, Option<String>) {
        let keys = Keys::default();
        let values = self.redis.get_many(&[keys.user("u1"), keys.recs("u1")]).await.expect("read");
        let stored =
            StoredProfile::decode(values[0].as_ref().expect("a string").as_ref().expect("is there")).expect("decodes");
        (stored.source, values[1].clone().expect("a string").map(|slate| String::from_utf8(slate).expect("is text")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_older_source_never_overwrites_a_newer_slate() {
    let Some(server) = Server::start().await else { return };
    assert!(server.write(3, 10, "first").await);
    assert!(server.write(3, 300, "newer").await);
    assert!(!server.write(3, 299, "older").await, "299 as a number and as text are before 300");
    assert!(!server.write(3, 40, "older").await, "40 is before 300 only as a number");
    assert_eq!(server.read().await, (Source { partition: 3, offset: 300, ..Source::default() }, Some("newer".into())));
    assert!(server.write(3, 300, "anew").await, "the same source may write again");
    assert_eq!(server.read().await.1, Some("anew".into()));
}

#[tokio::test]
async fn offsets_are_compared_beyond_32_and_53_bits() {
    let Some(server) = Server::start().await else { return };
    let far = 1_i64 << 60;
    assert!(server.write(0, (1 << 32) + 1, "a").await);
    assert!(!server.write(0, u32::MAX.into(), "b").await);
    assert!(server.write(0, far + 1, "c").await);
    assert!(!server.write(0, far, "d").await, "as doubles they would be equal");
    assert!(server.write(0, far + 2, "e").await);
}

#[tokio::test]
async fn another_partition_overwrites() {
    let Some(server) = Server::start().await else { return };
    assert!(server.write(3, 300, "three").await);
    assert!(server.write(1, 5, "one").await);
    assert_eq!(server.read().await, (Source { partition: 1, offset: 5, ..Source::default() }, Some("one".into())));
}

#[tokio::test]
async fn without_a_slate_only_the_profile_is_written_and_both_have_their_own_time_to_live() {
    let Some(server) = Server::start().await else { return };
    assert!(server.write(0, 1, "").await);
    assert_eq!(server.read().await.1, None);
    assert!(server.write(0, 2, "slate").await);
    assert!(server.write(0, 3, "").await);
    assert_eq!(server.read().await, (Source { partition: 0, offset: 3, ..Source::default() }, Some("slate".into())));
    let keys = Keys::default();
    let ttl = async |key: String| server.redis.ttl(&key).await.expect("read").expect("has one").as_secs();
    assert!((100..=120).contains(&ttl(keys.user("u1")).await));
    assert!((40..=60).contains(&ttl(keys.recs("u1")).await));
}

#[tokio::test]
async fn a_key_of_another_type_is_left_alone_and_the_other_is_written() {
    let Some(server) = Server::start().await else { return };
    let keys = Keys::default();
    server.redis.command(&["LPUSH", &keys.recs("u1"), "theirs"]).await.expect("written");
    let minute = Duration::from_secs(60);
    let fitted = || Fitted { profile: unknown().encode(), slate: b"slate".to_vec(), trimmed: false };
    let write_now = async || {
        let call = call(&keys, "u1", fitted(), minute, minute);
        server.redis.eval_many(&write(), vec![call]).await.expect("the script runs").remove(0)
    };
    assert_eq!(write_now().await, Ok(WITHOUT_SLATE));
    assert!(server.redis.get_many(&[keys.user("u1")]).await.expect("read")[0].as_ref().is_ok_and(Option::is_some));
    server.redis.delete(&[keys.user("u1")]).await.expect("deleted");
    server.redis.command(&["HSET", &keys.user("u1"), "name", "theirs"]).await.expect("written");
    assert!(write_now().await.is_err());
    assert_eq!(server.redis.hgetall(&keys.user("u1")).await.expect("read").expect("a hash")["name"], "theirs");
}
