//! What is believed, and what is not.

use super::*;
use crate::VersionId;
use crate::checkpoint::key;

fn own(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn trusting(keys: &[u8], required: bool) -> Trust {
    Trust::new(keys.iter().map(|n| own(*n).public()).collect(), required)
}

#[test]
fn a_signature_holds_for_its_topic_key_and_value_alone() {
    let (trust, header) = (trusting(&[1], true), own(1).sign("shop.control", b"release", b"value"));
    let check = |topic, key: &[u8], value: &[u8]| trust.check(topic, key, value, Some(header.as_bytes()));
    assert_eq!(check("shop.control", b"release", b"value"), Ok(()));
    for (topic, key, value) in [
        ("control", &b"release"[..], &b"value"[..]),
        ("shop.control", b"gate", b"value"),
        ("shop.control", b"release", b"valuE"),
        ("shop.contro", b"lrelease", b"value"),
        ("shop.control", b"releasev", b"alue"),
    ] {
        assert_eq!(check(topic, key, value), Err(Distrust::Forged), "{topic}");
    }
}

#[test]
fn unsigned_forged_and_foreign_records_are_told_apart() {
    let (topic, key, value) = ("control", b"release", b"value");
    let judge = |trust: &Trust, header: Option<&str>| trust.check(topic, key, value, header.map(str::as_bytes));
    let (ours, theirs) = (own(1).sign(topic, key, value), own(2).sign(topic, key, value));
    let id = own(1).public().id();
    let torn = &ours[..ours.len() - 2];
    let theirs_as_ours = theirs.replace(&own(2).public().id(), &id);
    let trust = trusting(&[1], true);
    assert_eq!(judge(&trust, Some(&ours)), Ok(()));
    assert_eq!(judge(&trust, None), Err(Distrust::Unsigned));
    assert_eq!(judge(&trust, Some(&theirs)), Err(Distrust::Foreign));
    for forged in [torn, &theirs_as_ours, "", "no signature", &format!("{id}:xy")] {
        assert_eq!(judge(&trust, Some(forged)), Err(Distrust::Forged), "{forged}");
    }
    // While keys are rolled out, what has no signature counts; a wrong one never does.
    let lenient = trusting(&[1], false);
    assert_eq!((judge(&lenient, None), judge(&lenient, Some(&theirs))), (Ok(()), Err(Distrust::Foreign)));
    // With nothing configured, everything counts; asked for a signature without a key, nothing does.
    assert_eq!((judge(&Trust::default(), None), judge(&Trust::default(), Some("x"))), (Ok(()), Ok(())));
    assert_eq!(judge(&trusting(&[], true), Some(&ours)), Err(Distrust::Foreign));
}

#[test]
fn two_trusted_keys_make_a_rotation() {
    let both = trusting(&[1, 2], true);
    for n in [1, 2] {
        let header = own(n).sign("audit", b"k", b"v");
        assert_eq!(both.check("audit", b"k", b"v", Some(header.as_bytes())), Ok(()));
    }
    let old = own(1).sign("audit", b"k", b"v");
    assert_eq!(trusting(&[2], true).check("audit", b"k", b"v", Some(old.as_bytes())), Err(Distrust::Foreign));
}

#[test]
fn keys_are_read_as_they_were_written_and_a_secret_shows_nowhere_else() {
    let key = own(7);
    assert_eq!(SigningKey::read(&format!("{}\n", key.secret())).expect("is one").public(), key.public());
    assert_eq!(key.public().to_string().parse::<PublicKey>(), Ok(key.public()));
    let digits = key.secret().replace(SECRET, "");
    assert!(!format!("{key:?}").contains(&digits));
    for text in [&digits[..], &key.secret()[..40], "", "thalweg-secret-ed25519:zz"] {
        let told = SigningKey::read(text).expect_err("is none");
        assert!(!told.contains(&digits[..20]), "{told}");
    }
    for text in ["", "ed25519:", &digits, &format!("ed25519:{}", "f".repeat(63))] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
}

#[test]
fn a_signature_of_a_file_is_none_of_a_record_and_needs_a_trusted_key() {
    let (hash, trust) = ([3; 32], trusting(&[1], true));
    let signature = own(1).sign_file(&hash);
    assert_eq!(trust.check_file(&hash, &signature), Ok(()));
    assert_eq!(trust.check_file(&[4; 32], &signature), Err(Distrust::Forged));
    assert_eq!(trust.check_file(&hash, &own(2).sign_file(&hash)), Err(Distrust::Foreign));
    assert_eq!(trust.check_file(&hash, &own(1).sign("", &hash, b"")), Err(Distrust::Forged));
    assert_eq!(Trust::default().check_file(&hash, &signature), Err(Distrust::Foreign));
}

#[test]
fn decisions_the_audit_claims_and_manifests_are_signed_and_chunks_are_not() {
    let (topics, version) = (Topics::new("shop."), VersionId { epoch: 1, sequence: 1 });
    let of = |topic: &str, key: &str| is_signed(&topics, topic, key.as_bytes());
    assert!(of("shop.control", "release") && of("shop.audit", "anybody"));
    assert!(!of("control", "release") && !of("shop.events", "u1") && !of("shop.checkpointsx", "junk"));
    for (part, signed) in [(Part::Claim, true), (Part::Manifest, true), (Part::Chunk(0), false)] {
        for topic in ["shop.checkpoints", "shop.checkpoints.rival"] {
            assert_eq!(
                of(topic, &key(VersionId { sequence: u32::from(part != Part::Claim), ..version }, part)),
                signed
            );
        }
    }
}
