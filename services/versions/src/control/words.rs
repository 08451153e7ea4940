//! What is decided on `control`, and by whom it is believed. Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use runtime::kafka::Record;
use schemas::control::{GATE, OPERATOR, PROMOTE, Promotion};
use schemas::signature::{Distrust, SIGNATURE, Trust};
use schemas::{Erasure, Erasures, Release, Releases, erasure};
use tracing::warn;

/// Words that are named at a time, of those to be written again.
const WRITTEN_AGAIN: usize = 100;

/// What is decided, and by whom it is believed.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) releases: Releases,
    pub(super) erasures: Erasures,
    /// How often these changed.
    pub(super) erasures_changed: u64,
    trust: Trust,
    pub(super) topic: String,
    /// Keys under which the last record is not the word that stands: it was refused.
    overwritten: BTreeSet<String>,
}

impl Words {
    /// Nothing is decided yet. `topic` is the full name that signatures name.
    pub(super) fn new(trust: Trust, topic: String) -> Self {
        Self { trust, topic, ..Self::default() }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// Why it is refused, in a word and in full; nothing changed.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), (&'static str, String)> {
        if record.partition != 0 {
            // We write to the first: what stands on others has no place in the order of what is decided.
            return Err(("control", format!("it is on partition {}, and decisions are on 0", record.partition)));
        }
        if record.key.starts_with(erasure::PREFIX.as_bytes()) {
            return self.erase(record);
        }
        if record.key == PROMOTE.as_bytes() {
            self.overwritten.insert(PROMOTE.to_owned());
            self.called(record).map_err(|distrust| self.distrust(distrust, PROMOTE))?;
            let taken = self.releases.take(&record.key, record.value.as_deref(), record.offset);
            taken.map_err(|reason| ("control", reason))?;
            self.overwritten.remove(PROMOTE);
            return Ok(());
        }
        let Some(key) = [OPERATOR, GATE].into_iter().find(|key| key.as_bytes() == &record.key[..]) else {
            return Ok(()); // for somebody else
        };
        self.overwritten.insert(key.to_owned());
        let place = self.believed(key, record).map_err(|distrust| self.distrust(distrust, key))?;
        let taken = self.releases.take(&record.key, record.value.as_deref(), place);
        taken.map_err(|reason| ("control", reason))?;
        self.overwritten.remove(key);
        Ok(())
    }

    /// Whether a promotion is believed: where words are signed, one that was answered is not written again as if it
    /// were not, nor one of before.
    fn called(&self, record: &Record) -> Result<(), Distrust> {
        if !self.trust.is_on() {
            return Ok(());
        }
        let Some(value) = &record.value else {
            return if self.trust.is_required() { Err(Distrust::Unsigned) } else { Ok(()) };
        };
        self.trust.check(&self.topic, &record.key, value, record.header(SIGNATURE).map(Bytes::as_ref))?;
        let Ok(new) = Promotion::read(value) else { return Ok(()) }; // which is refused for what is wrong with it
        match self.releases.promotion() {
            Some(standing) if !new.follows(standing) => Err(Distrust::Replayed),
            _ => Ok(()),
        }
    }

    /// Takes the next record of an erasure.
    fn erase(&mut self, record: &Record) -> Result<(), (&'static str, String)> {
        let (value, signature) = (record.value.as_deref(), record.header(SIGNATURE).map(Bytes::as_ref));
        let standing = std::str::from_utf8(&record.key).ok().filter(|key| self.erasures.standing(key).is_some());
        self.overwritten.extend(standing.map(str::to_owned));
        let believed = self.erasures.believed(&self.trust, &self.topic, (&record.key, value, signature));
        believed.map_err(|distrust| self.distrust(distrust, erasure::PREFIX))?;
        let taken = self.erasures.take(&record.key, record.value.as_deref());
        self.erasures_changed += u64::from(taken.map_err(|reason| ("control", reason))?);
        standing.map(|key| self.overwritten.remove(key));
        Ok(())
    }

    /// Words that stand though the last record under their key was refused, with their keys, a hundred at most; where
    /// nothing is signed, erasures alone.
    pub(super) fn to_be_written_again(&self) -> Vec<(String, Vec<u8>)> {
        let keys = self.overwritten.iter().filter(|key| self.trust.is_on() || key.starts_with(erasure::PREFIX));
        keys.filter_map(|key| Some((key.clone(), self.standing(key)?))).take(WRITTEN_AGAIN).collect()
    }

    /// The value that stands under a key.
    fn standing(&self, key: &str) -> Option<Vec<u8>> {
        let value = match key {
            PROMOTE => serde_json::to_vec(self.releases.promotion()?),
            OPERATOR | GATE => serde_json::to_vec(self.releases.standing(key)?),
            _ => serde_json::to_vec(self.erasures.standing(key)?),
        };
        Some(value.expect("a decision has nothing that JSON has not"))
    }

    fn distrust(&self, distrust: Distrust, key: &str) -> (&'static str, String) {
        (distrust.as_str(), format!("the record {key} on control: {distrust}"))
    }

    /// The topic was made again: nothing is decided any more. But who was erased asked for it, and is to stay so: the
    /// trainer writes that again.
    pub(super) fn begin_anew(&mut self) {
        self.releases = Releases::default();
        self.overwritten = self.erasures.iter().map(|(user, _)| Erasure::key(user)).collect();
        if !self.erasures.is_empty() {
            warn!(
                erased = self.erasures.len(),
                "control was made again: who was erased stays so, and the trainer writes it again"
            );
        }
    }

    /// Where a record stands in the order of words: by its offset, or, where words are signed, by the time in it, which
    /// nobody changes by writing it again.
    fn believed(&self, key: &str, record: &Record) -> Result<i64, Distrust> {
        if !self.trust.is_on() {
            return Ok(record.offset);
        }
        let Some(value) = &record.value else {
            // A deletion has no time, so one of before cannot be told from one of now.
            return if self.trust.is_required() { Err(Distrust::Unsigned) } else { Ok(record.offset) };
        };
        self.trust.check(&self.topic, &record.key, value, record.header(SIGNATURE).map(Bytes::as_ref))?;
        let Ok(new) = Release::read(value) else { return Ok(record.offset) }; // which says what is wrong with it
        match self.releases.standing(key) {
            Some(standing) if new.at <= standing.at && new != *standing => Err(Distrust::Replayed),
            _ => Ok(new.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::VersionId;
    use schemas::control::{Action, Place};
    use schemas::signature::SigningKey;
    use schemas::{Erasure, Secret};

    use super::*;
    use crate::testing::deleted;

    const NOW: i64 = 1_700_000_000_000;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }

    fn words() -> Words {
        Words { trust: Trust::new(vec![key(1).public()], true), topic: "control".into(), ..Words::default() }
    }

    fn word(action: Action, sequence: u32, at: i64) -> Release {
        let place = Some(Place { version: VersionId { epoch: 1, sequence }, begins: None }).filter(|_| sequence > 0);
        Release {
            action,
            place,
            back: None,
            by: "ann".into(),
            reason: "a test".into(),
            at,
            expires: None,
            rollbacks: Vec::new(),
        }
    }

    fn record(key: &str, word: &Release, signer: Option<&SigningKey>) -> Record {
        signed(key, serde_json::to_vec(word).expect("serialises"), signer)
    }

    fn signed(key: &str, value: Vec<u8>, signer: Option<&SigningKey>) -> Record {
        let signature = signer.map(|signer| signer.sign("control", key.as_bytes(), &value));
        let headers = signature.map(|signature| (SIGNATURE.to_owned(), signature.into())).into_iter().collect();
        Record { value: Some(value.into()), headers, ..deleted(0, key) }
    }

    #[test]
    fn an_unsigned_a_foreign_and_a_deleted_word_change_nothing_and_the_word_that_stands_is_to_be_written_again() {
        let mut words = words();
        let pin = word(Action::Pin, 3, NOW);
        assert_eq!(words.take(&record(OPERATOR, &pin, Some(&key(1)))), Ok(()));
        let other = word(Action::Pin, 4, NOW + 5);
        for (record, why) in [
            (record(OPERATOR, &other, None), "unsigned"),
            (record(OPERATOR, &other, Some(&key(2))), "foreign"),
            (deleted(9, OPERATOR), "unsigned"),
        ] {
            assert_eq!(words.take(&record).map_err(|(why, _)| why), Err(why));
            assert_eq!(words.releases.operator(), Some(&pin));
            assert!(words.overwritten.contains(OPERATOR));
        }
        assert_eq!(words.take(&record(OPERATOR, &pin, Some(&key(1)))), Ok(()), "as it stands");
        assert!(words.overwritten.is_empty());
    }

    #[test]
    fn a_word_on_another_partition_than_the_first_is_refused() {
        let mut words = Words { topic: "control".into(), ..Words::default() };
        let pin = record(OPERATOR, &word(Action::Pin, 3, NOW), None);
        let elsewhere = Record { partition: 1, ..record(OPERATOR, &word(Action::Unpin, 0, NOW + 5), None) };
        assert_eq!([&pin, &elsewhere].map(|record| words.take(record).is_ok()), [true, false]);
        assert!(words.releases.pin(NOW + 9).is_some() && words.overwritten.is_empty());
    }

    #[test]
    fn control_made_again_brings_no_erased_user_back_and_the_erasure_is_to_be_written_again() {
        let user = Erasure::key(Secret::new("of the installation").hash("u1"));
        let erasure = r#"{"by":"ann","reason":"asked","at":1700000000000,"purge":false}"#;
        for mut words in [words(), Words { topic: "control".into(), ..Words::default() }] {
            assert_eq!(words.take(&signed(&user, erasure.into(), Some(&key(1)))), Ok(()));
            assert_eq!(words.take(&record(OPERATOR, &word(Action::Pin, 3, NOW), Some(&key(1)))), Ok(()));
            assert!(words.to_be_written_again().is_empty());
            words.begin_anew();
            assert_eq!((words.erasures.len(), words.releases.operator()), (1, None));
            let again = words.to_be_written_again();
            assert_eq!(again.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&user]);
            let [(key, word)] = &again[..] else { panic!("one") };
            assert_eq!(words.take(&signed(key, word.clone(), Some(&self::key(1)))), Ok(()));
            assert!(words.to_be_written_again().is_empty(), "it is there again");
        }
    }

    #[test]
    fn a_word_of_before_that_is_written_again_is_refused_wherever_a_reader_begins() {
        let (pin, unpin) = (word(Action::Pin, 3, NOW), word(Action::Unpin, 0, NOW + 5));
        let [pin, unpin] = [pin, unpin].map(|word| record(OPERATOR, &word, Some(&key(1))));
        let mut running = words();
        let taken = [&pin, &unpin, &pin].map(|record| running.take(record).map_err(|(why, _)| why));
        assert_eq!(taken, [Ok(()), Ok(()), Err("replayed")]);
        assert_eq!(running.releases.pin(NOW + 9), None);
        // After compaction the pin lay there alone, had not the word that stands been written again.
        let mut later = words();
        assert_eq!([&pin, &unpin].map(|record| later.take(record)), [Ok(()), Ok(())]);
        assert_eq!(later.releases.pin(NOW + 9), None);
    }

    #[test]
    fn the_operators_word_written_again_does_not_lift_the_gates_hold() {
        let (unpin, hold) = (word(Action::Unpin, 0, NOW), word(Action::Hold, 3, NOW + 5));
        let (unpin, hold) = (record(OPERATOR, &unpin, Some(&key(1))), record(GATE, &hold, Some(&key(1))));
        for order in [[&unpin, &hold, &unpin], [&hold, &unpin, &unpin]] {
            let mut words = words();
            order.iter().for_each(|record| words.take(record).expect("is signed"));
            assert!(words.releases.pin(NOW + 9).is_some(), "by the time in it, not by its offset");
        }
    }

    #[test]
    fn a_promotion_is_believed_if_it_is_signed_and_no_answer_is_taken_back_by_writing_it_again() {
        let called = Promotion { name: "gru".into(), by: "ann".into(), reason: "a test".into(), at: NOW, epoch: None };
        let answered = Promotion { epoch: Some(7), ..called.clone() };
        let record =
            |promotion: &Promotion, signer| signed(PROMOTE, serde_json::to_vec(promotion).expect("serialises"), signer);
        let mut words = words();
        for (promotion, signer, expected) in [
            (&called, None, Err("unsigned")),
            (&called, Some(&key(2)), Err("foreign")),
            (&called, Some(&key(1)), Ok(())),
            (&answered, Some(&key(1)), Ok(())),
            (&called, Some(&key(1)), Err("replayed")),
        ] {
            assert_eq!(words.take(&record(promotion, signer)).map_err(|(why, _)| why), expected);
        }
        assert_eq!(words.releases.promotion(), Some(&answered));
        assert!(words.overwritten.contains(PROMOTE), "the answer is to be written again");
        assert_eq!(words.standing(PROMOTE), serde_json::to_vec(&answered).ok());
    }

    #[test]
    fn an_erasure_that_is_deleted_forged_or_written_over_by_one_of_before_stands_and_is_to_be_written_again() {
        let (mut words, user) = (words(), Secret::new("a secret of this test").hash("u1"));
        let erasure = Erasure {
            by: "ann".into(),
            reason: "a test".into(),
            at: NOW,
            purge: false,
            secret: None,
            done: None,
            lifted: None,
        };
        let (ours, theirs) = (key(1), key(2));
        let (done, erase) = (Erasure { done: Some(NOW + 5), ..erasure.clone() }, Erasure::key(user));
        let record =
            |erasure: &Erasure, signer| signed(&erase, serde_json::to_vec(erasure).expect("serialises"), signer);
        for said in [&erasure, &done] {
            assert_eq!(words.take(&record(said, Some(&ours))), Ok(()));
        }
        assert!(words.overwritten.is_empty());
        let later = Erasure { lifted: Some(NOW + 9), ..done.clone() };
        for (over, why) in [
            (deleted(9, &erase), "unsigned"),
            (record(&later, None), "unsigned"),
            (record(&later, Some(&theirs)), "foreign"),
            (record(&erasure, Some(&ours)), "replayed"),
        ] {
            assert_eq!(words.take(&over).map_err(|(why, _)| why), Err(why));
            assert_eq!((words.erasures.get(user), words.overwritten.len()), (Some(&done), 1));
        }
        assert_eq!(words.standing(&erase), serde_json::to_vec(&done).ok());
        assert_eq!(words.take(&record(&done, Some(&ours))), Ok(()), "as it stands");
        assert!(words.overwritten.is_empty());
    }
}
