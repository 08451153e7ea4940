//! The order of ranked candidates, and the place in it of what was chosen.

use super::query::Candidate;
use crate::memory::repeats::room;

/// The rank of what was chosen, from 0; `None` when it was not in the list.
pub type Rank = Option<usize>;

/// The rank of `key` when sorted by falling score; an equal score counts against it, and so does what is no number.
#[must_use]
#[allow(clippy::neg_cmp_op_on_partial_ord)] // `>=` would put a label whose score is NaN first
pub fn rank_of(key: u64, scored: impl Iterator<Item = (u64, f32)> + Clone) -> Rank {
    let own = scored.clone().find(|(k, _)| *k == key)?.1;
    Some(scored.filter(|(k, score)| *k != key && !(*score < own)).count())
}

/// Positions of the best `k` candidates of a list, best first; equal scores by key, so that a replay repeats itself.
/// What has no finite score stands in no list.
pub(crate) fn best(list: &[Candidate], scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..list.len()).filter(|n| scores[*n].is_finite()).collect();
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(list[*a].key.cmp(&list[*b].key));
    if order.len() > k && k > 0 {
        order.select_nth_unstable_by(k - 1, better);
        order.truncate(k);
    }
    order.truncate(k);
    order.sort_unstable_by(better);
    order
}

/// Positions of the `k` candidates that make a list, best first: the best, but that what the user has seen takes no
/// more places than it may.
pub(crate) fn compose(list: &[Candidate], scores: &[f32], k: usize) -> Vec<usize> {
    let seen = list.iter().filter(|candidate| candidate.seen).count();
    let room = room(k, list.len() - seen);
    let mut taken = 0;
    let mut has_room = |n: &usize| {
        taken += usize::from(list[*n].seen);
        !list[*n].seen || taken <= room
    };
    let enough = k.saturating_add(seen.saturating_sub(room));
    best(list, scores, enough).into_iter().filter(|n| has_room(n)).take(k).collect()
}

/// The rank of what was chosen in the list of `k` that [`compose`] makes, from 0, or some rank beyond it; `None` where
/// it is no candidate. An equal score counts against it, and so does what is no number.
#[allow(clippy::neg_cmp_op_on_partial_ord)] // `>=` would put a label whose score is NaN first
pub(crate) fn rank(list: &[Candidate], scores: &[f32], key: u64, k: usize) -> Rank {
    let own = list.iter().position(|candidate| candidate.key == key)?;
    let seen = list.iter().filter(|candidate| candidate.seen).count();
    let others = list.len() - seen;
    let room = room(k, others);
    let (mut better_seen, mut better) = (0, 0);
    for (_, candidate) in list.iter().enumerate().filter(|(n, _)| *n != own && !(scores[*n] < scores[own])) {
        if candidate.seen { better_seen += 1 } else { better += 1 }
    }
    Some(match list[own].seen {
        true if better_seen >= room => k.max(others + better_seen),
        _ => better + better_seen.min(room),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::features::FEATURES;
    use crate::ranking::origin::{ORIGINS, Origin};

    fn candidate(key: u64, seen: bool) -> Candidate {
        let (places, features) = ([None; ORIGINS], [0.0; FEATURES]);
        Candidate { key, slot: 0, published: None, origin: Some(Origin::New), places, seen, features }
    }

    #[test]
    fn what_was_seen_has_a_bounded_share_of_a_list_and_every_rank_is_that_of_the_list() {
        // The ten best are seen ones, then come twenty others; the last is one more that was seen.
        let list: Vec<Candidate> = (0..31).map(|key| candidate(key, key < 10 || key == 30)).collect();
        let scores: Vec<f32> = (0..31).map(|n| -(n as f32)).collect();
        let composed = compose(&list, &scores, 20);
        assert_eq!(composed, [0, 1, 2, 3].into_iter().chain(10..26).collect::<Vec<_>>());
        for (n, candidate) in list.iter().enumerate() {
            let rank = rank(&list, &scores, candidate.key, 20).expect("is a candidate");
            assert_eq!(composed.iter().position(|at| *at == n), Some(rank).filter(|rank| *rank < 20), "{n}");
        }
        assert_eq!(rank(&list, &scores, 99, 20), None);
        // Where there is nothing else, what was seen fills the list.
        assert_eq!(compose(&list[..14], &scores[..14], 20), (0..14).collect::<Vec<_>>());
        // A tie counts against what was chosen.
        assert_eq!(rank(&list, &[0.0; 31], 15, 20), Some(23));
    }
}
