//! Against a real `redis-server`.

use broker::RedisServer;
use runtime::Context;
use runtime::redis::Redis;
use schemas::{Source, StoredProfile};

use super::*;
use crate::profile::unknown;

/// A Redis of its own, and a client of it; ends with the test.
struct Server {
    redis: Redis,
    _server: RedisServer,
}

impl Server {
    async fn start() -> Option<Self> {
        let server = RedisServer::for_test().await?;
        let config = runtime::config::Redis { url: server.url(), key_prefix: String::new() };
        let ctx = Context::new("test");
        let redis = ctx.retry("redis", || Redis::connect(&config, &ctx)).await.expect("it answers");
        Some(Self { redis, _server: server })
    }

    /// Writes `slate` as made through `partition` and `offset`, over the profile `read`; the profile, if it was taken.
    async fn write(&self, read: &[u8], partition: i32, offset: i64, slate: &str) -> Option<Vec<u8>> {
        let stored = StoredProfile { source: Source { partition, offset, ..Source::default() }, ..unknown() };
        let profile = stored.encode();
        let fitted = Fitted { profile: profile.clone(), slate: slate.into(), trimmed: false };
        let minute = Duration::from_secs(60);
        let call =
            call(&Keys::default(), "u1", StoredProfile::header(read), fitted, (2 * minute, minute), Cause::Acted);
        let answers = self.redis.eval_many(&write(), vec![call]).await.expect("the script runs");
        (answers == [Ok(1)]).then_some(profile)
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

#[tokio::test]
async fn a_list_made_anew_for_who_did_nothing_gives_neither_profile_nor_list_a_longer_life() {
    let Some(server) = Server::start().await else { return };
    let (keys, hour) = (Keys::default(), Duration::from_secs(3_600));
    let write_for = async |read: &[u8], slate: &str, ttl, cause| {
        let fitted = Fitted { profile: unknown().encode(), slate: slate.into(), trimmed: false };
        let call = call(&keys, "u1", StoredProfile::header(read), fitted, ttl, cause);
        server.redis.eval_many(&write(), vec![call]).await.expect("the script runs");
        let [user, recs] = [server.redis.ttl(&keys.user("u1")).await, server.redis.ttl(&keys.recs("u1")).await];
        [user, recs].map(|ttl| ttl.expect("Redis answers").expect("does not stay for ever"))
    };
    let read = unknown().encode();
    write_for(b"", "one", (hour / 60, hour / 120), Cause::Acted).await;
    let [user, recs] = write_for(&read, "two", (2 * hour, hour), Cause::Renewed).await;
    assert!(user <= hour / 60 && recs <= hour / 120, "{user:?} {recs:?}");
    server.redis.delete(&[keys.recs("u1")]).await.expect("deleted");
    let [user, recs] = write_for(&read, "three", (2 * hour, hour), Cause::Renewed).await;
    assert!(user <= hour / 60 && recs <= hour / 60, "a list lives no longer than its profile: {user:?} {recs:?}");
    let [user, recs] = write_for(&read, "four", (2 * hour, hour), Cause::Acted).await;
    assert!(user > hour && recs > hour / 2, "who acts stays: {user:?} {recs:?}");
    // Who acted, and was written without a list over a list that has not long to live, gets a whole one later.
    write_for(&read, "five", (2 * hour, hour / 60), Cause::Acted).await;
    write_for(&read, "", (2 * hour, hour), Cause::Acted).await;
    let [user, recs] = write_for(&read, "six", (3 * hour, hour), Cause::Owed).await;
    assert!(user <= 2 * hour && recs > hour / 2, "{user:?} {recs:?}");
}

#[tokio::test]
async fn nobody_overwrites_what_was_written_since_it_was_read() {
    let Some(server) = Server::start().await else { return };
    let first = server.write(b"", 3, 10, "first").await.expect("nothing lies there");
    assert!(server.write(b"", 3, 11, "who saw none").await.is_none());
    let newer = server.write(&first, 3, 300, "newer").await.expect("over what was read");
    assert!(server.write(&first, 3, 299, "an old owner").await.is_none());
    assert!(server.write(&first, 1, 7, "another partition").await.is_none());
    assert_eq!(server.read().await.1, Some("newer".into()));
    assert!(server.write(&newer, 3, 300, "anew").await.is_some(), "the same profile with another slate");
    assert!(server.write(&first, 3, 300, "again").await.is_some(), "the same write again");
    let split = server.write(&newer, 1, 7, "split").await.expect("another partition that read it");
    assert_eq!(server.read().await.0.partition, 1);
    server.redis.delete(&[Keys::default().user("u1")]).await.expect("deleted");
    assert!(server.write(&split, 1, 8, "forgotten").await.is_none(), "what was deleted does not come back");
}

#[tokio::test]
async fn a_profile_of_before_there_was_a_checksum_is_written_over_by_who_read_it() {
    let Some(server) = Server::start().await else { return };
    let old = [0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7];
    let keys = Keys::default();
    let put = Script::new("redis.call('SET', KEYS[1], ARGV[1]) return 1");
    server.redis.eval_many(&put, vec![(vec![keys.user("u1")], vec![old.to_vec()])]).await.expect("run");
    assert!(server.write(b"", 3, 8, "x").await.is_none());
    assert!(server.write(&old, 3, 8, "x").await.is_some());
}

#[tokio::test]
async fn without_a_slate_only_the_profile_is_written_and_both_have_their_own_time_to_live() {
    let Some(server) = Server::start().await else { return };
    let one = server.write(b"", 0, 1, "").await.expect("written");
    assert_eq!(server.read().await.1, None);
    let two = server.write(&one, 0, 2, "slate").await.expect("written");
    server.write(&two, 0, 3, "").await.expect("written");
    assert_eq!(server.read().await.1, Some("slate".into()));
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
        let call = call(&keys, "u1", b"", fitted(), (minute, minute), Cause::Acted);
        server.redis.eval_many(&write(), vec![call]).await.expect("the script runs").remove(0)
    };
    assert_eq!(write_now().await, Ok(WITHOUT_SLATE));
    assert!(server.redis.get_many(&[keys.user("u1")]).await.expect("read")[0].as_ref().is_ok_and(Option::is_some));
    server.redis.delete(&[keys.user("u1")]).await.expect("deleted");
    server.redis.command(&["HSET", &keys.user("u1"), "name", "theirs"]).await.expect("written");
    assert!(write_now().await.is_err());
    assert_eq!(server.redis.hgetall(&keys.user("u1")).await.expect("read").expect("a hash")["name"], "theirs");
}
