//! The filters: what must not be shown to who asks, and why.

use super::evidence::Evidence;
use super::own::Own;
use super::query::Query;
use crate::knowledge::Knowledge;
use crate::memory::repeats::Repeats;

/// Why an item is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The version does not know it.
    Unknown,
    /// The shop took it off its list, or it is not to be had.
    Delisted,
    /// Lists show only what the shop lists (`model.only_listed`), and it does not list this.
    NotListed,
    /// The user disliked it, and did not take that back.
    Disliked,
    /// The user chose it before, and lists show nothing again (`model.repeats`).
    Chosen,
    /// The user bought it, and it is not due again yet (`model.repeats`).
    Bought,
    /// It was given before.
    Twice,
    /// The ranker has no finite score for it.
    NoScore,
}

impl Why {
    /// For people and metrics: one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Delisted => "delisted",
            Self::NotListed => "not_listed",
            Self::Disliked => "disliked",
            Self::Chosen => "chosen",
            Self::Bought => "bought",
            Self::Twice => "twice",
            Self::NoScore => "no_score",
        }
    }
}

/// Why a known item must not be shown; `None` where it may.
pub(crate) fn why_not(knowledge: &Knowledge, query: &Query<'_>, evidence: &Evidence, key: u64) -> Option<Why> {
    if !query.catalog.shows(key, knowledge.settings().only_listed) {
        return Some(if query.catalog.is_delisted(key) { Why::Delisted } else { Why::NotListed });
    }
    let own = evidence.own(key)?;
    if own.disliked() {
        return Some(Why::Disliked);
    }
    kept_away(knowledge, query, key, own)
}

/// Why an item that the user chose before is not shown again, or not yet.
fn kept_away(knowledge: &Knowledge, query: &Query<'_>, key: u64, own: &Own) -> Option<Why> {
    match (knowledge.settings().repeats, own.bought) {
        (Repeats::Never, _) => own.chosen().then_some(Why::Chosen),
        (Repeats::Mix, Some(bought)) => {
            let hold = knowledge.repurchases().hold(query.catalog.category_keys(key));
            (query.ts.saturating_sub(bought) < hold).then_some(Why::Bought)
        }
        _ => None,
    }
}
