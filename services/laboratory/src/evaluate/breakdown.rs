//! Where the product's hits and misses come from: by the item's age, the place in the session, repeats and sources.

use std::collections::BTreeMap;

use model::Rank;
use serde::Serialize;

use super::items::First;
use super::percent;
use super::sum::{CUT, Sum};

/// What a test was about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Test {
    pub(crate) rank: Rank,
    /// Who named the item, when it was hit.
    pub(crate) source: Option<&'static str>,
    /// Whether the learner knew the item: it may never have been met, or have expired.
    pub(crate) known: bool,
    pub(crate) first: Option<First>,
    /// Place in the stream, and event time.
    pub(crate) offset: u64,
    pub(crate) ts: i64,
    /// Earlier events of the user or session.
    pub(crate) earlier: u32,
    pub(crate) repeat: bool,
}

/// Groups of tests, by aspect and name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Breakdown {
    groups: BTreeMap<(&'static str, &'static str), Sum>,
    sources: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    all: Sum,
}

/// The groups of each aspect, in the order in which people read them.
pub(crate) const ASPECTS: [(&str, &[&str]); 3] = [
    ("item_age", &["not_known", "never_chosen", "under_1000_events", "else_under_one_day", "older"]),
    ("session_position", &["2", "3", "4_to_5", "6_to_10", "11_and_later"]),
    ("repeat", &["repeat", "first_time"]),
];

impl Breakdown {
    pub(crate) fn record(&mut self, test: &Test) {
        let age = match test.first {
            _ if !test.known => "not_known",
            None => "never_chosen", // known from the catalog alone
            Some(first) if first.is_few_events_before(test.offset) => "under_1000_events",
            Some(first) if first.is_within_a_day_of(test.ts) => "else_under_one_day",
            Some(_) => "older",
        };
        let position = match test.earlier {
            ..=1 => "2",
            2 => "3",
            3..=4 => "4_to_5",
            5..=9 => "6_to_10",
            _ => "11_and_later",
        };
        let repeat = if test.repeat { "repeat" } else { "first_time" };
        for ((aspect, _), name) in ASPECTS.iter().zip([age, position, repeat]) {
            self.groups.entry((*aspect, name)).or_default().add(test.rank, CUT);
        }
        if self.all.add(test.rank, CUT) {
            *self.sources.entry(test.source.unwrap_or("unknown")).or_default() += 1;
        } else {
            let reason = match test.rank {
                _ if !test.known => "not_known",
                // The filter hides what the user has just bought or seen (`repeats`).
                None if test.repeat => "hidden_or_not_named",
                None => "no_source_named_it",
                Some(_) => "ranked_too_low",
            };
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// What it all came to.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn parts(&self) -> Parts {
        let misses = (self.all.tests - self.all.hits).max(1) as f64;
        let mut aspects = BTreeMap::<_, BTreeMap<_, _>>::new();
        for ((aspect, name), group) in &self.groups {
            let part = Part {
                tests: group.tests,
                share_of_tests: percent(group.tests as f64 / self.all.tests.max(1) as f64),
                hr_20: percent(group.hit_rate()),
                mrr_20: percent(group.mean_reciprocal()),
                share_of_misses: percent((group.tests - group.hits) as f64 / misses),
            };
            aspects.entry(*aspect).or_default().insert(*name, part);
        }
        Parts { aspects, hits_by_source: shares(&self.sources), misses_by_reason: shares(&self.reasons) }
    }
}

/// What a breakdown came to: its groups, by aspect and name, and who named the hits and why the misses were missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Parts {
    #[serde(flatten)]
    aspects: BTreeMap<&'static str, BTreeMap<&'static str, Part>>,
    pub(crate) hits_by_source: Shares,
    pub(crate) misses_by_reason: Shares,
}

/// A group's figures, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) tests: u64,
    pub(crate) share_of_tests: f64,
    pub(crate) hr_20: f64,
    pub(crate) mrr_20: f64,
    pub(crate) share_of_misses: f64,
}

/// Counts by name.
pub(crate) type Shares = BTreeMap<&'static str, Share>;

/// A count, and its share of all counts in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Share {
    pub(crate) count: u64,
    pub(crate) share: f64,
}

impl Parts {
    /// Aspect, name and figures of each group that has a test, in the order in which people read them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, &Part)> {
        let names = ASPECTS.iter().flat_map(|(aspect, names)| names.iter().map(move |name| (*aspect, *name)));
        names.filter_map(move |(aspect, name)| Some((aspect, name, self.aspects.get(aspect)?.get(name)?)))
    }

    /// For people: the heading, then one row a group.
    pub(crate) fn table(&self) -> Vec<Vec<String>> {
        let mut table = vec![["", "", "% of tests", "HR@20 %", "MRR@20 %", "% of misses"].map(str::to_owned).to_vec()];
        for (aspect, name, part) in self.rows() {
            let figures = part.figures().map(|figure| format!("{figure:.2}"));
            table.push([aspect.replace('_', " "), name.replace('_', " ")].into_iter().chain(figures).collect());
        }
        table
    }

    /// For people: what share of the hits each source named, and why the misses were missed.
    pub(crate) fn lines(&self) -> [String; 2] {
        [spell("hits by source", &self.hits_by_source), spell("misses by reason", &self.misses_by_reason)]
    }
}

impl Part {
    /// In the order of tables.
    pub(crate) const fn figures(&self) -> [f64; 4] {
        [self.share_of_tests, self.hr_20, self.mrr_20, self.share_of_misses]
    }
}

#[allow(clippy::cast_precision_loss)] // counts
pub(super) fn shares(counts: &BTreeMap<&'static str, u64>) -> Shares {
    let all = counts.values().sum::<u64>().max(1) as f64;
    let share = |count: u64| Share { count, share: percent(count as f64 / all) };
    counts.iter().map(|(name, count)| (*name, share(*count))).collect()
}

pub(super) fn spell(what: &str, shares: &Shares) -> String {
    let share = |(name, share): (&&str, &Share)| format!("{} {:.1} %", name.replace('_', " "), share.share);
    let shares: Vec<String> = shares.iter().map(share).collect();
    format!("{what}: {}", if shares.is_empty() { "none".to_owned() } else { shares.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::items::DAY_MS;

    fn test(rank: Rank, age: Option<(u64, i64)>, earlier: u32) -> Test {
        let (offset, ts) = (5_000, 10 * DAY_MS);
        let first = age.map(|(events, ms)| First { number: 0, ts: ts - ms, offset: offset - events });
        Test { rank, source: Some("sequence"), known: first.is_some(), first, offset, ts, earlier, repeat: false }
    }

    #[test]
    fn each_test_is_in_one_group_of_every_aspect() {
        let mut breakdown = Breakdown::default();
        breakdown.record(&test(None, None, 1));
        breakdown.record(&test(Some(0), Some((999, 5)), 1));
        breakdown.record(&test(Some(40), Some((1_000, DAY_MS - 1)), 2));
        breakdown.record(&test(Some(1), Some((1_000, DAY_MS)), 30));
        breakdown.record(&Test { known: true, ..test(None, None, 4) });
        let json = serde_json::to_value(breakdown.parts()).expect("serialises");
        for name in ["not_known", "never_chosen", "under_1000_events", "else_under_one_day", "older"] {
            assert_eq!(json["item_age"][name]["tests"], 1, "{name}");
        }
        assert_eq!(json["item_age"]["older"]["mrr_20"], 50.0);
        assert_eq!(json["session_position"]["2"]["hr_20"], 50.0);
        assert_eq!(json["session_position"]["11_and_later"]["share_of_tests"], 20.0);
        assert_eq!(json["repeat"]["first_time"]["share_of_misses"], 100.0);
        assert_eq!(json["hits_by_source"]["sequence"]["count"], 2);
        assert_eq!(json["misses_by_reason"]["not_known"]["count"], 1);
        assert_eq!(json["misses_by_reason"]["no_source_named_it"]["count"], 1);
        assert_eq!(json["misses_by_reason"]["ranked_too_low"]["count"], 1);
        assert_eq!(breakdown.parts().table().len(), 1 + 5 + 4 + 1);
    }
}
