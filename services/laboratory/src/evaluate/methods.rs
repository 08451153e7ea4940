//! The methods that are compared: their names, once, their colours, and figures by method.

use model::baselines;
use serde::{Serialize, Serializer};

use crate::report::plot::Ink;

/// The product's name among the methods.
pub(crate) const PRODUCT: &str = "thalweg";
/// The name of the product's copy that stops learning.
pub(crate) const FROZEN: &str = "frozen";

/// Every method: the product, the baselines in the order in which they run, the copy.
pub(crate) const METHODS: [&str; baselines::NAMES.len() + 2] = {
    let mut all = [PRODUCT; baselines::NAMES.len() + 2];
    let mut n = 0;
    while n < baselines::NAMES.len() {
        all[n + 1] = baselines::NAMES[n];
        n += 1;
    }
    all[n + 1] = FROZEN;
    all
};

/// The colour of each, which it keeps whoever else is there; legends and tables go by it, the most telling ones first.
const INKS: [Ink; METHODS.len()] =
    [Ink::First, Ink::Third, Ink::Second, Ink::Eighth, Ink::Fourth, Ink::Ninth, Ink::Fifth, Ink::Sixth, Ink::Seventh];

/// Every method with its colour, in the order of legends and tables.
pub(crate) fn legend() -> impl Iterator<Item = (&'static str, Ink)> {
    let colour = |ink| METHODS.into_iter().zip(INKS).find(|(_, other)| *other == ink);
    Ink::LINES.into_iter().filter_map(colour)
}

/// Something of each method, in the order in which they ran: the product stands first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByMethod<T>(Vec<(&'static str, T)>);

impl<T> ByMethod<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.iter().find(|(method, _)| *method == name).map(|(_, of)| of)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        self.0.iter().map(|(method, of)| (*method, of))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> FromIterator<(&'static str, T)> for ByMethod<T> {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(methods: I) -> Self {
        Self(methods.into_iter().collect())
    }
}

/// An object by name.
impl<T: Serialize> Serialize for ByMethod<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_colour_of_its_own() {
        let order = ["thalweg", "covisitation", "popularity", "vsknn", "isgd", "gru", "frozen", "itemknn", "vmisknn"];
        assert_eq!(legend().map(|(method, _)| method).collect::<Vec<_>>(), order);
        assert_eq!(order.len(), METHODS.len());
    }
}
