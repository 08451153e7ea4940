//! What a broker answers to requests that were written byte by byte.

use std::net::Ipv4Addr;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

fn engine() -> Engine {
    Engine::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)))
}

/// A request of header version 1, without its length.
fn request(key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(key);
    bytes.put_i16(version);
    bytes.put_i32(77);
    bytes.put_i16(4);
    bytes.put_slice(b"test");
    bytes.put_slice(body);
    bytes.freeze()
}

async fn ask(engine: &Engine, frame: Bytes) -> Result<Option<Bytes>, Broken> {
    answer(engine, "127.0.0.1", frame).await
}

#[tokio::test]
async fn every_request_is_answered_in_every_version_that_is_told_of() {
    let engine = engine();
    for (key, first, last) in ANSWERED {
        for version in *first..=*last {
            let call = Call { key: *key as i16, version, correlation: 77, client: Client::default() };
            let answer = answer_to_nothing(&engine, &call).await.expect("can be written");
            assert_eq!(answer.len(), 4 + usize::try_from((&answer[..4]).get_i32()).expect("is its length"));
            assert_eq!((&answer[4..8]).get_i32(), 77, "{key:?} {version}");
        }
        assert!(key.valid_versions().min == *first && *last <= key.valid_versions().max, "{key:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_too_new_is_told_so_in_the_oldest_form() {
    let answer = ask(&engine(), request(18, 9, &[0; 30])).await.expect("is answered").expect("with something");
    let mut answer = answer.slice(4..);
    assert_eq!((answer.get_i32(), answer.get_i16()), (77, ResponseError::UnsupportedVersion.code()));
    assert_eq!((answer.get_i32(), answer.get_i16(), answer.get_i16(), answer.get_i16()), (1, 18, 0, 4));
    assert!(answer.is_empty(), "nothing of a newer form");
}

#[tokio::test]
async fn the_versions_that_are_told_are_those_that_are_answered() {
    let answer = ask(&engine(), request(18, 0, &[])).await.expect("is answered").expect("with something");
    let mut answer = answer.slice(4..);
    assert_eq!((answer.get_i32(), answer.get_i16()), (77, 0));
    let told: Vec<(i16, i16, i16)> =
        (0..answer.get_i32()).map(|_| (answer.get_i16(), answer.get_i16(), answer.get_i16())).collect();
    assert_eq!(told.len(), ANSWERED.len());
    assert!(told.contains(&(0, 0, 13)) && told.contains(&(1, 4, 18)), "{told:?}");
}

#[tokio::test]
async fn what_is_not_answered_ends_the_connection() {
    let engine = engine();
    for (key, version) in [(24, 0), (9999, 0), (-1, 0), (3, 14), (3, -1), (0, 2)] {
        let refused = ask(&engine, request(key, version, &[0; 30])).await.expect_err("is not answered");
        assert!(matches!(refused, Broken::Unknown { .. } | Broken::Request(_)), "{key} {version}: {refused}");
    }
}

#[tokio::test]
async fn a_request_that_is_cut_is_refused_wherever_that_is() {
    let engine = engine();
    let mut topics = BytesMut::new();
    topics.put_i32(1);
    topics.put_i16(6);
    topics.put_slice(b"events");
    topics.put_u8(0);
    let whole = request(3, 4, &topics);
    ask(&engine, whole.clone()).await.expect("is answered").expect("with something");
    for end in 0..whole.len() {
        let refused = ask(&engine, whole.slice(..end)).await.expect_err("is cut");
        assert!(matches!(refused, Broken::Request(_)), "cut after {end} bytes: {refused}");
    }
}

#[tokio::test]
async fn a_list_that_is_not_there_ends_the_connection_and_not_the_process() {
    let engine = engine();
    // Metadata, Fetch after its numbers, DeleteGroups in its newer form.
    let numbers = [&[0xff; 4][..], &[0; 8], &[0x7f; 4], &[0; 1]].concat();
    for (key, version, body) in [
        (3, 1, i32::MAX.to_be_bytes().to_vec()),
        (1, 4, [&numbers[..], &i32::MAX.to_be_bytes()].concat()),
        (42, 2, vec![0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        let refused = ask(&engine, request(key, version, &body)).await.expect_err("is a lie");
        assert!(matches!(refused, Broken::Request(_)), "{key}: {refused}");
    }
}

/// What comes is a lie, or is carried out; a client that waits is let go.
async fn survives(engine: &Engine, key: i16, version: i16, body: &[u8]) {
    let asked = ask(engine, request(key, version, body));
    if let Ok(Err(Broken::Answer { error, .. })) =
        tokio::time::timeout(std::time::Duration::from_millis(1), asked).await
    {
        panic!("request {key}, version {version}, of {body:?}: the answer cannot be written: {error}");
    }
}

#[tokio::test]
async fn arbitrary_bytes_in_every_request_end_nothing() {
    let engine = engine();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (key, first, last) in ANSWERED {
        for version in *first..=*last {
            let key = *key as i16;
            // Nothing but nulls, of old lists, of new ones, of texts.
            for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
                survives(&engine, key, version, &[byte; 64]).await;
            }
            for _ in 0..200 {
                // Mostly small numbers: lengths that are there, so that what stands behind them is read, too.
                let length = rng.random_range(0..96);
                let any = (0..length).map(|_| if rng.random_bool(0.7) { rng.random_range(0..4) } else { rng.random() });
                let body: Vec<u8> = any.collect();
                survives(&engine, key, version, &body).await;
            }
        }
    }
    ask(&engine, request(18, 0, &[])).await.expect("it still answers").expect("with something");
}
