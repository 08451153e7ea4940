//! That Kafka answers a reader and does not allow it to read or to commit.
#![allow(clippy::disallowed_methods, reason = "measures")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::error::KafkaError;
use super::link::Link;
use crate::context::{Context, chain};
use crate::lock::lock;

/// Who was denied asks again this often: librdkafka says it once, and nothing when it is over.
const EVERY: Duration = Duration::from_secs(5);

/// Red while it lasts.
pub(super) struct Denial {
    link: Link,
    /// When it was told first, or asked again.
    at: Mutex<Option<Instant>>,
}

impl Denial {
    pub(super) fn new(ctx: &Context) -> Self {
        Self { link: Link::new(ctx), at: Mutex::default() }
    }

    pub(super) fn told(&self, error: &KafkaError) {
        self.link.refused(chain(error));
        lock(&self.at).get_or_insert_with(Instant::now);
    }

    /// A record came, an end, a share of the partitions, or a commit was taken.
    pub(super) fn over(&self) {
        if self.link.is_down() {
            self.link.up();
            *lock(&self.at) = None;
        }
    }

    /// Whether it is time to ask again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut at = lock(&self.at);
        let due = at.is_some_and(|at| now.saturating_duration_since(at) >= EVERY);
        if due {
            *at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_denied_is_red_asks_again_each_five_seconds_and_is_green_once_something_comes() {
        let (ctx, now) = (Context::new("test"), Instant::now());
        let denial = Denial::new(&ctx);
        assert!(!denial.is_due(now + EVERY));
        denial.told(&KafkaError::MissingTopic { topic: "x".into() });
        assert!(!ctx.is_ready() && !denial.is_due(now));
        let later = Instant::now() + EVERY;
        assert!(denial.is_due(later) && !denial.is_due(later), "once");
        assert!(denial.is_due(later + EVERY));
        denial.over();
        assert!(ctx.is_ready() && !denial.is_due(later + 9 * EVERY));
    }
}
