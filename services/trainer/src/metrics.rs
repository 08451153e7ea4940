//! What the trainer counts.

use std::collections::BTreeMap;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use model::Observed;
use schemas::Reason;
use schemas::checkpoint::{Contest, Interval, PayloadKind, Quality};
use schemas::signature::Distrust;

/// Interactions applied.
pub const INTERACTIONS: &str = "trainer_interactions_total";
/// Interactions dropped because they were applied before (I2).
pub const REPLAYED: &str = "trainer_replayed_total";
/// Interactions tested and trained on.
pub const TRAINED: &str = "trainer_trained_total";
/// Interactions tested, but left out of training under overload.
pub const LEFT_OUT: &str = "trainer_left_out_total";
/// Interactions tested, but learned with weight 0, for their user was faster than `model.guard.rate`.
pub const GUARDED: &str = "trainer_guarded_total";
/// Micro-batches whose loss was not finite: they trained nothing.
pub const UNUSABLE: &str = "trainer_unusable_batches_total";
/// Versions of our epoch that somebody else wrote.
pub const FOREIGN: &str = "trainer_foreign_versions_total";
/// Evidence that the learner has become worse, by `reference`.
pub const GATE_EVIDENCE: &str = "trainer_gate_evidence";
/// Alarms of the gate, by `reference`.
pub const GATE_ALARMS: &str = "trainer_gate_alarms_total";
/// Times that training went back to an older version.
pub const ROLLED_BACK: &str = "trainer_rolled_back_total";
/// Interactions read again at the start to rebuild histories.
pub const REMEMBERED: &str = "trainer_remembered_total";
/// Records on `interactions` that are no interaction.
pub const UNREADABLE: &str = "trainer_unreadable_total";
/// Interactions that retention deleted before they were trained on.
pub const MISSED: &str = "trainer_missed_total";
/// Records of the catalog taken in.
pub const CATALOG: &str = "trainer_catalog_records_total";
/// Records on `items` of which not all was taken, by `reason`.
pub const CATALOG_REFUSED: &str = "trainer_catalog_refused_total";
/// Versions found on `checkpoints` that are not usable; by `reason` what is not believed of it and of `control`.
pub const VERSIONS_REFUSED: &str = "trainer_versions_refused_total";
/// Versions of ours that no reader would have taken: not published.
pub const VERSIONS_UNFIT: &str = "trainer_versions_unfit_total";
/// Records that the topic `audit` did not take.
pub const AUDIT_FAILED: &str = "trainer_audit_failed_total";
/// Times `checkpoints` was found emptied or made anew, and a snapshot was published under a fresh claim.
pub const CLAIMED_AGAIN: &str = "trainer_claimed_again_total";
/// Versions published, by `kind`.
pub const VERSIONS_PUBLISHED: &str = "trainer_versions_published_total";
/// Bytes of their payloads, by `kind`.
pub const CHECKPOINT_BYTES: &str = "trainer_checkpoint_bytes_total";
/// The encoder's loss on the last micro-batch.
pub const LOSS: &str = "trainer_loss";
/// Messages of `interactions` not yet handed to the learner, up to the real end of the log.
pub const LAG: &str = "trainer_lag_messages";
/// Seconds since the oldest of them was written, by its own time.
pub const LAG_SECONDS: &str = "trainer_lag_seconds";
/// Interactions of erased users, of which nothing was learned.
pub const ERASED: &str = "trainer_erased_total";
/// Users that are or were erased.
pub const ERASURES: &str = "trainer_erasures_entries";
/// Items known.
pub const ITEMS: &str = "trainer_items";
/// Users whose history is held.
pub const USERS: &str = "trainer_users";
/// Items with neighbours.
pub const PAIRS: &str = "trainer_pairs";
/// 1 while this trainer stands by for another, else 0.
pub const STANDING_BY: &str = "trainer_standing_by";
/// Times that another trainer claimed and this one stood by.
pub const SUPERSEDED: &str = "trainer_superseded_total";
/// Tests that a challenger and the live version both took, in this stretch of the comparison.
pub const CHALLENGER_TESTS: &str = "trainer_challenger_tests";
/// A challenger's figure less the live version's, by `figure` and `bound`.
pub const CHALLENGER_DIFFERENCE: &str = "trainer_challenger_difference";
/// Versions that a challenger was held against.
pub const LIVE_SWAPPED: &str = "trainer_live_swapped_total";
/// Making such a version out of its payload; shown as `trainer_live_load_seconds`.
pub const LIVE_LOAD: &str = "trainer_live_load";
/// From an event's arrival to such a version that was trained on it; shown as `trainer_live_freshness_seconds`.
pub const LIVE_FRESHNESS: &str = "trainer_live_freshness";
/// Our epoch.
pub const EPOCH: &str = "trainer_epoch";
/// Prequential hit rate within the first 20, by `method`, over the sliding window.
pub const HR20: &str = "trainer_hr20";
/// The same of what the user had not chosen before.
pub const FIRST_TIME_HR20: &str = "trainer_first_time_hr20";
/// Prequential mean reciprocal rank within the first 20, by `method`, over the sliding window.
pub const MRR20: &str = "trainer_mrr20";
/// Time to test and train on a micro-batch; shown as `trainer_step_seconds`.
pub const STEP: &str = "trainer_step";
/// Time from the order to publish to the manifest acknowledged; shown as `trainer_publish_seconds`.
pub const PUBLISH: &str = "trainer_publish";

/// Names every counter, so that a dashboard shows 0 and not a gap.
pub(crate) fn describe() {
    let counters = [
        (INTERACTIONS, "Interactions applied."),
        (REPLAYED, "Interactions dropped because they were applied before."),
        (TRAINED, "Interactions tested and trained on."),
        (LEFT_OUT, "Interactions tested, but left out of training under overload."),
        (GUARDED, "Interactions tested, but learned with weight 0: their user was faster than model.guard.rate."),
        (UNUSABLE, "Micro-batches whose loss was not finite: they trained nothing."),
        (FOREIGN, "Times that versions of the trainer's epoch were found that it did not write."),
        (ROLLED_BACK, "Times that training went back to an older version."),
        (REMEMBERED, "Interactions read again at the start to rebuild histories."),
        (UNREADABLE, "Records on interactions that are no interaction."),
        (MISSED, "Interactions that retention deleted before they were trained on."),
        (ERASED, "Interactions of erased users, of which nothing was learned."),
        (CATALOG, "Records of the catalog taken in."),
        (VERSIONS_REFUSED, "Versions found on checkpoints that are not usable."),
        (VERSIONS_UNFIT, "Versions of ours that no reader would have taken: not published."),
        (AUDIT_FAILED, "Records that the topic audit did not take."),
        (CLAIMED_AGAIN, "Times checkpoints was found emptied or made anew, and claimed again."),
        (LIVE_SWAPPED, "Versions that a challenger was held against."),
        (SUPERSEDED, "Times that another trainer claimed and this one stood by."),
    ];
    for (name, what) in counters {
        describe_counter!(name, what);
        counter!(name).increment(0);
    }
    for why in Distrust::ALL {
        counter!(VERSIONS_REFUSED, "reason" => why.as_str()).increment(0);
    }
    describe_counter!(CATALOG_REFUSED, "Records on items of which not all was taken, by reason.");
    for reason in
        [Reason::NotJson, Reason::WrongType, Reason::EmptyField, Reason::IdTooLong].iter().chain(&Reason::OF_ITEMS)
    {
        counter!(CATALOG_REFUSED, "reason" => reason.as_str()).increment(0);
    }
    describe_counter!(VERSIONS_PUBLISHED, "Versions published, by kind.");
    describe_counter!(CHECKPOINT_BYTES, "Bytes of the payloads published, by kind.");
    for kind in [PayloadKind::Snapshot, PayloadKind::Delta] {
        counter!(VERSIONS_PUBLISHED, "kind" => name(kind)).increment(0);
        counter!(CHECKPOINT_BYTES, "kind" => name(kind)).increment(0);
    }
    describe_counter!(GATE_ALARMS, "Alarms of the gate, by reference.");
    for reference in model::Reference::ALL {
        counter!(GATE_ALARMS, "reference" => reference.name()).increment(0);
    }
    describe_gauge!(GATE_EVIDENCE, "Evidence that the learner has become worse, by reference.");
    describe_gauge!(LOSS, "The encoder's loss on the last micro-batch.");
    describe_gauge!(LAG, "Messages of interactions not yet handed to the learner.");
    describe_gauge!(LAG_SECONDS, "Seconds since the oldest of them was written.");
    describe_gauge!(ERASURES, "Users that are or were erased.");
    describe_gauge!(ITEMS, "Items known.");
    describe_gauge!(USERS, "Users whose history is held.");
    describe_gauge!(PAIRS, "Items with neighbours.");
    describe_gauge!(EPOCH, "The trainer's epoch.");
    describe_gauge!(STANDING_BY, "1 while this trainer stands by for another.");
    gauge!(STANDING_BY).set(0.0);
    describe_gauge!(CHALLENGER_TESTS, "Tests that a challenger and the live version both took.");
    describe_gauge!(CHALLENGER_DIFFERENCE, "A challenger's figure less the live version's, by figure and bound.");
    describe_gauge!(FIRST_TIME_HR20, "The same of what the user had not chosen before.");
    describe_gauge!(HR20, "Prequential hit rate within the first 20, by method, over the sliding window.");
    describe_gauge!(MRR20, "Prequential mean reciprocal rank within the first 20, by method.");
}

/// Counts a micro-batch.
pub(crate) fn observed(observed: &Observed) {
    counter!(INTERACTIONS).increment(observed.applied as u64);
    counter!(REPLAYED).increment(observed.dropped as u64);
    counter!(TRAINED).increment(observed.trained as u64);
    counter!(LEFT_OUT).increment(observed.left_out as u64);
    counter!(GUARDED).increment(observed.guarded as u64);
    counter!(UNUSABLE).increment(u64::from(!observed.loss.is_finite()));
    if observed.loss != 0.0 {
        gauge!(LOSS).set(f64::from(observed.loss)); // 0 says that no example had a history
    }
}

/// Shows what the learner holds and how good it is.
pub(crate) fn show((items, users, pairs): (usize, usize, usize), quality: &BTreeMap<String, Quality>) {
    gauge!(ITEMS).set(items as f64);
    gauge!(USERS).set(users as f64);
    gauge!(PAIRS).set(pairs as f64);
    for (method, quality) in quality {
        gauge!(HR20, "method" => method.clone()).set(quality.hr20);
        gauge!(MRR20, "method" => method.clone()).set(quality.mrr20);
        gauge!(FIRST_TIME_HR20, "method" => method.clone()).set(quality.first_time_hr20);
    }
}

/// Shows the gate's evidence that the learner has become worse than each reference.
pub(crate) fn show_evidence(evidence: impl Iterator<Item = (&'static str, f64)>) {
    for (reference, evidence) in evidence {
        gauge!(GATE_EVIDENCE, "reference" => reference).set(evidence);
    }
}

/// Shows how a challenger does beside the live version; unknown while nothing was compared.
pub(crate) fn show_contest(contest: Option<&Contest>) {
    gauge!(CHALLENGER_TESTS).set(contest.map_or(f64::NAN, |contest| contest.tests as f64));
    let unknown = Interval { mean: f64::NAN, lower: f64::NAN, upper: f64::NAN };
    let figures = [("hr20", contest.map(|contest| contest.hr20)), ("mrr20", contest.map(|contest| contest.mrr20))];
    for (figure, interval) in figures {
        let Interval { mean, lower, upper } = interval.unwrap_or(unknown);
        for (bound, value) in [("mean", mean), ("lower", lower), ("upper", upper)] {
            gauge!(CHALLENGER_DIFFERENCE, "figure" => figure, "bound" => bound).set(value);
        }
    }
}

/// Counts a version.
pub(crate) fn published(kind: PayloadKind, bytes: u64) {
    counter!(VERSIONS_PUBLISHED, "kind" => name(kind)).increment(1);
    counter!(CHECKPOINT_BYTES, "kind" => name(kind)).increment(bytes);
}

fn name(kind: PayloadKind) -> &'static str {
    match kind {
        PayloadKind::Snapshot => "snapshot",
        PayloadKind::Delta => "delta",
    }
}
