//! What ingest counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use schemas::Reason;

use crate::judge::Counts;
use crate::partitioner::Placed;

/// Records read from `events`, whatever became of them.
pub const EVENTS: &str = "ingest_events_total";
/// Interactions written.
pub const INTERACTIONS: &str = "ingest_interactions_total";
/// Dead letters written, by `reason`.
pub const DEAD_LETTERS: &str = "ingest_dead_letters_total";
/// Events dropped because their event id was seen before.
pub const REPEATED_EVENTS: &str = "ingest_repeated_events_total";
/// Events read again after a restart, whose effect was already written.
pub const REPLAYED: &str = "ingest_replayed_total";
/// Interactions whose event did not have its user id for a key: such a user's events may lie on several partitions, in
/// no order and, after a crash, applied twice.
pub const UNKEYED: &str = "ingest_unkeyed_total";
/// Events dropped because their user is erased.
pub const ERASED: &str = "ingest_erased_total";
/// Users that are or were erased.
pub const ERASURES: &str = "ingest_erasures_entries";
/// Erasures on `control` that are not readable.
pub const CONTROL_REFUSED: &str = "ingest_control_refused_total";
/// Records on `interactions` that ingest did not write: passed over when it reads back what it wrote.
pub const FOREIGN_INTERACTIONS: &str = "ingest_foreign_interactions_total";
/// Interactions that lie on `interactions` more than once: found when it is read back. Each counts once.
pub const REWRITTEN: &str = "ingest_rewritten_total";
/// Lives of partitions of `events` begun: the topic was deleted and made again, lost its end, or was read for the first
/// time.
pub const LIVES: &str = "ingest_lives_total";
/// Events that were deleted before they were read.
pub const MISSED: &str = "ingest_missed_total";
/// Events that lie where the partitioner of most would not have put their key, by the `partitioner` that would: a user
/// of both is split over two partitions.
pub const MISPLACED: &str = "ingest_misplaced_total";
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
    describe_counter!(REPEATED_EVENTS, "Events dropped because their event id was seen before.");
    describe_counter!(REPLAYED, "Events read again after a restart, whose effect was already written.");
    describe_counter!(UNKEYED, "Interactions whose event did not have its user id for a key.");
    describe_counter!(ERASED, "Events dropped because their user is erased.");
    describe_counter!(CONTROL_REFUSED, "Erasures on control that are not readable.");
    describe_gauge!(ERASURES, "Users that are or were erased.");
    gauge!(ERASURES).set(0.0);
    describe_counter!(FOREIGN_INTERACTIONS, "Records on interactions that ingest did not write.");
    describe_counter!(REWRITTEN, "Interactions that lie on interactions more than once; each counts once.");
    describe_counter!(LIVES, "Lives of partitions of events begun.");
    describe_counter!(MISSED, "Events that were deleted before they were read.");
    describe_counter!(MISPLACED, "Events that lie where the partitioner of most would not put them, by partitioner.");
    let names = [FOREIGN_INTERACTIONS, REWRITTEN, LIVES, MISSED, CONTROL_REFUSED];
    names.into_iter().for_each(|name| counter!(name).increment(0));
    Placed::NAMES.into_iter().for_each(|name| counter!(MISPLACED, "partitioner" => name).increment(0));
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
    counter!(REPEATED_EVENTS).increment(counts.repeats);
    counter!(REPLAYED).increment(counts.already_done);
    counter!(UNKEYED).increment(counts.unkeyed);
    counter!(ERASED).increment(counts.erased);
    for (reason, number) in &counts.dead_letters {
        counter!(DEAD_LETTERS, "reason" => reason.as_str()).increment(*number);
    }
}

/// Says how much is remembered.
pub(crate) fn gauges(window: usize) {
    gauge!(WINDOW_ENTRIES).set(window as f64);
}
