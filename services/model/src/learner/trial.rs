//! Whether a learner can go on from a version, tried before anything depends on it: Burn trusts an optimiser's state,
//! and one that does not fit the weights shows only when a step is taken.

use std::panic::{AssertUnwindSafe, catch_unwind};

use schemas::{Interaction, Kind, Position, Source};

use super::{Learner, Positioned};
use crate::error::Error;
use crate::settings::Settings;
use crate::version::served::Model;

/// Where nothing was ever read from.
const NOWHERE: i32 = i32::MAX;

impl Learner {
    /// Learns two more choices from `model` with a learner that is then let go.
    ///
    /// # Errors
    /// As [`Learner::restore`], and when a step from there fails or gives weights that are not finite.
    pub fn try_on(settings: Settings, model: &Model) -> Result<(), Error> {
        let fails = |what: &str| Error::Optimizer(what.to_owned());
        let trial = AssertUnwindSafe(|| {
            let mut learner = Self::restore(settings, model)?;
            let ts = learner.knowledge.now();
            let batch: Vec<Positioned> = (0..2).map(|n| choice(n, ts)).collect();
            learner.observe(&batch);
            let (encoder, ranker) = learner.trainable.arrays();
            let finite =
                encoder.values().chain(ranker.values()).all(|array| array.values.iter().all(|x| x.is_finite()));
            if finite { Ok(()) } else { Err(fails("a step from it gives weights that are not finite")) }
        });
        catch_unwind(trial).unwrap_or_else(|_| Err(fails("no step can be taken from it")))
    }
}

fn choice(n: i64, ts: i64) -> Positioned {
    let incarnation = Position::START.incarnation;
    let interaction = Interaction {
        user_id: "a trial".to_owned(),
        item_id: format!("trial {n}"),
        kind: Kind::View.into(),
        ts,
        arrived_at: ts,
        source: Some(Source { partition: NOWHERE, offset: n, incarnation, ..Source::default() }),
        ..Interaction::default()
    };
    Positioned { partition: NOWHERE, offset: n, interaction }
}

#[cfg(test)]
mod tests {
    use schemas::VersionId;
    use schemas::checkpoint::PayloadKind;

    use super::*;
    use crate::network::trainable::OptimizerStates;

    fn published(change: impl FnOnce(&mut OptimizerStates)) -> (Settings, Model) {
        let settings = Settings { dim: 16, negatives: 16, ..Settings::default() };
        let mut learner = Learner::new(settings.clone()).expect("opens");
        learner.observe(&[choice(0, 1_700_000_000_000), choice(1, 1_700_000_000_000)]);
        let mut frozen = learner.freeze(PayloadKind::Snapshot).expect("freezes");
        change(frozen.optimizers.as_mut().expect("a snapshot has them"));
        let payload = frozen.encode().expect("encodes");
        let manifest = frozen.manifest(VersionId { epoch: 1, sequence: 1 }, None, 0);
        (settings, Model::empty("flex").expect("opens").apply(&manifest, &payload).expect("applies"))
    }

    #[test]
    fn a_version_that_no_step_can_be_taken_from_is_refused_before_anything_depends_on_it() {
        let (settings, model) = published(|_| {});
        Learner::try_on(settings, &model).expect("a real one is gone on from");
        let (settings, model) = published(|states| states.encoder = b"nonsense".to_vec());
        Learner::try_on(settings, &model).expect_err("is refused");
        let (settings, model) = published(|states| std::mem::swap(&mut states.encoder, &mut states.ranker));
        let _ = Learner::try_on(settings, &model); // states of other parameters are none of ours; they end nothing
    }
}
