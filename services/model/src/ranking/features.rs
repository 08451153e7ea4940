//! What the ranker is told about a candidate: one table, in which every feature has a name, a prior and its value.
//!
//! A new feature is a new line. The ranker's weights lie in the order of the lines, and versions say no names: a line
//! in another place, or one more, makes another network, and versions of before are refused.

use super::look::{Look, log_seconds};
use super::origin::Origin;
use crate::memory::covisitation::{AHEAD, BEHIND, LATELY, NEXT};

/// The share below which a pair says nothing; keeps the logarithm finite.
const LEAST_SHARE: f32 = 1e-4;

/// Makes of the table the enum [`Feature`], whose variants index arrays of features, and [`of`], in which every line is
/// written out: it runs for some hundred candidates of each slate.
macro_rules! features {
    ($($variant:ident, $name:literal, $prior:literal, |$look:ident| $value:expr;)*) => {
        /// A feature, by its place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Feature {
            $(#[doc = $name] $variant,)*
        }

        /// Features of one candidate.
        pub(crate) const FEATURES: usize = [$($name),*].len();

        impl Feature {
            /// In the order of the ranker's weights.
            pub(crate) const ALL: [Self; FEATURES] = [$(Self::$variant),*];

            /// As people read it.
            pub(crate) const fn name(self) -> &'static str {
                [$($name),*][self as usize]
            }
        }

        /// What the ranker's linear path starts from: popularity and pairs add up, likeness of vectors decides little
        /// while they are random. Without it the first slates of a new shop are in no order; it is forgotten within
        /// some thousand choices.
        pub(crate) const PRIOR: [f32; FEATURES] = [$($prior),*];

        /// The features of one candidate; every one lies roughly between -3 and 3.
        #[allow(clippy::cast_precision_loss)] // counts
        pub(crate) fn of(look: &Look<'_>) -> [f32; FEATURES] {
            [$({ let $look = look; $value }),*]
        }
    };
}

features! {
    // Vectors.
    Cosine, "cosine", 0.2, |look| look.cosine * 5.0;
    VectorPlace, "vector_place", 0.5, |look| look.place(Origin::Sequence);
    CosineBelowBest, "cosine_below_best", 0.0, |look| {
        ((look.cosine - look.best_cosine) / look.temperature / 4.0).max(-3.0)
    };
    LikenessToLast, "likeness_to_last", 0.0, |look| look.likeness * 3.0;
    // Pairs: with the last item, with the one before, with the last ones, each step back fading.
    LastNext, "last_next", 0.5, |look| log_share(look.paired.last[NEXT]);
    LastAhead, "last_ahead", 0.7, |look| log_share(look.paired.last[AHEAD]);
    LastBehind, "last_behind", 0.0, |look| log_share(look.paired.last[BEHIND]);
    LastLately, "last_lately", 0.0, |look| log_share(look.paired.last[LATELY]);
    BeforeAhead, "before_ahead", 0.0, |look| log_share(look.paired.before[AHEAD]);
    BeforeBehind, "before_behind", 0.0, |look| log_share(look.paired.before[BEHIND]);
    PairsNext, "pairs_next", 0.0, |look| log_share(look.paired.sum[NEXT]);
    PairsAhead, "pairs_ahead", 1.0, |look| log_share(look.paired.sum[AHEAD]);
    PairsBehind, "pairs_behind", 0.0, |look| log_share(look.paired.sum[BEHIND]);
    PairsLately, "pairs_lately", 0.0, |look| log_share(look.paired.sum[LATELY]);
    Linked, "linked", 0.0, |look| look.paired.linked / look.window as f32;
    Lift, "lift", 0.0, |look| look.lift(look.paired.last[AHEAD] + look.paired.last[BEHIND]);
    PairsPlace, "pairs_place", 0.0, |look| look.place(Origin::Covisitation);
    // Similar sessions.
    SessionShare, "session_share", 0.7, |look| log_share(look.session);
    SessionOfBest, "session_of_best", 0.0, |look| {
        if look.best_session > 0.0 { look.session / look.best_session } else { 0.0 }
    };
    SessionPlace, "session_place", 0.0, |look| look.place(Origin::Sessions);
    // Popularity, shortest half-life first.
    PopularNow, "popular_now", 0.4, |look| (look.log_shares[0] + 16.0) / 5.0;
    PopularLately, "popular_lately", 0.7, |look| (look.log_shares[1] + 16.0) / 5.0;
    PopularForLong, "popular_for_long", 0.7, |look| (look.log_shares[2] + 16.0) / 5.0;
    PopularEver, "popular_ever", 0.5, |look| (look.log_shares[3] + 16.0) / 5.0;
    PopularPlace, "popular_place", 0.0, |look| look.place(Origin::Popularity);
    Choices, "choices", 0.0, |look| {
        look.counts.as_ref().map_or(0.0, |counts| (1.0 + counts.firsts as f32).ln() / 4.0)
    };
    // What the user did with it.
    Chosen, "chosen", 0.0, |look| flag(look.back.is_some());
    ChosenBack, "chosen_back", 0.0, |look| look.back.map_or(0.0, |n| 1.0 / (1.0 + n as f32));
    ChosenLast, "chosen_last", 0.0, |look| flag(look.back == Some(0));
    ChosenTimes, "chosen_times", 0.0, |look| look.times.ln_1p();
    ChosenAgo, "chosen_ago", 0.0, |look| {
        look.latest.map_or(0.0, |seen| log_seconds(look.asked_at.saturating_sub(seen.ts)))
    };
    Bought, "bought", 0.0, |look| flag(look.latest.is_some_and(|seen| {
        matches!(seen.kind, schemas::Kind::Cart | schemas::Kind::Purchase)
    }));
    // Ages.
    Age, "age", 0.0, |look| look.came.map_or(0.0, |came| log_seconds(look.now.saturating_sub(came)));
    Idle, "idle", 0.0, |look| look.idle();
    NewPlace, "new_place", 0.0, |look| look.place(Origin::New);
    // Content.
    ContentOfLast, "content_of_last", 0.0, |look| look.alike.last;
    Content, "content", 0.5, |look| look.alike.sum;
    ContentPlace, "content_place", 0.0, |look| look.place(Origin::Content);
    // The user's habits; the last four are the same for all candidates.
    Followed, "followed", 0.0, |look| look.followed;
    HistoryLength, "history_length", 0.0, |look| look.asker.length;
    Repetition, "repetition", 0.0, |look| look.asker.repetition;
    Tempo, "tempo", 0.0, |look| look.asker.tempo;
    KnownUser, "known_user", 0.0, |look| look.asker.known;
}

#[inline]
fn log_share(share: f32) -> f32 {
    // Most candidates have most of their shares at nothing, and a logarithm costs more than a comparison.
    if share > LEAST_SHARE { (share / LEAST_SHARE).ln() / 3.0 } else { 0.0 }
}

#[inline]
fn flag(yes: bool) -> f32 {
    f32::from(u8::from(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_weights_in_versions_and_no_name_comes_twice() {
        assert_eq!(FEATURES, 43);
        for (n, feature) in Feature::ALL.into_iter().enumerate() {
            assert_eq!(feature as usize, n, "{}", feature.name());
            assert_eq!(Feature::ALL.into_iter().filter(|other| other.name() == feature.name()).count(), 1);
        }
        // Some of each group, where versions have had them from the first.
        let places = [
            (Feature::Cosine, 0),
            (Feature::LastNext, 4),
            (Feature::PairsAhead, 11),
            (Feature::SessionShare, 17),
            (Feature::PopularNow, 20),
            (Feature::PopularPlace, 24),
            (Feature::Age, 32),
            (Feature::Content, 36),
            (Feature::KnownUser, 42),
        ];
        for (feature, n) in places {
            assert_eq!(feature as usize, n, "{}", feature.name());
        }
    }
}
