//! A snapshot's payload: it is refused, or it serves lists whose scores are numbers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::{Catalog, Model, RowEncoding, UserView};
use schemas::checkpoint::PayloadKind;
use schemas::{Manifest, UserKey, VersionId};

static NOTHING: LazyLock<Model> =
    LazyLock::new(|| Model::serving("flex", RowEncoding::Int8).expect("the processor opens"));

fuzz_target!(|bytes: &[u8]| {
    let Some(manifest) = fuzz::manifest(bytes, VersionId { epoch: 1, sequence: 1 }) else { return };
    let manifest = Manifest { kind: PayloadKind::Snapshot, ..manifest };
    let Ok(version) = NOTHING.apply(&manifest, bytes) else { return };
    let stranger = UserView { user: UserKey::NOBODY, history: &[], ts: 1_700_000_000_000 };
    let catalog = Catalog::default();
    for entry in version.slates(&[stranger], &catalog, 20).into_iter().flatten() {
        assert!(entry.score.is_finite(), "a score is a number");
    }
});
