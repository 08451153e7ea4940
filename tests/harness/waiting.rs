//! Waiting for a condition, with a deadline and a message: no test sleeps and hopes.

use std::env;
use std::time::{Duration, Instant};

/// Long enough for anything that should happen soon, on two busy cores; a group's rebalance after a kill included.
pub const SOON: Duration = Duration::from_secs(45);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` says `Ok`.
///
/// # Panics
/// When it has not within `within`; with its last words.
pub async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(why) if began.elapsed() >= within => panic!("not within {within:?}: {what}; last seen: {why}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// How long an outage of a test lasts: the promise's 30 s with `THALWEG_LONG_TESTS=1`, else 8 s. Both are longer than a
/// session timeout and the longest backoff.
#[must_use]
pub fn outage() -> Duration {
    if env::var("THALWEG_LONG_TESTS").is_ok_and(|value| value == "1") {
        Duration::from_secs(30)
    } else {
        Duration::from_secs(8)
    }
}
