//! The baseline that stopped learning: a copy of the product, for what learning on is worth.

use super::{Ask, Baseline, Choice, Ranked};
use crate::knowledge::Knowledge;
use crate::learner::TESTED_SLATE;
use crate::memory::catalog::Catalog;
use crate::ranking::query::UserView;
use crate::version::served::Model;

/// The product as it was at one moment; it sees histories grow and learns nothing.
#[derive(Debug)]
pub struct FrozenCopy {
    model: Model,
    catalog: Catalog,
}

impl FrozenCopy {
    /// Copies what is known now.
    #[must_use]
    pub fn new(knowledge: &Knowledge, catalog: Catalog) -> Self {
        Self { model: Model::of(knowledge), catalog }
    }
}

impl Baseline for FrozenCopy {
    fn name(&self) -> &'static str {
        "frozen"
    }

    fn in_batches(&self) -> bool {
        true
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let users: Vec<_> =
            asks.iter().map(|ask| UserView { user: ask.user, history: ask.history, ts: ask.ts }).collect();
        self.model.listed(&users, &self.catalog, TESTED_SLATE)
    }

    fn learn(&mut self, _choices: &[Choice<'_>]) {}
}
