//! The hash `model`: what is live, for whoever reads Redis. Pure.

use schemas::Manifest;
use serde_json::json;
use versions::{Decided, Kept};

use crate::service::Standing;

/// Its fields; times in milliseconds since 1970.
///
/// | field | value |
/// |---|---|
/// | `version`, `kind`, `parent` | names; `parent` is empty for a snapshot |
/// | `through` | JSON: by partition of `interactions`, `next` offset to train on and `source` offset applied last |
/// | `interactions` | how many were ever trained on |
/// | `event_ts` | event time of the newest of them |
/// | `state`, `pinned_by` | `live`, or by a decision `pin`, `hold`, `rollback`; who decided, else empty |
/// | `anchor`, `evidence` | the newest good version when it was made, else empty; the gate's evidence that the learner had become worse |
/// | `published_at`, `swapped_at` | when the trainer made the version, and when a scorer made it live |
/// | `quality`, `quality_overall` | JSON: prequential `hr20`, `mrr20`, `tested`, `first_time_hr20`, `first_time_tested` by method, over the sliding window and since the trainer started |
pub(crate) fn fields(manifest: &Manifest, swapped_at: i64, decided: Option<&Decided>) -> Vec<(String, String)> {
    let (state, by) = match decided {
        Some(decided) => (decided.action.to_string(), decided.by.clone()),
        None => ("live".to_owned(), String::new()),
    };
    let parent = manifest.parent.map(|parent| parent.to_string()).unwrap_or_default();
    [
        ("version", manifest.version.to_string()),
        ("kind", json!(manifest.kind).as_str().unwrap_or_default().to_owned()),
        ("parent", parent),
        ("through", json!(manifest.through).to_string()),
        ("interactions", manifest.interactions.to_string()),
        ("event_ts", manifest.event_ts.to_string()),
        ("state", state),
        ("pinned_by", by),
        ("anchor", manifest.good.map(|good| good.version.to_string()).unwrap_or_default()),
        ("evidence", manifest.evidence.to_string()),
        ("published_at", manifest.made_at.to_string()),
        ("swapped_at", swapped_at.to_string()),
        ("quality", json!(manifest.quality).to_string()),
        ("quality_overall", json!(manifest.quality_overall).to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Fields beside them, of what the scorer knows that writes the hash.
///
/// | field | value |
/// |---|---|
/// | `suspect`, `refused` | the version that is put aside because it is doubted, and the last that could not be used, with the reason; else empty |
/// | `slates_p99_ms`, `slates_empty` | from an event's arrival to its list, the 99th percentile since the start, empty before the first; lists without an item |
pub(crate) fn evidence(kept: &Kept, service: Standing) -> [(String, String); 4] {
    let told = |kept: &Option<(schemas::VersionId, String)>| {
        kept.as_ref().map(|(version, why)| format!("{version}: {why}")).unwrap_or_default()
    };
    [
        ("suspect", told(&kept.suspect)),
        ("refused", told(&kept.refused)),
        ("slates_p99_ms", service.p99_ms.map(|ms| ms.to_string()).unwrap_or_default()),
        ("slates_empty", service.empty.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_hash_says_what_is_live_and_how_good_it_is() {
        let manifest: Manifest = serde_json::from_value(json!({
            "v": Manifest::V, "version": "000001-00000007", "kind": "delta", "parent": "000001-00000006",
            "chunks": 1, "bytes": 1, "checksum": "", "through": {"0": {"next": 5, "source": 9}},
            "interactions": 5, "event_ts": 3, "made_at": 4,
            "quality": {"model": {"hr20": 0.5, "mrr20": 0.25, "tested": 4}},
            "good": {"version": "000001-00000003", "begins": 7}, "evidence": 2.5,
        }))
        .expect("a manifest");
        let fields: BTreeMap<String, String> = fields(&manifest, 6, None).into_iter().collect();
        assert_eq!((fields["state"].as_str(), fields["pinned_by"].as_str()), ("live", ""));
        assert_eq!(fields["version"], "000001-00000007");
        assert_eq!((fields["kind"].as_str(), fields["parent"].as_str()), ("delta", "000001-00000006"));
        assert_eq!(fields["through"], r#"{"0":{"next":5,"source":9}}"#);
        assert_eq!((fields["anchor"].as_str(), fields["evidence"].as_str()), ("000001-00000003", "2.5"));
        assert_eq!((fields["published_at"].as_str(), fields["swapped_at"].as_str()), ("4", "6"));
        assert_eq!(
            fields["quality"],
            r#"{"model":{"first_time_hr20":0.0,"first_time_tested":0,"hr20":0.5,"mrr20":0.25,"tested":4}}"#
        );
        let decided = Decided { action: schemas::control::Action::Pin, by: "ann".to_owned() };
        let fields: BTreeMap<String, String> = super::fields(&manifest, 6, Some(&decided)).into_iter().collect();
        assert_eq!((fields["state"].as_str(), fields["pinned_by"].as_str()), ("pin", "ann"));
    }
    #[test]
    fn the_hash_says_what_was_kept_from_going_live_and_how_lists_are_served() {
        let kept = Kept { suspect: Some((schemas::VersionId { epoch: 1, sequence: 9 }, "odd".into())), refused: None };
        let fields = |p99_ms| BTreeMap::from(evidence(&kept, Standing { p99_ms, empty: 3 }));
        assert_eq!(fields(Some(12))["suspect"], "000001-00000009: odd");
        assert_eq!((fields(Some(12))["refused"].as_str(), fields(Some(12))["slates_p99_ms"].as_str()), ("", "12"));
        assert_eq!((fields(None)["slates_p99_ms"].as_str(), fields(None)["slates_empty"].as_str()), ("", "3"));
    }
}
