//! When a consumer calls itself caught up: once it was, it stays so, for a rush is no reason to stop routing to it.

use std::time::{Duration, Instant};

/// A group may have more members than partitions: after this long without one, an instance is a standby.
const STANDBY_AFTER: Duration = Duration::from_secs(10);

/// How often the lag is looked at until it is small, and afterwards: each look is a question to the broker.
const LOOK_EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The condition `caught-up` of the readiness.
#[derive(Debug)]
pub struct CaughtUp {
    topic: &'static str,
    ready_lag: i64,
    since: Instant,
    looked: Option<Instant>,
    once: bool,
}

impl CaughtUp {
    /// Caught up with `topic` at `ready_lag` messages behind or fewer.
    #[must_use]
    pub fn new(topic: &'static str, ready_lag: i64, now: Instant) -> Self {
        Self { topic, ready_lag, since: now, looked: None, once: false }
    }

    /// Whether it is time to look at the lag again.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let every = LOOK_EVERY[usize::from(self.once)];
        let due = self.looked.is_none_or(|looked| now.duration_since(looked) >= every);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// The condition, for `partitions` assigned with `lag` messages to read.
    ///
    /// # Errors
    /// What is missing, for people.
    pub fn state(&mut self, partitions: usize, lag: i64, now: Instant) -> Result<(), String> {
        if self.once {
            return Ok(());
        }
        if partitions == 0 && now.duration_since(self.since) < STANDBY_AFTER {
            return Err(format!("waiting for partitions of {}", self.topic));
        }
        if lag > self.ready_lag {
            return Err(format!("{lag} messages behind, ready at {}", self.ready_lag));
        }
        self.once = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_while_far_behind_and_ready_for_good_once_caught_up() {
        let now = Instant::now();
        let mut caught_up = CaughtUp::new("events", 1000, now);
        assert!(caught_up.state(0, 0, now).is_err());
        assert_eq!(caught_up.state(4, 1001, now), Err("1001 messages behind, ready at 1000".into()));
        assert_eq!(caught_up.state(4, 1000, now), Ok(()));
        assert_eq!(caught_up.state(4, 50_000, now), Ok(()));
    }

    #[test]
    fn the_lag_is_looked_at_less_often_once_caught_up() {
        let now = Instant::now();
        let mut caught_up = CaughtUp::new("events", 1000, now);
        assert!(caught_up.is_due(now) && !caught_up.is_due(now + LOOK_EVERY[0] / 2));
        assert!(caught_up.is_due(now + LOOK_EVERY[0]));
        caught_up.state(4, 0, now).expect("caught up");
        assert!(!caught_up.is_due(now + LOOK_EVERY[0] * 3) && caught_up.is_due(now + LOOK_EVERY[0] + LOOK_EVERY[1]));
    }

    #[test]
    fn without_partitions_it_becomes_a_ready_standby() {
        let now = Instant::now();
        assert_eq!(CaughtUp::new("events", 0, now).state(0, 0, now + STANDBY_AFTER), Ok(()));
    }
}
