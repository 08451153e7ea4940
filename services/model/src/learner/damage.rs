//! Breaks a learner on purpose, to measure what notices. Nothing that runs in production calls this.

use std::sync::Arc;

use rand::RngExt;
use rand::seq::SliceRandom;

use super::Learner;
use crate::error::Error;
use crate::network::dense::{self, Array, Arrays};
use crate::network::encoder::Encoder;
use crate::network::trainable::Trainable;
use crate::ranking::ranker::Ranker;
use crate::settings::Settings;

/// By how much learning rates grow.
const HASTE: f32 = 50.0;
/// The highest learning rate that settings may have.
const MOST_RATE: f32 = 10.0;
/// By how much weights grow.
const SCALE: f32 = 10.0;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Every learning rate is 50 times as high from now on, 10 at most.
    LearningRates,
    /// Every weight of encoder and ranker is 10 times as large.
    Scale,
    /// Each weight of encoder and ranker has noise added, as large as the weights of its array are.
    Noise,
    /// Each item has another one's row.
    Rows,
}

impl Learner {
    /// Breaks it. The next snapshot has what was changed; a delta may lack it.
    ///
    /// # Errors
    /// When the optimisers' states do not load again.
    pub fn damage(&mut self, damage: Damage) -> Result<(), Error> {
        match damage {
            Damage::LearningRates => {
                let usual = self.knowledge.settings().clone();
                let faster = |rate: f64| (rate * f64::from(HASTE)).min(f64::from(MOST_RATE));
                self.knowledge.set_settings(Arc::new(Settings {
                    row_learning_rate: (usual.row_learning_rate * HASTE).min(MOST_RATE),
                    dense_learning_rate: faster(usual.dense_learning_rate),
                    ranker_learning_rate: faster(usual.ranker_learning_rate),
                    ..usual
                }));
                Ok(())
            }
            Damage::Scale => self.reweigh(|array| array.values.iter_mut().for_each(|weight| *weight *= SCALE)),
            Damage::Noise => {
                let mut rng = self.rng(3);
                self.reweigh(|array| {
                    let squares: f32 = array.values.iter().map(|weight| weight * weight).sum();
                    let size = (squares / array.values.len().max(1) as f32).sqrt();
                    // Uniform noise between ±√3 has the deviation 1.
                    array.values.iter_mut().for_each(|weight| *weight += size * rng.random_range(-1.732_f32..1.732));
                })
            }
            Damage::Rows => {
                self.shuffle_rows();
                Ok(())
            }
        }
    }

    /// Changes each array of encoder and ranker; the optimisers go on.
    fn reweigh(&mut self, mut change: impl FnMut(&mut Array)) -> Result<(), Error> {
        let optimizers = self.trainable.optimizer_states()?;
        let (mut encoder, mut ranker) = self.trainable.arrays();
        let mut all = |arrays: &mut Arrays| arrays.values_mut().for_each(&mut change);
        all(&mut encoder);
        all(&mut ranker);
        let (settings, device) = (self.knowledge.settings(), self.knowledge.device());
        let encoder = dense::import(Encoder::new(settings, device), encoder)?;
        let ranker = dense::import(Ranker::new(device), ranker)?;
        self.trainable = Trainable::new(settings, device, (&encoder, &ranker))?.with_optimizers(optimizers)?;
        self.knowledge.set_network((encoder, ranker));
        Ok(())
    }

    fn shuffle_rows(&mut self) {
        let table = self.knowledge.table();
        let mut slots: Vec<u32> = table.keys().filter_map(|key| table.slot(key)).collect();
        slots.sort_unstable();
        let mut others = slots.clone();
        others.shuffle(&mut self.rng(3));
        let row = |slot: &u32| {
            let row = table.row(*slot);
            (row.row.to_vec(), row.content.map(<[f32]>::to_vec))
        };
        let rows: Vec<_> = others.iter().map(row).collect();
        for (slot, (row, content)) in slots.into_iter().zip(rows) {
            self.knowledge.set_row(slot, content.as_deref(), |own, _| own.copy_from_slice(&row));
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::UserKey;

    use crate::learner::tests::{learn, settings, stream};
    use crate::memory::catalog::Catalog;
    use crate::{Model, UserView};

    use super::*;

    #[test]
    fn a_damaged_learner_goes_on_and_makes_other_lists() {
        let stream = stream(900);
        let (past, next) = stream.split_at(800);
        let view = [UserView { user: UserKey::NOBODY, history: &[], ts: 1_700_000_900_000 }];
        let lists = |damage: Option<Damage>| {
            let mut learner = Learner::new(settings()).expect("flex opens");
            learn(&mut learner, past);
            damage.into_iter().for_each(|damage| learner.damage(damage).expect("is damaged"));
            learn(&mut learner, next);
            assert_eq!(learner.interactions(), 900);
            Model::of(learner.knowledge()).slates(&view, &Catalog::default(), 20)
        };
        let sound = lists(None);
        assert_eq!(lists(None), sound, "the same stream gives the same lists");
        for damage in [Damage::LearningRates, Damage::Scale, Damage::Noise, Damage::Rows] {
            assert_ne!(lists(Some(damage)), sound, "{damage:?}");
        }
    }
}
