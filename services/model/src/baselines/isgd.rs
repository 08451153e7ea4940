//! The baseline that factorises: one vector for each user or session and one for each item, one gradient step a choice.
//!
//! After Vinagre, Jorge and Gama, *Fast Incremental Matrix Factorization for Recommendation with Positive-only
//! Feedback* (2014).

use super::rows::Rows;
use super::{Ask, Baseline, Choice, ITEMS, NAMED, Ranked, USERS};

const DIM: usize = 32;
const RATE: f32 = 0.1;
const REGULARISATION: f32 = 0.01;
/// New vectors lie so close to 0, as in the paper.
const SPREAD: f32 = 0.1;

/// Incremental matrix factorisation by stochastic gradient descent.
#[derive(Debug)]
pub struct Isgd {
    users: Rows,
    items: Rows,
}

impl Isgd {
    /// Knows nothing.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { users: Rows::new(DIM, USERS, SPREAD, seed ^ 1), items: Rows::new(DIM, ITEMS, SPREAD, seed) }
    }
}

impl Baseline for Isgd {
    fn name(&self) -> &'static str {
        "isgd"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let queries: Vec<f32> = asks
            .iter()
            .flat_map(|ask| match self.users.find(ask.user.0) {
                Some(slot) => self.users.row(slot).to_vec(),
                None => vec![0.0; DIM],
            })
            .collect();
        self.items.nearest(&queries, NAMED)
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            let (user, item) = (self.users.meet(choice.user.0), self.items.meet(choice.key));
            let (p, q) = (self.users.row_mut(user), self.items.row_mut(item));
            let error = 1.0 - p.iter().zip(&*q).map(|(p, q)| p * q).sum::<f32>();
            for (p, q) in p.iter_mut().zip(q) {
                let old = *p;
                *p += RATE * (error * *q - REGULARISATION * *p);
                *q += RATE * (error * old - REGULARISATION * *q);
            }
        }
    }
}
