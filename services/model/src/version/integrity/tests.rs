//! Versions of an honest learner, and what was made of them by others.

use half::f16;
use safetensors::tensor::Dtype;
use schemas::checkpoint::{Manifest, PayloadKind};
use schemas::{Interaction, Kind, Source, VersionId};

use super::*;
use crate::testing::{Tensors, changed};
use crate::{Learner, Model, Positioned, RowEncoding};

/// A learner, and what a scorer has of it.
struct Shop {
    learner: Learner,
    items: i64,
    next: i64,
    model: Model,
    manifest: Option<Manifest>,
    payload: Vec<u8>,
}

impl Shop {
    fn new(items: i64, row_encoding: RowEncoding) -> Self {
        let settings = Settings { dim: 16, negatives: 32, retrieval_items: 64, row_encoding, ..Settings::default() };
        let model = Model::serving("flex", RowEncoding::F32).expect("opens");
        let learner = Learner::new(settings).expect("opens");
        Self { learner, items, next: 0, model, manifest: None, payload: Vec::new() }
    }

    /// Learns so many choices more: visitors walk along rings of five items.
    fn learn(&mut self, choices: i64) {
        let batch: Vec<Positioned> = (self.next..self.next + choices).map(|n| self.choice(n)).collect();
        self.next += choices;
        for batch in batch.chunks(64) {
            self.learner.observe(batch);
        }
    }

    fn choice(&self, n: i64) -> Positioned {
        let (visit, step) = (n / 4, n % 4);
        let rings = self.items / 5;
        let ts = 1_700_000_000_000 + n * 1_000;
        let interaction = Interaction {
            user_id: format!("u{visit}"),
            item_id: format!("i{}", visit % rings * 5 + (visit / rings + step) % 5),
            kind: Kind::View.into(),
            ts,
            arrived_at: ts,
            source: Some(Source { partition: 0, offset: n, ..Source::default() }),
            ..Interaction::default()
        };
        Positioned { partition: 0, offset: n, interaction }
    }

    /// The next version; the scorer has the one before.
    fn publish(&mut self, kind: PayloadKind) -> Model {
        let frozen = self.learner.freeze(kind).expect("freezes");
        self.payload = frozen.encode().expect("encodes");
        let before = self.model.version();
        let version = VersionId { epoch: 1, sequence: before.map_or(1, |before| before.sequence + 1) };
        let manifest = frozen.manifest(version, before, 0);
        let next = self.model.apply(&manifest, &self.payload).expect("applies");
        self.manifest = Some(manifest);
        next
    }

    /// The version as it was published last, changed.
    fn forged(&self, change: impl FnOnce(&mut Tensors)) -> Model {
        let manifest = self.manifest.as_ref().expect("one was published");
        self.model.apply(manifest, &changed(&self.payload, |_, tensors| change(tensors))).expect("it can be used")
    }
}

/// Multiplies what rows are made of.
fn lengthen(tensors: &mut Tensors, times: f32) {
    for name in ["items.row", "items.sum", "items.content", "items.row_scale", "items.sum_scale"] {
        let Some((dtype, _, bytes)) = tensors.get_mut(name) else { continue };
        match dtype {
            Dtype::F16 => {
                for value in bytes.as_chunks_mut().0 {
                    *value = f16::from_f32(f16::from_le_bytes(*value).to_f32() * times).to_le_bytes();
                }
            }
            Dtype::F32 => negate(bytes, -times),
            _ => {} // steps of a size that is a tensor of its own
        }
    }
}

/// Multiplies each number by `-times`.
fn negate(bytes: &mut [u8], times: f32) {
    for value in bytes.as_chunks_mut().0 {
        *value = (f32::from_le_bytes(*value) * -times).to_le_bytes();
    }
}

/// Gives every item what another one has learned.
fn shuffle(tensors: &mut Tensors) {
    for (name, width) in [("items.slot", 4), ("items.sightings", 4), ("items.chosen_by", 8), ("items.popularity", 32)] {
        let bytes = &mut tensors.get_mut(name).expect("is there").2;
        bytes.rotate_left(7 * width);
    }
}

#[test]
fn no_version_of_an_honest_learner_is_doubted_from_the_first_on() {
    for encoding in [RowEncoding::F16, RowEncoding::F32, RowEncoding::Int8] {
        let mut shop = Shop::new(60, encoding);
        for n in 0..60 {
            shop.learn(if n % 7 == 0 { 200 } else { 30 });
            let kind = if n % 10 == 0 { PayloadKind::Snapshot } else { PayloadKind::Delta };
            let next = shop.publish(kind);
            assert_eq!(next.sample().doubt(shop.model.sample()), None, "version {n} in {encoding:?}");
            shop.model = next;
        }
        assert!(shop.model.sample().keys.len() >= LEAST, "rows were compared");
    }
}

#[test]
fn a_snapshot_after_a_long_pause_is_not_doubted() {
    let mut shop = Shop::new(60, RowEncoding::F16);
    for choices in [900, 1_500, 4_000] {
        shop.learn(choices);
        let next = shop.publish(PayloadKind::Snapshot);
        assert_eq!(next.sample().doubt(shop.model.sample()), None);
        shop.model = next;
    }
}

#[test]
fn rows_ten_times_as_long_are_doubted_in_a_snapshot_and_in_a_delta() {
    for encoding in [RowEncoding::F16, RowEncoding::F32, RowEncoding::Int8] {
        let mut shop = Shop::new(60, encoding);
        shop.learn(1_500);
        shop.model = shop.publish(PayloadKind::Snapshot);
        for kind in [PayloadKind::Delta, PayloadKind::Snapshot] {
            shop.learn(100);
            let honest = shop.publish(kind);
            let longer = shop.forged(|tensors| lengthen(tensors, 10.0));
            let doubt = longer.sample().doubt(shop.model.sample());
            assert!(matches!(doubt, Some(Doubt::Lengths(times)) if times > 5.0), "{kind:?} in {encoding:?}: {doubt:?}");
            let twice = shop.forged(|tensors| lengthen(tensors, 2.0));
            assert_eq!(twice.sample().doubt(shop.model.sample()), None, "that may be");
            shop.model = honest;
        }
    }
}

#[test]
fn shuffled_ids_are_doubted() {
    let mut shop = Shop::new(100, RowEncoding::F16);
    shop.learn(3_000);
    shop.model = shop.publish(PayloadKind::Snapshot);
    shop.learn(50);
    let honest = shop.publish(PayloadKind::Snapshot);
    assert_eq!(honest.sample().doubt(shop.model.sample()), None);
    let doubt = shop.forged(shuffle).sample().doubt(shop.model.sample());
    assert!(matches!(doubt, Some(Doubt::Shuffled(_))), "{doubt:?}");
    // Where few items were met often, they are other ones.
    let half = honest.sample().keys.len() / 2;
    let mut others = honest.sample().clone();
    others.keys.iter_mut().take(half + 1).for_each(|key| *key += 1);
    let doubt = others.doubt(shop.model.sample());
    assert!(matches!(doubt, Some(Doubt::Shuffled(lost)) if lost > 0.5), "{doubt:?}");
    assert!(honest.sample().follows(shop.model.sample()) && !others.follows(shop.model.sample()));
}

#[test]
fn what_falls_and_what_no_trainer_changes_is_doubted_within_an_epoch_only() {
    let mut shop = Shop::new(600, RowEncoding::F16);
    shop.learn(2_400);
    let older = shop.publish(PayloadKind::Snapshot);
    shop.learn(100);
    let newer = shop.publish(PayloadKind::Snapshot);
    assert_eq!(older.sample().doubt(newer.sample()), Some(Doubt::Offsets));
    let at = |next, log| Sample {
        through: BTreeMap::from([(0, Through { next, log, ..Through::NOTHING })]),
        ..newer.sample().clone()
    };
    assert_eq!(at(5, 7).doubt(&at(6, 7)), Some(Doubt::Offsets));
    assert_eq!((at(5, 8).doubt(&at(6, 7)), at(5, 0).doubt(&at(6, 0))), (None, None), "in another life of the log");
    let other = Settings { negatives: 64, ..(*newer.sample().settings).clone() };
    let other = Sample { settings: Arc::new(other), ..newer.sample().clone() };
    assert_eq!(other.doubt(newer.sample()), Some(Doubt::Settings));
    let later = |sample: &Sample| Sample { epoch: 2, ..sample.clone() };
    assert_eq!((later(older.sample()).doubt(newer.sample()), later(&other).doubt(newer.sample())), (None, None));
    let fewer = Sample { items: 299, ..newer.sample().clone() };
    assert_eq!(fewer.doubt(newer.sample()), Some(Doubt::Items(299, 600)));
    assert_eq!(Sample { items: 300, ..newer.sample().clone() }.doubt(newer.sample()), None);
}

#[test]
fn lists_turned_upside_down_are_doubted_and_rows_of_256_items_are_compared() {
    let mut shop = Shop::new(300, RowEncoding::F16);
    shop.learn(5_200);
    shop.model = shop.publish(PayloadKind::Snapshot);
    assert_eq!(shop.model.sample().keys.len(), SAMPLED, "of more items no more are compared");
    let probe = Probe::draw(&shop.model);
    shop.learn(100);
    let honest = shop.publish(PayloadKind::Snapshot);
    let next = probe.next(&honest, true).expect("it is alike");
    assert!(probe.agrees(&next));
    let upside_down = shop.forged(|tensors| {
        for name in ["ranker.linear.weight", "ranker.down.weight"] {
            negate(&mut tensors.get_mut(name).expect("is there").2, 1.0);
        }
    });
    assert_eq!(upside_down.sample().doubt(shop.model.sample()), None, "its rows are sound");
    let (doubt, lists) = probe.next(&upside_down, true).expect_err("it is doubted");
    assert!(matches!(doubt, Doubt::Lists(_)), "{doubt:?}");
    assert!(!probe.agrees(&lists));
    probe.next(&upside_down, false).expect("too far apart to be compared");
    let mut young = Shop::new(60, RowEncoding::F16);
    young.learn(400);
    let young = young.publish(PayloadKind::Snapshot);
    assert!(Probe::draw(&young).next(&upside_down, true).is_ok(), "a young shop's lists say nothing");
}
