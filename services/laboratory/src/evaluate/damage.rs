//! Damage that an evaluation does, to measure how soon the trainer's quality gate notices: `KIND@INTERACTION`.

use std::str::FromStr;

use clap::ValueEnum;
use model::{Damage, Learner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::error::Error;
use crate::log::Entry;

/// Of the interactions, so many have another item where labels are permuted.
const SHARE: f64 = 0.5;

/// What is damaged. The variants' texts are what `--help` says.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Every learning rate × 50.
    LearningRates,
    /// Every weight of encoder and ranker × 10.
    Scale,
    /// Noise on the weights of encoder and ranker, as large as they are.
    Noise,
    /// Each item has another one's row.
    Rows,
    /// The items of half the interactions of each micro-batch change places, in learning and testing.
    Labels,
}

/// Which damage is done, and at which interaction of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ordered {
    pub(crate) kind: Kind,
    pub(crate) at: u64,
}

impl FromStr for Ordered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = names().map(|value| value.get_name().to_owned()).collect();
        let wrong = || format!("KIND@INTERACTION, such as rows@100000; KIND is one of {}", names.join(", "));
        let (kind, at) = text.split_once('@').ok_or_else(wrong)?;
        let kind = Kind::from_str(kind, false).map_err(|_| wrong())?;
        Ok(Self { kind, at: at.parse().map_err(|_| wrong())? })
    }
}

/// Does the damage when its time has come.
#[derive(Debug)]
pub(super) struct Striker {
    pub(super) ordered: Ordered,
    done: bool,
    rng: ChaCha8Rng,
}

impl Striker {
    pub(super) fn new(ordered: Ordered) -> Self {
        Self { ordered, done: false, rng: ChaCha8Rng::seed_from_u64(ordered.at) }
    }

    /// Before a micro-batch; true with the first that is damaged.
    pub(super) fn strike(&mut self, learner: &mut Learner, batch: &mut [(u64, Entry)]) -> Result<bool, Error> {
        if batch.last().is_none_or(|(offset, _)| *offset < self.ordered.at) {
            return Ok(false);
        }
        let first = !std::mem::replace(&mut self.done, true);
        let damage = match self.ordered.kind {
            Kind::Labels => {
                self.permute(batch);
                return Ok(first);
            }
            Kind::LearningRates => Damage::LearningRates,
            Kind::Scale => Damage::Scale,
            Kind::Noise => Damage::Noise,
            Kind::Rows => Damage::Rows,
        };
        if first {
            learner.damage(damage)?;
        }
        Ok(first)
    }

    fn permute(&mut self, batch: &mut [(u64, Entry)]) {
        let chosen: Vec<usize> = (0..batch.len()).filter(|_| self.rng.random_bool(SHARE)).collect();
        let mut items: Vec<String> = chosen.iter().map(|n| batch[*n].1.event.item_id.clone()).collect();
        if !items.is_empty() {
            items.rotate_left(1);
        }
        for (n, item) in chosen.into_iter().zip(items) {
            batch[n].1.event.item_id = item;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damage_is_read_as_it_is_written_and_another_is_told_what_there_is() {
        assert_eq!("learning-rates@5".parse(), Ok(Ordered { kind: Kind::LearningRates, at: 5 }));
        for wrong in ["rows", "rows@", "rows@-1", "flood@5", "@5"] {
            let told = wrong.parse::<Ordered>().expect_err(wrong);
            assert!(told.contains("rows@100000") && told.contains("labels"), "{told}");
        }
    }
}
