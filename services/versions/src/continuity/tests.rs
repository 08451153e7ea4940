//! One learner's versions in their order, and others between them.

use model::{Learner, Positioned, Settings};
use schemas::{Interaction, Kind, Source};

use super::*;

/// Publishes what it learns.
struct Shop {
    learner: Learner,
    next: i64,
}

impl Default for Shop {
    fn default() -> Self {
        let settings = Settings { dim: 16, negatives: 32, retrieval_items: 64, ..Settings::default() };
        Self { learner: Learner::new(settings).expect("opens"), next: 0 }
    }
}

impl Shop {
    /// Learns so many choices more and publishes a snapshot.
    fn snapshot(&mut self, choices: i64, version: VersionId, made_at: i64) -> Model {
        let batch: Vec<Positioned> = (self.next..self.next + choices).map(choice).collect();
        self.next += choices;
        for batch in batch.chunks(64) {
            self.learner.observe(batch);
        }
        let frozen = self.learner.freeze(PayloadKind::Snapshot).expect("freezes");
        let payload = frozen.encode().expect("encodes");
        let manifest = frozen.manifest(version, None, made_at);
        Model::empty("flex").expect("opens").apply(&manifest, &payload).expect("applies")
    }
}

fn choice(n: i64) -> Positioned {
    let interaction = Interaction {
        user_id: format!("u{}", n / 4),
        item_id: format!("i{}", (n / 4 * 3 + n % 4) % 60),
        kind: Kind::View.into(),
        ts: 1_700_000_000_000 + n * 1_000,
        source: Some(Source { partition: 0, offset: n, ..Source::default() }),
        ..Interaction::default()
    };
    Positioned { partition: 0, offset: n, interaction }
}

fn id(epoch: u32, sequence: u32) -> VersionId {
    VersionId { epoch, sequence }
}

/// A snapshot of 1,000 choices, one of 1,100, and one of 100 alone: the last stands before the others.
fn versions() -> [Model; 3] {
    let mut shop = Shop::default();
    let short = Shop::default().snapshot(100, id(1, 900), 0);
    [shop.snapshot(1_000, id(1, 1), 0), shop.snapshot(100, id(1, 2), 1_000), short]
}

#[test]
fn a_version_that_stands_before_the_tip_is_put_aside_and_the_chain_goes_on_without_it() {
    let [first, second, short] = versions();
    let empty = Model::empty("flex").expect("opens");
    let mut continuity = Continuity::default();
    assert_eq!(continuity.judge(&empty, &first, None, false), Ok(Follows::On));
    assert_eq!(continuity.judge(&first, &short, None, false), Err(Doubt::Offsets));
    assert_eq!(continuity.aside(), Some((id(1, 900), Doubt::Offsets)));
    assert_eq!(continuity.judge(&first, &second, None, false), Ok(Follows::On));
    assert_eq!(continuity.aside(), None);
}

#[test]
fn a_strangers_version_is_put_right_by_the_next_that_follows_what_it_replaced() {
    let mut shop = Shop::default();
    let first = shop.snapshot(1_000, id(1, 1), 0);
    let second = shop.snapshot(100, id(1, 2), 1_000);
    let mut ahead = Shop::default();
    ahead.snapshot(1_000, id(1, 1), 0);
    let stranger = ahead.snapshot(900, id(1, 900), 0); // stands where nobody has come yet
    let empty = Model::empty("flex").expect("opens");
    let mut continuity = Continuity::default();
    continuity.judge(&empty, &first, None, false).expect("the first");
    let third = shop.snapshot(10, id(1, 3), 2_000);
    continuity.judge(&first, &second, None, false).expect("follows");
    assert_eq!(continuity.judge(&second, &stranger, None, false), Ok(Follows::On), "it is sound in every part");
    assert_eq!(continuity.judge(&stranger, &third, None, false), Ok(Follows::InPlaceOf));
}

#[test]
fn a_second_snapshot_half_a_minute_later_confirms_what_was_put_aside_and_one_at_once_does_not() {
    let [_, second, _] = versions();
    let mut shop = Shop::default();
    let [one, at_once, later] = [(100, 900, 0), (10, 901, 5_000), (10, 902, 40_000)]
        .map(|(choices, n, at)| shop.snapshot(choices, id(1, n), at));
    let mut continuity = Continuity::default();
    for doubted in [&one, &at_once] {
        assert_eq!(continuity.judge(&second, doubted, None, false), Err(Doubt::Offsets));
    }
    assert_eq!(continuity.judge(&second, &later, None, false), Ok(Follows::On), "40 s after the leap");
    assert_eq!(continuity.aside(), None);
}

#[test]
fn with_a_snapshot_every_twenty_seconds_the_first_that_is_half_a_minute_younger_than_the_leap_confirms_it() {
    let [_, second, _] = versions();
    let mut shop = Shop::default();
    let [one, soon, later] = [(100, 900, 0), (10, 901, 20_000), (10, 902, 40_000)]
        .map(|(choices, n, at)| shop.snapshot(choices, id(1, n), at));
    let mut continuity = Continuity::default();
    for doubted in [&one, &soon] {
        assert_eq!(continuity.judge(&second, doubted, None, false), Err(Doubt::Offsets));
    }
    assert_eq!(continuity.aside().map(|(version, _)| version), Some(id(1, 901)), "the newest is told");
    assert_eq!(continuity.judge(&second, &later, None, false), Ok(Follows::On), "40 s after the leap");
}

#[test]
fn what_begins_anew_or_went_back_or_follows_an_emptied_log_is_held_against_nothing() {
    let [_, second, _] = versions();
    let other = || Shop::default().snapshot(100, id(2, 1), 0);
    let fresh = Shop::default().snapshot(100, id(1, 1), 0);
    let claim = Claim { epoch: 2, trainer: "a".into(), claimed_at: 0, anew: true };
    let mut continuity = Continuity::default();
    assert_eq!(continuity.judge(&second, &other(), Some(&claim), false), Ok(Follows::On));
    assert_eq!(continuity.judge(&second, &other(), None, true), Ok(Follows::On));
    assert_eq!(continuity.judge(&second, &fresh, None, true), Err(Doubt::Offsets), "within an epoch all follow");
    continuity.forget();
    assert_eq!(continuity.judge(&second, &fresh, None, false), Ok(Follows::On));
}
