//! Writes who is to be forgotten, and who has done so: first to `audit`, then to `control`.

use std::collections::BTreeMap;

use runtime::kafka::{KafkaError, Outgoing, Producer};
use schemas::audit::{Chain, Deed};
use schemas::{Erasure, Topic, Topics, UserHash, VersionId, erasure};

/// Writes what is decided of a user, `action` being what was done; `evidence` are numbers that belong to it.
///
/// # Errors
/// Kafka refuses.
pub async fn erase(
    user: UserHash,
    word: &Erasure,
    (action, at): (&str, i64),
    evidence: BTreeMap<String, f64>,
    chain: &mut Chain,
    (producer, topics): (&Producer, &Topics),
) -> Result<(), KafkaError> {
    let (actor, reason) = (word.by.clone(), word.reason.clone());
    let (action, subject) = (action.to_owned(), user.to_string());
    let (writer, entry) = chain.next(Deed { actor, action, subject, version: None, reason, evidence }, at);
    producer.send_all(&topics.name(Topic::Audit), [record(writer, entry)]).await?;
    let value = serde_json::to_vec(word).expect("an erasure has nothing that JSON has not");
    producer.send_all(&topics.name(Topic::Control), [record(Erasure::key(user), value)]).await?;
    Ok(())
}

/// Writes receipts of `actor`, one of [`erasure::ACTORS`]: it has forgotten these users, each as the evidence says.
///
/// # Errors
/// Kafka refuses.
pub async fn receipts(
    actor: &str,
    users: Vec<(UserHash, BTreeMap<String, f64>)>,
    (version, at): (Option<VersionId>, i64),
    chain: &mut Chain,
    (producer, topics): (&Producer, &Topics),
) -> Result<(), KafkaError> {
    let receipt = |(user, evidence): (UserHash, _)| {
        let (actor, action, subject) = (actor.to_owned(), erasure::ERASED.to_owned(), user.to_string());
        let deed = Deed { actor, action, subject, version, evidence, ..Deed::default() };
        let (writer, entry) = chain.next(deed, at);
        record(writer, entry)
    };
    let records: Vec<Outgoing> = users.into_iter().map(receipt).collect();
    producer.send_all(&topics.name(Topic::Audit), records).await?;
    Ok(())
}

fn record(key: String, value: Vec<u8>) -> Outgoing {
    Outgoing { partition: Some(0), key: key.into(), value: Some(value.into()), ..Outgoing::default() }
}
