//! Cuts a user's slate and profile to the bytes that one user may take in Redis (I7). Pure.

use schemas::slate::Encoding;
use schemas::{Slate, StoredProfile};

/// A profile and a slate as they are written.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// The value of `user:{user}`.
    pub(crate) profile: Vec<u8>,
    /// The value of `recs:{user}`; empty: leave what is there.
    pub(crate) slate: Vec<u8>,
    /// Whether something had to go.
    pub(crate) trimmed: bool,
}

/// Encodes both within `bound` bytes.
///
/// What goes first is what is missed least: the explanations, then the older half of the history until one
/// interaction is left, then the lower half of the slate.
pub(crate) fn fit(
    stored: &mut StoredProfile,
    mut slate: Option<&mut Slate>,
    encoding: Encoding,
    bound: usize,
) -> Fitted {
    let mut trimmed = false;
    loop {
        if let Some(slate) = &slate {
            stored.profile.slate = slate.items.iter().map(|entry| entry.id.clone()).collect();
        }
        let encoded = slate.as_ref().map_or_else(Vec::new, |slate| slate.encode(encoding));
        let profile = stored.encode();
        if profile.len() + encoded.len() <= bound || !give_up_something(stored, slate.as_deref_mut()) {
            return Fitted { profile, slate: encoded, trimmed };
        }
        trimmed = true;
    }
}

/// False when nothing is left to give up.
fn give_up_something(stored: &mut StoredProfile, slate: Option<&mut Slate>) -> bool {
    let recent = &mut stored.profile.recent;
    match slate {
        Some(slate) if slate.items.iter().any(|entry| !entry.because.is_empty()) => {
            slate.items.iter_mut().for_each(|entry| entry.because.clear());
        }
        _ if recent.len() > 1 => {
            recent.drain(..recent.len() / 2);
        }
        Some(slate) if !slate.items.is_empty() => slate.items.truncate(slate.items.len() / 2),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use schemas::{Entry, Kind, proto};

    use super::*;
    use crate::profile::unknown;

    /// Ids of `bytes` bytes.
    fn example(bytes: usize) -> (StoredProfile, Slate) {
        let id = |n: usize| format!("{n:0bytes$}");
        let mut stored = unknown();
        stored.profile.recent =
            (0..16).map(|n| proto::Seen { item_id: id(n), kind: Kind::View.into(), ts: 1_700_000_000_000 }).collect();
        let entry = |n| Entry { id: id(n), score: 0.5, from: "sequence".into(), because: vec![id(n + 1), id(n + 2)] };
        let slate = Slate {
            v: Slate::V,
            model: "000001-00000001".into(),
            source: "events/0@1".into(),
            event_ts: 1_700_000_000_000,
            made_at: 1_700_000_000_000,
            items: (0..20).map(entry).collect(),
        };
        (stored, slate)
    }

    #[test]
    fn what_fits_is_left_as_it_is_and_the_profile_names_the_slate() {
        let (mut stored, mut slate) = example(10);
        let fitted = fit(&mut stored, Some(&mut slate), Encoding::Json, 16_384);
        assert!(!fitted.trimmed);
        assert_eq!(stored.profile.slate.len(), 20);
        assert!(fitted.profile.len() + fitted.slate.len() < 4_000, "{}", fitted.profile.len() + fitted.slate.len());
    }

    #[test]
    fn explanations_go_before_history_and_history_before_items() {
        let (mut stored, mut slate) = example(256);
        let fitted = fit(&mut stored, Some(&mut slate), Encoding::Json, 17_000);
        assert!(fitted.trimmed && fitted.profile.len() + fitted.slate.len() <= 17_000);
        assert!(slate.items.iter().all(|entry| entry.because.is_empty()));
        assert_eq!((stored.profile.recent.len(), slate.items.len()), (16, 20));
        fit(&mut stored, Some(&mut slate), Encoding::Json, 13_000);
        assert_eq!((stored.profile.recent.len(), slate.items.len()), (4, 20));
        assert_eq!(stored.profile.recent[3].item_id, format!("{:0256}", 15), "the newest stay");
    }

    #[test]
    fn the_longest_ids_stay_below_the_smallest_bound() {
        let (mut stored, mut slate) = example(256);
        for encoding in [Encoding::Json, Encoding::Packed] {
            let fitted = fit(&mut stored, Some(&mut slate), encoding, 2_048);
            assert!(fitted.profile.len() + fitted.slate.len() <= 2_048);
        }
        assert_eq!(stored.profile.slate.len(), slate.items.len());
        assert!(!slate.items.is_empty());
    }
}
