//! What ingest counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use schemas::Reason;

use crate::judge::Counts;

/// Records read from `events`, whatever became of them.
pub const EVENTS: &str = "ingest_events_total";
/// Interactions written.
pub const INTERACTIONS: &str = "ingest_interactions_total";
/// Dead letters written, by `reason`.
pub const DEAD_LETTERS: &str = "ingest_dead_letters_total";
/// Events dropped because their event id was seen before.
pub const DUPLICATES_DROPPED: &str = "ingest_duplicates_dropped_total";
/// Events read again after a restart, whose effect was already written.
pub const ALREADY_WRITTEN: &str = "ingest_already_written_total";
/// Interactions whose event did not have its user id for a key: such a user's events may lie on several partitions, in
/// no order and, after a crash, applied twice.
pub const UNKEYED: &str = "ingest_unkeyed_total";
/// Event ids remembered.
pub const WINDOW_ENTRIES: &str = "ingest_window_entries";
/// Messages of `events` not yet applied, on the partitions of this instance, up to the real end of the log.
pub const LAG: &str = "ingest_lag_messages";
/// Seconds since the oldest of them was written, by its own time.
pub const LAG_SECONDS: &str = "ingest_lag_seconds";
/// Time from a batch in hand to its outputs acknowledged; shown as `ingest_batch_seconds`.
pub const BATCH: &str = "ingest_batch";

/// Names every counter, so that a dashboard shows 0 and not a gap.
pub(crate) fn describe() {
    describe_counter!(EVENTS, "Records read from events, whatever became of them.");
    describe_counter!(INTERACTIONS, "Interactions written.");
    describe_counter!(DEAD_LETTERS, "Dead letters written, by reason.");
    describe_counter!(DUPLICATES_DROPPED, "Events dropped because their event id was seen before.");
    describe_counter!(ALREADY_WRITTEN, "Events read again after a restart, whose effect was already written.");
    describe_counter!(UNKEYED, "Interactions whose event did not have its user id for a key.");
    describe_gauge!(WINDOW_ENTRIES, "Event ids remembered.");
    describe_gauge!(LAG, "Messages of events not yet applied, on the partitions of this instance.");
    describe_gauge!(LAG_SECONDS, "Seconds since the oldest of them was written.");
    record(&Counts::default());
    for reason in Reason::OF_EVENTS {
        counter!(DEAD_LETTERS, "reason" => reason.as_str()).increment(0);
    }
}

/// Counts a batch whose outputs are acknowledged. `events` is the sum of the others.
pub(crate) fn record(counts: &Counts) {
    counter!(EVENTS).increment(counts.events());
    counter!(INTERACTIONS).increment(counts.interactions);
    counter!(DUPLICATES_DROPPED).increment(counts.repeats);
    counter!(ALREADY_WRITTEN).increment(counts.already_done);
    counter!(UNKEYED).increment(counts.unkeyed);
    for (reason, number) in &counts.dead_letters {
        counter!(DEAD_LETTERS, "reason" => reason.as_str()).increment(*number);
    }
}

/// Says how much is remembered.
pub(crate) fn gauges(window: usize) {
    gauge!(WINDOW_ENTRIES).set(window as f64);
}
