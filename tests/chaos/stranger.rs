//! A stranger who may write to `checkpoints`: versions that are sound in form, by a key that nobody trusts, or by none.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use runtime::kafka::Outgoing;
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, key};
use schemas::signature::{SIGNATURE, SigningKey};
use schemas::{Manifest, Topic, VersionId};
use tests::{Name, Tail, newest_snapshot};

use crate::fault::Struck;
use crate::field::{Field, RED};

/// Sequences between the newest snapshot and the stranger's version: no trainer gets there meanwhile.
const AHEAD: u32 = 100_000;
/// Bytes in a chunk: less than Kafka takes.
const CHUNK: usize = 500_000;
/// Each version is followed for so long: scorers swap within a second.
const WATCHED: Duration = Duration::from_secs(5);

const REFUSED: &str = "scorer_versions_refused_total";

/// Copies the newest snapshot under a name that comes after all, unsigned and signed by a stranger: neither goes live,
/// and each is counted.
pub(crate) async fn version(field: &Field, chance: &mut ChaCha8Rng, alone: bool) -> Struck {
    let mut wrong = Vec::new();
    if !field.is_signed() {
        return Struck {
            wrong: vec!["who trusts everybody believes a stranger: run it --signed".to_owned()],
            ..Struck::default()
        };
    }
    let stranger = SigningKey::from_seed(&chance.random());
    for (signer, why) in [(None, "unsigned"), (Some(&stranger), "foreign")] {
        let (snapshot, payload) = newest_snapshot(&mut Tail::open(&field.world, Topic::Checkpoints).await).await;
        let VersionId { epoch, sequence } = snapshot.version;
        let forged = VersionId { epoch, sequence: sequence + AHEAD + chance.random_range(0..AHEAD) };
        let before = if alone { refused(field, why).await } else { None };
        field.world.write(Topic::Checkpoints, records(field, forged, &snapshot, &payload, signer)).await;
        wrong.extend(watch(field, forged).await);
        if let Some(before) = before {
            wrong.extend(counted(field, why, before).await);
        }
    }
    Struck { wrong, ..Struck::default() }
}

/// The records of a version that is as sound as the snapshot that it copies.
fn records(
    field: &Field,
    version: VersionId,
    snapshot: &Manifest,
    payload: &[u8],
    signer: Option<&SigningKey>,
) -> Vec<Outgoing> {
    let chunks: Vec<&[u8]> = payload.chunks(CHUNK).collect();
    let number = u32::try_from(chunks.len()).expect("a small model");
    let manifest = Manifest { version, chunks: number, ..snapshot.clone() };
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is JSON");
    let name = field.world.topics.name(Topic::Checkpoints);
    let record = |part: Part, value: &[u8]| {
        let key = key(version, part);
        let mut headers = vec![(CHUNK_CHECKSUM, blake3::hash(value).to_hex().to_string())];
        let signer = signer.filter(|_| part == Part::Manifest);
        headers.extend(signer.map(|by| (SIGNATURE, by.sign(&name, key.as_bytes(), value))));
        Outgoing {
            partition: Some(0),
            key: key.into(),
            value: Some(value.to_vec().into()),
            headers,
            ..Outgoing::default()
        }
    };
    let chunks = (0..number).zip(chunks).map(|(n, chunk)| record(Part::Chunk(n), chunk));
    chunks.chain([record(Part::Manifest, &manifest)]).collect()
}

/// Sees to it that the version does not go live; what to say of it.
async fn watch(field: &Field, forged: VersionId) -> Option<String> {
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        // Redis may be away: then nothing is live in it.
        if let Ok(model) = field.world.model().await
            && model.get("version").is_some_and(|live| *live == forged.to_string())
        {
            return Some(format!("a stranger's {forged} went live"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// How many records all scorers have refused for this reason; `None` where one does not answer.
async fn refused(field: &Field, why: &str) -> Option<f64> {
    let (label, mut all) = (format!("reason=\"{why}\""), 0.0);
    for slot in field.slots(Name::Scorer) {
        all += field.service(slot).await.metric_with(REFUSED, &label).await.ok()?;
    }
    Some(all)
}

/// Waits until every scorer has counted it; what to say where one has not.
async fn counted(field: &Field, why: &str, before: f64) -> Option<String> {
    let wanted = before + field.slots(Name::Scorer).len() as f64;
    let began = Instant::now();
    loop {
        let all = refused(field, why).await;
        if all.is_some_and(|all| all >= wanted) {
            return None;
        }
        if began.elapsed() > RED {
            return Some(format!("scorers count {all:?} records as {why}, {wanted} were to be"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
