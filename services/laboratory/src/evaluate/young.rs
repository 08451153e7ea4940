//! How a method fares on items that are hardly known yet: cold start, apart from the rest.

use std::collections::BTreeMap;

use model::Rank;
use serde_json::{Value, json};

use super::breakdown;
use super::figures::{CUT, hit};
use super::items::First;
use super::percent;

/// The classes: a choice that is the first ever of its item in the stream, and choices of items whose first one lies
/// fewer than 1,000 events, or less than a day, back. The last two overlap; the first is in neither.
pub(crate) const CLASSES: [&str; 3] = ["never_chosen", "under_1000_events", "under_one_day"];

/// One choice as a method was tested on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) rank: Rank,
    /// Who named the item, where the method tells.
    pub(crate) source: Option<&'static str>,
    pub(crate) first: Option<First>,
    /// Place in the stream, and event time.
    pub(crate) offset: u64,
    pub(crate) ts: i64,
}

/// One method's sums, by class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Young([Class; CLASSES.len()]);

#[derive(Debug, Clone, Default)]
struct Class {
    tests: u64,
    hits: u64,
    reciprocal: f64,
    sources: BTreeMap<&'static str, u64>,
}

impl Young {
    pub(crate) fn record(&mut self, choice: &Choice) {
        let Choice { first, offset, ts, .. } = *choice;
        let is_in = [
            first.is_none(),
            first.is_some_and(|first| first.is_few_events_before(offset)),
            first.is_some_and(|first| first.is_within_a_day_of(ts)),
        ];
        for class in self.0.iter_mut().zip(is_in).filter_map(|(class, is_in)| is_in.then_some(class)) {
            let (hits, reciprocal) = hit(choice.rank, CUT);
            class.tests += 1;
            class.hits += hits;
            class.reciprocal += reciprocal;
            if let Some(source) = choice.source.filter(|_| hits == 1) {
                *class.sources.entry(source).or_default() += 1;
            }
        }
    }
}

/// Each class: its tests, every method's figures on them, and who named what the product hit.
pub(crate) fn json(methods: &[(&'static str, &Young)]) -> Value {
    let class = |(n, name): (usize, &str)| {
        let figures = methods.iter().map(|(method, young)| ((*method).to_owned(), young.0[n].json()));
        let own = methods.first().map(|(_, young)| &young.0[n]);
        let of_class = json!({
            "tests": own.map_or(0, |class| class.tests),
            "methods": figures.collect::<serde_json::Map<_, _>>(),
            "hits_by_source": own.map_or(Value::Null, |class| breakdown::shares(&class.sources)),
        });
        (name.to_owned(), of_class)
    };
    Value::Object(CLASSES.into_iter().enumerate().map(class).collect())
}

/// For people: how many tests a class has, then one row a method, with HR@20 and MRR@20 of each class.
pub(crate) fn table(methods: &[(&'static str, &Young)]) -> Vec<Vec<String>> {
    let row = |name: &str, cells: &dyn Fn(usize) -> [String; 2]| {
        [name.to_owned()].into_iter().chain((0..CLASSES.len()).flat_map(cells)).collect::<Vec<_>>()
    };
    let head = |n: usize| [format!("{}: HR@20", CLASSES[n].replace('_', " ")), "MRR@20".to_owned()];
    let tests = |n: usize| [methods.first().map_or(0, |(_, young)| young.0[n].tests).to_string(), String::new()];
    let mut table = vec![row("young items, in %", &head), row("tests", &tests)];
    for (name, young) in methods {
        table.push(row(name, &|n| young.0[n].figures().map(|figure| figure.map_or("-".into(), |f| format!("{f:.2}")))));
    }
    table
}

/// For people: who named what the product hit, class by class.
pub(crate) fn lines(product: &Young) -> Vec<String> {
    let hit = CLASSES.iter().zip(&product.0).filter(|(_, class)| class.hits > 0);
    hit.map(|(name, class)| breakdown::spell(&format!("{} hit by", name.replace('_', " ")), &class.sources)).collect()
}

impl Class {
    /// HR@20 and MRR@20 in per cent, where there is a test.
    #[allow(clippy::cast_precision_loss)] // counts
    fn figures(&self) -> [Option<f64>; 2] {
        let share = |sum: f64| (self.tests > 0).then(|| percent(sum / self.tests as f64));
        [share(self.hits as f64), share(self.reciprocal)]
    }

    fn json(&self) -> Value {
        let [hr, mrr] = self.figures();
        json!({ "hr_20": hr, "mrr_20": mrr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::items::DAY_MS;

    fn choice(rank: Rank, age: Option<(u64, i64)>) -> Choice {
        let (offset, ts) = (5_000, 10 * DAY_MS);
        let first = age.map(|(events, ms)| First { number: 0, ts: ts - ms, offset: offset - events });
        Choice { rank, source: Some("sequence"), first, offset, ts }
    }

    #[test]
    fn first_choices_stand_apart_and_an_item_may_be_young_in_two_ways() {
        let (mut product, mut rival) = (Young::default(), Young::default());
        for (own, other, age) in [
            (Some(1), None, None),
            (None, None, None),
            (Some(0), Some(3), Some((999, DAY_MS - 1))),
            (None, Some(0), Some((1_000, DAY_MS - 1))),
            (Some(0), Some(0), Some((1_000, DAY_MS))), // young in no way
        ] {
            product.record(&choice(own, age));
            rival.record(&Choice { source: None, ..choice(other, age) });
        }
        let methods = [("thalweg", &product), ("rival", &rival)];
        let json = json(&methods);
        assert_eq!(CLASSES.map(|class| json[class]["tests"].as_u64()), [2, 1, 2].map(Some));
        assert_eq!(json["never_chosen"]["methods"]["thalweg"], json!({ "hr_20": 50.0, "mrr_20": 25.0 }));
        assert_eq!(json["never_chosen"]["methods"]["rival"]["hr_20"], 0.0);
        assert_eq!(json["under_1000_events"]["methods"]["rival"]["mrr_20"], 25.0);
        assert_eq!(json["under_one_day"]["methods"]["rival"]["hr_20"], 100.0);
        assert_eq!(json["under_one_day"]["hits_by_source"]["sequence"]["count"], 1);
        assert_eq!(table(&methods)[2], ["thalweg", "50.00", "25.00", "100.00", "100.00", "50.00", "50.00"]);
        assert_eq!(lines(&product)[0], "never chosen hit by: sequence 100.0 %");
    }

    #[test]
    fn a_class_without_a_test_has_no_figure() {
        let young = Young::default();
        let json = json(&[("thalweg", &young)]);
        assert!(json["never_chosen"]["methods"]["thalweg"]["hr_20"].is_null());
        assert!(table(&[("thalweg", &young)])[2][1..].iter().all(|cell| cell == "-") && lines(&young).is_empty());
    }
}
