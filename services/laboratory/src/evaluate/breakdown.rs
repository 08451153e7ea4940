//! Where the product's hits and misses come from: by the item's age, the place in the session, repeats and sources.

use std::collections::BTreeMap;

use model::Rank;
use serde_json::{Value, json};

use super::figures::{CUT, hit};
use super::items::First;
use super::percent;

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

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Group {
    tests: u64,
    hits: u64,
    reciprocal: f64,
}

/// Groups of tests, by aspect and name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Breakdown {
    groups: BTreeMap<(&'static str, &'static str), Group>,
    sources: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    all: Group,
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
        let (hits, reciprocal) = hit(test.rank, CUT);
        for ((aspect, _), name) in ASPECTS.iter().zip([age, position, repeat]) {
            add(self.groups.entry((*aspect, name)).or_default(), hits, reciprocal);
        }
        add(&mut self.all, hits, reciprocal);
        if hits == 1 {
            *self.sources.entry(test.source.unwrap_or("unknown")).or_default() += 1;
        } else {
            let reason = match test.rank {
                _ if !test.known => "not_known",
                None => "no_source_named_it",
                Some(_) => "ranked_too_low",
            };
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Aspect, group, its share of the tests, hit rate and mean reciprocal rank, and its share of the misses.
    #[allow(clippy::cast_precision_loss)] // counts
    fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let aspects = ASPECTS.iter().flat_map(|(aspect, names)| names.iter().map(move |name| (*aspect, *name)));
        aspects.filter_map(move |key| {
            let group = self.groups.get(&key)?;
            let misses = (self.all.tests - self.all.hits).max(1) as f64;
            Some(Row {
                aspect: key.0,
                name: key.1,
                tests: group.tests,
                share: percent(group.tests as f64 / self.all.tests.max(1) as f64),
                hr_20: percent(group.hits as f64 / group.tests as f64),
                mrr_20: percent(group.reciprocal / group.tests as f64),
                misses: percent((group.tests - group.hits) as f64 / misses),
            })
        })
    }

    pub(crate) fn json(&self) -> Value {
        let mut out = serde_json::Map::new();
        for row in self.rows() {
            let group = json!({
                "tests": row.tests, "share_of_tests": row.share, "hr_20": row.hr_20, "mrr_20": row.mrr_20,
                "share_of_misses": row.misses,
            });
            let aspect = out.entry(row.aspect).or_insert_with(|| json!({}));
            aspect[row.name] = group;
        }
        out.insert("hits_by_source".to_owned(), shares(&self.sources));
        out.insert("misses_by_reason".to_owned(), shares(&self.reasons));
        Value::Object(out)
    }

    /// For people: the heading, then one row a group.
    pub(crate) fn table(&self) -> Vec<Vec<String>> {
        let mut table = vec![["", "", "% of tests", "HR@20 %", "MRR@20 %", "% of misses"].map(str::to_owned).to_vec()];
        for row in self.rows() {
            let figures = [row.share, row.hr_20, row.mrr_20, row.misses].map(|figure| format!("{figure:.2}"));
            table.push([row.aspect.replace('_', " "), row.name.replace('_', " ")].into_iter().chain(figures).collect());
        }
        table
    }

    /// For people: what share of the hits each source named, and why the misses were missed.
    pub(crate) fn lines(&self) -> [String; 2] {
        [spell("hits by source", &self.sources), spell("misses by reason", &self.reasons)]
    }
}

struct Row {
    aspect: &'static str,
    name: &'static str,
    tests: u64,
    share: f64,
    hr_20: f64,
    mrr_20: f64,
    misses: f64,
}

fn add(group: &mut Group, hits: u64, reciprocal: f64) {
    group.tests += 1;
    group.hits += hits;
    group.reciprocal += reciprocal;
}

#[allow(clippy::cast_precision_loss)] // counts
fn of_all<'c>(counts: &'c BTreeMap<&'static str, u64>) -> impl Iterator<Item = (&'static str, u64, f64)> + 'c {
    let all = counts.values().sum::<u64>().max(1) as f64;
    counts.iter().map(move |(name, count)| (*name, *count, percent(*count as f64 / all)))
}

pub(super) fn shares(counts: &BTreeMap<&'static str, u64>) -> Value {
    let share = |(name, count, share): (&str, u64, f64)| (name.to_owned(), json!({ "count": count, "share": share }));
    Value::Object(of_all(counts).map(share).collect())
}

pub(super) fn spell(what: &str, counts: &BTreeMap<&'static str, u64>) -> String {
    let share = |(name, _, share): (&str, u64, f64)| format!("{} {share:.1} %", name.replace('_', " "));
    let shares: Vec<String> = of_all(counts).map(share).collect();
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
        let json = breakdown.json();
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
        assert_eq!(breakdown.table().len(), 1 + 5 + 4 + 1);
    }
}
