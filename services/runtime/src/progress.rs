//! Whether what follows a topic moves while there is work: what a hung broker, a stuck loop and a transaction left open
//! have in common is that nothing else is red.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::{Next, Positions, distance};

/// Nothing has moved for so long although there is work: told on `/readyz`, within 15 s with the time to notice.
pub(crate) const STILL: Duration = Duration::from_secs(10);

/// What one look found of the partitions that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The next offset to be applied, as the reader says it.
    pub(crate) applied: Positions,
    /// The same where a record lies: gaps, markers and aborted records left out.
    pub(crate) reached: Positions,
    /// The end of what may be read: no transaction is open before it.
    pub(crate) stable: Positions,
    /// The real end of the log.
    pub(crate) ends: Positions,
    /// Milliseconds since 1970 of the oldest record that is not applied.
    pub(crate) oldest: Option<i64>,
}

impl Look {
    /// Records not applied, up to the real end.
    pub(crate) fn messages(&self) -> i64 {
        count(distance(&self.reached, &self.ends))
    }

    /// Those of them that could be read.
    fn readable(&self) -> i64 {
        count(distance(&self.reached, &self.stable))
    }
}

fn count(records: u64) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

/// Judges looks at one topic, a second or two apart.
#[derive(Debug)]
pub(crate) struct Progress {
    topic: String,
    /// Where it stood, since when, with work before it.
    still: Option<(Positions, Instant)>,
    /// By partition the last stable offset with records held back behind it, and since when.
    held: BTreeMap<i32, (Next, Instant)>,
}

impl Progress {
    pub(crate) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), still: None, held: BTreeMap::new() }
    }

    /// What is followed.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// What does not move, for people; and for how long nothing was applied that could be read. `patience` is
    /// [`STILL`], or more while somebody is at what takes long.
    pub(crate) fn judge(&mut self, look: &Look, patience: Duration, now: Instant) -> (Option<String>, Duration) {
        let still = self.still_for(look, now);
        let waits = (still >= patience).then(|| {
            format!(
                "{} records of {} could be read, and none was applied for {} s",
                look.readable(),
                self.topic,
                still.as_secs()
            )
        });
        let held = self.held_back(look, now);
        let reasons: Vec<String> = waits.into_iter().chain(held).collect();
        ((!reasons.is_empty()).then(|| reasons.join("; ")), still)
    }

    /// Nobody can say: what was seen before does not count on.
    pub(crate) fn unknown(&mut self) {
        self.still = None;
    }

    fn still_for(&mut self, look: &Look, now: Instant) -> Duration {
        if look.readable() == 0 {
            self.still = None;
            return Duration::ZERO;
        }
        match &self.still {
            Some((applied, since)) if *applied == look.applied => now.duration_since(*since),
            _ => {
                self.still = Some((look.applied.clone(), now));
                Duration::ZERO
            }
        }
    }

    fn held_back(&mut self, look: &Look, now: Instant) -> Option<String> {
        let holds = |partition: &i32| {
            let (stable, end) = (*look.stable.get(partition)?, *look.ends.get(partition)?);
            (end > stable).then_some((stable, end))
        };
        self.held.retain(|partition, (stable, _)| holds(partition).is_some_and(|(now, _)| now == *stable));
        let mut told = None;
        for partition in look.ends.keys() {
            let Some((stable, end)) = holds(partition) else { continue };
            let (_, since) = *self.held.entry(*partition).or_insert((stable, now));
            let age = now.duration_since(since);
            if age >= STILL && told.is_none() {
                told = Some(format!(
                    "a transaction that another producer left open holds back {} records of {}/{partition} for {} s; \
                     Kafka ends it after that producer's transaction.timeout.ms, or at once when the application that \
                     left it starts again",
                    stable.until(end),
                    self.topic,
                    age.as_secs()
                ));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn look(applied: i64, stable: i64, end: i64) -> Look {
        let at = |offset| Positions::from([(0, Next(offset))]);
        Look { applied: at(applied), reached: at(applied), stable: at(stable), ends: at(end), oldest: None }
    }

    fn judge(progress: &mut Progress, look: &Look, now: Instant) -> (Option<String>, Duration) {
        progress.judge(look, STILL, now)
    }

    #[test]
    fn what_has_not_moved_while_there_is_work_is_told_after_ten_seconds() {
        let (now, mut progress) = (Instant::now(), Progress::new("events"));
        assert_eq!(judge(&mut progress, &look(5, 9, 9), now), (None, Duration::ZERO));
        assert_eq!(judge(&mut progress, &look(5, 9, 9), now + 9 * SECOND).0, None);
        let told = judge(&mut progress, &look(5, 12, 12), now + STILL).0.expect("it stands still");
        assert!(told.starts_with("7 records of events could be read, and none was applied for 10 s"), "{told}");
        assert_eq!(judge(&mut progress, &look(6, 12, 12), now + 11 * SECOND), (None, Duration::ZERO), "it moves");
    }

    #[test]
    fn idle_waiting_is_not_a_standstill() {
        let (now, mut progress) = (Instant::now(), Progress::new("events"));
        for after in 0..1_000 {
            assert_eq!(judge(&mut progress, &look(9, 9, 9), now + after * SECOND), (None, Duration::ZERO));
        }
        // Work that comes after an idle hour has waited from then on only.
        assert_eq!(judge(&mut progress, &look(9, 10, 10), now + 1_001 * SECOND).0, None);
    }

    #[test]
    fn gaps_markers_and_aborted_records_at_the_end_are_no_work() {
        let (now, mut progress) = (Instant::now(), Progress::new("events"));
        let mut idle = look(5, 9, 9);
        idle.reached = idle.ends.clone(); // whoever looked found no record there
        assert_eq!(idle.messages(), 0);
        assert_eq!(judge(&mut progress, &idle, now + 60 * SECOND), (None, Duration::ZERO));
        assert_eq!(judge(&mut progress, &idle, now + 120 * SECOND), (None, Duration::ZERO));
    }

    #[test]
    fn a_transaction_that_holds_records_back_is_told_with_their_number_and_is_counted_as_lag() {
        let (now, mut progress) = (Instant::now(), Progress::new("events"));
        assert_eq!(look(9, 9, 509).messages(), 500);
        assert_eq!(judge(&mut progress, &look(9, 9, 400), now), (None, Duration::ZERO));
        let (told, still) = judge(&mut progress, &look(9, 9, 509), now + 12 * SECOND);
        assert!(told.expect("it holds").contains("holds back 500 records of events/0 for 12 s"));
        assert_eq!(still, Duration::ZERO, "it is not the loop that is stuck");
        assert_eq!(judge(&mut progress, &look(9, 509, 509), now + 13 * SECOND).0, None, "it ended");
    }

    #[test]
    fn short_transactions_one_after_the_other_hold_nothing_back() {
        let (now, mut progress) = (Instant::now(), Progress::new("events"));
        for n in 0..60_u32 {
            let stable = i64::from(n) * 10;
            assert_eq!(judge(&mut progress, &look(stable, stable, stable + 5), now + n * SECOND).0, None);
        }
    }

    #[test]
    fn hostile_offsets_do_not_overflow() {
        let mut look = look(0, i64::MAX, i64::MAX);
        look.ends.insert(1, Next(i64::MAX));
        look.reached.insert(1, Next(i64::MIN));
        assert_eq!(look.messages(), i64::MAX);
        let _ = judge(&mut Progress::new("events"), &look, Instant::now());
    }
}
