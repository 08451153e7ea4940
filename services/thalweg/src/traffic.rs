//! Sends events at a pace: so many a second, as fast as they were recorded, or as fast as it goes.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use laboratory::log::Log;
use laboratory::output;
use runtime::kafka::Outgoing;
use schemas::{Event, Item, Timestamp};

use crate::error::Error;

/// How often the pacer looks what is due.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// Events handed over at once when there is no pace to keep.
const BURST: usize = 1_000;

/// How fast events are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Events per second.
    Rate(f64),
    /// Seconds of recorded time per second.
    Speed(f64),
    /// As fast as Kafka takes them.
    Unbounded,
}

/// The options that say how fast.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct PaceArgs {
    /// Events per second, or max: as fast as Kafka accepts them. Without --rate and --speed, `replay` uses max and
    /// `demo` 500.
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "speed")]
    rate: Option<Pace>,
    /// A multiple of recorded speed, such as 60x.
    #[arg(long, value_name = "SPEED", value_parser = speed)]
    speed: Option<Pace>,
    /// Send a user's event only when the list for their previous event is in Redis, so that quality does not depend on
    /// the speed of the machine. --rate or --speed limits the pace.
    #[arg(long)]
    pub(crate) closed_loop: bool,
}

impl PaceArgs {
    /// What was asked for, or else `otherwise`.
    pub(crate) fn or(self, otherwise: Pace) -> Pace {
        self.rate.or(self.speed).unwrap_or(otherwise)
    }
}

fn rate(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Unbounded);
    }
    let rate = positive(text).map(Pace::Rate);
    rate.ok_or_else(|| "write events per second, such as 500, or max for as fast as it goes".to_owned())
}

fn speed(text: &str) -> Result<Pace, String> {
    let speed = positive(text.strip_suffix('x').unwrap_or(text)).map(Pace::Speed);
    speed.ok_or_else(|| "write 60x for a minute of the log in a second".to_owned())
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())
}

/// How late an event may be, in seconds, and still count as at its pace: looking what is due and sending take their
/// time.
const SLACK: f64 = 0.1;
/// No gap of a log is waited for that is longer than this, in seconds.
const LONGEST_WAIT: f64 = 3_600.0;

/// Says which events are due. What is late is never made up for by sending faster: all that follows is later, too, and
/// it is said how much.
pub(crate) struct Pacer {
    pace: Pace,
    started: Instant,
    schedule: Schedule,
}

/// When events are due, without a clock.
#[derive(Debug, Default)]
struct Schedule {
    sent: u64,
    first_ts: Option<i64>,
    /// How much later than the pace has it, in seconds; less than nothing once gaps were skipped.
    later: f64,
    /// Of that, what was lost.
    behind: f64,
    /// The gap that was skipped last, in seconds of waiting.
    gap: Option<f64>,
}

impl Schedule {
    /// Whether the next event, which happened at `ts`, is due so many seconds after the start; if so it counts as sent.
    #[allow(clippy::cast_precision_loss)] // counts and milliseconds of decades
    fn admits(&mut self, pace: Pace, ts: i64, elapsed: f64) -> bool {
        let due = match pace {
            Pace::Rate(rate) => self.sent as f64 / rate,
            Pace::Speed(speed) => {
                let first = *self.first_ts.get_or_insert(ts);
                ts.saturating_sub(first) as f64 / 1_000.0 / speed
            }
            Pace::Unbounded => elapsed - self.later,
        };
        let wait = due + self.later - elapsed;
        if wait > LONGEST_WAIT && matches!(pace, Pace::Speed(_)) {
            self.later -= wait;
            self.gap = Some(wait);
        } else if wait > 0.0 {
            return false;
        } else if wait < -SLACK {
            self.later -= wait + SLACK;
            self.behind -= wait + SLACK;
        }
        self.sent += 1;
        true
    }
}

impl Pacer {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, started: Instant::now(), schedule: Schedule::default() }
    }

    /// Whether the next event, which happened at `ts`, is due now; if so it counts as sent.
    pub(crate) fn admits(&mut self, ts: i64) -> bool {
        let elapsed = self.started.elapsed().as_secs_f64();
        let admits = self.schedule.admits(self.pace, ts, elapsed);
        if let Some(wait) = self.schedule.gap.take() {
            let wait = humantime::format_duration(Duration::from_secs(wait as u64));
            output::note(format!(
                "a gap before the event of {} is skipped: at this --speed it would be waited for {wait}",
                Timestamp(ts)
            ));
        }
        admits
    }

    /// How far what was sent is behind the pace, in seconds.
    pub(crate) const fn behind(&self) -> f64 {
        self.schedule.behind
    }

    /// The same in words, where it is worth some.
    pub(crate) fn late(&self) -> Option<String> {
        let behind = self.behind();
        (behind >= 1.0).then(|| format!("{behind:.1} s behind the pace: the machine could not keep it"))
    }

    /// Waits until something is due and takes it from `events`; empty when there is no more.
    pub(crate) async fn due(&mut self, events: &mut std::iter::Peekable<impl Iterator<Item = Event>>) -> Vec<Event> {
        let mut due = Vec::new();
        while events.peek().is_some() {
            while due.len() < BURST
                && let Some(event) = events.next_if(|event| self.admits(event.ts.0))
            {
                due.push(event);
            }
            if !due.is_empty() {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        due
    }
}

/// An event as a record for the topic `events`, keyed by its user.
pub(crate) fn record(event: &Event) -> Result<Outgoing, Error> {
    Ok(Outgoing {
        partition: None,
        key: event.user_id.clone().into_bytes().into(),
        value: Some(serde_json::to_vec(event)?.into()),
        timestamp: None,
        headers: Vec::new(),
    })
}

/// An item as a record for the topic `items`, keyed by its id.
pub(crate) fn listing(item: &Item) -> Result<Outgoing, Error> {
    Ok(Outgoing {
        partition: None,
        key: item.item_id.clone().into_bytes().into(),
        value: Some(serde_json::to_vec(item)?.into()),
        timestamp: None,
        headers: Vec::new(),
    })
}

/// What a recorded log says about its items, for before its first event, as in a shop that lists before it sells. A
/// record that came with its item's first event would tell the trainer what is about to be chosen.
///
/// Each is as old as the log: by the time of writing all would be new.
pub(crate) fn listings(log: &Log) -> impl Iterator<Item = Item> + '_ {
    let published_at = log.span().map(|(first, _)| Timestamp(first));
    log.records().into_iter().map(move |item| Item { published_at, ..item })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_positive_number_with_or_without_an_x() {
        assert_eq!(speed("60x"), Ok(Pace::Speed(60.0)));
        assert_eq!(speed("0.5"), Ok(Pace::Speed(0.5)));
        assert!(["fast", "0x", "-1", "60xx", "inf"].into_iter().all(|text| speed(text).is_err()));
    }

    #[test]
    fn a_rate_is_a_positive_number_or_max() {
        assert_eq!(rate("500"), Ok(Pace::Rate(500.0)));
        assert_eq!(rate("max"), Ok(Pace::Unbounded));
        assert!(["0", "many", "NaN"].into_iter().all(|text| rate(text).is_err()));
    }

    #[test]
    fn recorded_time_decides_what_is_due_and_only_what_is_due_counts() {
        let mut schedule = Schedule::default();
        let speed = Pace::Speed(60.0);
        assert!(schedule.admits(speed, 1_000_000, 0.0), "the first event starts the clock");
        assert!(!schedule.admits(speed, 1_000_000 + 3_600_000, 59.9), "an hour takes a minute");
        assert_eq!(schedule.sent, 1);
        assert!(schedule.admits(speed, 1_000_000 + 3_600_000, 60.0));
    }

    /// How many of 100,000 events are sent by the end of each step of time.
    fn sent(schedule: &mut Schedule, pace: Pace, steps: impl Iterator<Item = f64>) -> Vec<u64> {
        let mut at = |elapsed| {
            while schedule.sent < 100_000
                && schedule.admits(pace, i64::try_from(schedule.sent).unwrap_or(0) * 10, elapsed)
            {}
            schedule.sent
        };
        steps.map(&mut at).collect()
    }

    #[test]
    fn a_pace_that_was_missed_is_never_repaid_in_a_burst_and_is_told() {
        for pace in [Pace::Rate(100.0), Pace::Speed(1.0)] {
            let mut schedule = Schedule::default();
            let first = sent(&mut schedule, pace, (1..=100).map(|n| f64::from(n) / 100.0));
            assert!(first[99].abs_diff(100) <= 1, "{first:?}");
            // The machine stands still for a minute.
            let then = sent(&mut schedule, pace, (6_100..=6_200).map(|n| f64::from(n) / 100.0));
            assert!(then[0] - first[99] <= 12, "a burst of {}", then[0] - first[99]);
            assert!((then[100] - then[0]).abs_diff(100) <= 2, "it goes on at its pace: {then:?}");
            assert!((schedule.behind - 59.9).abs() < 0.1, "{}", schedule.behind);
        }
    }

    #[test]
    fn a_gap_above_an_hour_of_waiting_is_skipped_and_told() {
        let year = 31_536_000_000;
        let mut schedule = Schedule::default();
        assert!(schedule.admits(Pace::Speed(86_400.0), 0, 0.0));
        assert!(schedule.admits(Pace::Speed(86_400.0), 53 * year, 0.0), "53 years would be five hours");
        assert!(schedule.gap.take().is_some_and(|wait| wait > LONGEST_WAIT) && schedule.behind == 0.0);
        assert!(
            !schedule.admits(Pace::Speed(86_400.0), 53 * year + 86_400_000, 0.5),
            "what follows keeps its distance"
        );
        assert!(schedule.admits(Pace::Speed(86_400.0), 53 * year + 86_400_000, 1.0) && schedule.gap.is_none());
        assert!(!Schedule { first_ts: Some(0), ..Schedule::default() }.admits(Pace::Speed(1.0), 3_599_000, 0.0));
        assert!(Schedule { first_ts: Some(i64::MIN), ..Schedule::default() }.admits(Pace::Speed(1.0), i64::MAX, 0.0));
    }

    #[test]
    fn an_items_record_is_as_old_as_the_log_and_as_the_contract_has_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("log.csv");
        std::fs::write(&path, "u,i,t,n\nu,j,1569888000,\nu,i,1569888060,Blue shoe\n").expect("writes");
        let columns = "user=u,item=i,time=t,title=n".parse().expect("columns");
        let options = laboratory::log::Options::new(columns);
        let log = Log::open(&path, &options, |_| {}).expect("opens");
        let items: Vec<Item> = listings(&log).collect();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].published_at, Some(Timestamp(1_569_888_000_000)));
        let sent = listing(&items[0]).expect("serialises");
        let reading = schemas::item::read(&sent.key, sent.value.as_deref());
        assert!(reading.faults.is_empty());
        let (change, _) = schemas::item::Fold::default().take(reading);
        assert_eq!(change, Some(("i".to_owned(), Some(items[0].clone()))));
    }
}
