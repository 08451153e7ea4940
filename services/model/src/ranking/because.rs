//! What of a history argues most for a candidate.

use super::origin::Origin;
use super::query::Candidate;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;
use crate::memory::covisitation::{AHEAD, BEHIND};
use crate::memory::history::Seen;

/// The ids of the items of the history that argue most for a candidate, at most two.
pub(crate) fn because(
    knowledge: &Knowledge,
    history: &[Seen],
    catalog: &Catalog,
    candidate: &Candidate,
) -> Vec<String> {
    let mut reasons: Vec<(f32, u64)> = Vec::new();
    let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive());
    for seen in newest_first.take(knowledge.settings().covisitation_window) {
        let Some(strength) = strength(knowledge, catalog, seen, candidate) else { continue };
        if strength > 0.0 && reasons.iter().all(|(_, key)| *key != seen.key) {
            reasons.push((strength, seen.key));
        }
    }
    reasons.sort_by(|a, b| b.0.total_cmp(&a.0));
    reasons.truncate(2);
    reasons.into_iter().filter_map(|(_, key)| knowledge.table().get(key).map(|entry| entry.id.to_string())).collect()
}

/// How much an interaction argues for a candidate, by what names it highest; `None` where that knows no such reasons.
fn strength(knowledge: &Knowledge, catalog: &Catalog, seen: &Seen, candidate: &Candidate) -> Option<f32> {
    match candidate.origin? {
        Origin::Covisitation => {
            let mut neighbours = knowledge.covisitation().get(seen.key)?.shares();
            let (_, shares) = neighbours.find(|(key, _)| *key == candidate.key)?;
            Some(shares[AHEAD] + shares[BEHIND])
        }
        Origin::Sequence => {
            let slot = knowledge.table().slot(seen.key)?;
            let (a, b) = (knowledge.table().vector(slot), knowledge.table().vector(candidate.slot));
            Some(a.iter().zip(b.iter()).map(|(a, b)| a * b).sum())
        }
        Origin::Content => Some(catalog.shared(seen.key, candidate.key)),
        Origin::Sessions => Some(1.0), // the user's last items found the sessions
        Origin::Repeat | Origin::Popularity | Origin::New => None,
    }
}
