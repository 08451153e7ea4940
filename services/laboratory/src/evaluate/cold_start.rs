//! How a method fares on items that are hardly known yet: cold start, apart from the rest.

use std::collections::BTreeMap;

use model::Rank;
use serde::{Serialize, Serializer};

use super::breakdown::{self, Shares};
use super::items::First;
use super::methods::ByMethod;
use super::percent;
use super::sum::{CUT, Sum};

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
    sum: Sum,
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
            let is_hit = class.sum.add(choice.rank, CUT);
            if let Some(source) = choice.source.filter(|_| is_hit) {
                *class.sources.entry(source).or_default() += 1;
            }
        }
    }
}

/// What every method came to, class by class, in the order of [`CLASSES`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YoungItems([YoungClass; CLASSES.len()]);

/// A class: its tests, every method's figures on them, and who named what the product hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct YoungClass {
    pub(crate) tests: u64,
    pub(crate) methods: ByMethod<Pair>,
    /// Without any method there is none.
    pub(crate) hits_by_source: Option<Shares>,
    /// What the product hit.
    #[serde(skip)]
    hits: u64,
}

/// Figures in per cent, where there is a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pair {
    pub(crate) hr_20: Option<f64>,
    pub(crate) mrr_20: Option<f64>,
}

impl YoungItems {
    /// Of every method's sums; the product stands first.
    pub(crate) fn of(methods: &[(&'static str, &Young)]) -> Self {
        Self(std::array::from_fn(|n| {
            let own = methods.first().map(|(_, young)| &young.0[n]);
            YoungClass {
                tests: own.map_or(0, |class| class.sum.tests),
                methods: methods.iter().map(|(method, young)| (*method, young.0[n].pair())).collect(),
                hits_by_source: own.map(|class| breakdown::shares(&class.sources)),
                hits: own.map_or(0, |class| class.sum.hits),
            }
        }))
    }

    /// Each class by its name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &YoungClass)> {
        CLASSES.into_iter().zip(&self.0)
    }

    /// For people: how many tests a class has, then one row a method, with HR@20 and MRR@20 of each class.
    pub(crate) fn table(&self) -> Vec<Vec<String>> {
        let row = |name: &str, cells: &dyn Fn(&YoungClass) -> [String; 2]| {
            [name.to_owned()].into_iter().chain(self.0.iter().flat_map(cells)).collect::<Vec<_>>()
        };
        let heads =
            self.iter().flat_map(|(name, _)| [format!("{}: HR@20", name.replace('_', " ")), "MRR@20".to_owned()]);
        let head = ["young items, in %".to_owned()].into_iter().chain(heads).collect();
        let mut table = vec![head, row("tests", &|class| [class.tests.to_string(), String::new()])];
        let cell = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        for (method, _) in self.0[0].methods.iter() {
            let figures =
                |class: &YoungClass| class.methods.get(method).map_or([None; 2], |pair| [pair.hr_20, pair.mrr_20]);
            table.push(row(method, &|class| figures(class).map(cell)));
        }
        table
    }

    /// For people: who named what the product hit, class by class.
    pub(crate) fn lines(&self) -> Vec<String> {
        let hit = self.iter().filter(|(_, class)| class.hits > 0);
        hit.filter_map(|(name, class)| {
            Some(breakdown::spell(&format!("{} hit by", name.replace('_', " ")), class.hits_by_source.as_ref()?))
        })
        .collect()
    }
}

/// An object by name.
impl Serialize for YoungItems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Class {
    fn pair(&self) -> Pair {
        let share = |share: f64| (self.sum.tests > 0).then(|| percent(share));
        Pair { hr_20: share(self.sum.hit_rate()), mrr_20: share(self.sum.mean_reciprocal()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evaluate::items::DAY_MS;

    fn choice(rank: Rank, age: Option<(u64, i64)>) -> Choice {
        let (offset, ts) = (5_000, 10 * DAY_MS);
        let first = age.map(|(events, ms)| First { number: 0, ts: ts - ms, offset: offset - events });
        Choice { rank, source: Some("sequence"), first, offset, ts }
    }

    #[test]
    fn first_choices_stand_apart_and_an_item_may_be_young_in_two_ways() {
        let (mut product, mut baseline) = (Young::default(), Young::default());
        for (own, other, age) in [
            (Some(1), None, None),
            (None, None, None),
            (Some(0), Some(3), Some((999, DAY_MS - 1))),
            (None, Some(0), Some((1_000, DAY_MS - 1))),
            (Some(0), Some(0), Some((1_000, DAY_MS))), // young in no way
        ] {
            product.record(&choice(own, age));
            baseline.record(&Choice { source: None, ..choice(other, age) });
        }
        let young = YoungItems::of(&[("thalweg", &product), ("baseline", &baseline)]);
        let json = serde_json::to_value(&young).expect("serialises");
        assert_eq!(CLASSES.map(|class| json[class]["tests"].as_u64()), [2, 1, 2].map(Some));
        assert_eq!(json["never_chosen"]["methods"]["thalweg"], json!({ "hr_20": 50.0, "mrr_20": 25.0 }));
        assert_eq!(json["never_chosen"]["methods"]["baseline"]["hr_20"], 0.0);
        assert_eq!(json["under_1000_events"]["methods"]["baseline"]["mrr_20"], 25.0);
        assert_eq!(json["under_one_day"]["methods"]["baseline"]["hr_20"], 100.0);
        assert_eq!(json["under_one_day"]["hits_by_source"]["sequence"]["count"], 1);
        assert_eq!(young.table()[2], ["thalweg", "50.00", "25.00", "100.00", "100.00", "50.00", "50.00"]);
        assert_eq!(young.lines()[0], "never chosen hit by: sequence 100.0 %");
    }

    #[test]
    fn a_class_without_a_test_has_no_figure() {
        let young = YoungItems::of(&[("thalweg", &Young::default())]);
        let json = serde_json::to_value(&young).expect("serialises");
        assert!(json["never_chosen"]["methods"]["thalweg"]["hr_20"].is_null());
        assert!(young.table()[2][1..].iter().all(|cell| cell == "-") && young.lines().is_empty());
    }
}
