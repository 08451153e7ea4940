//! What one interaction does to a user's profile. Pure.

use schemas::{Interaction, Kind, Profile, Source, StoredProfile, proto};
use versions::profile::ELSEWHERE;
pub(crate) use versions::profile::{MOST_BYTES, read, seen, unknown};

/// What became of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the profile now.
    Applied,
    /// It is in the profile now, and the first that came through its partition, while others came through another.
    Split,
    /// It was in the profile before (I2).
    Repeat,
}

/// Applies an interaction.
///
/// An impression is only counted: the trainer's histories hold none either. A dislike is remembered, and
/// keeps the item out of the user's slates for as long as it is.
pub(crate) fn apply(stored: &mut StoredProfile, interaction: &Interaction, source: Source, history: usize) -> Outcome {
    let Some(outcome) = move_on(stored, source) else { return Outcome::Repeat };
    let profile = &mut stored.profile;
    count(&mut profile.counts, interaction.kind());
    let ts = interaction.effective_ts();
    if profile.first_ts == 0 {
        profile.first_ts = ts;
    }
    profile.last_ts = profile.last_ts.max(ts); // of whom only impressions are known, the slate is of this time
    if interaction.kind() != Kind::Impression {
        let item_id = interaction.item_id.clone();
        let seen = proto::Seen { item_id, kind: interaction.kind, ts };
        remember(&mut profile.recent, seen, history);
    }
    outcome
}

/// Moves a profile's place in the partition of `source` on to it; `None` where it is there or beyond it already. Each
/// partition of each source topic counts on its own.
fn move_on(stored: &mut StoredProfile, source: Source) -> Option<Outcome> {
    let same = |other: &Source| (other.topic, other.partition) == (source.topic, source.partition);
    let elsewhere = &mut stored.profile.elsewhere;
    let mut outcome = Outcome::Applied;
    if same(&stored.source) {
        if source.position() <= stored.source.position() {
            return None;
        }
    } else {
        match elsewhere.iter().position(same) {
            Some(place) if source.position() <= elsewhere[place].position() => return None,
            Some(place) => {
                elsewhere.remove(place);
            }
            None => {
                let mut others = elsewhere.iter().chain(Some(&stored.source)).filter(|other| other.partition >= 0);
                if others.any(|other| other.topic == source.topic) {
                    outcome = Outcome::Split;
                }
            }
        }
        if stored.source.partition >= 0 {
            elsewhere.insert(0, stored.source);
            elsewhere.truncate(ELSEWHERE);
        }
    }
    stored.source = source;
    Some(outcome)
}

/// Puts an interaction into its place by event time, as the trainer's histories do (`model::remember`): of equal times,
/// the later to arrive comes later. At the bound the oldest goes, which may be this one.
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
    counts[number] = counts[number].saturating_add(1);
}

/// Whether one event is all that is known of the user.
pub(crate) fn is_first(profile: &Profile) -> bool {
    profile.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)) <= 1
}

#[cfg(test)]
mod tests {
    use model::Seen;
    use schemas::key_of;

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
        use Outcome::{Applied, Repeat, Split};
        assert_eq!(outcomes, [Applied, Repeat, Applied, Repeat, Split], "each partition counts on its own");
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
    fn what_a_later_release_counted_and_remembered_of_kinds_that_we_do_not_know_is_kept() {
        let mut stored = unknown();
        stored.source = at(0, 5);
        stored.profile.counts = vec![0, 0, 1, 0, 0, 0, 0, 0, 0, 4];
        stored.profile.recent = vec![proto::Seen { item_id: "a".into(), kind: 9, ts: 7 }];
        let mut read = read(&stored.encode(), 16).expect("it is read");
        assert_eq!(apply(&mut read, &view("b", 8), at(0, 6), 16), Outcome::Applied);
        assert_eq!(read.profile.counts, [0, 0, 2, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(read.profile.recent.iter().map(|seen| seen.kind).collect::<Vec<_>>(), [9, Kind::View.into()]);
        assert!(!is_first(&read.profile));
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
    fn what_came_through_another_partition_is_known_there_however_the_two_alternate() {
        let mut stored = unknown();
        for offset in 0..20 {
            for partition in [0, 3] {
                assert_ne!(apply(&mut stored, &view("a", offset), at(partition, offset), 64), Outcome::Repeat);
            }
        }
        for offset in 0..20 {
            for partition in [0, 3] {
                assert_eq!(apply(&mut stored, &view("a", 99), at(partition, offset), 64), Outcome::Repeat);
            }
        }
        assert_eq!(stored.profile.recent.len(), 40);
        let partitions: Vec<i32> = stored.sources().map(|source| source.partition).collect();
        assert_eq!(partitions, [3, 0], "the last first");
    }

    #[test]
    fn at_the_bound_of_partitions_the_one_longest_not_met_goes() {
        let mut stored = unknown();
        for partition in 0..100 {
            apply(&mut stored, &view("a", 1), at(partition, 7), 4);
        }
        assert_eq!(stored.sources().count(), 1 + ELSEWHERE);
        assert_eq!(apply(&mut stored, &view("a", 1), at(99 - 31, 7), 4), Outcome::Repeat);
        assert_ne!(apply(&mut stored, &view("a", 1), at(99 - 32, 7), 4), Outcome::Repeat);
    }

    #[test]
    fn topics_that_were_made_again_go_on_where_their_life_says_and_a_clock_that_was_ahead_harms_nobody() {
        let mut stored = unknown();
        let life = |incarnation, offset| Source { incarnation, ..at(0, offset) };
        assert_eq!(apply(&mut stored, &view("a", 600_000), life(7, 900), 16), Outcome::Applied, "ten minutes ahead");
        assert_eq!(apply(&mut stored, &view("b", 100), life(8, 3), 16), Outcome::Applied, "a later life");
        assert_eq!(apply(&mut stored, &view("a", 600_001), life(7, 901), 16), Outcome::Repeat, "an earlier one");
        assert_eq!((stored.profile.recent.len(), stored.source), (2, life(8, 3)));
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
    fn a_clock_that_is_fast_moves_no_time_of_a_profile_and_so_neither_what_is_ranked_nor_what_a_list_says() {
        let (mut stored, now) = (unknown(), 1_700_000_000_000);
        for (offset, kind) in (0..).zip([Kind::Impression, Kind::View]) {
            let ahead = Interaction { kind: kind.into(), arrived_at: now + offset, ..view("a", now + 3_540_000) };
            apply(&mut stored, &ahead, at(0, offset), 16);
            assert_eq!((stored.profile.first_ts, stored.profile.last_ts), (now, now + offset), "{kind:?}");
        }
        assert_eq!(stored.profile.recent[0].ts, now + 1);
        apply(&mut stored, &Interaction { arrived_at: now + 9, ..view("a", now - 5) }, at(0, 2), 16);
        assert_eq!(stored.profile.last_ts, now + 1, "one of before is no newer");
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
