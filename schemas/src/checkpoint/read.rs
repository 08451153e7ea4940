//! Reading what lies on `checkpoints`: keys, claims and manifests, each within bounds, for anybody may have written
//! them.
//!
//! What passes here can be reckoned with: no sum of two of its numbers overflows, and nothing in it is longer than its
//! bound.

use serde::Deserialize;

use super::{CHUNK_BYTES, Claim, Manifest, Part, PayloadKind, Quality, Through, VersionId, key};
use crate::RELEASE;

/// The last epoch and the last sequence. Above any count that is lived to see (a version a second for a century), and
/// below the end of 32 bits, so that the next one can always be named.
pub const LAST: u32 = 4_000_000_000;

/// A claim counts if it is at most so many epochs above the highest that is known: a trainer claims the next one, and
/// some thousand starts may have left no record. So a stranger's claim never uses the epochs up.
pub const EPOCH_REACH: u32 = 10_000;

/// Where nothing is known yet, the first claim or version counts up to here: the log may begin in its middle.
pub const FIRST_REACH: u32 = 1_000_000_000;

/// The most bytes of a payload that is written or taken in. A shop of 2 million items, as many as `model.max_items`
/// allows by default, takes 0.7 to 1.2 GB (350 to 600 bytes an item; `bench checkpoint`).
pub const MAX_PAYLOAD_BYTES: u64 = 2 << 30;

/// The most chunks of a payload. Ours are full; others may be smaller, but not by much.
pub const MAX_CHUNKS: u32 = 10_000;

/// The highest offset: 10 million records a second for 28 years, and the last integer that a JSON number holds exactly.
pub const MAX_OFFSET: i64 = 1 << 53;

/// The highest partition; a broker bears some thousand.
const MAX_PARTITION: i32 = 99_999;

/// Entries of a manifest's lists: arrivals and methods of quality.
const MAX_ARRIVALS: usize = 4_096;
const MAX_METHODS: usize = 64;

/// The longest name in a claim or manifest.
const MAX_NAME: usize = 200;

/// The longest text of a stranger's that goes into a reason.
const SHOWN: usize = 120;

/// From the year 1 to the end of 9999, in milliseconds since 1970: a difference of two such times is far from overflow.
pub const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Whether milliseconds since 1970 are a time that somebody may have meant.
#[must_use]
pub fn is_time(ms: i64) -> bool {
    TIMES.contains(&ms)
}

/// A stranger's text as it may be shown: without control characters, and not too long.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Reads a record's key. It must be spelled as [`key`] spells it: two keys for one chunk would escape compaction.
///
/// # Errors
/// When it is not of the form `version/part`, or beyond the bounds.
pub fn parse_key(bytes: &[u8]) -> Result<(VersionId, Part), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the key is not UTF-8".to_owned())?;
    let unknown = || format!("`{}` is no key of a checkpoint", shown(text));
    let (version, part) = text.split_once('/').ok_or_else(unknown)?;
    let part = match part {
        "claim" => Part::Claim,
        "manifest" => Part::Manifest,
        n => Part::Chunk(n.parse().map_err(|_| unknown())?),
    };
    let version: VersionId = version.parse().map_err(|_| unknown())?;
    if key(version, part) != text {
        return Err(unknown());
    }
    if version.epoch > LAST || version.sequence > LAST || matches!(part, Part::Chunk(n) if n >= MAX_CHUNKS) {
        return Err(format!("`{}` lies beyond the last epoch, sequence or chunk", shown(text)));
    }
    Ok((version, part))
}

impl Claim {
    /// Reads a claim that is noted elsewhere than under its key.
    #[must_use]
    pub fn noted(note: &str) -> Option<Self> {
        let Self { epoch, .. } = serde_json::from_str(note).ok()?;
        Self::read(VersionId { epoch, sequence: 0 }, note.as_bytes()).ok().filter(|claim| claim.epoch <= LAST)
    }

    /// Reads a claim's value.
    ///
    /// # Errors
    /// When it is not readable, or names something else than its key.
    pub fn read(version: VersionId, value: &[u8]) -> Result<Self, String> {
        let unreadable = |what: &str| format!("the claim is not readable: {what}");
        if value.len() > CHUNK_BYTES {
            return Err(unreadable("it is too long"));
        }
        let claim: Self = serde_json::from_slice(value).map_err(|e| unreadable(&shown(&e.to_string())))?;
        if claim.epoch != version.epoch || version.sequence != 0 {
            return Err(format!("the claim is of epoch {}, not as its key says", claim.epoch));
        }
        if !is_name(&claim.trainer) || !is_time(claim.claimed_at) {
            return Err(unreadable("its trainer or its time is none"));
        }
        Ok(claim)
    }
}

impl Manifest {
    /// Reads a manifest's value.
    ///
    /// # Errors
    /// When it is not readable, of another format, or holds what no version can hold.
    pub fn read(version: VersionId, value: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            v: u32,
            #[serde(default)]
            kind: String,
            #[serde(default)]
            release: String,
        }
        let unreadable = |e: serde_json::Error| format!("the manifest is not readable: {}", shown(&e.to_string()));
        if value.len() > CHUNK_BYTES {
            return Err("the manifest is too long".to_owned());
        }
        let Format { v, kind, release } = serde_json::from_slice(value).map_err(unreadable)?;
        let foreign = if v != Self::V {
            Some(format!("its manifest is of format {v}, and this release, {RELEASE}, reads format {}", Self::V))
        } else if !["", "snapshot", "delta"].contains(&kind.as_str()) {
            Some(format!("its payload is of the kind `{}`, which this release, {RELEASE}, does not know", shown(&kind)))
        } else {
            None
        };
        if let Some(foreign) = foreign {
            let named = (!release.is_empty()).then(|| format!("Thalweg {}", shown(&release)));
            let writer = named.unwrap_or_else(|| "the release that wrote it".to_owned());
            return Err(format!("{foreign}: start {writer} again, which reads it"));
        }
        let manifest: Self = serde_json::from_slice(value).map_err(unreadable)?;
        if manifest.version != version {
            return Err(format!("its manifest names version {}", manifest.version));
        }
        match manifest.problem() {
            None => Ok(manifest),
            Some(problem) => Err(format!("its manifest {problem}")),
        }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let Self { version, kind, parent, chunks, bytes, checksum, through, .. } = self;
        let quality = || self.quality.iter().chain(&self.quality_overall);
        let rules = [
            (
                version.sequence == 0 || version.epoch > LAST || version.sequence > LAST,
                "names a version that cannot be",
            ),
            ((*kind == PayloadKind::Delta) != parent.is_some(), "names a parent for a snapshot, or none for a delta"),
            (*bytes == 0 || *bytes > MAX_PAYLOAD_BYTES, "names a payload of no bytes or of too many"),
            (*chunks == 0 || *chunks > MAX_CHUNKS || u64::from(*chunks) > *bytes, "names no chunks or too many"),
            (u64::from(*chunks) * (CHUNK_BYTES as u64) < *bytes, "names fewer chunks than its payload fills"),
            (checksum.len() != 64 || !checksum.bytes().all(|b| b.is_ascii_hexdigit()), "has no checksum of a payload"),
            (
                !through.iter().chain(&self.untrained).all(|(partition, through)| is_place(*partition, through)),
                "names offsets that cannot be",
            ),
            (self.interactions > MAX_OFFSET.unsigned_abs(), "counts more interactions than can be"),
            (!is_time(self.event_ts) || !is_time(self.made_at), "names a time that cannot be"),
            (self.arrivals.len() > MAX_ARRIVALS, "names more arrivals than can be"),
            (!self.arrivals.iter().all(|(at, _)| is_time(*at)), "names an arrival at a time that cannot be"),
            (self.quality.len() > MAX_METHODS || self.quality_overall.len() > MAX_METHODS, "names too many methods"),
            (
                !quality().all(|(method, quality)| is_name(method) && is_quality(quality)),
                "names a quality that cannot be",
            ),
            (!self.release.is_empty() && !is_name(&self.release), "names a release that cannot be"),
            (self.good.is_some_and(|good| !good.can_be()), "names a good version that cannot be"),
            (self.guarded.as_ref().is_some_and(|guarded| !guarded.can_be()), "names guarded users that cannot be"),
            (!(self.evidence >= 0.0 && self.evidence.is_finite()), "names evidence that is no number"),
            (!self.contest.is_none_or(|contest| contest.can_be()), "names a contest that cannot be"),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, problem)| problem)
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn is_place(partition: i32, through: &Through) -> bool {
    let offsets = (0..=MAX_OFFSET).contains(&through.next) && (-1..=MAX_OFFSET).contains(&through.source);
    (0..=MAX_PARTITION).contains(&partition) && offsets
}

fn is_quality(quality: &Quality) -> bool {
    [quality.hr20, quality.mrr20].iter().all(|share| (0.0..=1.0 + 1e-9).contains(share))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const VERSION: VersionId = VersionId { epoch: 3, sequence: 120 };

    pub(super) fn manifest() -> Value {
        json!({
            "v": Manifest::V, "version": VERSION, "kind": "delta", "parent": "000003-00000119", "chunks": 2, "bytes": 1_000_000,
            "checksum": "a".repeat(64), "through": {"0": {"next": 5, "source": 9}}, "interactions": 5, "event_ts": 3,
            "made_at": 4, "arrivals": [[1, 2]], "quality": {"model": {"hr20": 0.5, "mrr20": 0.25, "tested": 4}},
            "release": RELEASE,
        })
    }

    fn read(manifest: &Value) -> Result<Manifest, String> {
        Manifest::read(VERSION, manifest.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_that_says_what_cannot_be_is_refused_with_a_reason() {
        read(&manifest()).expect("the one that the others are made of is sound");
        let deep = (0..5_000).map(|n| json!([n, 1])).collect::<Vec<_>>();
        let changes = [
            ("/v", json!(2), "format 2"),
            ("/version", json!("000003-00000121"), "names version"),
            ("/kind", json!("snapshot"), "parent"),
            ("/parent", Value::Null, "parent"),
            ("/chunks", json!(0), "chunks"),
            ("/chunks", json!(4_294_967_295_u32), "chunks"),
            ("/chunks", json!(1), "fewer chunks"),
            ("/bytes", json!(0), "bytes"),
            ("/bytes", json!(u64::MAX), "bytes"),
            ("/checksum", json!("\u{1b}[31m"), "checksum"),
            ("/through/0/next", json!(-1), "offsets"),
            ("/through/0/next", json!(1_i64 << 62), "offsets"),
            ("/through/0/source", json!(-2), "offsets"),
            ("/through/0/source", json!(i64::MAX), "offsets"),
            ("/through", json!({"-1": {"next": 0, "source": 0}}), "offsets"),
            ("/interactions", json!(u64::MAX), "interactions"),
            ("/event_ts", json!(i64::MIN), "time"),
            ("/made_at", json!(i64::MAX), "time"),
            ("/arrivals", json!([[i64::MIN, 1]]), "arrival"),
            ("/arrivals", json!(deep), "arrivals"),
            ("/quality/model/hr20", json!(1.5), "quality"),
            ("/quality/model/hr20", json!(-1e300), "quality"),
            ("/quality", json!({"\u{1b}[31m": {"hr20": 0.5, "mrr20": 0.25, "tested": 4}}), "quality"),
            ("/kind", json!("\u{1b}[31m"), "of the kind"),
            ("/kind", json!(7), "not readable"),
            ("/release", json!("\u{1b}[31m"), "release"),
        ];
        for (field, value, reason) in changes {
            let mut changed = manifest();
            *changed.pointer_mut(field).expect("is there") = value.clone();
            let refusal = read(&changed).expect_err(&format!("{field} = {value} is refused"));
            assert!(refusal.contains(reason), "{field} = {value}: {refusal}");
            assert!(!refusal.chars().any(char::is_control) && refusal.len() < 400, "{refusal:?}");
        }
    }

    #[test]
    fn a_version_of_a_later_format_or_kind_is_refused_in_one_sentence_that_names_its_release_and_what_to_do() {
        for (changed, what) in [
            (json!({"v": 2, "release": "9.1.0", "chunks": "no number any more"}), "format 2"),
            (json!({"v": 1, "kind": "patch", "release": "9.1.0"}), "the kind `patch`"),
        ] {
            let refusal = read(&changed).expect_err("is refused");
            assert!(refusal.contains(what) && refusal.contains("start Thalweg 9.1.0 again"), "{refusal}");
            assert!(refusal.contains(RELEASE), "{refusal}");
        }
        let unnamed = read(&json!({"v": 2})).expect_err("is refused");
        assert!(unnamed.contains("the release that wrote it"), "{unnamed}");
    }

    #[test]
    fn a_field_of_a_later_release_is_passed_over() {
        let plain = read(&manifest()).expect("is read");
        let mut later = manifest();
        for at in ["", "/through/0", "/quality/model"] {
            let of = later.pointer_mut(at).and_then(Value::as_object_mut).expect("is an object");
            of.insert("later".into(), json!({"deep": [1, null]}));
        }
        assert_eq!(read(&later), Ok(plain));
        let version = VersionId { epoch: 3, sequence: 0 };
        let claim = br#"{"epoch":3,"trainer":"t","claimed_at":0,"later":[{}]}"#;
        assert_eq!(Claim::read(version, claim).map(|claim| claim.epoch), Ok(3));
    }

    #[test]
    fn a_key_that_is_spelled_otherwise_or_lies_beyond_the_bounds_is_refused() {
        let last = key(VersionId { epoch: LAST, sequence: LAST }, Part::Chunk(MAX_CHUNKS - 1));
        assert!(parse_key(last.as_bytes()).is_ok());
        let refused: [&[u8]; 12] = [
            b"",
            b"nonsense",
            b"\xff/manifest",
            b"3-1/claim",
            b"+00003-00000001/claim",
            b"000003-00000001/0",
            b"000003-00000001/00000",
            b"000003-00000001/10000",
            b"000003-00000001/manifest ",
            b"4294967295-00000000/claim",
            b"4000000001-00000000/claim",
            b"000001-4294967295/manifest",
        ];
        for bytes in refused {
            parse_key(bytes).expect_err(&String::from_utf8_lossy(bytes));
        }
        let refusal = parse_key("\u{1b}[31mred\u{7}".repeat(100).as_bytes()).expect_err("is none");
        assert!(!refusal.chars().any(char::is_control) && refusal.len() < 1_000, "{refusal:?}");
    }

    #[test]
    fn a_claim_says_what_its_key_says_and_nothing_that_hurts_a_terminal() {
        let claim = |epoch: u32, trainer: &str| {
            serde_json::to_vec(&json!({"epoch": epoch, "trainer": trainer, "claimed_at": 0})).expect("is JSON")
        };
        let version = VersionId { epoch: 3, sequence: 0 };
        assert!(Claim::read(version, &claim(3, "trainer-1")).is_ok());
        for value in
            [claim(4, "trainer-1"), claim(3, ""), claim(3, "\u{1b}[31m"), claim(3, &"x".repeat(10_000)), b"{".to_vec()]
        {
            Claim::read(version, &value).expect_err("is refused");
        }
    }

    #[test]
    fn partitions_and_times_have_bounds() {
        assert!(is_time(0) && is_time(253_402_300_799_999) && !is_time(i64::MIN) && !is_time(i64::MAX));
        let through = BTreeMap::from([(MAX_PARTITION + 1, Through::default())]);
        let mut changed = manifest();
        changed["through"] = json!(through);
        assert!(read(&changed).expect_err("is refused").contains("offsets"));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_key_that_is_spelled_back_or_a_refusal_that_may_be_shown(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                "[0-9]{1,12}-[0-9]{1,12}/(claim|manifest|[0-9]{1,12})".prop_map(String::into_bytes),
            ]
        ) {
            match parse_key(&bytes) {
                Ok((version, part)) => prop_assert_eq!(key(version, part).into_bytes(), bytes),
                Err(reason) => prop_assert!(!reason.chars().any(char::is_control)),
            }
        }

        #[test]
        fn any_bytes_are_a_sound_manifest_or_claim_or_a_refusal_that_may_be_shown(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            field in 0_usize..14,
            number in any::<i64>(),
            text in ".{0,8}",
        ) {
            let version = VersionId { epoch: 3, sequence: 120 };
            let mut manifest = super::tests::manifest();
            let fields = ["v", "version", "kind", "parent", "chunks", "bytes", "checksum", "through", "interactions", "event_ts", "made_at", "arrivals", "quality", "quality_overall"];
            manifest[fields[field]] = if number % 2 == 0 { number.into() } else { text.into() };
            for bytes in [bytes, manifest.to_string().into_bytes()] {
                match Manifest::read(version, &bytes) {
                    Ok(manifest) => prop_assert!(manifest.problem().is_none()),
                    Err(reason) => prop_assert!(!reason.chars().any(char::is_control), "{:?}", reason),
                }
                let _ = Claim::read(version, &bytes);
            }
        }
    }
}
