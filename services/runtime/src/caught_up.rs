//! When a consumer calls itself caught up, and when no longer: a burst is no reason to stop routing to it, staying
//! behind is.

use std::time::{Duration, Instant};

use crate::kafka::Positions;

/// A group gives an instance its share within this time, and may give it none: then it is a standby.
const JOINED_WITHIN: Duration = Duration::from_secs(10);

/// The condition `caught-up` of the readiness.
///
/// Behind is measured by our own clock: a mark is set at the end of the log, and how long it takes to get there is how
/// far behind we are. The records' times may be of other clocks.
#[derive(Debug)]
pub(crate) struct CaughtUp {
    topic: &'static str,
    ready_lag: i64,
    /// Zero: never again red.
    max_behind: Duration,
    /// Since when the group has not given us a share.
    apart: Option<Instant>,
    once: bool,
    mark: Option<(Instant, Positions)>,
    /// How long the way to the mark before took.
    took: Duration,
}

impl CaughtUp {
    /// Caught up with `topic` at `ready_lag` messages behind or fewer, and no longer when `max_behind` or more behind.
    pub(crate) fn new(topic: &'static str, ready_lag: i64, max_behind: Duration, now: Instant) -> Self {
        Self { topic, ready_lag, max_behind, apart: Some(now), once: false, mark: None, took: Duration::ZERO }
    }

    /// The condition, for `lag` messages to read; for each assigned partition, `reached` is the first offset that was
    /// not applied and `ends` the real end. `joined`: the group has given us our share, be it none.
    ///
    /// # Errors
    /// What is missing, for people.
    pub(crate) fn state(
        &mut self,
        joined: bool,
        lag: i64,
        reached: &Positions,
        ends: &Positions,
        now: Instant,
    ) -> Result<(), String> {
        let behind = self.behind(reached, ends, now);
        if joined {
            self.apart = None;
        } else {
            let apart = now.duration_since(*self.apart.get_or_insert(now));
            if apart >= JOINED_WITHIN {
                return Err(format!(
                    "in no group for {} s, so nothing of {} is read here: see in the log what Kafka says of joining; its \
                     coordinator may be away, or other members use another strategy",
                    apart.as_secs(),
                    self.topic
                ));
            }
            if !self.once {
                return Err(format!("waiting for partitions of {}", self.topic));
            }
        }
        if !self.once {
            if lag > self.ready_lag {
                return Err(format!("{lag} messages behind, ready at {}", self.ready_lag));
            }
            self.once = true;
            self.took = Duration::ZERO; // the way to here does not count
            return Ok(());
        }
        if self.max_behind.is_zero() || behind <= self.max_behind {
            return Ok(());
        }
        Err(format!(
            "{} s and {lag} messages behind the end of {}, more than {} s: add instances up to the number of \
             partitions, or see what holds this one up",
            behind.as_secs(),
            self.topic,
            self.max_behind.as_secs()
        ))
    }

    /// What to say while it is not known how far behind we are: nothing new, once it was.
    pub(crate) fn unknown(&self) -> Option<String> {
        (!self.once).then(|| format!("Kafka does not say how far behind the end of {} we are", self.topic))
    }

    /// For how long something has lain there that is not applied.
    fn behind(&mut self, reached: &Positions, ends: &Positions, now: Instant) -> Duration {
        let there = |mark: &Positions| {
            mark.iter().all(|(partition, end)| {
                // A partition that went to another instance is that one's; a log that is shorter now was made again.
                reached.get(partition).is_none_or(|reached| reached >= end)
                    || ends.get(partition).is_some_and(|now| now < end)
            })
        };
        let way = match &self.mark {
            Some((set, mark)) if !there(mark) => now.duration_since(*set),
            Some((set, _)) => {
                self.took = now.duration_since(*set);
                self.mark = None;
                Duration::ZERO
            }
            None => Duration::ZERO,
        };
        if self.mark.is_none() {
            if there(ends) {
                self.took = Duration::ZERO;
            } else {
                self.mark = Some((now, ends.clone()));
            }
        }
        way.max(self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Next;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(offset: i64) -> Positions {
        Positions::from([(0, Next(offset))])
    }

    fn caught_up(now: Instant) -> CaughtUp {
        let mut caught_up = CaughtUp::new("events", 1000, 120 * SECOND, now);
        caught_up.state(true, 0, &at(0), &at(0), now).expect("caught up");
        caught_up
    }

    #[test]
    fn not_ready_while_far_behind_and_a_burst_does_not_make_it_so_again() {
        let now = Instant::now();
        let mut caught_up = CaughtUp::new("events", 1000, 120 * SECOND, now);
        assert!(caught_up.state(false, 0, &Positions::new(), &Positions::new(), now).is_err());
        let far = caught_up.state(true, 1001, &at(0), &at(1001), now);
        assert_eq!(far, Err("1001 messages behind, ready at 1000".into()));
        assert_eq!(caught_up.state(true, 1000, &at(1), &at(1001), now), Ok(()));
        assert_eq!(caught_up.state(true, 50_000, &at(1), &at(50_001), now + SECOND), Ok(()));
    }

    #[test]
    fn caught_up_turns_red_again_when_the_end_is_not_reached_for_too_long_and_green_when_it_is() {
        let now = Instant::now();
        let mut caught_up = caught_up(now);
        let mut state = |after: u32, reached: i64, end: i64| {
            caught_up.state(true, end - reached, &at(reached), &at(end), now + after * SECOND)
        };
        assert_eq!(state(1, 0, 10), Ok(()));
        assert_eq!(state(100, 5, 500), Ok(()));
        let told = state(122, 9, 600).expect_err("the tenth record has lain there for 121 s");
        assert!(told.contains("121 s and 591 messages behind"), "{told}");
        assert!(state(123, 10, 700).is_err(), "the mark took more than two minutes, and the next is as far");
        assert_eq!(state(124, 700, 700), Ok(()));
        assert_eq!(state(125, 700, 701), Ok(()), "a new record starts anew");
    }

    #[test]
    fn who_stays_equally_far_behind_stays_red() {
        let now = Instant::now();
        let mut caught_up = caught_up(now);
        // 200 s behind, a record a second: always on the move, never there.
        let states: Vec<bool> = (1..2_000_u32)
            .map(|t| {
                let (end, reached) = (i64::from(t), i64::from(t.saturating_sub(200)));
                caught_up.state(true, end - reached, &at(reached), &at(end), now + t * SECOND).is_err()
            })
            .collect();
        let first = states.iter().position(|red| *red).expect("it turns red");
        assert!((119..=122).contains(&first), "{first}");
        assert!(states[first..].iter().all(|red| *red), "and does not flap");
    }

    #[test]
    fn the_end_of_a_log_that_was_made_again_is_not_waited_for() {
        let now = Instant::now();
        let mut caught_up = caught_up(now);
        assert_eq!(
            caught_up.state(true, 9_000, &at(1_000), &at(10_000), now + SECOND),
            Ok(()),
            "the mark is at 10,000"
        );
        for after in 2..1_000 {
            let end = i64::from(after);
            assert_eq!(caught_up.state(true, 0, &at(end), &at(end), now + after * SECOND), Ok(()), "{after}");
        }
    }

    #[test]
    fn without_a_bound_it_stays_ready_for_good() {
        let now = Instant::now();
        let mut caught_up = CaughtUp::new("events", 1000, Duration::ZERO, now);
        caught_up.state(true, 0, &at(0), &at(0), now).expect("caught up");
        for after in 1..1_000 {
            assert_eq!(caught_up.state(true, 9_999, &at(0), &at(9_999), now + after * SECOND), Ok(()));
        }
    }

    #[test]
    fn who_is_given_no_partition_is_a_ready_standby() {
        let now = Instant::now();
        let none = Positions::new();
        let mut standby = CaughtUp::new("events", 0, 120 * SECOND, now);
        assert_eq!(standby.state(true, 0, &none, &none, now + SECOND), Ok(()));
    }

    #[test]
    fn an_instance_that_its_group_does_not_take_is_red_at_the_start_and_later() {
        let (now, none) = (Instant::now(), Positions::new());
        let mut apart = CaughtUp::new("events", 0, 120 * SECOND, now);
        let told = apart.state(false, 0, &none, &none, now + JOINED_WITHIN).expect_err("it reads nothing");
        assert!(told.contains("in no group for 10 s"), "{told}");
        assert_eq!(apart.state(true, 0, &at(3), &at(3), now + 11 * SECOND), Ok(()));
        assert_eq!(apart.state(false, 0, &none, &none, now + 20 * SECOND), Ok(()), "partitions change hands");
        assert!(apart.state(false, 0, &none, &none, now + 30 * SECOND).is_err(), "its session ran out");
    }

    #[test]
    fn unknown_is_told_until_it_was_caught_up_once() {
        let now = Instant::now();
        assert!(CaughtUp::new("events", 0, 120 * SECOND, now).unknown().is_some());
        assert_eq!(caught_up(now).unknown(), None, "the condition kafka tells the rest");
    }
}
