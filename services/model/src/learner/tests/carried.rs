//! What deltas carry under a tolerance, and what waits.

use super::*;
use crate::learner::changed::MAX_CHOICES;
use crate::version::frozen::Choice;
use crate::version::payload::Payload;

const TOLERANCE: f32 = 0.1;
/// What rounding in few steps comes to, beside the tolerance.
const ROUNDED: f32 = 0.4 * TOLERANCE;

fn tolerant() -> Settings {
    Settings { delta_tolerance: TOLERANCE, ..settings() }
}

/// A learner after a snapshot and some deltas, and the version that these give.
fn followed() -> (Learner, Model, usize) {
    let mut learner = Learner::new(tolerant()).expect("flex opens");
    let stream = stream(2_400);
    learn(&mut learner, &stream[..800]);
    let (mut model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let mut waiting = 0;
    for (n, part) in (2..).zip(stream[800..].chunks(100)) {
        learn(&mut learner, part);
        model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
        waiting = waiting.max(learner.changed.rows.len());
    }
    (learner, model, waiting)
}

/// How far the version's vectors lie from the learner's own, at most.
fn farthest_vector(learner: &Learner, model: &Model) -> f32 {
    let (own, served) = (learner.knowledge.table(), model.knowledge().table());
    let distance = |key: u64| {
        let vector =
            |items: &crate::table::items::Items| items.vector(items.slot(key).expect("both know it")).into_owned();
        let pairs = vector(own).into_iter().zip(vector(served));
        pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f32>().sqrt()
    };
    own.keys().map(distance).fold(0.0, f32::max)
}

#[test]
fn what_moved_less_than_the_tolerance_waits_and_no_vector_is_ever_farther_off() {
    let (mut learner, model, waiting) = followed();
    assert!(waiting > 0, "nothing waited, so nothing was tested");
    let off = farthest_vector(&learner, &model);
    assert!(off > 0.0 && off < TOLERANCE + ROUNDED, "{off}");
    // The snapshot has it all, and nothing waits any more.
    let (whole, _) = publish(&mut learner, &model, PayloadKind::Snapshot, 100);
    assert!(farthest_vector(&learner, &whole) < 0.001);
    assert!(learner.changed.rows.is_empty() && learner.changed.content.is_empty());
}

#[test]
fn under_a_tolerance_deltas_still_give_counts_pairs_and_sessions_to_the_bit() {
    let (mut learner, model, _) = followed();
    let differing = differing(&model.export().expect("exports"), &snapshot(&mut learner));
    let trained = ["items.row", "items.sum", "items.accumulator", "items.content", "content.", "encoder.", "ranker."];
    let counted: Vec<_> = differing.iter().filter(|name| !trained.iter().any(|t| name.starts_with(t))).collect();
    assert!(counted.is_empty(), "{counted:?}");
}

#[test]
fn a_learner_goes_on_from_a_delta_as_the_version_has_it() {
    let (mut learner, model, _) = followed();
    let restore = || Learner::restore(tolerant(), &model).expect("restores");
    let (mut one, mut other) = (restore(), restore());
    assert_eq!(one.interactions(), learner.interactions());
    assert_eq!(differing(&snapshot(&mut one), &model.export().expect("exports")), Vec::<String>::new());
    for learner in [&mut one, &mut other, &mut learner] {
        learn(learner, &stream(4_800)[2_400..]);
    }
    assert_eq!(differing(&snapshot(&mut one), &snapshot(&mut other)), Vec::<String>::new());
    let figures = |learner: &Learner| learner.quality().recent()["model"].mrr20;
    assert!(figures(&one) > figures(&learner) - 0.05, "{} {}", figures(&one), figures(&learner));
}

/// The records of the items of the stream: those of a ring are of one category, and share words.
fn list(learner: &mut Learner) {
    for n in 0..100 {
        let title = format!("word{} word{} word{}", n / 5, n % 7, n % 3);
        let record =
            serde_json::json!({ "item_id": format!("i{n}"), "title": title, "categories": [format!("c{}", n / 5)] });
        let item: Item = serde_json::from_value(record).expect("an item");
        learner.catalog(&item.item_id, Some(&item), 1_700_000_000_000);
    }
}

#[test]
fn where_items_have_content_a_delta_carries_it_only_where_it_moved_and_vectors_are_as_near() {
    let mut learner = Learner::new(tolerant()).expect("flex opens");
    list(&mut learner);
    let stream = stream(6_400);
    learn(&mut learner, &stream[..4_000]);
    let (mut whole, manifest) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let snapshot = whole.export().expect("exports");
    let serving = Model::serving("flex", RowEncoding::F32).expect("opens");
    let mut served = serving.apply(&manifest, &snapshot).expect("applies");
    let (mut rows, mut with_content) = (0, 0);
    for (n, part) in (2..).zip(stream[4_000..].chunks(50)) {
        learn(&mut learner, part);
        let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
        let payload = frozen.encode().expect("encodes");
        let version = VersionId { epoch: 1, sequence: n };
        let manifest = frozen.manifest(version, whole.version(), 0);
        whole = whole.apply(&manifest, &payload).expect("applies");
        served = served.apply(&manifest, &payload).expect("applies");
        for (name, _, shape) in Payload::open(&payload).expect("opens").describe() {
            match name.as_str() {
                "items.sum" => rows += shape[0],
                "items.content" => with_content += shape[0],
                _ => {}
            }
        }
    }
    assert!(with_content > 0 && with_content < rows, "{with_content} of {rows}");
    for model in [&whole, &served] {
        let off = farthest_vector(&learner, model);
        assert!(off > 0.0 && off < TOLERANCE + ROUNDED, "{off}");
    }
    // Who goes on from there reads the catalog again, and then has the sums of the content rows as they are.
    let mut restored = Learner::restore(tolerant(), &whole).expect("restores");
    list(&mut restored);
    let off = farthest_vector(&learner, &Model::of(restored.knowledge()));
    assert!(off < 2.0 * TOLERANCE + ROUNDED, "{off}");
}

#[test]
fn a_delta_under_a_tolerance_is_a_fraction_of_an_exact_one() {
    let delta = |settings: Settings| {
        let mut learner = Learner::new(settings).expect("flex opens");
        learn(&mut learner, &stream(2_400)[..2_300]);
        learner.freeze(PayloadKind::Snapshot).expect("freezes");
        learn(&mut learner, &stream(2_400)[2_300..]);
        learner.freeze(PayloadKind::Delta).expect("freezes").encode().expect("encodes").len()
    };
    let (tolerant, exact) = (delta(tolerant()), delta(settings()));
    assert!(tolerant * 2 < exact, "{tolerant} {exact}");
}

#[test]
fn after_more_choices_than_a_delta_carries_the_next_version_is_a_snapshot() {
    let mut learner = Learner::new(tolerant()).expect("flex opens");
    learn(&mut learner, &stream(100));
    let choice = Choice { user: UserKey(1), key: key_of("i1"), ts: 1_700_000_000_000, pairs: Vec::new() };
    learner.changed.choices = vec![choice; MAX_CHOICES + 1];
    learn(&mut learner, &stream(200)[100..]);
    assert_eq!(learner.changed.choices.len(), MAX_CHOICES + 1, "no more are held");
    assert_eq!(learner.freeze(PayloadKind::Delta).expect("freezes").kind(), PayloadKind::Snapshot);
    assert_eq!(learner.freeze(PayloadKind::Delta).expect("freezes").kind(), PayloadKind::Delta);
}
