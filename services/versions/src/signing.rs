//! Signing and believing, as the configuration says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::config::Kafka;
use runtime::kafka::{Outgoing, Stamp};
use schemas::Topics;
use schemas::checkpoint::{Claim, Part, VersionId, key};
use schemas::signature::{Distrust, SECRET, SIGNATURE, SigningKey, Trust, is_signed};
use tracing::info;

/// A key's file has one line.
const MOST_BYTES: u64 = 4_096;

/// Whose records are believed. A key that is none is believed by nobody: [`problems`] says so before the start.
#[must_use]
pub fn trust(kafka: &Kafka) -> Trust {
    Trust::by(&kafka.signatures.trust, kafka.signatures.required())
}

/// What is wrong with the trusted keys of a configuration.
#[must_use]
pub fn problems(kafka: &Kafka) -> Vec<String> {
    let wrong = kafka.signatures.trust.iter().filter_map(|key| key.parse::<schemas::signature::PublicKey>().err());
    wrong.map(|problem| format!("kafka.trust: one is {problem}")).collect()
}

/// Says once, at the start of a service, that nothing is signed.
pub fn tell(kafka: &Kafka) {
    if !trust(kafka).is_on() {
        let advice = "who can write to Kafka decides what is recommended; see `thalweg keys`";
        info!(advice, "signatures are off: kafka.trust names no key");
    }
}

/// Reads a key from its file.
///
/// # Errors
/// When it cannot be read, or is no secret key; the text does not hold it.
pub fn read_key(file: &str) -> Result<SigningKey, String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|open| open.take(MOST_BYTES).read_to_string(&mut text));
    read.map_err(|error: io::Error| format!("{file} cannot be read ({error}); make a key by `thalweg keys new FILE`"))?;
    SigningKey::read(&text).map_err(|problem| format!("{file} holds {problem}"))
}

/// The key of the setting `name`, which holds a file's name or the key itself; `None` where there is none and nobody
/// asks for one.
///
/// # Errors
/// Readers would not believe what is written; with what to change.
pub fn signing_key(name: &str, given: &str, kafka: &Kafka) -> Result<Option<SigningKey>, String> {
    let trust = trust(kafka);
    if given.is_empty() {
        let advice = "name the file of a key that kafka.trust names (`thalweg keys new`)";
        let missing = || Err(format!("{name}: kafka.require_signature asks for signatures, {advice}"));
        return if trust.is_required() { missing() } else { Ok(None) };
    }
    let key = match given {
        _ if given.starts_with(SECRET) => SigningKey::read(given),
        // A key with a mistyped beginning, which must not be shown, rather than the name of a file.
        _ if !Path::new(given).exists() && looks_like_a_key(given) => {
            Err(format!("neither a file of that name is there nor does it begin with {SECRET}"))
        }
        _ => read_key(given),
    };
    let key = key.map_err(|problem| format!("{name}: {problem}"))?;
    let public = key.public();
    if trust.is_on() && !trust.names(&public) {
        let advice = format!("add \"{public}\" to kafka.trust of every service, or sign with another key");
        return Err(format!("{name}: nobody believes what key {} signs: {advice}", public.id()));
    }
    Ok(Some(key))
}

/// Whether a text has as many digits as a key, in base 64 or 16, and would be an odd name of a file.
fn looks_like_a_key(given: &str) -> bool {
    let digits = given.rsplit([':', '-', '_', '/', '.']).next().unwrap_or(given);
    digits.trim_end_matches('=').len() >= 32
}

/// Has a producer sign what is to be signed.
#[must_use]
pub fn stamp(key: Arc<SigningKey>, kafka: &Kafka) -> Stamp {
    let topics = Topics::new(&kafka.topic_prefix);
    Arc::new(move |topic: &str, record: &Outgoing| {
        let value = record.value.as_ref().filter(|_| is_signed(&topics, topic, &record.key))?;
        Some((SIGNATURE, key.sign(topic, &record.key, value)))
    })
}

/// The file that holds the signature of an exported one: its name and `.sig`.
#[must_use]
pub fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signature of a file with these bytes: one line.
#[must_use]
pub fn sign_file(bytes: &[u8], signer: &SigningKey) -> String {
    format!("{}\n", signer.sign_file(blake3::hash(bytes).as_bytes()))
}

/// Checks a file by what lies beside it; `None`: nothing does. Unlike a record, it is believed only by a trusted key,
/// unless nothing is configured and nothing lies there.
///
/// # Errors
/// Why it is not believed.
pub fn check_file(bytes: &[u8], signature: Option<&str>, trust: &Trust) -> Result<(), Distrust> {
    match signature {
        Some(signature) => trust.check_file(blake3::hash(bytes).as_bytes(), signature),
        None if trust.is_required() => Err(Distrust::Unsigned),
        None => Ok(()),
    }
}

/// A claim as a note beside the log: signed as it is on the log, in a field of its own that others pass over.
///
/// # Errors
/// It does not serialise: a fault of the program.
pub fn note(claim: &Claim, topic: &str, signer: Option<&SigningKey>) -> Result<String, serde_json::Error> {
    let mut note = serde_json::to_value(claim)?;
    if let Some(signer) = signer {
        note[SIGNATURE] = signer.sign(topic, &claim_key(claim), &serde_json::to_vec(claim)?).into();
    }
    serde_json::to_string(&note)
}

/// Reads a note that is believed.
pub(crate) fn noted(note: &str, topic: &str, trust: &Trust) -> Option<Claim> {
    let claim = Claim::noted(note)?;
    let signature = serde_json::from_str::<serde_json::Value>(note).ok()?;
    let signature = signature.get(SIGNATURE).and_then(|text| text.as_str()).map(str::as_bytes);
    let value = serde_json::to_vec(&claim).ok()?;
    trust.check(topic, &claim_key(&claim), &value, signature).ok().map(|()| claim)
}

fn claim_key(claim: &Claim) -> Vec<u8> {
    key(VersionId { epoch: claim.epoch, sequence: 0 }, Part::Claim).into_bytes()
}

#[cfg(test)]
mod tests {
    use runtime::config::{Require, Signatures};

    use super::*;

    fn kafka(trust: &[&SigningKey], require_signature: Require) -> Kafka {
        let trust = trust.iter().map(|key| key.public().to_string()).collect();
        let signatures = Signatures { trust, require_signature };
        let (brokers, topic_prefix) = ("127.0.0.1:1".to_owned(), "shop.".to_owned());
        Kafka { brokers, topic_prefix, properties: Default::default(), signatures }
    }

    fn own(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }

    #[test]
    fn who_would_not_be_believed_is_told_before_it_writes() {
        let given = |given: &str, kafka: &Kafka| signing_key("trainer.sign_key", given, kafka).map(|key| key.is_some());
        let trusting = kafka(&[&own(1)], Require::Auto);
        assert_eq!(given(&own(1).secret(), &trusting), Ok(true));
        for (key, named) in
            [("", "asks for signatures"), (&own(2).secret(), "nobody believes"), ("/no/file", "/no/file")]
        {
            let told = given(key, &trusting).expect_err(named);
            assert!(told.starts_with("trainer.sign_key: ") && told.contains(named), "{told}");
        }
        let unsigned = kafka(&[], Require::Auto);
        assert_eq!((given("", &unsigned), given(&own(1).secret(), &unsigned)), (Ok(false), Ok(true)));
        assert_eq!(given("", &kafka(&[&own(1)], Require::No)), Ok(false));
    }

    #[test]
    fn a_key_without_its_beginning_is_not_taken_for_the_name_of_a_file_and_never_shown() {
        let unsigned = kafka(&[], Require::Auto);
        let digits = own(1).secret().trim_start_matches(SECRET).to_owned();
        for given in [digits.clone(), format!("thalweg-secret-ed25591:{digits}"), format!(" {SECRET}{digits}")] {
            let told = signing_key("trainer.sign_key", &given, &unsigned).expect_err("is no key");
            assert!(!told.contains(&digits) && told.contains(SECRET), "{told}");
        }
        let file = signing_key("trainer.sign_key", "keys/trainer.key", &unsigned).expect_err("no file");
        assert!(file.contains("keys/trainer.key"), "{file}");
    }

    #[test]
    fn a_key_that_is_none_is_a_problem_and_believed_by_nobody() {
        let mut kafka = kafka(&[], Require::Auto);
        kafka.signatures.trust = vec!["ed25519:nonsense".to_owned()];
        assert!(problems(&kafka)[0].starts_with("kafka.trust: "));
        assert_eq!(trust(&kafka).check("t", b"k", b"v", None), Err(Distrust::Unsigned));
    }

    #[test]
    fn what_is_stamped_is_believed_and_chunks_and_deletions_are_not_stamped() {
        let config = kafka(&[&own(1)], Require::Auto);
        let (stamp, trust) = (stamp(Arc::new(own(1)), &config), trust(&config));
        let record =
            |key: &str| Outgoing { key: key.to_owned().into(), value: Some("v".into()), ..Outgoing::default() };
        let (name, header) = stamp("shop.control", &record("release")).expect("is signed");
        assert_eq!(name, SIGNATURE);
        assert_eq!(trust.check("shop.control", b"release", b"v", Some(header.as_bytes())), Ok(()));
        assert!(stamp("shop.checkpoints", &record("000001-00000001/manifest")).is_some());
        assert!(stamp("shop.checkpoints", &record("000001-00000001/0000")).is_none());
        assert!(stamp("shop.control", &Outgoing { value: None, ..record("release") }).is_none());
    }

    #[test]
    fn a_file_is_believed_by_the_signature_beside_it_alone() {
        let trust = trust(&kafka(&[&own(1)], Require::Auto));
        let signature = sign_file(b"a model", &own(1));
        assert_eq!(check_file(b"a model", Some(&signature), &trust), Ok(()));
        assert_eq!(check_file(b"another", Some(&signature), &trust), Err(Distrust::Forged));
        assert_eq!(check_file(b"a model", Some(&sign_file(b"a model", &own(2))), &trust), Err(Distrust::Foreign));
        assert_eq!(check_file(b"a model", None, &trust), Err(Distrust::Unsigned));
        assert_eq!(check_file(b"a model", None, &Trust::default()), Ok(()));
        assert_eq!(beside(Path::new("m/model.safetensors")), Path::new("m/model.safetensors.sig"));
    }

    #[test]
    fn a_note_is_believed_as_its_claim_is() {
        let claim = Claim { epoch: 3, trainer: "a trainer".into(), claimed_at: 5, anew: false };
        let config = kafka(&[&own(1)], Require::Auto);
        let noted = |note: &str| noted(note, "shop.checkpoints", &trust(&config));
        let signed = note(&claim, "shop.checkpoints", Some(&own(1))).expect("serialises");
        assert_eq!(noted(&signed), Some(claim.clone()));
        assert_eq!(Claim::noted(&signed), Some(claim.clone()), "for those who ask for no signature");
        assert_eq!(noted(&note(&claim, "shop.checkpoints", None).expect("serialises")), None);
        assert_eq!(noted(&signed.replace(":3,", ":9,")), None);
    }
}
