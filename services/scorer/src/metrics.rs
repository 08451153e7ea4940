//! What the scorer counts and measures.

use metrics::{counter, describe_counter, describe_gauge};

/// Interactions applied.
pub const INTERACTIONS: &str = "scorer_interactions_total";
/// Interactions dropped because they had been applied already (I2).
pub const REPLAYED: &str = "scorer_replayed_total";
/// Users whose events came through one more partition, beside those that they came through before.
pub const SPLIT_USERS: &str = "scorer_split_users_total";
/// Times that partitions were read again, because Redis had forgotten what was applied or somebody else had written it.
pub const WENT_BACK: &str = "scorer_went_back_total";
/// Keys in Redis that held what is not ours, each time they were passed over.
pub const FOREIGN_KEYS: &str = "scorer_foreign_keys_total";
/// Times that a profile of a later release was passed over.
pub const LATER_PROFILES: &str = "scorer_later_profiles_total";
/// Records of `interactions`, `items` or `user:{user}` that do not decode, by `from`.
pub const UNREADABLE: &str = "scorer_unreadable_total";
/// Interactions whose source is nowhere on `events`: ingest did not write them.
pub const FOREIGN_INTERACTIONS: &str = "scorer_foreign_interactions_total";
/// Interactions that were deleted before they were read, or before they could be read again for Redis had forgotten
/// them.
pub const MISSED: &str = "scorer_missed_total";
/// Interactions of erased users, of which nothing was made.
pub const ERASED: &str = "scorer_erased_total";
/// Users that are or were erased.
pub const ERASURES: &str = "scorer_erasures_entries";
/// Slates written.
pub const SLATES: &str = "scorer_slates_total";
/// Slates that Redis refused because another instance had written the user since; those users are read again.
pub const SLATES_REFUSED: &str = "scorer_slates_refused_total";
/// Slates or profiles cut to `max_user_bytes`.
pub const SLATES_TRIMMED: &str = "scorer_slates_trimmed_total";
/// Slates made anew without an interaction.
pub const SLATES_RENEWED: &str = "scorer_slates_renewed_total";
/// Slates made by versions that were gone back from since.
pub const SLATES_WITHDRAWN: &str = "scorer_slates_withdrawn_total";
/// Slates without an item.
pub const SLATES_EMPTY: &str = "scorer_slates_empty_total";
/// Profiles in Redis looked at for slates that show what is delisted, or that are missing.
pub const SWEPT: &str = "scorer_swept_profiles_total";
/// Lists written, by `list`: `hot`, `new`, `similar`.
pub const LISTS: &str = "scorer_lists_total";
/// Versions that went live.
pub const VERSIONS_SWAPPED: &str = "scorer_versions_swapped_total";
/// Versions that did not, by `reason`, one of [`versions::REFUSALS`].
pub const VERSIONS_REFUSED: &str = "scorer_versions_refused_total";
/// Refusals that the topic `audit` did not take.
pub const AUDIT_FAILED: &str = "scorer_audit_failed_total";
/// Times Redis was found empty and filled again.
pub const REFILLS: &str = "scorer_refills_total";
/// Keys that Redis has evicted since it started; NaN while that is not known.
pub const EVICTED: &str = "scorer_redis_evicted_entries";
/// Messages of `interactions` not yet applied, on the partitions of this instance, up to the real end of the log.
pub const LAG: &str = "scorer_lag_messages";
/// Seconds since the oldest of them was written, by its own time.
pub const LAG_SECONDS: &str = "scorer_lag_seconds";
/// Seconds since the live version was made; NaN while none is live.
pub const MODEL_AGE: &str = "scorer_model_age_seconds";
/// Users held in memory.
pub const USERS: &str = "scorer_users_entries";
/// Slates waiting to be made anew.
pub const RENEWALS: &str = "scorer_renewals_entries";
/// Items in the catalog.
pub const CATALOG: &str = "scorer_catalog_entries";
/// Items that the live version knows and lists must not show; counted once a minute.
pub const HIDDEN: &str = "scorer_hidden_entries";
/// Categories without lists of their own, beyond `scorer.category_lists`.
pub const CATEGORIES_LEFT_OUT: &str = "scorer_categories_left_out_entries";
/// Entries of lists whose score was no number: they are left out.
pub const UNUSABLE_SCORES: &str = "scorer_unusable_scores_total";
/// Items whose `similar` list is kept.
pub const SIMILAR: &str = "scorer_similar_entries";

/// From an event's arrival in Kafka to its slate acknowledged by Redis.
pub const FRESHNESS: &str = "scorer_freshness";
/// From an event's arrival in Kafka to a version trained on it being live.
pub const MODEL_FRESHNESS: &str = "scorer_model_freshness";
/// Ranking of one micro-batch.
pub const RANKING: &str = "scorer_ranking";
/// From a micro-batch in hand to Redis' acknowledgement.
pub const BATCH: &str = "scorer_batch";
/// Making a version out of its payload, off the path of the slates.
pub const LOAD: &str = "scorer_version_load";

/// Names everything, so that a dashboard shows 0 and not a gap.
pub(crate) fn describe() {
    for (name, help) in [
        (INTERACTIONS, "Interactions applied."),
        (REPLAYED, "Interactions dropped because they had been applied already."),
        (SPLIT_USERS, "Users whose events came through one more partition than before."),
        (WENT_BACK, "Times that partitions were read again, because Redis had forgotten what was applied."),
        (MISSED, "Interactions that were deleted before they were read, or read again."),
        (FOREIGN_KEYS, "Keys in Redis that held what is not ours, each time they were passed over."),
        (FOREIGN_INTERACTIONS, "Interactions whose source is nowhere on events: ingest did not write them."),
        (LATER_PROFILES, "Times that a profile of a later release was passed over."),
        (UNREADABLE, "Records that do not decode, by where they are from."),
        (SWEPT, "Profiles in Redis looked at for slates that show what is delisted, or that are missing."),
        (ERASED, "Interactions of erased users, of which nothing was made."),
        (SLATES, "Slates written."),
        (SLATES_REFUSED, "Slates that Redis refused because another instance had written the user since."),
        (SLATES_TRIMMED, "Slates or profiles cut to max_user_bytes."),
        (SLATES_RENEWED, "Slates made anew without an interaction."),
        (SLATES_WITHDRAWN, "Slates made by versions that were gone back from since."),
        (SLATES_EMPTY, "Slates without an item."),
        (LISTS, "Lists written, by list."),
        (VERSIONS_SWAPPED, "Versions that went live."),
        (VERSIONS_REFUSED, "Versions that did not go live, by reason."),
        (AUDIT_FAILED, "Refusals that the topic audit did not take."),
        (UNUSABLE_SCORES, "Entries of lists whose score was no number: they are left out."),
        (REFILLS, "Times Redis was found empty and filled again."),
    ] {
        describe_counter!(name, help);
    }
    for name in
        [INTERACTIONS, REPLAYED, SLATES, SLATES_REFUSED, SLATES_TRIMMED, SLATES_RENEWED, SLATES_WITHDRAWN, SLATES_EMPTY]
    {
        counter!(name).increment(0);
    }
    counter!(UNREADABLE, "from" => "items").increment(0);
    for name in [
        VERSIONS_SWAPPED,
        REFILLS,
        FOREIGN_KEYS,
        FOREIGN_INTERACTIONS,
        LATER_PROFILES,
        SPLIT_USERS,
        WENT_BACK,
        MISSED,
        UNUSABLE_SCORES,
        ERASED,
    ] {
        counter!(name).increment(0);
    }
    for reason in versions::REFUSALS {
        counter!(VERSIONS_REFUSED, "reason" => reason).increment(0);
    }
    describe_gauge!(LAG, "Messages of interactions not yet applied, on the partitions of this instance.");
    describe_gauge!(LAG_SECONDS, "Seconds since the oldest of them was written.");
    describe_gauge!(EVICTED, "Keys that Redis has evicted since it started.");
    describe_gauge!(MODEL_AGE, "Seconds since the live version was made.");
    describe_gauge!(USERS, "Users held in memory.");
    describe_gauge!(ERASURES, "Users that are or were erased.");
    describe_gauge!(RENEWALS, "Slates waiting to be made anew.");
    describe_gauge!(CATALOG, "Items in the catalog.");
    describe_gauge!(HIDDEN, "Items that the live version knows and lists must not show.");
    describe_gauge!(CATEGORIES_LEFT_OUT, "Categories without lists of their own, beyond scorer.category_lists.");
    describe_gauge!(SIMILAR, "Items whose similar list is kept.");
}
