//! A delta on a version: it is refused, or what it makes serves lists whose scores are numbers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::{Catalog, Model, RowEncoding, UserView};
use schemas::checkpoint::PayloadKind;
use schemas::{Manifest, UserKey, VersionId};

static BASE: LazyLock<Model> = LazyLock::new(|| {
    let snapshot = fuzz::versions().expect("the processor opens").swap_remove(0);
    let nothing = Model::serving("flex", RowEncoding::Int8).expect("the processor opens");
    nothing.apply(&snapshot.manifest, &snapshot.payload).expect("it was made just now")
});

fuzz_target!(|bytes: &[u8]| {
    let Some(manifest) = fuzz::manifest(bytes, VersionId { epoch: 1, sequence: 2 }) else { return };
    let manifest = Manifest { kind: PayloadKind::Delta, parent: BASE.version(), ..manifest };
    let before = BASE.knowledge().items();
    let version = BASE.apply(&manifest, bytes);
    assert_eq!(BASE.knowledge().items(), before, "what it builds on stays as it is");
    let Ok(version) = version else { return };
    let stranger = UserView { user: UserKey::NOBODY, history: &[], ts: 1_700_000_000_000 };
    let catalog = Catalog::default();
    for entry in version.slates(&[stranger], &catalog, 20).into_iter().flatten() {
        assert!(entry.score.is_finite(), "a score is a number");
    }
});
