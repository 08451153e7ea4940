//! Judges a batch of records: which become interactions, which dead letters, and which are only counted.

use std::collections::BTreeMap;

use bytes::Bytes;
use runtime::kafka::{Outgoing, Record};
use schemas::event::OLDEST_TS;
use schemas::{DeadLetter, Erased, Interaction, Message, Reason, Source, dead_letter};

use crate::life::mark;
use crate::progress::Progress;
use crate::validator::{Origin, Validator};

/// What a batch comes to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// For `interactions`, in the order of the events.
    pub interactions: Vec<Outgoing>,
    /// For `dead-letters`, in the order of the events.
    pub dead_letters: Vec<Outgoing>,
    /// How many of each.
    pub counts: Counts,
}

/// Every record is one of these (I6).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// New interactions.
    pub interactions: u64,
    /// Refused, by reason.
    pub dead_letters: BTreeMap<Reason, u64>,
    /// Dropped: the event id was seen before.
    pub repeats: u64,
    /// Skipped: read again, and its effect was already written.
    pub already_done: u64,
    /// Dropped: the user is erased.
    pub erased: u64,
    /// New interactions whose event had another key than its user id, or none. They are among `interactions`.
    pub unkeyed: u64,
}

impl Counts {
    /// All records.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.interactions + self.repeats + self.already_done + self.erased + self.dead_letters.values().sum::<u64>()
    }
}

/// Judges records of `events` one after another.
#[derive(Debug)]
pub struct Judge {
    validator: Validator,
    /// Full name of the topic `events`, for the dead letters.
    events: String,
    erased: Erased,
}

impl Judge {
    /// `events` is the full name of the topic that the records come from.
    #[must_use]
    pub fn new(validator: Validator, events: String) -> Self {
        Self { validator, events, erased: Erased::default() }
    }

    /// From now on drops the events of these users. They are counted and no dead letters: those would keep the id, and
    /// what the user did, for as long again.
    pub fn leave_out(&mut self, erased: Erased) {
        self.erased = erased;
    }

    /// Judges a batch; `now` in milliseconds since 1970.
    pub fn judge(&self, records: &[Record], progress: &mut Progress, now: i64) -> Verdict {
        let mut verdict = Verdict::default();
        for record in records {
            if !progress.owns(record.partition) {
                continue; // read before the partition left; still uncommitted, so its new owner has it (I6)
            }
            if progress.is_done(record.partition, record.offset) {
                verdict.counts.already_done += 1;
                continue;
            }
            progress.advance(record.partition, record.offset);
            let arrived_at = arrival(record, now);
            // A sender's time numbers no life: that of a recorded log lies before every life that there was.
            let at = if record.by_broker { arrived_at } else { now };
            let origin = Origin {
                partition: record.partition,
                offset: record.offset,
                incarnation: progress.incarnation(record.partition, at),
                arrived_at,
            };
            // Our clock may be behind: what was possible when it was written is not in the future.
            match self.validator.judge(record.value.as_deref(), origin, now.max(record.timestamp)) {
                Ok(interaction) if self.erased.covers(&interaction.user_id, arrived_at) => verdict.counts.erased += 1,
                Ok(interaction) if progress.is_first(record.partition, &interaction) => {
                    verdict.counts.interactions += 1;
                    verdict.counts.unkeyed += u64::from(record.key != interaction.user_id.as_bytes());
                    verdict.interactions.push(written(record.partition, &interaction));
                }
                Ok(_) => verdict.counts.repeats += 1,
                Err(_) if self.is_of_erased(record, arrived_at) => verdict.counts.erased += 1,
                Err(letter) => {
                    *verdict.counts.dead_letters.entry(letter.reason).or_default() += 1;
                    verdict.dead_letters.push(self.refused(record, origin.incarnation, letter));
                }
            }
        }
        verdict
    }

    /// What tells a record of `events` from another at the same offset; `None` for one that is refused.
    pub(crate) fn mark(&self, record: &Record, now: i64) -> Option<u64> {
        let origin = Origin { partition: record.partition, offset: record.offset, incarnation: 0, arrived_at: 0 };
        let judged = self.validator.judge(record.value.as_deref(), origin, now.max(record.timestamp));
        judged.ok().map(|interaction| mark(&interaction))
    }

    /// Whether what is refused is of a user who is erased, by its key or by what may be an id in it
    /// ([`schemas::ids_in`]): a dead letter would keep it.
    fn is_of_erased(&self, record: &Record, arrived_at: i64) -> bool {
        if self.erased.erasures().is_empty() {
            return false;
        }
        let is_erased = |user: &str| self.erased.covers(user, arrived_at);
        std::str::from_utf8(&record.key).is_ok_and(is_erased)
            || schemas::ids_in(record.value.as_deref().unwrap_or_default()).any(|id| is_erased(&id))
    }

    fn refused(&self, record: &Record, incarnation: u64, letter: DeadLetter) -> Outgoing {
        let place = Source { topic: 0, partition: record.partition, offset: record.offset, incarnation };
        let dead_letter::Buried { key, value, headers } =
            dead_letter::bury(letter, &self.events, &place, &record.key, record.value.as_ref());
        Outgoing { partition: None, key, value, timestamp: None, headers }
    }
}

/// When an event arrived, by a clock that no sender has a say in: the broker's, or ours where the topic keeps the
/// sender's time. One without a time that can be arrives when it is read.
fn arrival(record: &Record, now: i64) -> i64 {
    match record.timestamp {
        at if at < OLDEST_TS => now,
        at if record.by_broker => at,
        at => at.min(now),
    }
}

/// The partition is the event's own, whatever the user id hashes to and whatever key the application chose or left
/// out: so one partition of `interactions` has one source, and its offsets only grow (I2). The record gets the time of
/// writing: an application's clock must not decide when the broker deletes it.
fn written(partition: i32, interaction: &Interaction) -> Outgoing {
    Outgoing {
        partition: Some(partition),
        key: Bytes::copy_from_slice(interaction.user_id.as_bytes()),
        value: Some(interaction.encode_to_vec().into()),
        timestamp: None,
        headers: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
