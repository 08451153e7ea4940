//! Sends events at a pace: so many a second, as fast as they were recorded, or as fast as it goes.

use std::str::FromStr;
use std::time::{Duration, Instant};

use runtime::kafka::Outgoing;
use schemas::Event;

use crate::error::Error;

/// How often the pacer looks what is due.
const TICK: Duration = Duration::from_millis(5);
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

impl Pace {
    /// From the options `--rate` and `--speed`, of which at most one is given.
    pub(crate) fn of(rate: Option<f64>, speed: Option<Speed>) -> Self {
        match (rate, speed) {
            (Some(rate), _) => Self::Rate(rate),
            (None, Some(Speed(speed))) => Self::Speed(speed),
            (None, None) => Self::Unbounded,
        }
    }
}

/// A multiple of recorded time: `60x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed(pub(crate) f64);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_end_matches('x').parse::<f64>();
        let speed = number.ok().filter(|speed| *speed > 0.0 && speed.is_finite());
        speed.map(Self).ok_or_else(|| format!("`{text}` is no speed; write 60x for a minute of the log in a second"))
    }
}

/// Says which events are due.
pub(crate) struct Pacer {
    pace: Pace,
    started: Instant,
    sent: u64,
    first_ts: Option<i64>,
}

impl Pacer {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, started: Instant::now(), sent: 0, first_ts: None }
    }

    /// Whether the next event is due now.
    #[allow(clippy::cast_precision_loss)] // counts and milliseconds of decades
    fn is_due(&mut self, ts: i64) -> bool {
        let elapsed = self.started.elapsed().as_secs_f64();
        match self.pace {
            Pace::Rate(rate) => (self.sent as f64) < elapsed * rate,
            Pace::Speed(speed) => {
                let first = *self.first_ts.get_or_insert(ts);
                (ts - first) as f64 / 1_000.0 <= elapsed * speed
            }
            Pace::Unbounded => true,
        }
    }

    /// Waits until something is due and takes it from `events`; empty when there is no more.
    pub(crate) async fn due(&mut self, events: &mut std::iter::Peekable<impl Iterator<Item = Event>>) -> Vec<Event> {
        let mut due = Vec::new();
        while events.peek().is_some() {
            while due.len() < BURST
                && let Some(event) = events.next_if(|event| self.is_due(event.ts.0))
            {
                self.sent += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_positive_number_with_or_without_an_x() {
        assert_eq!("60x".parse(), Ok(Speed(60.0)));
        assert_eq!("0.5".parse(), Ok(Speed(0.5)));
        assert!("fast".parse::<Speed>().is_err());
        assert!("0x".parse::<Speed>().is_err());
    }
}
