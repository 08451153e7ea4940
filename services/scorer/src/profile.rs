//! What one interaction does to a user's profile, and how the model sees it. Pure.

use model::Seen;
use schemas::{Interaction, Kind, Profile, Source, StoredProfile, key_of, proto};

/// A user of whom nothing is known.
pub(crate) fn unknown() -> StoredProfile {
    StoredProfile { source: Source { partition: -1, offset: -1, ..Source::default() }, profile: Profile::default() }
}

/// What became of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the profile now.
    Applied,
    /// It was in the profile before (I2).
    Repeat,
    /// The profile claims to hold it, but is older than it: it was written through other topics than these.
    Foreign,
}

/// Applies an interaction.
///
/// An impression is only counted: the trainer's histories hold none either. A dislike is remembered, and
/// keeps the item out of the user's slates for as long as it is.
pub(crate) fn apply(stored: &mut StoredProfile, interaction: &Interaction, source: Source, history: usize) -> Outcome {
    if source.partition == stored.source.partition && source.offset <= stored.source.offset {
        // What was applied is never newer than the newest applied.
        return if interaction.ts <= stored.profile.last_ts { Outcome::Repeat } else { Outcome::Foreign };
    }
    stored.source = source;
    let profile = &mut stored.profile;
    count(&mut profile.counts, interaction.kind());
    if profile.first_ts == 0 {
        profile.first_ts = interaction.ts;
    }
    profile.last_ts = profile.last_ts.max(interaction.ts);
    if interaction.kind() != Kind::Impression {
        let item_id = interaction.item_id.clone();
        let seen = proto::Seen { item_id, kind: interaction.kind, ts: interaction.effective_ts() };
        remember(&mut profile.recent, seen, history);
    }
    Outcome::Applied
}

/// Puts an interaction into its place by event time, as the trainer's histories do (`model::remember`): of equal times, the
/// later to arrive comes later. At the bound the oldest goes, which may be this one.
fn remember(recent: &mut Vec<proto::Seen>, seen: proto::Seen, history: usize) {
    let place = recent.iter().rposition(|other| other.ts <= seen.ts).map_or(0, |before| before + 1);
    recent.insert(place, seen);
    recent.drain(..recent.len().saturating_sub(history));
}

fn count(counts: &mut Vec<u64>, kind: Kind) {
    let number = kind as usize;
    if counts.len() <= number {
        counts.resize(number + 1, 0);
    }
    counts[number] += 1;
}

/// Whether one event is all that is known of the user.
pub(crate) fn is_first(profile: &Profile) -> bool {
    profile.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)) <= 1
}

/// The history as the model takes it, oldest first, at most `history` long.
pub(crate) fn seen(profile: &Profile, history: usize) -> Vec<Seen> {
    let skip = profile.recent.len().saturating_sub(history);
    let of = |seen: &proto::Seen| Seen { key: key_of(&seen.item_id), kind: seen.kind(), ts: seen.ts };
    profile.recent.iter().skip(skip).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(item: &str, ts: i64) -> Interaction {
        Interaction { item_id: item.into(), kind: Kind::View.into(), ts, ..Interaction::default() }
    }

    fn at(partition: i32, offset: i64) -> Source {
        Source { partition, offset, ..Source::default() }
    }

    #[test]
    fn what_was_applied_before_is_dropped_by_its_source_offset() {
        let mut stored = unknown();
        let mut outcomes = Vec::new();
        for (item, partition, offset) in [("a", 0, 0), ("a", 0, 0), ("b", 0, 5), ("c", 0, 4), ("d", 1, 3)] {
            outcomes.push(apply(&mut stored, &view(item, 7), at(partition, offset), 16));
        }
        use Outcome::{Applied, Repeat};
        assert_eq!(outcomes, [Applied, Repeat, Applied, Repeat, Applied], "each partition counts on its own");
        assert_eq!(stored.profile.recent.len(), 3);
        assert_eq!(stored.profile.counts[Kind::View as usize], 3);
    }

    #[test]
    fn clicks_of_three_days_ago_that_arrive_after_todays_do_not_take_over_the_profile() {
        let (mut stored, day) = (unknown(), 86_400_000);
        let acts = [("a", 9 * day), ("b", 9 * day), ("x", 6 * day), ("c", 9 * day), ("y", 6 * day + 1), ("z", 5 * day)];
        for (offset, (item, ts)) in (0..).zip(acts) {
            apply(&mut stored, &view(item, ts), at(0, offset), 4);
        }
        let ids: Vec<&str> = stored.profile.recent.iter().map(|seen| seen.item_id.as_str()).collect();
        assert_eq!(ids, ["y", "a", "b", "c"], "z is older than a whole full history, and x went for y");
        assert_eq!(stored.profile.counts[Kind::View as usize], 6, "each is counted");
        let mut trained = Vec::new();
        for (item, ts) in acts {
            model::remember(&mut trained, Seen { key: key_of(item), kind: Kind::View, ts }, 4);
        }
        assert_eq!(seen(&stored.profile, 4), trained, "training and serving see the same");
    }

    #[test]
    fn a_user_of_one_event_is_told_from_one_who_came_again() {
        let mut stored = unknown();
        apply(&mut stored, &view("a", 1), at(0, 0), 16);
        assert!(is_first(&stored.profile));
        apply(&mut stored, &view("a", 2), at(0, 1), 16);
        assert!(!is_first(&stored.profile));
    }

    #[test]
    fn a_profile_of_topics_that_were_recreated_is_recognised() {
        let mut stored = unknown();
        assert_eq!(apply(&mut stored, &view("a", 100), at(0, 900), 16), Outcome::Applied);
        assert_eq!(apply(&mut stored, &view("b", 200), at(0, 3), 16), Outcome::Foreign);
        assert_eq!((stored.profile.recent.len(), stored.source.offset), (1, 900), "and left alone");
    }

    #[test]
    fn an_impression_is_counted_but_not_remembered_and_a_dislike_is_both() {
        let mut stored = unknown();
        for (offset, kind) in (0..).zip([Kind::Impression, Kind::Dislike]) {
            let interaction = Interaction { kind: kind.into(), ..view("a", 1) };
            apply(&mut stored, &interaction, at(0, offset), 16);
        }
        let kinds: Vec<Kind> = stored.profile.recent.iter().map(proto::Seen::kind).collect();
        assert_eq!(kinds, [Kind::Dislike]);
        assert_eq!(stored.profile.counts.iter().sum::<u64>(), 2);
    }

    #[test]
    fn a_history_keeps_the_newest_and_a_shorter_setting_takes_effect_at_once() {
        let mut stored = unknown();
        for n in 0..10 {
            apply(&mut stored, &view(&format!("i{n}"), n), at(0, n), 4);
        }
        let ids: Vec<&str> = stored.profile.recent.iter().map(|seen| seen.item_id.as_str()).collect();
        assert_eq!(ids, ["i6", "i7", "i8", "i9"]);
        assert_eq!(seen(&stored.profile, 2)[0].key, key_of("i8"));
        apply(&mut stored, &view("i10", 10), at(0, 10), 2);
        assert_eq!(stored.profile.recent.len(), 2);
    }
}
